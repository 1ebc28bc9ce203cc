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
        """The smallest worth at which the plan does not need more than the minutes left.

        Where it needs none at all then, since all falls away at once, a little less.
        """
        low, high = 0.0, 1.0 / self._costs.hole_min
        for _ in range(_HALVINGS):
            middle = (low + high) / 2.0
            used = sum(s.minutes for level in self._levels(middle) for s in level)
            low, high = (middle, high) if used > self._minutes else (low, middle)
        return high if any(self._levels(high)) else low

    def _levels(self, worth: float) -> tuple[list[Stretch], list[Stretch], list[Stretch]]:
        """Stretches worth their time: in this patch, in this square, in other squares."""
        here = self._here
        inside: list[Stretch] = []
        near: list[Stretch] = []
        squares: dict[tuple[str, str], list[Stretch]] = {}
        for patch, order in self._patches.items():
            way = self._way(patch)
            if way > self._minutes:
                continue
            own = patch == here.in_patch or patch[:2] == here.in_square
            entry = way if own else self._costs.patch_min
            stretch = self._stretch(order, entry, worth)
            if stretch.good <= worth * stretch.minutes:
                continue
            if own:
                (inside if patch == here.in_patch else near).append(stretch)
            else:
                squares.setdefault(patch[:2], []).append(stretch)
        whole = [self._square(square, found) for square, found in squares.items()]
        far = [s for s in whole if s.good > worth * s.minutes]
        return inside, near, far

    def _stretch(self, order: NDArray[np.int64], entry: float, worth: float) -> Stretch:
        """The most of a patch's holes that is worth its time, the best first; at least one."""
        p, hole = self._probability[order], self._costs.hole_min
        fits = 1 + int((self._minutes - entry) / hole)
        count = max(min(int(np.sum(p > worth * hole)), fits), 1)
        return Stretch(
            tuple(map(int, order[:count])), float(p[:count].sum()), entry + (count - 1) * hole
        )

    def _square(self, square: tuple[str, str], found: list[Stretch]) -> Stretch:
        """The patches of another square that are worth their time, the best first, if they fit."""
        holes: list[int] = []
        good, minutes = 0.0, self._extra(square)
        for stretch in sorted(found, key=lambda s: -s.rate):
            room = int((self._minutes - minutes - self._costs.patch_min) / self._costs.hole_min) + 1
            kept = stretch.holes[: max(room, 0)]
            if not kept or minutes + self._costs.patch_min > self._minutes:
                break
            holes += kept
            good += float(self._probability[list(kept)].sum())
            minutes += self._costs.patch_min + (len(kept) - 1) * self._costs.hole_min
        return Stretch(tuple(holes), good, minutes)

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
