"""A session leaves a dull sample early and stays on a promising one, by the same rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support_campaigns import GROW, LOAD, LOOK, PRIOR, TEST, Bench, shrink, workflow

from probewise.planner import HierarchicalPlanner
from probewise.workflow import Decided, Design, Grant, Maximize, Target

STRIPS = workflow(
    GROW | {"makes": {"sites": 8, "gradient": {"x": 0.6}}},
    LOAD,
    LOOK | {"acts_on": "site", "requires": "load"},
    TEST | {"acts_on": "site", "requires": "grow", "destroys": True},
    sources={"height": ["rough"]},
    priors={"height": PRIOR, "rough": PRIOR},
)
RATE = 0.001
"""What others offer, in gain per credit."""


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch.setattr)
        yield


def session(level: float, slope: float) -> tuple[list[Design], str, float]:
    """A strip that shows ``level + slope * x``: sites looked at, why it ended, what was left."""
    bench = Bench(STRIPS, Maximize(quantity="height"), credits=200.0, hours=99.0)
    bench.do("test", Target(design={"x": 0.5, "y": 0.9}), {"height": (0.5, 0.02)})
    bench.do("grow", Target(design={"x": 0.5, "y": 0.3}, sample="S001"))
    grant = Grant(session="q", sample="S001", credits=30.0, hours=50.0, reservation_rate=RATE)
    sample = Target(sample="S001", design={"x": 0.5, "y": 0.3})
    bench.end(bench.begin("load", sample, "q", grant))
    planner = HierarchicalPlanner(STRIPS, Maximize(quantity="height"))
    seen: list[Design] = []
    while True:
        decision = planner.decide(bench.state)
        if decision.kind == "close":
            left = bench.state.session_free("q")
            bench.state.apply(Decided(hour=bench.state.now_h, decision=decision))
            return seen, decision.reason, left
        (action,) = decision.actions
        assert action.session == "q" and action.step == "look"
        target: Any = action.target
        bench.end(
            bench.begin(action.step, target, "q"),
            {"rough": (level + slope * target.design["x"], 0.05)},
        )
        seen.append(target.design)


def test_a_dull_sample_is_left_early_and_a_promising_one_is_not() -> None:
    dull, why, back = session(level=-0.2, slope=0.0)
    bright, _, _ = session(level=0.5, slope=0.8)
    assert 1 <= len(dull) <= 4
    assert "reservation rate" in why and back > 20.0
    assert len(bright) >= len(dull) + 3
