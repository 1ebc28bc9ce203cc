"""Candidates, two proxies and a dear test: ``python -m benchmarks.funnels``.

Every seed is another world: a few hundred candidates, each with a true quality and with what two
proxies say of it. Where candidates know nothing of each other and the proxies' quality is known, a
fixed funnel whose widths were tuned on other worlds is close to the best there is. A planner must
not lose there, and must win where quality and price of the proxies differ from world to world, or
where candidates resemble each other.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from probewise.workflow import Amount, Correlation, Design

from ._ask import PlannerPlayer
from ._baselines import LogEI, RandomPlayer, Screen, named
from ._command import main
from ._gp_draws import matern_draw
from ._problem import Node, Problem, Query, pool_space
from ._runner import Suite, play

Array = NDArray[np.float64]
CANDIDATES, DIMENSIONS, INITIAL = 300, 3, 8
STEPS = ("look", "scan", "test")
QUANTITIES = ("rough", "fine", "quality")
COSTS = (1.0, 6.0, 30.0)
CORRELATIONS = (0.6, 0.85)
SURE = 0.05
"""How sure correlations are that the planner is told: among 300 candidates they scatter by less."""
BUDGET = 600.0
TUNING_SEEDS = range(100_000, 100_040)
WEIGHTS = (0.77, 0.5, 1.0)
"""Weights of the scan to try; the first is right for the known correlations."""


@dataclass(frozen=True)
class Family:
    """What the worlds of a problem have in common.

    ``alike`` is the share of the quality's variance that depends smoothly on the candidates'
    coordinates; ``known`` tells whether quality and price of the proxies are the same in all
    worlds, or drawn for each.
    """

    name: str
    alike: float
    known: bool


FAMILIES = {
    f.name: f
    for f in (
        Family("independent-known", alike=0.0, known=True),
        Family("independent-unknown", alike=0.0, known=False),
        Family("alike-known", alike=0.9, known=True),
        Family("alike-unknown", alike=0.9, known=False),
    )
}


@dataclass(frozen=True)
class Proxies:
    """How well each proxy correlates with the truth, and what it costs."""

    correlations: tuple[float, ...]
    costs: tuple[float, ...]


def world(name: str, seed: int, given: Proxies | None = None) -> Problem:
    """The world of a family that belongs to a seed; its proxies can be given."""
    family = FAMILIES[name]
    rng = np.random.default_rng([seed, 47])
    points = rng.random((CANDIDATES, DIMENSIONS))
    smooth = matern_draw(int(rng.integers(2**31)), 0.4, DIMENSIONS, variance=1.0)(points)
    own = rng.standard_normal(CANDIDATES)
    quality = np.sqrt(family.alike) * _scaled(smooth) + np.sqrt(1.0 - family.alike) * _scaled(own)
    correlations, costs = CORRELATIONS, COSTS[:2]
    if not family.known:
        correlations = tuple(rng.uniform(0.0, 0.95, 2))
        costs = tuple(c * np.exp(np.clip(0.7 * rng.standard_normal(), -1.3, 1.3)) for c in costs)
    if given is not None:
        correlations, costs = given.correlations, given.costs
    proxies = [
        r * quality + np.sqrt(1.0 - r**2) * _scaled(rng.standard_normal(CANDIDATES))
        for r in correlations
    ]
    space = pool_space([f"x{i + 1}" for i in range(DIMENSIONS)], points)
    rows = {tuple(p): i for i, p in enumerate(space.candidates)}
    nodes = tuple(
        Node(
            step,
            quantity,
            space.names,
            (),
            cost,
            partial(_looked_up, rows, values),
            expected_cost=None
            if family.known or told == COSTS[2]
            else Amount(median=told, log_std=0.7, cap_factor=4.0),
        )
        for step, quantity, cost, told, values in zip(
            STEPS, QUANTITIES, (*costs, COSTS[2]), COSTS, (*proxies, quality), strict=True
        )
    )
    return Problem(
        name=f"funnel-{name}",
        space=space,
        nodes=nodes,
        budget=BUDGET,
        best=float(quality.max()),
        initial=INITIAL,
        sources={QUANTITIES[2]: QUANTITIES[:2]},
        correlations={
            q: Correlation(r=r, std=SURE)
            for q, r in zip(QUANTITIES[:2], correlations, strict=True)
            if family.known
        },
    )


def _scaled(values: Array) -> Array:
    return (values - values.mean()) / values.std()


def _looked_up(rows: Mapping[tuple[float, ...], int], values: Array, x: Array) -> Array:
    return np.array([values[rows[tuple(map(float, row))]] for row in x])


class Funnel:
    """Look at many, scan the best of them, test the best of these.

    ``widths`` are the shares of the budget that looking and scanning take; the rest is for tests.
    Of candidates that were scanned, ``weight`` times the scan counts against the rest for the look.
    It recommends the best tested candidate.
    """

    def __init__(
        self,
        problem: Problem,
        seed: int,
        *,
        widths: tuple[float, float],
        weight: float = WEIGHTS[0],
    ) -> None:
        self.problem = problem
        self.stopped = ""
        self.widths, self.weight = widths, weight
        self._values: dict[str, dict[tuple[float, ...], float]] = {q: {} for q in QUANTITIES}
        self._spent: dict[str, float] = dict.fromkeys(STEPS, 0.0)
        rng = np.random.default_rng([seed, 53])
        assert problem.pool is not None, "a funnel needs candidates"
        self._order = [tuple(map(float, p)) for p in rng.permutation(problem.pool)]

    def learn(self, query: Query, values: Mapping[str, float]) -> None:
        for quantity, value in values.items():
            self._values[quantity][tuple(query.design.values())] = value

    def tell(self, query: Query, values: Mapping[str, float]) -> None:
        self._spent[query.steps[0]] += self.problem.charge(query)
        self.learn(query, values)

    def ask(self, free_credits: float) -> Query | None:
        look, scan, test = (self._values[q] for q in QUANTITIES)
        budget = self.problem.budget
        if self._room("look", self.widths[0] * budget):
            new = [k for k in self._order if k not in look]
            if new:
                return self._query("look", new[0])
        if self._room("scan", self.widths[1] * budget):
            new = [k for k in (look or self._order) if k not in scan]
            if new:
                return self._query("scan", max(new, key=lambda k: look.get(k, 0.0)))
        new = [k for k in (scan or look or self._order) if k not in test]
        if not new:
            self.stopped = "all that came through has been tested"
            return None
        return self._query("test", max(new, key=self._score))

    def recommend(self) -> Design:
        tested = self._values[QUANTITIES[2]]
        return named(self.problem, np.array(max(tested, key=lambda k: tested[k])))

    def _room(self, step: str, share: float) -> bool:
        return self._spent[step] + self.problem.told_cost([step]) <= share

    def _score(self, key: tuple[float, ...]) -> float:
        look, scan = self._values[QUANTITIES[0]], self._values[QUANTITIES[1]]
        if key not in scan:
            return look.get(key, 0.0)
        return self.weight * scan[key] + (1.0 - self.weight) * look.get(key, 0.0)

    def _query(self, step: str, key: tuple[float, ...]) -> Query:
        return Query((step,), named(self.problem, np.array(key)))


@lru_cache
def tuned(
    name: str, budget: float, given: Proxies | None = None
) -> tuple[tuple[float, float], float]:
    """Widths, then weight, with the best mean outcome over the tuning worlds of a family."""
    worlds = [(seed, replace(world(name, seed, given), budget=budget)) for seed in TUNING_SEEDS]

    def outcome(widths: tuple[float, float], weight: float) -> float:
        ends = []
        for seed, problem in worlds:
            funnel = Funnel(problem, seed, widths=widths, weight=weight)
            ends.append(play(problem, funnel, seed)[0][-1].value - problem.best)
        return float(np.mean(ends))

    grid = product((0.0, 0.1, 0.2, 0.3, 0.5), (0.0, 0.1, 0.2, 0.4, 0.6))
    widths = max((w for w in grid if sum(w) <= 0.9), key=lambda w: outcome(w, WEIGHTS[0]))
    return widths, max(WEIGHTS, key=lambda weight: outcome(widths, weight))


def tuned_funnel(problem: Problem, seed: int) -> Funnel:
    """A funnel with the widths and the weight that did best on other worlds of the same family."""
    widths, weight = tuned(problem.name.removeprefix("funnel-"), problem.budget)
    return Funnel(problem, seed, widths=widths, weight=weight)


def oracle_funnel(problem: Problem, seed: int) -> Funnel:
    """A funnel with the widths and the weight that are best for this world's own proxies.

    Nobody knows them beforehand where they differ from world to world: it tells what there is to
    win.
    """
    name = problem.name.removeprefix("funnel-")
    assert problem.pool is not None, "a funnel needs candidates"
    quality = problem.outputs(problem.pool)
    told = [np.corrcoef(quality[q], quality[QUANTITIES[2]])[0, 1] for q in QUANTITIES[:2]]
    own = Proxies(tuple(map(float, told)), tuple(n.cost for n in problem.nodes[:2]))
    widths, weight = tuned(name, problem.budget, own)
    return Funnel(problem, seed, widths=widths, weight=weight)


def untold(problem: Problem, seed: int) -> PlannerPlayer:
    """The planner that has to learn how good the proxies are, although it could have been told."""
    return PlannerPlayer(replace(problem, correlations={}), seed)


SUITE = Suite(
    name="funnels",
    problems={f"funnel-{name}": partial(world, name) for name in FAMILIES},
    policies={
        "planner": PlannerPlayer,
        "planner-untold": untold,
        "tuned-funnel": tuned_funnel,
        "oracle-funnel": oracle_funnel,
        "screen": Screen,
        "single-source": partial(PlannerPlayer, policy="single-source"),
        "log-ei": LogEI,
        "random": RandomPlayer,
    },
)

if __name__ == "__main__":
    sys.exit(main(SUITE))
