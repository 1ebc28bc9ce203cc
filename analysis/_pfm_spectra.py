"""Batches of hysteresis loops as the analysis reads them: checked, split, screened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from ..workflow import Array
from ._patches import robust_std

Floats = NDArray[np.float64]
Position = tuple[int, int]

COLUMNS = 128
"""Columns of an image, by which positions are numbered: row * COLUMNS + column."""
SENSITIVITY = "sensitivity_pm_per_uC_per_cm2"
"""Metadata of a batch that converts response to polarization."""
LEAST_BRANCH = 6
"""Fewest points of a branch."""
_SPIKE = 6.0


@dataclass(frozen=True)
class Batch:
    """Loops that were taken together.

    ``bias_V`` has shape (m,), in the order of the sweep; ``response_pm`` (n, m), one row for each
    of ``positions``. ``sensitivity`` converts: response in pm = sensitivity * polarization in
    uC/cm**2.
    """

    positions: tuple[Position, ...]
    bias_V: Floats
    response_pm: Floats
    sensitivity: float


def read_batch(array: Array) -> Batch | str:
    """A batch from a stored array, or what is wrong with it.

    The array has shape (n, m); its first axis holds the numbers of the positions, its second the
    bias in V.
    """
    data = np.asarray(array.data, dtype=np.float64)
    shape = tuple(len(axis.values) for axis in array.axes)
    if data.ndim != 2 or data.shape != shape:
        return f"loops of shape {data.shape} with axes {shape}, not (positions, bias)"
    bias = np.asarray(array.axes[1].values, dtype=np.float64)
    if not np.all(np.isfinite(bias)) or min(len(b) for b in branches(bias)) < LEAST_BRANCH:
        return f"a bias sweep without two branches of {LEAST_BRANCH} points through zero"
    sensitivity = float(array.metadata.get(SENSITIVITY, np.nan))
    if not np.isfinite(sensitivity) or sensitivity == 0.0:
        return f"metadata {SENSITIVITY} is {sensitivity}, not a number other than zero"
    return Batch(_positions(array), bias, data, sensitivity)


def _positions(array: Array) -> tuple[Position, ...]:
    columns = int(array.metadata.get("n_cols", COLUMNS))
    rows, cols = np.divmod(np.rint(array.axes[0].values).astype(np.int64), columns)
    return tuple(zip(rows.tolist(), cols.tolist(), strict=True))


def read_masks(arrays: Iterable[Array]) -> dict[Position, float]:
    """Weight of each position; the newest mask that names a position counts."""
    weights: dict[Position, float] = {}
    for array in arrays:
        values = np.nan_to_num(np.asarray(array.data, dtype=np.float64).ravel())
        weights.update(zip(_positions(array), values.tolist(), strict=False))
    return weights


def branches(bias_V: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the points with rising and with falling bias; turning points belong to both.

    Empty where a branch does not reach both signs: such a branch tells nothing about zero bias.
    """
    slope = np.gradient(bias_V) if len(bias_V) > 1 else np.zeros(len(bias_V))
    found = []
    for side in (slope >= 0.0, slope <= 0.0):
        inside = np.flatnonzero(side)
        through = inside.size and bias_V[inside].min() < 0.0 < bias_V[inside].max()
        found.append(inside if through else inside[:0])
    return found[0], found[1]


def noise_of(response: Floats) -> float:
    """Standard deviation of the white noise of a loop, from its second differences.

    A loop bends in few places, so the robust spread of the differences is that of the noise.
    """
    bend = response[1:-1] - 0.5 * (response[:-2] + response[2:])
    bend = bend[np.isfinite(bend)]
    return robust_std(bend) / np.sqrt(1.5) if bend.size else 0.0


def spikes_of(response: Floats) -> NDArray[np.bool_]:
    """Points that stick out of their surroundings; missing points count as well.

    A median over five points follows the steps of a loop, so only what stands alone is left over.
    """
    known = np.isfinite(response)
    if not known.any():
        return ~known
    whole = np.where(known, response, np.median(response[known]))
    residual = whole - median_filter(whole, size=5, mode="nearest")
    limit = _SPIKE * max(noise_of(response), 1e-9 * float(np.ptp(whole)))
    return (np.abs(residual) > limit) | ~known
