"""Seconds a decision and memory as problems grow: ``python -m benchmarks.speed``.

Three families, each run in a fresh process: more observations, more candidates, more nodes. All
steps cost 1, and a run is a few decisions long; what it finds does not matter here.
"""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
from numpy.typing import NDArray

from probewise.workflow import Space

from ._ask import PlannerPlayer
from ._command import main
from ._gp_draws import matern_draw
from ._problem import Node, Problem, box, pool_space
from ._runner import Suite

Array = NDArray[np.float64]
DECISIONS = 6
DIMENSIONS = 6
OBSERVATIONS = (100, 200, 500, 1000, 2000, 5000)
CANDIDATES = (100, 1_000, 10_000, 100_000, 1_000_000)
NODES = (2, 4, 8, 12, 20)


def observations(n: int, seed: int) -> Problem:
    """A continuous space, two nodes in a row, ``n`` full evaluations known."""
    return _two_nodes(f"observations-{n}", box(0, 1, DIMENSIONS), n)


def candidates(n: int, known: int, seed: int) -> Problem:
    """``n`` candidates, ``known`` full evaluations (half the pool at most)."""
    points = np.random.default_rng(59).random((n, DIMENSIONS))
    space = pool_space([f"x{i + 1}" for i in range(DIMENSIONS)], points)
    return _two_nodes(f"candidates-{n}", space, min(known, n // 2))


def nodes(n: int, seed: int) -> Problem:
    """A binary tree of ``n`` nodes, one control each; 2 n + 1 full evaluations known."""
    space = box(-1, 1, n)
    made = []
    for i in reversed(range(n)):
        parents = tuple(f"y{j + 1}" for j in (2 * i + 1, 2 * i + 2) if j < n)
        draw = matern_draw(100 + i, 1.0, 1 + len(parents), variance=1.0)
        made.append(Node(f"f{i + 1}", f"y{i + 1}", (f"x{i + 1}",), parents, 1.0, draw))
    return _problem(f"nodes-{n}", space, tuple(made), 2 * n + 1)


def _two_nodes(name: str, space: Space, known: int) -> Problem:
    first = matern_draw(1, 1.0, DIMENSIONS, variance=1.0)
    second = matern_draw(2, 1.0, 1, variance=1.0)
    made = (
        Node("f1", "y1", space.names, (), 1.0, first),
        Node("f2", "y2", (), ("y1",), 1.0, second),
    )
    return _problem(name, space, made, known)


def _problem(name: str, space: Space, made: tuple[Node, ...], known: int) -> Problem:
    return Problem(
        name=name,
        space=space,
        nodes=made,
        budget=float(DECISIONS),
        best=0.0,
        initial=known,
    )


SUITE = Suite(
    name="speed",
    problems={
        **{f"observations-{n}": partial(observations, n) for n in OBSERVATIONS},
        **{f"candidates-{n}": partial(candidates, n, 500) for n in CANDIDATES},
        "candidates-100000-observations-2000": partial(candidates, 100_000, 2000),
        **{f"nodes-{n}": partial(nodes, n) for n in NODES},
    },
    policies={"planner": PlannerPlayer},
    fresh=True,
)

if __name__ == "__main__":
    sys.exit(main(SUITE))
