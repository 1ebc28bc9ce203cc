"""Recordings written for tests."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np


def write_nsid(path: Path, data: np.ndarray, fields: np.ndarray | None = None) -> Path:
    """A main dataset with a dimension scale on every axis, as NSID has it."""
    with h5py.File(path, "w") as file:
        group = file.create_group("Measurement_000/Channel_000/map")
        main = group.create_dataset("map", data=data)
        main.attrs["quantity"] = "log J"
        axes = [np.arange(n, dtype=float) for n in data.shape]
        axes[-1] = axes[-1] if fields is None else fields
        for k, (name, values) in enumerate(zip("xyE", axes, strict=False)):
            scale = group.create_dataset(name, data=values)
            scale.make_scale(name)
            main.dims[k].attach_scale(scale)
    return path
