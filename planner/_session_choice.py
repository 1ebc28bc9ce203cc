"""Which places a session measures next: spread out at first, then by gain per minute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..workflow import Wishes
from ._gp import Matrix, Vector
from ._session_prices import ProbePrices, distances
from ._session_value import LocalValue

Rows = NDArray[np.int64]
_POOL = 256


@dataclass(frozen=True)
class Choice:
    """A candidate's row, how long to stay there, and what that is worth."""

    row: int
    dwell_s: float
    gain: float


def spread_out(seen: Matrix, known: Sequence[int], free: Rows, count: int, seed: int) -> list[int]:
    """Up to ``count`` of the free rows, each as unlike all others in ``seen`` (N, d) as can be."""
    rng = np.random.default_rng([seed, 11])
    pool = rng.choice(free, min(len(free), _POOL), replace=False)
    chosen: list[int] = []
    for _ in range(min(count, len(pool))):
        others = seen[[*known, *chosen]]
        left = pool[~np.isin(pool, chosen)]
        if len(others):
            apart = np.linalg.norm(seen[left][:, None] - others[None], axis=2).min(axis=1)
            chosen.append(int(left[np.argmax(apart)]))
        else:
            chosen.append(int(left[0]))
    return chosen


@dataclass(frozen=True)
class Chooser:
    """Takes the largest gain per minute, one place after another.

    ``covariance`` gives the posterior covariance (N,) of a row with all. What was chosen counts as
    measured, and the way to the next place begins at the nearest of them.
    """

    positions: Rows
    prices: ProbePrices
    wishes: Wishes
    covariance: Callable[[int], Vector]

    def choose(
        self, value: LocalValue, free: Rows, here: tuple[int, int] | None, count: int
    ) -> list[Choice]:
        """Up to ``count`` of the free rows."""
        allowed = np.zeros(len(self.positions), dtype=bool)
        allowed[free] = True
        away = None if here is None else distances(self.positions, np.array([here]))[:, 0]
        chosen: list[Choice] = []
        for _ in range(min(count, len(free))):
            choice = self._best(value, allowed, away)
            chosen.append(choice)
            allowed[choice.row] = False
            step = distances(self.positions, self.positions[[choice.row]])[:, 0]
            away = step if away is None else np.minimum(away, step)
            if len(chosen) < count:
                noise = self.prices.noise(choice.dwell_s)
                value = value.given(choice.row, self.covariance(choice.row), noise)
        return chosen

    def _best(self, value: LocalValue, allowed: NDArray[np.bool_], away: Vector | None) -> Choice:
        """The largest gain per minute; exploiting, the largest gain, with the longest dwell."""
        found: list[tuple[float, Choice]] = []
        exploit = self.wishes.exploit
        for dwell in self.prices.dwells_s[-1:] if exploit else self.prices.dwells_s:
            gain = value.gain(self.wishes, self.prices.noise(dwell))
            minutes = self.prices.minutes(0.0 if away is None else away, dwell)
            rate = np.where(allowed, gain if exploit else gain / minutes, -np.inf)
            row = int(np.argmax(rate))
            found.append((float(rate[row]), Choice(row, dwell, float(gain[row]))))
        return max(found, key=lambda f: f[0])[1]
