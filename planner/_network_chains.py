"""Which steps are still open at a design, which can be started, and what the rest costs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from ..workflow import Step
from ._network_belief import NetworkBelief
from ._network_data import keys_of, whole_keys
from ._network_kernel import Matrix, Vector
from ._prices import Price, Prices

Mask = NDArray[np.bool_]


@final
@dataclass(frozen=True)
class Leg:
    """What it takes to get one quantity at each point, and then the end.

    Attributes
    ----------
    ready
        Points (N,) where the quantity can be had next: all that it consumes is known.
    first
        Index of the step to start with (N,), into :attr:`Chains.steps`.
    now, later
        Price in credits (N,) of the steps up to the quantity, and of all open ones after it.
    own
        Expected credits and hours (N, 2) of the steps up to the quantity.
    whole
        Expected credits and hours (N, 2) of all open steps to the end.
    """

    ready: Mask
    first: NDArray[np.int64]
    now: Vector
    later: Vector
    own: Matrix
    whole: Matrix

    def price(self, row: int, whole: bool) -> Price:
        """Expected price of the steps up to the quantity at a point, or of the whole chain."""
        credits, hours = (self.whole if whole else self.own)[row]
        return Price(float(credits), float(hours))


@final
class Chains:
    """Open steps at points x (N, dim) with measured values ``known``."""

    def __init__(
        self,
        belief: NetworkBelief,
        prices: Prices,
        x: Matrix,
        known: dict[str, Vector],
    ) -> None:
        self._belief, self._prices, self._x = belief, prices, x
        self._network = belief.network
        self._count = len(x)
        graph = self._network.workflow.graph
        makers = {n.step.name for n in self._network.learned}
        names = set(makers)
        for name in makers:
            names |= nx.ancestors(graph, name)
        order = [n for n in nx.lexicographical_topological_sort(graph) if n in names]
        self.steps: tuple[Step, ...] = tuple(self._network.workflow.step(n) for n in order)
        self._place = {name: i for i, name in enumerate(order)}
        self._needs = np.zeros((len(order), len(order)), dtype=bool)
        for name in order:
            for before in nx.ancestors(graph, name):
                self._needs[self._place[name], self._place[before]] = True
        self._silent = np.array([name not in makers for name in order])
        self._each = np.stack([prices.at(s, x) for s in self.steps], axis=1)
        self._rate = belief.state.budget.credits_per_hour
        self._waits = np.array([prices.wait_h(s) for s in self.steps]) * self._rate
        self._open, self._busy = self._look(x, known)

    def _look(self, x: Matrix, known: dict[str, Vector]) -> tuple[Mask, Mask]:
        """Steps (N, steps) that are not done, and that run, at each point."""
        whole = whole_keys(x)
        is_open = np.zeros((len(x), len(self.steps)), dtype=bool)
        is_busy = np.zeros_like(is_open)
        for i, step in enumerate(self.steps):
            given = [n for n in self._network.learned if n.step.name == step.name]
            if given:
                for node in given:
                    is_open[:, i] |= np.isnan(known[node.quantity])
                columns = given[0].columns
            else:
                done = self._belief.done.get(step.name, set())
                is_open[:, i] = [key not in done for key in whole]
                columns = tuple(range(x.shape[1]))
            running = self._belief.running.get(step.name)
            if running:
                at = np.array([np.frombuffer(k, dtype=np.int64)[list(columns)] for k in running])
                own = {row.tobytes() for row in np.ascontiguousarray(at)}
                is_busy[:, i] = [key in own for key in keys_of(x, columns)]
        return is_open, is_busy

    @cached_property
    def _path_steps(self) -> NDArray[np.int64]:
        """Steps without which the end cannot be had."""
        makers = {n.step.name for n in self._network.learned if n.quantity in self._network.path}
        wanted = np.zeros(len(self.steps), dtype=bool)
        for name in makers:
            wanted[self._place[name]] = True
            wanted |= self._needs[self._place[name]]
        return np.flatnonzero(wanted)

    def leg(self, quantity: str, again: bool = False) -> Leg:
        """What it takes to measure a quantity next.

        ``again`` lets a quantity be measured where it was before.
        """
        step = self._place[self._network.learn(quantity).step.name]
        before = np.flatnonzero(self._needs[step])
        speaking = before[~self._silent[before]]
        ready: Mask = ~np.any(self._open[:, speaking], axis=1)
        if not again:
            ready &= self._open[:, step]
        ready &= ~np.any(self._busy[:, [*before, step]], axis=1)
        mine = np.zeros((self._count, len(self.steps)), dtype=bool)
        mine[:, before] = self._open[:, before]
        mine[:, step] = True
        rest = np.zeros_like(mine)
        rest[:, self._path_steps] = self._open[:, self._path_steps]
        rest &= ~mine
        first = mine.argmax(1)
        costs = self._costs
        return Leg(
            ready,
            first,
            np.sum(mine * costs, axis=1) + self._waits[first],
            np.sum(rest * costs, axis=1),
            np.einsum("ns,nsp->np", mine, self._each),
            np.einsum("ns,nsp->np", mine | rest, self._each),
        )

    def payable(self, leg: Leg) -> Mask:
        """Points (N,) where the budget pays for the first step at its cap.

        Asked only where that depends on the design: a cheaper one may still do.
        """
        found = np.ones(self._count, dtype=bool)
        for i in np.unique(leg.first):
            if self.steps[i].varies:
                rows = np.flatnonzero(leg.first == i)
                caps = self._prices.caps(self.steps[i], self._x[rows])
                found[rows] = self._belief.state.bears_price(*caps.T)
        return found

    @cached_property
    def _costs(self) -> Matrix:
        """Credits (N, steps) of every step alone, with its hours at their value."""
        return self._each[:, :, 0] + self._rate * self._each[:, :, 1]

    def settable(self, quantity: str) -> tuple[Mask, Vector]:
        """Points (N,) at which a step can be asked for with its inputs set, and prices (N,).

        That is where they are not known, and nothing but other numbers has to come before.
        """
        step = self._place[self._network.learn(quantity).step.name]
        before = np.flatnonzero(self._needs[step])
        able = self.steps[step].settable and not self._silent[before].any()
        blank = self._open[:, before].any(1) & ~self._busy[:, step]
        cost = self._costs[:, step] + self._waits[step]
        return (blank if able else np.zeros(self._count, dtype=bool)), cost

    def alone(self, quantity: str, row: int) -> Price:
        """Expected price of the one step that gives a quantity, at a point."""
        place = self._place[self._network.learn(quantity).step.name]
        return Price(*map(float, self._each[row, place]))
