"""Which holes are worth their minutes: whole patches and squares at a common rate.

A hole is imaged only if its probability of being good exceeds what its minutes are worth; a patch
or square is entered only if the best stretch in it pays for the way there (the marginal value
theorem of Charnov 1976 with moves at several levels). The worth of a minute is the one at which all
that is worth its time just fills the minutes that are left (a Lagrange multiplier).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from ._gp import Vector
from ._holes import Hole, MoveCosts

_HALVINGS = 24


@dataclass(frozen=True)
class Stretch:
    """Holes to image one after another, with the good ones expected and the minutes needed."""

    holes: tuple[int, ...]
    good: float
    minutes: float

    @property
    def rate(self) -> float:
        """Good holes expected per minute."""
        return self.good / self.minutes if self.minutes > 0 else 0.0


@final
class HolePlan:
    """The best use of the minutes left from where one is.

    Parameters
    ----------
    holes, probability
        All holes, and how probably each is good (n,).
    left
        Indices of the holes that may still be imaged.
    here
        Index of the hole that was imaged last.
    """

    def __init__(
        self,
        holes: Sequence[Hole],
        probability: Vector,
        left: Sequence[int],
        here: int,
        costs: MoveCosts,
        minutes: float,
    ) -> None:
        self._here, self._costs, self._minutes = holes[here], costs, minutes
        self._probability = probability
        self._patches: dict[tuple[str, str, str], NDArray[np.int64]] = {}
        grouped: dict[tuple[str, str, str], list[int]] = {}
        for i in left:
            grouped.setdefault(holes[i].in_patch, []).append(i)
        for patch, found in grouped.items():
            self._patches[patch] = np.array(sorted(found, key=lambda i: (-probability[i], i)))
        self.worth = self._worth_of_a_minute()

    def best(self) -> Stretch | None:
        """The stretch to begin with; None if nothing fits the minutes left.

        What is worth its time in this patch comes first, then this square's other patches, then
        elsewhere; at each level the stretch with the largest rate.
        """
        levels = self._levels(self.worth)
        for stretches in levels:
            if stretches:
                return max(stretches, key=lambda s: s.rate)
        return self._any()

    def _any(self) -> Stretch | None:
        """The single hole with the best rate, where no stretch is worth its time at the margin."""
        single = [
            Stretch((int(o[0]),), float(self._probability[o[0]]), cost)
            for patch, o in self._patches.items()
            if (cost := self._way(patch)) <= self._minutes
        ]
        return max(single, key=lambda s: s.rate, default=None)

    def _worth_of_a_minute(self) -> float:
        """The smallest worth at which the plan does not need more than the minutes left."""
        low, high = 0.0, 1.0 / self._costs.hole_min
        for _ in range(_HALVINGS):
            middle = (low + high) / 2.0
            used = sum(s.minutes for level in self._levels(middle) for s in level)
            low, high = (middle, high) if used > self._minutes else (low, middle)
        return high

    def _levels(self, worth: float) -> tuple[list[Stretch], list[Stretch], list[Stretch]]:
        """Stretches worth their time: in this patch, in this square, in other squares."""
        here = self._here
        inside: list[Stretch] = []
        near: list[Stretch] = []
        squares: dict[tuple[str, str], list[tuple[float, Stretch]]] = {}
        for patch, order in self._patches.items():
            way = self._way(patch)
            if way > self._minutes:
                continue
            own = patch == here.in_patch or patch[:2] == here.in_square
            entry = way if own else self._costs.patch_min
            stretch = self._stretch(order, entry, worth)
            surplus = stretch.good - worth * stretch.minutes
            if surplus <= 0.0:
                continue
            if own:
                (inside if patch == here.in_patch else near).append(stretch)
            else:
                squares.setdefault(patch[:2], []).append((surplus, stretch))
        far = [self._square(s, f) for s, f in squares.items() if self._pays(s, f, worth)]
        return inside, near, far

    def _stretch(self, order: NDArray[np.int64], entry: float, worth: float) -> Stretch:
        """The most of a patch's holes that is worth its time, the best first; at least one."""
        p, hole = self._probability[order], self._costs.hole_min
        fits = 1 + int((self._minutes - entry) / hole)
        count = max(min(int(np.sum(p > worth * hole)), fits), 1)
        return Stretch(
            tuple(map(int, order[:count])), float(p[:count].sum()), entry + (count - 1) * hole
        )

    def _square(self, square: tuple[str, str], found: list[tuple[float, Stretch]]) -> Stretch:
        """All patches of another square that are worth their time, the best first."""
        ordered = sorted((s for _, s in found), key=lambda s: -s.rate)
        return Stretch(
            tuple(i for s in ordered for i in s.holes),
            sum(s.good for s in ordered),
            sum(s.minutes for s in ordered) + self._extra(square),
        )

    def _pays(
        self, square: tuple[str, str], found: list[tuple[float, Stretch]], worth: float
    ) -> bool:
        return sum(surplus for surplus, _ in found) > worth * self._extra(square)

    def _extra(self, square: tuple[str, str]) -> float:
        """Minutes to another square beyond those to another patch."""
        entry = self._costs.square_min if square[0] == self._here.grid else self._costs.grid_min
        return entry - self._costs.patch_min

    def _way(self, patch: tuple[str, str, str]) -> float:
        """Minutes to the first hole of a patch."""
        here, costs = self._here, self._costs
        if patch == here.in_patch:
            return costs.hole_min
        if patch[:2] == here.in_square:
            return costs.patch_min
        return costs.square_min if patch[0] == here.grid else costs.grid_min
