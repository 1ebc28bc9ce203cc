"""From what a program gave to what its step records, or to what came before it failed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..workflow import Array, Axis, Job
from ._driver import DriverFault
from ._run import Run


def recorded(job: Job, run: Run, columns: int) -> dict[str, Array]:
    """The arrays that the step records, positions as pixels of an overview of so many columns.

    Raises
    ------
    DriverFault
        If the program gave none of them.
    """
    arrays = run.arrays
    rest = [a for name, a in arrays.items() if name not in {p.name for p in job.step.records}]
    kept: dict[str, Array] = {}
    for port in job.step.records:
        if port.name not in arrays and not rest:
            raise DriverFault(
                "missing", f"the program gave {sorted(arrays)}, not {port.name!r}",
                "correct the step's records, or the program",
            )  # fmt: skip
        array = arrays[port.name] if port.name in arrays else rest.pop(0)
        kept[port.name] = at_pixels(job, array, columns)
    return kept


def at_pixels(job: Job, array: Array, columns: int) -> Array:
    """An array over positions, with row * columns + column of the overview as its first axis."""
    positions = job.action.target.positions
    placed = job.step.acts_on == "positions" and array.axes[0].kind == "point_cloud"
    if not placed or len(array.data) > len(positions):
        return array
    pixels = np.array(positions[: len(array.data)]) @ np.array([columns, 1])
    axis = Axis("position", "1", pixels.astype(np.float64), "point_cloud")
    metadata = {**array.metadata, "n_cols": float(columns)}
    return replace(array, axes=(axis, *array.axes[1:]), metadata=metadata)


def came_before(job: Job, run: Run, columns: int) -> dict[str, Array]:
    """All arrays of a run that failed, without the entries along their first axis that lack data.

    The axis keeps the values of the entries that are there: rows of an image, positions of spectra.
    """
    whole = {name: at_pixels(job, array, columns) for name, array in run.arrays.items()}
    kept = {name: _without_gaps(array) for name, array in whole.items()}
    return {name: array for name, array in kept.items() if len(array.data)}


def _without_gaps(array: Array) -> Array:
    if not array.data.size:
        return array
    there = np.isfinite(array.data.reshape(len(array.data), -1)).all(axis=1)
    first, *others = array.axes
    return replace(
        array, data=array.data[there], axes=(replace(first, values=first.values[there]), *others)
    )
