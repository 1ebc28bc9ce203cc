"""Function networks with partial evaluations: ``python -m benchmarks.function_networks``."""

from __future__ import annotations

import sys
from functools import partial

from probewise.planner import NetworkSettings

from ._ask import PlannerPlayer
from ._baselines import LogEI, RandomPlayer, Screen
from ._command import main
from ._problem import Problem
from ._problems_networks import NETWORKS
from ._runner import Suite


def _network(name: str, seed: int) -> Problem:
    """The same function for every seed; seeds differ in their initial designs."""
    return NETWORKS[name]()


SUITE = Suite(
    name="function_networks",
    problems={name: partial(_network, name) for name in NETWORKS},
    policies={
        "planner": PlannerPlayer,
        "planner-settable": partial(PlannerPlayer, settable=True),
        "gain-alone": partial(PlannerPlayer, settings=NetworkSettings(estimates="gain")),
        "chain-alone": partial(PlannerPlayer, settings=NetworkSettings(estimates="chain")),
        "no-doubt": partial(PlannerPlayer, settings=NetworkSettings(doubt=False)),
        "random": RandomPlayer,
        "log-ei": LogEI,
        "screen": Screen,
    },
)

if __name__ == "__main__":
    sys.exit(main(SUITE))
