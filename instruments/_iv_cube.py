"""A recorded cube of current-field spectra: one spectrum at every pixel, read from an NSID file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ..workflow import StoreError

LOW_FIELD = slice(26, 31)
"""Channels whose mean is the structure image (channels 26 to 30, both included)."""

HIGH_FIELD = slice(-5, None)
"""Channels whose mean is the property: the five at the highest field."""

MIN_CHANNELS = LOW_FIELD.stop + 5

_WHO = "recording of current-field spectra"
_FORMAT = "an NSID HDF5 file with one 3-D main dataset (row, column, field)"
_REMEDY = (
    "give the path of bfo_iv_final.hf5 from the repository pycroscopy/sample_data on GitHub (MIT"
    " licence), or of any other recording that is an NSID HDF5 file with one 3-D main dataset (row,"
    " column, field)"
)


@dataclass(frozen=True)
class IvCube:
    """Spectra as they were recorded.

    Attributes
    ----------
    log_current : array (rows, columns, fields)
        Decimal logarithm of the current density in A/m**2; NaN where nothing was recorded.
    field_axis : array (fields,)
        Square root of the field in (V/m)**0.5, ascending.
    """

    log_current: NDArray[np.float64]
    field_axis: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns, _ = self.log_current.shape
        return rows, columns

    @cached_property
    def recorded(self) -> NDArray[np.bool_]:
        """Pixels (rows, columns) that have a high-field value."""
        return np.isfinite(self.high_field)

    @cached_property
    def low_field_image(self) -> NDArray[np.float64]:
        """Mean of the channels 26 to 30, (rows, columns); NaN where none of them was recorded."""
        return _mean(self.log_current[:, :, LOW_FIELD])

    @cached_property
    def high_field(self) -> NDArray[np.float64]:
        """Mean of the five channels at the highest field, (rows, columns); NaN as above."""
        return _mean(self.log_current[:, :, HIGH_FIELD])


def load_iv_cube(path: str | Path | None) -> IvCube:
    """Read a cube from an NSID file.

    Raises
    ------
    StoreError
        If there is no path or file, or the file is not HDF5, is damaged, or holds no such cube.
    """
    if not path:
        raise StoreError(_WHO, "no path", f"the path of {_FORMAT}", _REMEDY)
    if not Path(path).is_file():
        raise StoreError(_WHO, f"no file at {str(path)!r}", f"a path of {_FORMAT}", _REMEDY)
    try:
        with h5py.File(path, "r") as file:
            main = _main_dataset(file, path)
            cube = np.asarray(main[()], dtype=np.float64)
            field_axis = _field_axis(main, path)
    except (OSError, RuntimeError, KeyError) as error:
        raise StoreError(_WHO, f"{str(path)!r} ({error})", _FORMAT, _REMEDY) from error
    cube[~np.isfinite(cube)] = np.nan
    result = IvCube(cube, field_axis)
    if not result.recorded.any():
        raise StoreError(_WHO, f"{str(path)!r} has no finite value", "finite log J", _REMEDY)
    return result


def _main_dataset(file: h5py.File, path: str | Path) -> h5py.Dataset:
    found: list[h5py.Dataset] = []

    def visit(_name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == 3 and item.dtype.kind == "f":
            found.append(item)

    file.visititems(visit)
    if len(found) != 1:
        names = [str(d.name) for d in found]
        raise StoreError(
            _WHO, f"{str(path)!r} has {len(found)} 3-D datasets {names}", _FORMAT, _REMEDY
        )
    main = found[0]
    if main.shape[2] < MIN_CHANNELS or min(main.shape[:2]) < 1:
        raise StoreError(
            _WHO,
            f"{str(path)!r} has shape {main.shape}",
            f"(rows, columns, fields) with at least {MIN_CHANNELS} fields",
            _REMEDY,
        )
    return main


def _field_axis(main: h5py.Dataset, path: str | Path) -> NDArray[np.float64]:
    scales = list(main.dims[2].values())
    axis = np.asarray(scales[0][()], dtype=np.float64) if scales else np.empty(0)
    if axis.shape != (main.shape[2],) or not bool(np.all(np.diff(axis) > 0)):
        raise StoreError(
            _WHO,
            f"the field axis of {str(path)!r} has shape {axis.shape} or does not ascend",
            f"a dimension scale of {main.shape[2]} ascending values on the third dimension",
            _REMEDY,
        )
    return axis


def _mean(channels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis of what is finite there; NaN where nothing is."""
    there = np.isfinite(channels)
    total = np.where(there, channels, 0.0).sum(axis=-1)
    count = there.sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
