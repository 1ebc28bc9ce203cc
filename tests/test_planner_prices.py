"""Prices: declared first, learnt from what was charged, hours with the wait for a worker."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_campaigns import DESIGNS, Bench, workflow

from probewise.planner import Price, Prices
from probewise.workflow import Target

HERE = Target(design={"x": 0.2, "y": 0.4})
TEST = DESIGNS.step("test")
LOOK = DESIGNS.step("look")
MEAN = math.exp(0.5 * 0.1**2)
"""Mean over median of the declared log-normal."""


def charged(*factors: float, hours: float = 1.0) -> Prices:
    """Prices after tests that cost ``factors`` times what was declared."""
    bench = Bench(DESIGNS)
    for factor in factors:
        action = bench.begin("test", HERE)
        bench.end(action, {"height": (0.5, 0.1)}, cost_credits=8.0 * factor, hours=hours)
    return Prices(bench.state)


def test_prices_add_up_and_become_one_number() -> None:
    total = Price(2.0, 0.5) + Price(1.0, 0.25)
    assert total == Price(3.0, 0.75) and total.at(4.0) == 6.0
    assert total.times(2.0) == Price(6.0, 1.5)


def test_before_anything_was_charged_the_declared_mean_is_expected() -> None:
    price = charged().of(TEST)
    assert price.credits == pytest.approx(8.0 * MEAN)
    assert price.hours == pytest.approx(1.0 * MEAN)


def test_what_is_charged_moves_the_price_there() -> None:
    credits = [charged(*[1.5] * n).of(TEST).credits for n in (0, 1, 5, 40)]
    assert credits == sorted(credits)
    assert credits[1] == pytest.approx(8.0 * MEAN * 1.5 ** (1 / 3))
    assert credits[3] == pytest.approx(8.0 * MEAN * 1.5, rel=0.03)


def test_hours_are_learnt_apart_from_credits() -> None:
    price = charged(1.0, 1.0, hours=2.0).of(TEST)
    assert price.credits == pytest.approx(8.0 * MEAN)
    assert price.hours == pytest.approx(MEAN * math.sqrt(2.0))


def test_one_step_teaches_nothing_about_another() -> None:
    assert charged(1.5, 1.5).of(LOOK) == charged().of(LOOK)


def test_failures_teach_nothing() -> None:
    bench = Bench(DESIGNS)
    bench.end(bench.begin("test", HERE), failure="no contact", cost_credits=0.01)
    assert Prices(bench.state).of(TEST) == charged().of(TEST)


@given(st.lists(st.floats(0.1, 10.0), min_size=1, max_size=8))
def test_a_learnt_price_lies_between_the_declared_and_the_charged(factors: list[float]) -> None:
    learnt = charged(*factors).of(TEST).credits / (8.0 * MEAN)
    assert min(1.0, *factors) - 1e-9 <= learnt <= max(1.0, *factors) + 1e-9


def test_free_steps_stay_free() -> None:
    free = workflow({"name": "think", "level": 1, "produces": "idea [V]", "cost_credits": 0})
    bench = Bench(free)
    bench.do("think", HERE, {"idea": (1.0, 0.1)})
    assert Prices(bench.state).of(free.step("think")) == Price(0.0, 0.0)


def test_positions_are_priced_each() -> None:
    flow = workflow(
        {
            "name": "probe",
            "level": 3,
            "acts_on": "positions",
            "batch": 4,
            "produces": "height [V]",
            "cost_credits": {"median": 1, "per_position": 2, "log_std": 0},
        }
    )
    prices = Prices(Bench(flow).state)
    assert prices.of(flow.step("probe")).credits == pytest.approx(9.0)
    assert prices.of(flow.step("probe"), positions=1).credits == pytest.approx(3.0)


def test_a_chain_costs_the_sum_of_its_steps() -> None:
    prices = charged()
    chain = prices.chain((LOOK, TEST))
    assert chain == prices.of(LOOK) + prices.of(TEST)
    assert prices.chain(()) == Price()


def test_the_wait_is_for_the_worker_that_is_done_first() -> None:
    bench = Bench(DESIGNS)
    assert Prices(bench.state).wait_h(TEST) == 0.0
    bench.begin("test", HERE)
    assert Prices(bench.state).wait_h(TEST) == pytest.approx(MEAN)
    assert Prices(bench.state).wait_h(LOOK) == 0.0
    bench.do("look", HERE, {"rough": (0.5, 0.1)})  # 0.2 h later
    assert Prices(bench.state).wait_h(TEST) == pytest.approx(MEAN - 0.2)


def test_an_overdue_worker_is_expected_at_once() -> None:
    bench = Bench(DESIGNS)
    bench.begin("test", HERE)
    bench.end(bench.begin("look", HERE), {"rough": (0.5, 0.1)}, hours=9.0)
    assert Prices(bench.state).wait_h(TEST) == 0.0
