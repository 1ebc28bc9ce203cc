"""One dear step whose price depends on the design: ``python -m benchmarks.uneven``.

The planner and its peers are told the price of every design, but for ``log-ei``, which ignores it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial

from ._ask import PlannerPlayer
from ._baselines import LogEI, RandomPlayer
from ._command import main
from ._peers_uneven import Gittins, LogEIPerCost
from ._problem import Problem
from ._problems_uneven import HILLS, oven, uneven
from ._runner import ProblemMaker, Suite

DIMENSIONS = (4, 8)


def _problem(name: str, dim: int, seed: int) -> Problem:
    """The same function for every seed; seeds differ in their initial designs."""
    return uneven(name, dim)


def _oven(name: str, seed: int) -> Problem:
    return oven(name)


PROBLEMS: Mapping[str, ProblemMaker] = {
    f"uneven-{name}-{dim}": partial(_problem, name, dim) for dim in DIMENSIONS for name in HILLS
} | {f"oven-{name}": partial(_oven, name) for name in ("branin", "hartmann")}
SUITE = Suite(
    name="uneven",
    problems=PROBLEMS,
    policies={
        "planner": PlannerPlayer,
        "log-ei": LogEI,
        "log-ei-per-cost": LogEIPerCost,
        "pbgi": Gittins,
        "pbgi-d": partial(Gittins, halving=True),
        "random": RandomPlayer,
    },
)

if __name__ == "__main__":
    sys.exit(main(SUITE))
