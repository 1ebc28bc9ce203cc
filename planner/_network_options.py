"""All that could be measured next in a network of functions, with rates of gain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..workflow import Step
from ._network_belief import NetworkBelief
from ._network_chains import Chains, Leg
from ._network_gains import Gains
from ._network_kernel import Matrix, Vector
from ._network_points import allowed
from ._network_pool import Pool, best_of, joined, screen, spread_rows
from ._prices import Price, Prices

_PROBES = 96
_VARIANTS = 10
_REFERENCE = 128


@final
@dataclass(frozen=True)
class Proposal:
    """A first step at a design: what it would gain for which price.

    ``value`` is in the goal's unit, ``cost`` in credits with hours priced in; ``whole`` tells
    whether the value is that of the chain to the end or of ``quantity`` alone. ``given`` are inputs
    that are set instead of made; ``last`` that nothing cheaper may come before.
    """

    quantity: str
    step: Step
    x: Vector
    value: float
    cost: float
    index: float
    price: Price
    whole: bool
    given: dict[str, float] = field(default_factory=dict)
    last: bool = False


def proposals(
    belief: NetworkBelief, prices: Prices, pool: Pool, seed: int, estimates: str = "both"
) -> list[Proposal]:
    """Proposals at the points of a pool and near the best of them, the best rates first.

    ``estimates`` is ``both``, ``gain`` (knowledge gradient alone) or ``chain`` (chain index alone).
    """
    first = _Round(belief, prices, pool, seed, estimates)
    near = _near(belief, first, seed)
    found = first.proposals(np.arange(len(pool.x)))
    if len(near):
        small = best_of(pool, _REFERENCE)
        both = joined(small, screen(belief, near, seed, float(small.mean.max())))
        second = _Round(belief, prices, both, seed, estimates)
        found += second.proposals(np.arange(len(small.x), len(both.x)))
    return sorted(found, key=lambda p: -p.index)


@final
class _Round:
    """Rates of all quantities at all points of one pool."""

    def __init__(
        self, belief: NetworkBelief, prices: Prices, pool: Pool, seed: int, estimates: str
    ) -> None:
        self.belief, self.pool = belief, pool
        self.chains = Chains(belief, prices, pool.x, pool.known)
        self.gains = Gains(belief, pool.x, pool.known, seed % 2**31)
        self.found: dict[tuple[str, bool], tuple[Vector, Vector, Vector]] = {}
        self.legs: dict[str, Leg] = {}
        self.set_free: dict[str, tuple[Vector, Vector, Vector]] = {}
        for node in belief.network.learned:
            again = not belief.exact(node.quantity)
            leg = self.chains.leg(node.quantity, again)
            blank, cost = self.chains.settable(node.quantity)
            if blank.any() and estimates != "chain":
                self._set_step(node.quantity, blank, cost)
            if not leg.ready.any():
                continue
            self.legs[node.quantity] = leg
            affordable = belief.state.bears_price(*leg.whole.T) & leg.ready
            if estimates != "gain" and self._fresh(node.quantity):
                rate, gain, price = self.gains.chain(node.quantity, leg)
                rate = np.where(affordable, rate, 0.0)
                self.found[(node.quantity, True)] = (rate, gain, price)
            if estimates != "chain":
                self._one_step(node.quantity, leg.ready, leg.now)

    def _fresh(self, quantity: str) -> bool:
        """Whether the end of a chain through the quantity is open anywhere."""
        return self.gains.response(self.belief.network.tells_of(quantity)).reach.inputs != {}

    def _set_step(self, quantity: str, blank: NDArray[np.bool_], cost: Vector) -> None:
        """Knowledge gradient of a step whose inputs are set to what they are believed to be."""
        if not self._fresh(quantity):
            return
        rows = np.flatnonzero(blank)
        if len(rows) > _PROBES:
            order = rows[np.argsort(-self.pool.gain[rows], kind="stable")]
            rows = np.concatenate([order[: _PROBES // 2], order[_PROBES // 2 :: 4]])[:_PROBES]
        gain = np.zeros(len(self.pool.x))
        gain[rows] = self.gains.one_step(quantity, rows)
        self.set_free[quantity] = (gain / np.maximum(cost, 1e-12), gain, cost)

    def _one_step(self, quantity: str, ready: NDArray[np.bool_], now: Vector) -> None:
        pool = self.pool
        score = pool.gain
        chain = self.found.get((quantity, True))
        if chain is not None:
            score = chain[0]
        rows = np.flatnonzero(ready)
        if len(rows) > _PROBES:
            by_score = rows[np.argsort(-score[rows], kind="stable")[: _PROBES // 2]]
            by_doubt = rows[np.argsort(-pool.std[rows], kind="stable")[: _PROBES // 4]]
            by_mean = rows[np.argsort(-pool.mean[rows], kind="stable")[: _PROBES // 4]]
            rows = np.unique(np.concatenate([by_score, by_doubt, by_mean]))
        gain = np.zeros(len(pool.x))
        gain[rows] = self.gains.one_step(quantity, rows)
        self.found[(quantity, False)] = (gain / np.maximum(now, 1e-12), gain, now)

    def proposals(self, rows: NDArray[np.int64]) -> list[Proposal]:
        """The best of ``rows`` for each quantity and estimate."""
        made: list[Proposal] = []
        for (quantity, whole), (rate, gain, price) in self.found.items():
            leg = self.legs[quantity]
            order = np.lexsort((-rate[rows], ~self.chains.payable(leg)[rows]))
            top = rows[order[:12]]
            for row in top:
                if rate[row] <= 0.0 or not np.isfinite(rate[row]):
                    continue
                made.append(
                    Proposal(
                        quantity,
                        self.chains.steps[int(leg.first[row])],
                        self.pool.x[row],
                        float(gain[row]),
                        float(price[row]),
                        float(rate[row]),
                        leg.price(int(row), whole),
                        whole,
                    )
                )
        for quantity, (rate, gain, cost) in self.set_free.items():
            step = self.belief.network.learn(quantity).step
            for row in rows[np.argsort(-rate[rows], kind="stable")[:12]]:
                if rate[row] > 0.0:
                    values = self.gains.set_values(quantity, int(row))
                    price = self.chains.alone(quantity, int(row))
                    told = (float(gain[row]), float(cost[row]), float(rate[row]))
                    at = (self.pool.x[row], *told, price)
                    made.append(Proposal(quantity, step, *at, False, values))
        return made


def _near(belief: NetworkBelief, first: _Round, seed: int) -> Matrix:
    """Variants of the best points: columns move that no measured value hangs on."""
    rng = np.random.default_rng([seed, 7])
    space = belief.network.workflow.space
    if space.pool() is not None or not space.dim:
        return np.zeros((0, space.dim))
    blocks: list[Matrix] = []
    for (quantity, _), (rate, _, _) in first.found.items():
        rows = spread_rows(first.pool.x, rate, 2)
        node = belief.network.learn(quantity)
        for row in rows:
            free = set(node.columns)
            for parent in node.parents:
                free -= set(belief.network.nodes[parent].columns)
            if not free or rate[row] <= 0.0:
                continue
            columns = sorted(free)
            copies = np.repeat(first.pool.x[row : row + 1], _VARIANTS, axis=0)
            width = np.exp(rng.uniform(np.log(0.005), np.log(0.1), (_VARIANTS, 1)))
            copies[:, columns] += width * rng.standard_normal((_VARIANTS, len(columns)))
            blocks.append(copies)
    if not blocks:
        return np.zeros((0, space.dim))
    return allowed(belief, np.concatenate(blocks))
