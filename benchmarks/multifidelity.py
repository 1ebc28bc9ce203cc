"""A dear true source and a cheap, maybe misleading one: ``python -m benchmarks.multifidelity``."""

from __future__ import annotations

import sys
from functools import partial

from ._ask import PlannerPlayer
from ._baselines import LogEI, RandomPlayer, Screen
from ._command import main
from ._peers_ask_tell import installed
from ._peers_fidelity import (
    FidelityPlayer,
    expected_improvement_per_cost,
    gibbon,
    knowledge_gradient,
    max_value_entropy,
)
from ._problem import Problem
from ._problems_fidelity import TRUTHS, fidelity_problem
from ._runner import Suite

CHEAP_SOURCES = ("good", "decoy", "unrelated")


def _problem(name: str, cheap: str, seed: int) -> Problem:
    """The same functions for every seed; seeds differ in their initial designs."""
    return fidelity_problem(name, cheap)


SUITE = Suite(
    name="multifidelity",
    problems={
        name if cheap == "good" else f"{name}-{cheap}": partial(_problem, name, cheap)
        for cheap in CHEAP_SOURCES
        for name in TRUTHS
    },
    policies={
        "planner": PlannerPlayer,
        "single-source": partial(PlannerPlayer, policy="single-source"),
        "log-ei": LogEI,
        "screen": Screen,
        "random": RandomPlayer,
        "ei-per-cost": partial(FidelityPlayer, choose=expected_improvement_per_cost),
        "qmfmes": partial(FidelityPlayer, choose=max_value_entropy),
        "gibbon": partial(FidelityPlayer, choose=gibbon),
        "qmfkg": partial(FidelityPlayer, choose=knowledge_gradient),
    }
    | installed(),
)

if __name__ == "__main__":
    sys.exit(main(SUITE))
