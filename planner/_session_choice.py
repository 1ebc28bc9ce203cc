"""Which places a session measures next: spread out at first, then by gain per minute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..workflow import Wishes
from ._gp import Matrix, Vector
from ._session_prices import VisitPrices, distances
from ._session_value import LocalValue

Rows = NDArray[np.int64]
_POOL = 256


@dataclass(frozen=True)
class Choice:
    """A candidate's row, how long to stay there, what that is worth, and its price."""

    row: int
    dwell_s: float
    gain: float
    price: float


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
class Offers:
    """Of every candidate (N,): its best dwell, the gain, the price, and what they are ranked by."""

    dwells_s: Vector
    gains: Vector
    prices: Vector
    ranks: Vector

    def choice(self, row: int) -> Choice:
        """One of them."""
        return Choice(
            row, float(self.dwells_s[row]), float(self.gains[row]), float(self.prices[row])
        )


@dataclass(frozen=True)
class Chooser:
    """Takes the largest gain per price, one place after another.

    ``covariance`` gives the posterior covariance (N,) of a row with all. What was chosen counts as
    measured, and the way to the next place begins at the nearest of them.
    """

    positions: Rows
    prices: VisitPrices
    wishes: Wishes
    covariance: Callable[[int], Vector]

    def choose(
        self, value: LocalValue, free: Rows, here: tuple[int, int] | None, count: int
    ) -> list[Choice]:
        """Up to ``count`` of the free rows."""
        allowed = np.zeros(len(self.positions), dtype=bool)
        allowed[free] = True
        away = self._away(here)
        chosen: list[Choice] = []
        for _ in range(min(count, len(free))):
            offers = self._offers(value, away)
            row = int(np.argmax(np.where(allowed, offers.ranks, -np.inf)))
            choice = offers.choice(row)
            chosen.append(choice)
            allowed[choice.row] = False
            step = distances(self.positions, self.positions[[choice.row]])[:, 0]
            away = step if away is None else np.minimum(away, step)
            if len(chosen) < count:
                noise = self.prices.noise(choice.dwell_s)
                value = value.given(choice.row, self.covariance(choice.row), noise)
        return chosen

    def ranked(
        self, value: LocalValue, free: Rows, here: tuple[int, int] | None, count: int
    ) -> list[Choice]:
        """The ``count`` best of the free rows, each as if it alone were measured."""
        offers = self._offers(value, self._away(here))
        order = free[np.argsort(-offers.ranks[free], kind="stable")][:count]
        return [offers.choice(int(row)) for row in order]

    def _away(self, here: tuple[int, int] | None) -> Vector | None:
        return None if here is None else distances(self.positions, np.array([here]))[:, 0]

    def _offers(self, value: LocalValue, away: Vector | None) -> Offers:
        """The dwell of the largest gain per price; exploiting, the longest, ranked by gain."""
        exploit = self.wishes.exploit
        dwells = self.prices.dwells_s[-1:] if exploit else self.prices.dwells_s
        many = np.ones(len(self.positions))
        gains = np.array([value.gain(self.wishes, self.prices.noise(d)) for d in dwells])
        prices = np.array(
            [many * self.prices.price(0.0 if away is None else away, d) for d in dwells]
        )
        ranks = gains if exploit else gains / prices
        best = np.argmax(ranks, axis=0)
        each = np.arange(len(self.positions))
        picked = (a[best, each] for a in (gains, prices, ranks))
        return Offers(np.array(dwells)[best], *picked)
