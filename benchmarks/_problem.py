"""A benchmark problem: a space, steps that give quantities for a price, and the hidden truth.

A problem is described once, as nodes of a network of functions. The planner gets the workflow made
from it and never sees the functions; the runner evaluates them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from probewise.workflow import Amount, Continuous, Design, Maximize, Space, Step, Workflow

Array = NDArray[np.float64]
Function = Callable[[Array], Array]


@dataclass(frozen=True)
class Node:
    """One step and the quantity it gives.

    Attributes
    ----------
    step, quantity
        Names of the step and of what it produces.
    controls
        Variables of the space that the function depends on, in the order of its first columns.
    parents
        Quantities that follow as its further columns.
    cost
        Credits of one evaluation, known and exact.
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
        The largest true value of the goal over the space (or over ``pool``).
    budget
        Credits, the initial designs not counted.
    initial
        Full evaluations at space-filling designs given free of charge at the start.
    sources
        Cheaper quantities of the same property, by the dearer quantity.
    pool
        The only designs that exist (n, dim), or None.
    """

    name: str
    space: Space
    nodes: tuple[Node, ...]
    budget: float
    best: float
    initial: int
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pool: Array | None = None

    @property
    def goal(self) -> Maximize:
        return Maximize(quantity=self.nodes[-1].quantity)

    @property
    def steps(self) -> tuple[Node, ...]:
        """Nodes that have to be paid for: all but formulas."""
        return tuple(n for n in self.nodes if n.formula is None)

    @cached_property
    def by_step(self) -> dict[str, Node]:
        return {n.step: n for n in self.nodes}

    @cached_property
    def by_quantity(self) -> dict[str, Node]:
        return {n.quantity: n for n in self.nodes}

    def chain(self, quantity: str | None = None) -> tuple[Node, ...]:
        """The steps that ``quantity`` (the goal's) cannot be had without, parents first."""
        wanted = {quantity or self.goal.quantity}
        for node in reversed(self.nodes):
            if node.quantity in wanted:
                wanted.update(node.parents)
        return tuple(n for n in self.steps if n.quantity in wanted)

    @property
    def full_cost(self) -> float:
        """Credits of one evaluation of the whole network."""
        return sum(n.cost for n in self.chain())

    def cost(self, query: Query) -> float:
        return sum(self.by_step[s].cost for s in query.steps)

    def outputs(self, designs: Array) -> dict[str, Array]:
        """True values (n,) of every quantity at designs (n, dim), in the variables' units."""
        columns = dict(zip(self.space.names, designs.T, strict=True))
        values: dict[str, Array] = {}
        for node in self.nodes:
            inputs = [columns[c] for c in node.controls] + [values[p] for p in node.parents]
            values[node.quantity] = node.function(np.stack(inputs, axis=1))
        return values

    def truth(self, design: Design) -> float:
        """The goal's true value at a design."""
        row = np.array([[design[n] for n in self.space.names]])
        return float(self.outputs(row)[self.goal.quantity][0])

    def measure(self, query: Query, rng: np.random.Generator) -> dict[str, float]:
        """Evaluate the steps of a query, with their noise; parents are true, not measured ones."""
        row = np.array([[query.design[n] for n in self.space.names]])
        given = {q: float(v[0]) for q, v in self.outputs(row).items()} | dict(query.parents)
        values: dict[str, float] = {}
        for step in query.steps:
            node = self.by_step[step]
            inputs = [query.design[c] for c in node.controls] + [given[p] for p in node.parents]
            exact = float(node.function(np.array([inputs]))[0])
            values[node.quantity] = exact + node.noise * float(rng.standard_normal())
        return values

    def initial_designs(self, seed: int) -> list[Design]:
        """The designs known at the start: Sobol points, or members of the pool drawn at random."""
        if self.pool is not None:
            rows = np.random.default_rng([seed, 5]).permutation(len(self.pool))[: self.initial]
            points = self.pool[rows]
        else:
            points = _sobol(self.space, self.initial, seed)
        return [dict(zip(self.space.names, map(float, p), strict=True)) for p in points]


def workflow_of(problem: Problem) -> Workflow:
    """The workflow that a planner gets: steps, prices and declared noise, without the functions."""
    return Workflow(
        name=problem.name,
        space=problem.space,
        sources=dict(problem.sources),
        steps=tuple(
            Step.model_validate(
                {
                    "name": n.step,
                    "level": 3,
                    "controls": n.controls,
                    "consumes": n.parents,
                    "produces": n.quantity,
                    "cost_credits": Amount(median=n.cost, log_std=0.0, cap_factor=1.0),
                    "noise": {n.quantity: n.noise},
                }
            )
            for n in problem.steps
        ),
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
