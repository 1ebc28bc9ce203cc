"""A benchmark problem: a space, steps that give quantities for a price, and the hidden truth.

A problem is described once, as nodes of a network of functions. The planner gets the workflow made
from it and never sees the functions; the runner evaluates them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from probewise.workflow import (
    Amount,
    Continuous,
    Correlation,
    Design,
    Formula,
    Maximize,
    Space,
    Step,
    Workflow,
)

Array = NDArray[np.float64]
Function = Callable[[Array], Array]


@dataclass(frozen=True)
class Node:
    """One quantity and the step that gives it; nodes of the same step are measured together.

    Attributes
    ----------
    step, quantity
        Names of the step and of what it produces.
    controls
        Variables of the space that the function depends on, in the order of its first columns.
    parents
        Quantities that follow as its further columns.
    cost
        Credits that one evaluation is charged; the least of them where they depend on the design.
    cost_at
        Credits (n,) at controls (n, len(controls)), where they depend on the design.
    expected_cost
        What a policy is told that an evaluation costs; None where it is told ``cost`` itself,
        which is then exact.
    function
        Maps inputs (n, len(controls) + len(parents)) to outputs (n,).
    noise
        Standard deviation of the normal noise of one evaluation.
    formula
        Where the function is known to everybody: how to compute it from ``parents``. Such a node
        costs nothing and needs no step.
    """

    step: str
    quantity: str
    controls: tuple[str, ...]
    parents: tuple[str, ...]
    cost: float
    function: Function
    noise: float = 0.0
    formula: str | None = None
    cost_at: Function | None = None
    expected_cost: Amount | None = None

    @property
    def told_cost(self) -> float:
        """What a policy believes that one evaluation costs before it has paid for any."""
        return self.cost if self.expected_cost is None else self.expected_cost.median

    def price(self, design: Design) -> float:
        """Credits that one evaluation at a design is charged."""
        if self.cost_at is None:
            return self.cost
        return float(self.cost_at(np.array([[design[c] for c in self.controls]]))[0])


@dataclass(frozen=True)
class Query:
    """What a policy asks for: steps, in order, at one design.

    ``parents`` are inputs that replace those which the design would give: a step may be asked for
    at outputs of its parents that belong to other designs, or to none.
    """

    steps: tuple[str, ...]
    design: Design
    parents: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """A network of functions with the largest value that its last quantity takes.

    Attributes
    ----------
    nodes
        In an order in which parents come first; the last one is the goal.
    best
        The largest true value of the goal over the space (or over its candidates).
    budget
        Credits, the initial designs not counted.
    initial
        Full evaluations at space-filling designs given free of charge at the start.
    sources
        Cheaper quantities of the same property, by the dearer quantity.
    correlations
        What is known beforehand of how sources correlate with the goal; policies are told.
    start
        Designs to begin with (n, dim), instead of space-filling ones.
    """

    name: str
    space: Space
    nodes: tuple[Node, ...]
    budget: float
    best: float
    initial: int
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    correlations: Mapping[str, Correlation] = field(default_factory=dict)
    start: Array | None = None

    @cached_property
    def pool(self) -> Array | None:
        """The only designs that exist (n, dim), or None."""
        rows = self.space.candidates
        return np.array(rows) if rows else None

    @cached_property
    def rows(self) -> dict[tuple[float, ...], int]:
        """The place of every candidate in the pool."""
        return {row: i for i, row in enumerate(self.space.candidates)}

    @property
    def goal(self) -> Maximize:
        return Maximize(quantity=self.nodes[-1].quantity)

    @cached_property
    def measured(self) -> tuple[Node, ...]:
        """Nodes that have to be measured: all but formulas."""
        return tuple(n for n in self.nodes if n.formula is None)

    @cached_property
    def steps(self) -> dict[str, tuple[Node, ...]]:
        """The nodes that each step measures, for one price, in an order that can be done."""
        names = dict.fromkeys(n.step for n in self.measured)
        return {name: tuple(n for n in self.measured if n.step == name) for name in names}

    @cached_property
    def by_quantity(self) -> dict[str, Node]:
        return {n.quantity: n for n in self.nodes}

    def chain(self, quantity: str | None = None) -> tuple[str, ...]:
        """The steps that ``quantity`` (the goal's) cannot be had without, in order."""
        wanted = {quantity or self.goal.quantity}
        for node in reversed(self.nodes):
            if node.quantity in wanted:
                wanted.update(node.parents)
        return tuple(
            name for name, nodes in self.steps.items() if any(n.quantity in wanted for n in nodes)
        )

    @property
    def full_cost(self) -> float:
        """Credits of one evaluation of the whole network, at least."""
        return sum(self.steps[s][0].cost for s in self.chain())

    def told_cost(self, steps: Iterable[str]) -> float:
        """What a policy believes that steps cost together before it has paid for any."""
        return sum(self.steps[s][0].told_cost for s in steps)

    def charge(self, query: Query) -> float:
        """Credits that a query is charged."""
        return sum(self.steps[s][0].price(query.design) for s in query.steps)

    def outputs(self, designs: Array) -> dict[str, Array]:
        """True values (n,) of every quantity at designs (n, dim), in the variables' units."""
        columns = dict(zip(self.space.names, designs.T, strict=True))
        values: dict[str, Array] = {}
        for node in self.nodes:
            inputs = [columns[c] for c in node.controls] + [values[p] for p in node.parents]
            values[node.quantity] = node.function(np.stack(inputs, axis=1))
        return values

    def snapped(self, design: Design) -> Design:
        """The candidate nearest to a design, free of rounding; the design itself without a pool."""
        if self.pool is None:
            return dict(design)
        away = np.abs(self.pool - [design[n] for n in self.space.names]).sum(axis=1)
        nearest = self.space.candidates[int(away.argmin())]
        return dict(zip(self.space.names, nearest, strict=True))

    def truth(self, design: Design) -> float:
        """The goal's true value at a design."""
        row = np.array([[design[n] for n in self.space.names]])
        return float(self.outputs(row)[self.goal.quantity][0])

    def measure(self, query: Query, rng: np.random.Generator) -> dict[str, float]:
        """Evaluate the steps of a query, with their noise; parents are true, not measured ones."""
        row = np.array([[query.design[n] for n in self.space.names]])
        given = {q: float(v[0]) for q, v in self.outputs(row).items()} | dict(query.parents)
        values: dict[str, float] = {}
        for node in (n for step in query.steps for n in self.steps[step]):
            inputs = [query.design[c] for c in node.controls] + [given[p] for p in node.parents]
            exact = float(node.function(np.array([inputs]))[0])
            values[node.quantity] = exact + node.noise * float(rng.standard_normal())
        return values

    def initial_designs(self, seed: int) -> list[Design]:
        """The designs known at the start: Sobol points, or members of the pool drawn at random."""
        if self.start is not None:
            points = self.start
        elif self.pool is not None:
            rows = np.random.default_rng([seed, 5]).permutation(len(self.pool))[: self.initial]
            points = self.pool[rows]
        else:
            points = _sobol(self.space, self.initial, seed)
        return [dict(zip(self.space.names, map(float, p), strict=True)) for p in points]


def workflow_of(problem: Problem, *, settable: bool = False) -> Workflow:
    """The workflow that a planner gets: steps, prices and declared noise, without the functions.

    With ``settable`` a step may be asked for at any values of its parents, before these are made.
    """
    return Workflow(
        name=problem.name,
        space=problem.space,
        formulas={n.quantity: Formula(expression=n.formula) for n in problem.nodes if n.formula},
        sources=dict(problem.sources),
        correlations=dict(problem.correlations),
        steps=tuple(
            Step.model_validate(
                {
                    "name": name,
                    "level": 3,
                    "controls": nodes[0].controls,
                    "consumes": nodes[0].parents,
                    "produces": tuple(n.quantity for n in nodes),
                    "cost_credits": _amount(nodes[0]),
                    "noise": {n.quantity: n.noise for n in nodes},
                    "settable": settable and bool(nodes[0].parents),
                }
            )
            for name, nodes in problem.steps.items()
        ),
    )


def _amount(node: Node) -> Amount:
    return node.expected_cost or Amount(median=node.cost, log_std=0.0, cap_factor=1.0)


def pool_space(names: Sequence[str], points: Array) -> Space:
    """A space whose only designs are the rows of ``points`` (n, dim)."""
    low, high = points.min(0), points.max(0)
    return Space(
        variables=tuple(
            Continuous(name=n, low=float(a), high=float(b))
            for n, a, b in zip(names, low, high, strict=True)
        ),
        candidates=tuple(tuple(map(float, row)) for row in points),
    )


def box(low: float, high: float, dim: int) -> Space:
    """Variables x1 ... xd between the same bounds."""
    names = [f"x{i + 1}" for i in range(dim)]
    return Space(variables=tuple(Continuous(name=n, low=low, high=high) for n in names))


def _sobol(space: Space, n: int, seed: int) -> Array:
    """The first ``n`` points (n, dim) of a scrambled Sobol sequence, by torch's global seed.

    The same calls in the same order as in the published experiments on function networks, so
    that seed k starts from the data of their trial k.
    """
    import torch
    from botorch.utils.sampling import draw_sobol_samples

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        low, high = space.decode(np.zeros(space.dim))[0], space.decode(np.ones(space.dim))[0]
        bounds = torch.tensor([[d[n] for n in space.names] for d in (low, high)]).double()
        return draw_sobol_samples(bounds, n, 1).squeeze(-2).numpy()
