"""Where a session would measure next, by what it believes at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..workflow import Estimate, SpecError, Wishes
from ._gp import Vector
from ._session_belief import Views
from ._session_choice import Choice, Chooser, spread_out
from ._session_gp import Prediction
from ._session_memory import START, WHO, Memory
from ._session_prices import VisitPrices, shortest_path
from ._session_value import LocalValue, Overview
from ._session_visit import Position, Visit

_OVERVIEW = 160
"""Places that stand for all where it is asked what becomes known everywhere."""


@final
@dataclass(frozen=True)
class Asking:
    """Visits that a session would make, of which it makes none.

    Attributes
    ----------
    positions
        Where may be measured, (N, 2) in pixels.
    views, memory
        What models see of them, and what is known; all that was told is taken in.
    prices, wishes
        Of visits, and what people want.
    here
        Where the probe stands; None at first.
    seed
        Of what is drawn.
    """

    positions: NDArray[np.int64]
    views: Views
    memory: Memory
    prices: VisitPrices
    wishes: Wishes
    here: Position | None
    seed: int

    def along_a_path(self, free: NDArray[np.int64], count: int) -> list[Visit]:
        """Up to ``count`` visits of free rows, which count as measured for each other."""
        chosen = self._chosen(free, count)
        places = [place_of_row(self.positions, choice.row) for choice in chosen]
        here, visits = self.here, []
        for i in shortest_path(here, places):
            visits.append(self._visit(chosen[i], here))
            here = places[i]
        return visits

    def ranked(self, free: NDArray[np.int64], count: int) -> list[Visit]:
        """The ``count`` best of the free rows, each as if it alone were measured; none while places
        are still spread out over the structures."""
        if len(self.memory) < START:
            return []
        choices = self._chooser().ranked(self._value(), free, self.here, count)
        return [self._visit(choice, self.here) for choice in choices]

    def _chosen(self, free: NDArray[np.int64], count: int) -> Sequence[Choice]:
        measured = len(self.memory)
        if measured < START:
            seen = np.column_stack([self.views.components, self.views.places])
            count = min(count, START - measured)
            rows = spread_out(seen, self.memory.rows, free, count, self.seed)
            dwell = self.prices.first_dwell_s
            return [Choice(row, dwell, 0.0, float(self.prices.price(0.0, dwell))) for row in rows]
        return self._chooser().choose(self._value(), free, self.here, count)

    def _chooser(self) -> Chooser:
        return Chooser(self.positions, self.prices, self.wishes, self._covariance)

    def _covariance(self, row: int) -> Vector:
        return self.memory.belief.covariance(np.array([row]))[:, 0]

    def _visit(self, choice: Choice, here: Position | None) -> Visit:
        place = place_of_row(self.positions, choice.row)
        apart = 0.0 if here is None else float(np.hypot(*np.subtract(place, here)))
        mixed = self.memory.belief.mixed() if len(self.memory) else None
        return Visit(
            position=place,
            dwell_s=choice.dwell_s,
            minutes=float(self.prices.minutes(apart, choice.dwell_s)),
            gain=choice.gain,
            price=choice.price,
            expected=None if mixed is None else estimate_of_row(mixed, choice.row),
            reason=self._reason(choice.gain),
        )

    def _reason(self, gain: float) -> str:
        if len(self.memory) < START:
            return "unlike the places measured so far"
        belief = self.memory.belief
        trust = f"{belief.leader} ({belief.weights[belief.leader]:.0%})"
        if self.wishes.exploit:
            return f"the largest value believed, exploiting as was wished, by {trust}"
        return f"gain {gain:.2g} standard deviations, by {trust}"

    def _value(self) -> LocalValue:
        mixed = self.memory.belief.mixed()
        best = max(value for _, value, _ in self.memory.posterior(mixed))
        overview = self._overview() if self.wishes.explore else None
        unit = self.memory.unit or 1.0
        return LocalValue(
            mixed.mean, mixed.std, mixed.scatter, best, unit, self._liking(), overview
        )

    def _overview(self) -> Overview:
        count = len(self.positions)
        rng = np.random.default_rng([self.seed, 13, len(self.memory)])
        rows = np.sort(rng.choice(count, min(count, _OVERVIEW), replace=False))
        return Overview(rows, self.memory.belief.covariance(rows))

    def _liking(self) -> Vector:
        """How much each place is liked, by its structure's likeness to a chosen one."""
        chosen = self.wishes.more_like
        if chosen is None:
            return np.zeros(len(self.positions))
        row = np.flatnonzero((self.positions == chosen).all(axis=1))
        if not len(row):
            raise SpecError(WHO, f"more_like={chosen}", "a position of the session", "correct it")
        away = np.linalg.norm(self.views.components - self.views.components[row[0]], axis=1)
        near = float(np.quantile(away, 0.1)) or 1.0
        return self.wishes.liking * np.exp(-0.5 * (away / near) ** 2)


def place_of_row(positions: NDArray[np.int64], row: int) -> Position:
    """A candidate's row and column in pixels."""
    r, c = positions[row]
    return int(r), int(c)


def estimate_of_row(mixed: Prediction, row: int) -> Estimate:
    """What is believed of the value at a candidate."""
    return Estimate(value=float(mixed.mean[row]), std=float(mixed.total_std[row]))
