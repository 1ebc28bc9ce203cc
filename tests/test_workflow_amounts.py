"""Amounts that depend on the design: an anneal lasts as long as the design says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_campaigns import LOOK, TEST, VARIABLES, Bench, raw_spec, registered, spec_of, workflow

from probewise.campaign._check_spec import check_spec
from probewise.planner import Planner, Prices
from probewise.workflow import (
    Amount,
    Budget,
    BudgetError,
    Extent,
    Maximize,
    Space,
    SpecError,
    Target,
)

DEAR_X: dict[str, Any] = {"median": 2, "per_unit": {"x": 10}, "log_std": 0, "cap_factor": 1}
EXACT = {"log_std": 0, "cap_factor": 1}

rates = st.floats(-5, 5)
places = st.floats(0, 1)


@given(rates, rates, places, places, st.floats(0, 0.5), st.floats(1, 3))
def test_one_design_and_many_are_asked_alike(
    a: float, b: float, x: float, y: float, log_std: float, cap: float
) -> None:
    told = {"median": 10, "per_unit": {"x": a, "y": b}, "log_std": log_std, "cap_factor": cap}
    amount = Amount.model_validate(told)
    design = {"x": x, "y": y}
    one = amount.typical(design=design)
    assert one == pytest.approx(10 + a * x + b * y)
    columns = {n: np.array([v, 0.0]) for n, v in design.items()}
    assert amount.typical_at(columns) == pytest.approx([one, 10.0])
    drawn = amount.draw(np.random.default_rng(0), design=design)
    assert 0.0 <= drawn <= amount.cap(design=design) == pytest.approx(one * cap)


def test_what_does_not_depend_on_the_design_needs_none() -> None:
    assert Amount(median=3, per_position=1).typical(*Extent(positions=2)) == 5.0
    with pytest.raises(KeyError):
        Amount.model_validate(DEAR_X).typical()


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (TEST | {"cost_credits": {"median": 1, "per_unit": {"z": 1}}}, "variables that the step"),
        (
            TEST | {"controls": "y", "latency_h": {"median": 1, "per_unit": {"x": 1}}},
            "add it to the controls",
        ),
        (
            TEST | {"acts_on": "site", "cost_credits": {"median": 1, "per_unit": {"x": 1}}},
            "let the step act on a design",
        ),
        (TEST | {"dose_e_per_A2": {"median": 1, "per_unit": {"x": 1}}}, "by second of dwell"),
        (
            TEST | {"cost_credits": {"median": 1, "per_unit": {"x": 1, "y": -3}}},
            "-2 at x=0, y=1. Allowed: nothing below 0",
        ),
        (TEST | {"cost_credits": {"median": 1, "per_unit": {"x": float("nan")}}}, "finite"),
    ],
)
def test_an_amount_that_cannot_be_told_everywhere_is_refused(step: Any, told: str) -> None:
    with pytest.raises((SpecError, ValueError), match=told):
        workflow(step)


def test_the_least_is_looked_for_in_bounds_or_among_candidates() -> None:
    rates = {"y": -1.0}
    assert Space.model_validate({"variables": VARIABLES}).least(rates)["y"] == 1.0
    listed = {"variables": VARIABLES, "candidates": [[0.1, 0.2], [0.3, 0.7], [0.9, 0.4]]}
    space = Space.model_validate(listed)
    assert space.least(rates) == {"x": 0.3, "y": 0.7}
    assert space.middle == pytest.approx({"x": 1.3 / 3, "y": 1.3 / 3})


def test_a_budget_holds_what_the_design_may_take() -> None:
    flow = workflow(TEST | {"cost_credits": DEAR_X | {"cap_factor": 2}})
    bench = Bench(flow, credits=20)
    near, far = (Target(design={"x": x, "y": 0.5}) for x in (0.1, 0.9))
    held = [bench.state.commitment(bench.begin("test", t, issue=False)) for t in (near, far)]
    assert [h.credits for h in held] == pytest.approx([6.0, 22.0])
    assert [bench.state.affordable(h) for h in held] == [True, False]


def test_prices_are_learnt_over_what_the_design_lets_expect() -> None:
    flow = workflow(TEST | {"cost_credits": DEAR_X})
    bench = Bench(flow)
    for x in (0.0, 1.0):
        action = bench.begin("test", Target(design={"x": x, "y": 0.0}))
        bench.end(action, {"height": (0.5, 0.1)}, cost_credits=1.5 * (2 + 10 * x))
    prices, step = Prices(bench.state), flow.step("test")
    factor = 1.5 ** (2 / 4)
    at = np.array([[0.0, 0.3], [0.5, 0.3]])
    assert prices.at(step, at)[:, 0] == pytest.approx([2 * factor, 7 * factor])
    assert prices.of(step, design={"x": 0.5, "y": 0.3}).credits == pytest.approx(7 * factor)
    assert prices.of(step).credits == pytest.approx(7 * factor)  # in the middle
    assert prices.caps(step, at)[:, 0] == pytest.approx([2.0, 7.0])
    blind = Prices(bench.state, blind=True)
    assert blind.at(step, at).tolist() == [[1.0, 0.0]] * 2


def test_a_campaign_needs_credits_for_its_cheapest_way_only(tmp_path: Path) -> None:
    raw = raw_spec(budget={"credits": 3, "hours": 50})
    raw["workflow"] |= {"steps": [LOOK, TEST | {"cost_credits": DEAR_X}]}
    with registered(tmp_path):
        check_spec(spec_of(raw))
        with pytest.raises(BudgetError, match="at least 2 credits"):
            check_spec(spec_of(raw | {"budget": {"credits": 1.5, "hours": 50}}))


def driven(credits: float) -> tuple[Planner, list[float]]:
    """The planner on a hill along y, where x tells nothing but the price."""
    step = TEST | {"cost_credits": DEAR_X, "noise": {}}
    planner = Planner(workflow(step), Maximize(quantity="height"), Budget(credits=credits))
    paid: list[float] = []
    for _ in range(40):
        actions = planner.suggest()
        if not actions:
            break
        design = actions[0].target.design
        paid.append(2 + 10 * design["x"])
        planner.ingest(actions[0], {"height": -((design["y"] - 0.3) ** 2)}, cost_credits=paid[-1])
    return planner, paid


def test_of_two_designs_that_promise_the_same_the_cheaper_one_is_measured() -> None:
    planner, paid = driven(60)
    assert sum(paid) <= 60 and planner.state.spent_credits == pytest.approx(sum(paid))
    assert np.mean(paid[3:]) < 5.0  # 7 on average over the space
    best = planner.recommend()
    assert best is not None and best.design["y"] == pytest.approx(0.3, abs=0.05)


def test_the_last_credits_go_to_a_design_that_they_pay_for() -> None:
    planner, paid = driven(25)
    assert sum(paid) <= 25
    assert 25 - sum(paid) < 4.0, planner.last
