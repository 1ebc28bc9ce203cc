"""A recording on a grid of positions: an image, or one spectrum at every pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..workflow import Axis, Point, StoreError, parse_unit

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Recording:
    """What was measured, with its positions.

    Attributes
    ----------
    data : array (rows, columns) or (rows, columns, channels)
        NaN where nothing was recorded.
    y_nm, x_nm : arrays (rows,), (columns,)
        Positions of the pixels, ascending, from the first one on.
    spectral
        The axis of the channels; None for an image.
    source
        The file and the dataset in it, for people.
    """

    data: Floats
    y_nm: Floats
    x_nm: Floats
    spectral: Axis | None
    quantity: str
    unit: str
    source: str

    def __post_init__(self) -> None:
        shape = (self.y_nm.size, self.x_nm.size)
        shape += () if self.spectral is None else (self.spectral.values.size,)
        if self.data.shape != shape or min(shape) < 1:
            raise StoreError(
                f"recording {self.source}",
                f"data of shape {self.data.shape} with axes of {shape}",
                "(rows, columns) or (rows, columns, channels), and an axis for each",
                "name another dataset",
            )
        if not np.isfinite(self.data).any():
            raise StoreError(
                f"recording {self.source}",
                "no finite value",
                "at least one",
                "name another dataset",
            )

    @property
    def pixel_nm(self) -> tuple[float, float]:
        """Distance of two rows and of two columns; 1 where there is only one."""
        return _step(self.y_nm), _step(self.x_nm)

    @property
    def height_nm(self) -> float:
        """Rows times their distance."""
        return self.pixel_nm[0] * self.y_nm.size

    @property
    def width_nm(self) -> float:
        return self.pixel_nm[1] * self.x_nm.size

    def image(self) -> Floats:
        """The image, or the mean of what was recorded in the channels, (rows, columns)."""
        if self.spectral is None:
            return self.data.copy()
        there = np.isfinite(self.data)
        total = np.where(there, self.data, 0.0).sum(axis=-1)
        count = there.sum(axis=-1)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def pixel_at(self, point: Point) -> tuple[int, int] | None:
        """The pixel (row, column) whose area holds the point; None where nothing was recorded.

        A pixel's area begins at its corner: the first holds positions from 0 to its size.
        """
        dy, dx = self.pixel_nm
        row, column = int(np.floor(point.y_nm / dy)), int(np.floor(point.x_nm / dx))
        inside = 0 <= row < self.y_nm.size and 0 <= column < self.x_nm.size
        if not inside or not np.isfinite(self.data[row, column]).any():
            return None
        return row, column

    @property
    def extent(self) -> str:
        """Which positions there are, in words."""
        return (
            f"recorded places with y from 0 to {self.height_nm:g} nm and x from 0 to"
            f" {self.width_nm:g} nm, every ({self.pixel_nm[0]:g}, {self.pixel_nm[1]:g}) nm"
        )


def to_nm(values: Floats, unit: str, pixel_nm: float | None, who: str) -> Floats:
    """Positions of pixels in nanometres, from the first one on, ascending.

    Parameters
    ----------
    values
        Positions as they were recorded.
    unit
        Their unit.
    pixel_nm
        Where it is given, the distance of two pixels: the recorded positions are left alone.

    Raises
    ------
    StoreError
        If the unit is no length, or the positions are not equally spaced.
    """
    if pixel_nm is not None:
        return np.arange(values.size, dtype=np.float64) * pixel_nm
    remedy = "give pixel_nm, the distance of two pixels, in the config"
    try:
        factor = float((1.0 * parse_unit(unit)).to("nm").magnitude)
    except Exception as error:
        raise StoreError(
            who, f"positions in the unit {unit!r}", "a unit of length", remedy
        ) from error
    nm = (values - values[0]) * factor
    steps = np.diff(nm)
    even = steps.size == 0 or np.allclose(steps, steps[0], rtol=1e-2, atol=0)
    if not even or (steps.size and steps[0] == 0):
        raise StoreError(who, "positions that are not equally spaced", "a regular grid", remedy)
    return np.abs(nm)


def _step(values: Floats) -> float:
    return float(values[1] - values[0]) if values.size > 1 else 1.0
