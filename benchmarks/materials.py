"""Pools of real materials, one measurement each: ``python -m benchmarks.materials``.

The campaigns of Liang et al. (2021), npj Computational Materials 7, 188: repeated compositions are
averaged, two random ones are known at the start, and what counts is how soon the best 5 % of the
pool are found, against drawing at random.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ._ask import PlannerPlayer
from ._baselines import LogEI, RandomPlayer
from ._command import main
from ._data import read_table
from ._problem import Node, Problem, pool_space
from ._runner import Suite

Array = NDArray[np.float64]
INITIAL = 2
SHARE = 0.6
"""How much of a pool a run may measure."""
FILES = {
    "perovskite": ("Perovskite_dataset.csv", -1.0),
    "p3ht": ("P3HT_dataset.csv", 1.0),
    "autoam": ("AutoAM_dataset.csv", 1.0),
}
"""File, and 1 where more is better."""


def material(name: str, seed: int) -> Problem:
    """A pool of compositions or settings with the mean of what was measured at each."""
    file, sign = FILES[name]
    _, table = read_table("materials", file)
    points, group = np.unique(table[:, :-1], axis=0, return_inverse=True)
    group = group.reshape(-1)
    values = sign * np.bincount(group, table[:, -1]) / np.bincount(group)
    space = pool_space([f"x{i + 1}" for i in range(points.shape[1])], points)
    rows = {tuple(map(float, p)): i for i, p in enumerate(points)}
    return Problem(
        name=name,
        space=space,
        nodes=(Node("test", "score", space.names, (), 1.0, partial(_looked_up, rows, values)),),
        budget=float(round(SHARE * len(points))),
        best=float(values.max()),
        initial=INITIAL,
    )


def _looked_up(rows: Mapping[tuple[float, ...], int], values: Array, x: Array) -> Array:
    return values[[rows[tuple(map(float, row))] for row in x]]


SUITE = Suite(
    name="materials",
    problems={name: partial(material, name) for name in FILES},
    policies={"planner": PlannerPlayer, "log-ei": LogEI, "random": RandomPlayer},
)

if __name__ == "__main__":
    sys.exit(main(SUITE))
