"""The dose book: what every place of every specimen has got, so that no place gets too much."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..workflow import InstrumentState, Rectangle

Specimen = tuple[str, int]
Floats = NDArray[np.float64]

_GROWTH = 256


@dataclass
class _Exposures:
    """Rectangles (n, 4) as y0, x0, y1, x1 in nanometres of the stage, and their doses (n,)."""

    boxes: Floats = field(default_factory=lambda: np.empty((_GROWTH, 4)))
    doses: Floats = field(default_factory=lambda: np.empty(_GROWTH))
    count: int = 0
    electrons: float = 0.0

    def add(self, boxes: Floats, doses: Floats) -> slice:
        need = self.count + len(boxes)
        while need > len(self.boxes):
            self.boxes = np.concatenate([self.boxes, np.empty_like(self.boxes)])
            self.doses = np.concatenate([self.doses, np.empty_like(self.doses)])
        place = slice(self.count, need)
        self.boxes[place], self.doses[place] = boxes, doses
        self.count = need
        return place

    def under(self, boxes: Floats) -> Floats:
        """For each box, the sum of the doses of all earlier boxes that meet it."""
        old, doses = self.boxes[: self.count], self.doses[: self.count]
        total = np.zeros(len(boxes))
        for i, (y0, x0, y1, x1) in enumerate(boxes):
            meets = (old[:, 0] < y1) & (old[:, 2] > y0) & (old[:, 1] < x1) & (old[:, 3] > x0)
            total[i] = doses[meets].sum()
        return total


@final
class DoseBook:
    """Doses by specimen and place.

    Exposures are rectangles. The dose of a place is bounded from above: all earlier exposures that
    meet a new one count in full, wherever in it they fell.
    """

    def __init__(self) -> None:
        self._specimens: dict[Specimen, _Exposures] = {}

    def copy(self) -> DoseBook:
        """A book with the same content, to try things in."""
        return copy.deepcopy(self)

    def electrons(self, state: InstrumentState) -> float:
        """All electrons that the loaded specimen has got."""
        known = self._specimens.get(_specimen(state))
        return 0.0 if known is None else known.electrons

    def peak_after(self, state: InstrumentState, put: tuple[tuple[Rectangle, float], ...]) -> float:
        """The largest dose in e/A^2 of any place that ``put`` (areas and electrons) would meet."""
        if not put:
            return 0.0
        boxes, doses = _boxes(state, put)
        known = self._specimens.get(_specimen(state))
        before = known.under(boxes) if known is not None else np.zeros(len(boxes))
        own = _Exposures()
        own.add(boxes, doses)
        return float(np.max(before + (own.under(boxes) if len(boxes) > 1 else doses)))

    def charge(self, state: InstrumentState, put: tuple[tuple[Rectangle, float], ...]) -> Charge:
        """Book exposures in full before they are made."""
        exposures = self._specimens.setdefault(_specimen(state), _Exposures())
        boxes, doses = _boxes(state, put)
        electrons = float(sum(e for _, e in put))
        exposures.electrons += electrons
        return Charge(exposures, exposures.add(boxes, doses), doses, electrons)


@dataclass
class Charge:
    """What was booked for one command, to be set right when it has ended."""

    _exposures: _Exposures
    _place: slice
    _doses: Floats
    electrons: float

    def settle(self, electrons: float) -> None:
        """Book what really fell instead, in the same proportions."""
        share = electrons / self.electrons if self.electrons > 0 else 0.0
        self._exposures.doses[self._place] = self._doses * share
        self._exposures.electrons += electrons - self.electrons
        self._doses, self.electrons = self._doses * share, electrons


def _specimen(state: InstrumentState) -> Specimen:
    return (state.sample or "", state.site)


def _boxes(
    state: InstrumentState, put: tuple[tuple[Rectangle, float], ...]
) -> tuple[Floats, Floats]:
    y, x = state.stage_y_nm, state.stage_x_nm
    boxes = np.array(
        [(r.y_nm + y, r.x_nm + x, r.y_nm + r.height_nm + y, r.x_nm + r.width_nm + x)
         for r, _ in put],
        dtype=np.float64,
    ).reshape(-1, 4)  # fmt: skip
    doses = np.array([e / (100.0 * r.area_nm2) for r, e in put], dtype=np.float64)
    return boxes, doses
