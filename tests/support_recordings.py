"""Recordings written for tests."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np


def write_cube(path: Path, cube: np.ndarray) -> Path:
    """An NSID-like file of spectra (rows, columns, fields) with a field axis."""
    with h5py.File(path, "w") as file:
        main = file.create_dataset("map/map", data=cube.astype(np.float64))
        for axis, size in enumerate(cube.shape):
            scale = file.create_dataset(f"map/axis_{axis}", data=np.arange(size, dtype=float))
            scale.make_scale(f"axis_{axis}")
            main.dims[axis].attach_scale(scale)
    return path
