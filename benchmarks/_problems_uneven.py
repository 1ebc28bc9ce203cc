"""One dear step whose price depends on the design, as in Xie et al. (NeurIPS 2024).

"Cost-aware Bayesian optimization via the Pandora's box Gittins index": Ackley, Levy and Rosenbrock
on the unit cube, scaled as published, for 20 (0.05 + mean of the coordinates) credits a time: 1 at
one corner, 21 at the other. Budget 25 d credits, 2 (d + 1) designs known. There most designs cost
about the same. Where the first variable alone pays, as the hours in an oven do, prices differ more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from probewise.workflow import Amount

from ._problem import Function, Node, Problem, box
from ._problems_fidelity import TRUTHS, Truth
from ._problems_networks import ackley

Array = NDArray[np.float64]
LEAST, SLOPE = 1.0, 20.0
BUDGET = 25.0
"""Credits for each dimension."""
OVEN_LEAST, OVEN_SLOPE, OVEN_BUDGET = 0.5, 20.0, 30.0
"""Credits of the cheapest design, over the first variable, and for each dimension in all."""


def levy(x: Array) -> Array:
    """Levy's function (n, d) -> (n,): 0 at the point of ones."""
    w = 1.0 + (x - 1.0) / 4.0
    first = np.sin(np.pi * w[:, 0]) ** 2
    middle = (w[:, :-1] - 1.0) ** 2 * (1.0 + 10.0 * np.sin(np.pi * w[:, :-1] + 1.0) ** 2)
    last = (w[:, -1] - 1.0) ** 2 * (1.0 + np.sin(2.0 * np.pi * w[:, -1]) ** 2)
    return first + middle.sum(axis=1) + last


def rosenbrock(x: Array) -> Array:
    """Rosenbrock's function (n, d) -> (n,): 0 at the point of ones, in a bent valley."""
    bend = 100.0 * (x[:, 1:] - x[:, :-1] ** 2) ** 2
    return (bend + (x[:, :-1] - 1.0) ** 2).sum(axis=1)


@dataclass(frozen=True)
class Hill:
    """A function to minimize with its interval and what its values are divided by."""

    function: Callable[[Array], Array]
    low: float
    high: float
    scale: float

    def __call__(self, x: Array) -> Array:
        """Values (n,) to maximize, at points (n, d) of the unit cube."""
        return -self.function(self.low + (self.high - self.low) * x) / self.scale


HILLS: Mapping[str, Function] = {
    "ackley": Hill(ackley, -1.0, 1.0, 1.0),
    "levy": Hill(levy, -10.0, 10.0, 100.0),
    "rosenbrock": Hill(rosenbrock, -5.0, 10.0, 100_000.0),
}


def price(x: Array) -> Array:
    """Credits (n,) at points (n, d) of the unit cube."""
    return LEAST + SLOPE * x.mean(axis=-1)


def uneven(name: str, dim: int) -> Problem:
    """A hill in ``dim`` variables, whose price at every design is told."""
    space = box(0, 1, dim)
    rates = dict.fromkeys(space.names, SLOPE / dim)
    told = Amount(median=LEAST, per_unit=rates, log_std=0.0, cap_factor=1.0)
    node = Node("test", "y", space.names, (), LEAST, HILLS[name], cost_at=price, expected_cost=told)
    return Problem(
        name=f"uneven-{name}-{dim}",
        space=space,
        nodes=(node,),
        budget=BUDGET * dim,
        best=0.0,
        initial=2 * (dim + 1),
    )


def oven_price(x: Array) -> Array:
    """Credits (n,) at points (n, d) of the unit cube: for the first variable alone."""
    return OVEN_LEAST + OVEN_SLOPE * x[..., 0]


def oven(name: str) -> Problem:
    """Branin's or Hartmann's function where the first variable alone has a price."""
    truth = TRUTHS[name]
    space = box(0, 1, truth.space.dim)
    told = Amount(
        median=OVEN_LEAST, per_unit={space.names[0]: OVEN_SLOPE}, log_std=0.0, cap_factor=1.0
    )
    hill = partial(_on_cube, truth)
    node = Node(
        "test", "y", space.names, (), OVEN_LEAST, hill, cost_at=oven_price, expected_cost=told
    )
    return Problem(
        name=f"oven-{name}",
        space=space,
        nodes=(node,),
        budget=OVEN_BUDGET * space.dim,
        best=truth.best,
        initial=2 * (space.dim + 1),
    )


def _on_cube(truth: Truth, x: Array) -> Array:
    """A truth (n,) at points (n, d) of the unit cube."""
    columns = [v.from_unit(x[:, i]) for i, v in enumerate(truth.space.variables)]
    return truth.function(np.stack(columns, axis=1), 1.0)
