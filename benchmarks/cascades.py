"""Two stages, of which the first is nearly free: ``python -m benchmarks.cascades``.

The problems of multi-stage Bayesian optimization (MSBO, Torresi & Friederich 2026). Every seed is
another pair of functions. MSBO itself runs by ``python -m benchmarks.peers``.
"""

from __future__ import annotations

import sys
from functools import partial

from ._ask import PlannerPlayer
from ._baselines import LogEI, RandomPlayer, Screen
from ._command import main
from ._problems_cascades import cascade
from ._runner import Suite

POINTS = ((50, 2), (15, 15), (2, 50))
"""Random targets in the first and in the second stage: how rugged each is."""
SCREENED = 0.02
"""Share of the budget that `screen` looks at the first stage for: a hundred designs."""

SUITE = Suite(
    name="cascades",
    problems={f"cascade-{a}-{b}": partial(cascade, (a, b)) for a, b in POINTS},
    policies={
        "planner": PlannerPlayer,
        "planner-settable": partial(PlannerPlayer, settable=True),
        "log-ei": LogEI,
        "screen": partial(Screen, share=SCREENED),
        "random": RandomPlayer,
    },
)

if __name__ == "__main__":
    sys.exit(main(SUITE))
