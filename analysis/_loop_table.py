"""Loops of many positions: means over them, and a table of each."""

from __future__ import annotations

from collections.abc import Sequence

from ..workflow import Estimate
from ._analyst import combine_all
from ._loop_parameters import LoopParameters

SWITCHING = {
    "remanence": "remanence",
    "coercive_up": "coercive_up_V",
    "coercive_down": "coercive_down_V",
    "imprint": "imprint_V",
    "loop_window": "window_V",
    "nucleation_up": "nucleation_up_V",
    "nucleation_down": "nucleation_down_V",
}
"""Quantities of a loop that switches, and the fields of ``Switching`` that hold them."""


def loop_values(rows: Sequence[LoopParameters]) -> dict[str, Estimate | None]:
    """Means over the loops; of what switches, over the open ones: None where there is none."""
    opened = [r.switching for r in rows if r.switching is not None]
    values: dict[str, Estimate | None] = {"loop_area": combine_all([r.area for r in rows])}
    for name, field in SWITCHING.items():
        values[name] = combine_all([getattr(s, field) for s in opened])
    return values


def loop_columns(rows: Sequence[LoopParameters]) -> dict[str, list[float]]:
    """A closed loop has zeros, and 0 in the column ``open``."""
    columns = {
        "loop_area": [r.area.value for r in rows],
        "loop_area_std": [r.area.std for r in rows],
        "open": [float(r.switching is not None) for r in rows],
    }
    for name, field in SWITCHING.items():
        pairs = [getattr(r.switching, field, Estimate(value=0.0)) for r in rows]
        columns[name] = [e.value for e in pairs]
        columns[f"{name}_std"] = [e.std for e in pairs]
    return columns
