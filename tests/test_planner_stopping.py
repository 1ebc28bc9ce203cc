"""Stopping by reservation value: not before what is worth its price is done, and not after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from support_campaigns import DESIGNS, SAMPLES, Bench, shrink

from probewise.planner import Planner, left_on_the_table
from probewise.workflow import (
    Alternative,
    Assessed,
    Budget,
    Decision,
    Design,
    Estimate,
    Maximize,
    Recommendation,
    Target,
    Workflow,
)

Truth = Callable[[Design], float]


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch.setattr)
        yield


def hill(x: float, y: float, width: float, height: float) -> Truth:
    """A flat country of 0.1 with one hill."""

    def value(design: Design) -> float:
        square = (design["x"] - x) ** 2 + (design["y"] - y) ** 2
        return 0.1 + (height - 0.1) * float(np.exp(-0.5 * square / width**2))

    return value


FLAT = hill(0.5, 0.5, 1.0, 0.1)
EARLY = hill(0.5, 0.5, 0.5, 0.9)
"""Wide: whatever is measured first shows where the best is."""


def late(design: Design) -> float:
    """A broad hill of 0.6 that is found first, and behind it one of 1.0 in a corner."""
    return max(hill(0.7, 0.3, 0.35, 0.6)(design), hill(0.1, 0.95, 0.25, 1.0)(design))


@dataclass(frozen=True)
class Run:
    """How it ended: the true value of the answer, what was spent, and when the answer was there."""

    planner: Planner
    value: float
    spent: float
    found_at: float


def run(flow: Workflow, truth: Truth, worth: float, seed: int, best: float) -> Run:
    """Until it stops by itself or the budget ends."""
    goal = Maximize(quantity="height", worth_credits=worth)
    planner = Planner(flow, goal, Budget(credits=400, hours=999), seed=seed, capacity=1)
    rng = np.random.default_rng(seed)
    found_at = value = float("inf")
    while actions := planner.suggest(1):
        (action,) = actions
        step = flow.step(action.step)
        values: dict[str, Any] = {
            p.name: truth(action.target.design) + step.noise[p.name] * rng.standard_normal()
            for p in step.produces
        }
        planner.ingest(action, values)
        if values:
            found = planner.recommend()
            assert found is not None
            value = truth(found.design)
            near = value > 0.95 * best
            found_at = min(found_at, planner.state.spent_credits) if near else float("inf")
    return Run(planner, value, planner.state.spent_credits, found_at)


@pytest.mark.slow
def test_an_early_best_is_not_searched_for_any_longer() -> None:
    """What it misses is worth less than two more strips, looked at and tested, would cost."""
    strip = sum(s.cost_credits.typical() for s in SAMPLES.steps)
    ends = [run(SAMPLES, EARLY, 300.0, seed, best=0.9) for seed in range(3)]
    assert all((0.9 - e.value) * 300.0 < 2 * strip for e in ends)
    assert all(e.spent < e.found_at + 60 and e.spent < 130 for e in ends)


@pytest.mark.slow
def test_a_late_best_is_waited_for() -> None:
    ends = [run(SAMPLES, late, 300.0, seed, best=1.0) for seed in range(3)]
    assert np.median([e.value for e in ends]) > 0.9
    assert all(e.spent < 200 for e in ends)


@pytest.mark.slow
def test_so_it_is_where_no_samples_are_needed() -> None:
    early, slow = run(DESIGNS, EARLY, 120.0, 0, 0.9), run(DESIGNS, late, 120.0, 0, 1.0)
    assert early.value > 0.85 and slow.value > 0.9
    assert early.spent < 60 and slow.spent < 60


@pytest.mark.slow
def test_what_is_worth_little_is_not_bought_at_all_and_what_is_worth_much_is() -> None:
    spent = [run(SAMPLES, EARLY, worth, 0, 0.9).spent for worth in (1.0, 150.0, 900.0)]
    assert spent[0] == 0.0 and spent[0] < spent[1] < spent[2]


def test_it_stops_where_the_best_option_is_worth_less_than_its_price() -> None:
    planner = run(SAMPLES, EARLY, 300.0, 1, 0.9).planner
    last = planner.last
    assert last is not None and last.kind == "stop" and planner.state.spent_credits < 390
    assert last.alternatives
    assert all(a.value * 300.0 < a.price_credits for a in last.alternatives)


def assessed(bench: Bench, design: Design) -> None:
    found = Recommendation(
        goal=bench.state.goal, design=design, estimate=Estimate(value=0.9), unit="V"
    )
    bench.state.apply(Assessed(hour=bench.state.now_h, credits=0, recommendation=found))


def test_less_is_left_on_the_table_when_more_is_known() -> None:
    bench = Bench(DESIGNS, credits=500.0)
    left = []
    for k in range(3):
        ticks = [float(t) for t in np.linspace(0, 1, 1 + 2 * k)]
        for design in ({"x": x, "y": y} for x in ticks for y in ticks):
            bench.do("test", Target(design=design), {"height": (EARLY(design), 0.01)})
        assessed(bench, {"x": 0.5, "y": 0.5})
        found = left_on_the_table(bench.state)
        assert found is not None and found.spread.low is not None and found.spread.high is not None
        assert 0 <= found.spread.low <= found.spread.high
        left.append(found.expected)
    assert left[0] > 2 * left[2] >= 0


def test_the_best_option_that_was_not_taken_is_named() -> None:
    bench = Bench(DESIGNS, credits=500.0)
    assert left_on_the_table(bench.state) is None
    assessed(bench, {"x": 0.5, "y": 0.5})
    poor = Alternative(label="poor", step="test", value=0.5, price_credits=9, index=0.05)
    good = Alternative(label="good", step="look", value=0.1, price_credits=1, index=0.1)
    vain = Alternative(label="vain", step="look", value=0.0, price_credits=1, index=0.0)
    said = Decision(number=0, kind="stop", reason="enough", alternatives=(poor, good, vain))
    later = Decision(number=1, kind="close", tier="session", session="s", reason="over")
    found = left_on_the_table(bench.state, [said, later])
    assert found is not None and found.option == good
    none = left_on_the_table(bench.state, [said.model_copy(update={"alternatives": (vain,)})])
    assert none is not None and none.option is None
