"""Turns the columns of a fitting action into measurements."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..workflow import Space, WorkerError
from ._grid import VARIABLES
from ._refit import Measurements

SOURCES: tuple[str, ...] = ("loop_polarization", "switchable_polarization")
COLUMNS: tuple[str, ...] = (*VARIABLES, "quantity", "value", "std")


def measurements(
    columns: Mapping[str, tuple[float | str, ...]], space: Space
) -> Measurements | None:
    """Measurements from the columns ``COLUMNS``, or None where there are none.

    Raises
    ------
    WorkerError
        If a column is missing, columns differ in length, a quantity is unknown, or a number is not
        finite, a standard deviation negative, or a pressure not positive.
    """
    if not any(columns.values()):
        return None
    missing = [name for name in COLUMNS if name not in columns]
    if missing or len({len(columns[name]) for name in COLUMNS}) > 1:
        lengths = {name: len(column) for name, column in columns.items()}
        raise _complain(
            f"columns of lengths {lengths}",
            f"{list(COLUMNS)}, all of one length",
            "give every measurement one entry in every column",
        )
    quantity = columns["quantity"]
    unknown = sorted({str(q) for q in quantity} - set(SOURCES))
    if unknown:
        raise _complain(f"quantities {unknown}", f"{list(SOURCES)}", "leave the others out")
    design = np.stack([_numbers(columns, name) for name in VARIABLES], axis=1)
    value, std = _numbers(columns, "value"), _numbers(columns, "std")
    if np.any(std < 0) or np.any(design[:, 2] <= 0):
        raise _complain(
            f"smallest std {std.min():g}, smallest pressure {design[:, 2].min():g} mTorr",
            "std >= 0 and pressure > 0",
            "mend the measurement",
        )
    designs = [dict(zip(VARIABLES, map(float, row), strict=True)) for row in design]
    is_loop = np.array([q == SOURCES[0] for q in quantity])
    return Measurements(design, space.encode(designs), value, std, is_loop)


def _numbers(columns: Mapping[str, tuple[float | str, ...]], name: str) -> np.ndarray:
    try:
        numbers = np.array([float(v) for v in columns[name]], dtype=np.float64)
    except ValueError as error:
        raise _complain(f"{name}: {error}", "numbers", "mend the column") from error
    if not np.all(np.isfinite(numbers)):
        raise _complain(f"{name} with NaN or infinity", "finite numbers", "leave the datum out")
    return numbers


def _complain(given: str, allowed: str, remedy: str) -> WorkerError:
    return WorkerError("worker 'landau-theory', step data", given, allowed, remedy)
