"""The rate at which a chain is just worth beginning, with a measurement that may come between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probewise.planner import Planner
from probewise.planner._build import build_action
from probewise.planner._network_belief import Memory, NetworkBelief
from probewise.planner._network_chains import Chains, Leg
from probewise.planner._network_forward import improvement
from probewise.planner._network_gains import Gains
from probewise.planner._network_graph import Network
from probewise.planner._network_options import _Round
from probewise.planner._network_pool import screen
from probewise.planner._network_reservation import WEIGHTS, Between, T, reservation
from probewise.planner._prices import Prices
from probewise.workflow import (
    Budget,
    Decided,
    Decision,
    Issued,
    Maximize,
    State,
    Target,
    Workflow,
)

PRICES = {"look": 1.0, "scan": 6.0, "test": 30.0}
MAKES = {"look": "rough", "scan": "fine", "test": "quality"}


def told(noise: float = 0.0) -> NetworkBelief:
    """Twenty candidates; a few are known from the proxies, fewer from the test."""
    steps = [
        {"name": s, "level": 3, "produces": q, "cost_credits": PRICES[s]}
        | ({"noise": {q: noise}} if noise else {})
        for s, q in MAKES.items()
    ]
    flow = Workflow.model_validate(
        {
            "space": {
                "variables": [{"name": "a", "low": 0, "high": 1}],
                "candidates": [(float(a),) for a in np.linspace(0, 1, 20)],
            },
            "steps": steps,
            "sources": {"quality": ["rough", "fine"]},
        }
    )
    planner = Planner(flow, Maximize(quantity="quality"), Budget(credits=500))
    rng = np.random.default_rng(3)
    listed = flow.space.pool()
    assert listed is not None
    for i, design in enumerate(flow.space.decode(listed[::2])):
        quality = float(rng.standard_normal())
        said = {
            "look": 0.7 * quality + 0.7 * rng.standard_normal(),
            "scan": quality + 0.4 * rng.standard_normal(),
            "test": quality,
        }
        for step, quantity in list(MAKES.items())[: 3 if i < 6 else 1]:
            planner.learn(step, design, {quantity: float(said[step])})
    return NetworkBelief(Network(flow, "quality"), planner.state, Memory())


def gains_of(found: NetworkBelief) -> tuple[Gains, Chains]:
    x = found.network.workflow.space.pool()
    assert x is not None
    known = found.lookup(x)
    return Gains(found, x, known, 0), Chains(found, Prices(found.state), x, known)


@given(st.integers(0, 500), st.floats(0, 20), st.floats(0.01, 3), st.floats(0, 5), st.floats(0, 20))
def test_the_rate_makes_the_best_of_all_ways_on_just_worth_its_price(
    seed: int, later: float, now: float, price: float, rest: float
) -> None:
    rng = np.random.default_rng(seed)
    better = rng.exponential(1.0, (1, len(T)))
    after = rng.exponential(1.0, (1, len(T), len(T)))
    between = Between(after, np.array([price]), np.array([rest]), np.array([0]))
    rate, gain, cost = reservation(better, np.array([now]), np.array([later]), [between])
    direct = better[0] - rate[0] * later
    first = np.maximum(after[0] - rate[0] * rest, 0.0) @ WEIGHTS - rate[0] * price
    worth = np.maximum(np.maximum(direct, first), 0.0) @ WEIGHTS
    assert worth == pytest.approx(rate[0] * now, rel=1e-6)
    assert gain[0] == pytest.approx(rate[0] * cost[0], rel=1e-6)
    alone, _, _ = reservation(better, np.array([now]), np.array([later]))
    assert rate[0] >= alone[0] - 1e-12  # one more way to go on never hurts


def test_a_first_outcome_for_nothing_still_gets_its_whole_rate() -> None:
    """Newton's steps are small there: only the best of all outcomes are worth going on with."""
    better = improvement(-3.4 + 0.5 * T[None, :], np.full((1, 1), np.sqrt(0.75)), 0.0)
    told = -3.4 + 0.5 * T[:, None] + 0.15 * T[None, :]
    after = improvement(told[None], np.full((1, 1, 1), np.sqrt(0.7275)), 0.0)
    later, rest = 2e4, 6.0
    between = Between(after, np.array([2e-4]), np.array([rest]), np.array([0]))
    (rate,), _, _ = reservation(better, np.array([0.0]), np.array([later]), [between])
    first = np.maximum(after[0] - rate * rest, 0.0) @ WEIGHTS - rate * 2e-4
    worth = np.maximum(np.maximum(better[0] - rate * later, first), 0.0) @ WEIGHTS
    assert worth == pytest.approx(rate * 1e-12, abs=1e-12)


def test_points_where_nothing_can_come_between_keep_their_rate() -> None:
    rng = np.random.default_rng(0)
    better = rng.exponential(1.0, (5, len(T)))
    after = rng.exponential(2.0, (2, len(T), len(T)))
    now, later = np.full(5, 1.0), np.full(5, 30.0)
    plain, _, _ = reservation(better, now, later)
    between = Between(after, np.full(2, 0.5), later[[1, 4]], np.array([1, 4]))
    rate, _, _ = reservation(better, now, later, [between])
    assert (rate[[1, 4]] > plain[[1, 4]]).all()
    np.testing.assert_array_equal(rate[[0, 2, 3]], plain[[0, 2, 3]])


def test_what_two_sources_say_leaves_the_expected_improvement_as_it_was() -> None:
    """A belief expects no change of itself: after the second source, on average, as before it."""
    gains, _ = gains_of(told())
    rows = np.arange(len(gains.x))
    after = gains._after_two("rough", "fine", rows)
    before = gains._after_source("rough", "quality")
    # the outcome of the second is a sum over a grid, whose corners cost a percent
    np.testing.assert_allclose(after @ WEIGHTS, before, atol=0.02 * before.max())


def test_two_sources_tell_what_conditioning_on_both_tells() -> None:
    """Against the process itself: outcomes of both sources are added to it as measurements."""
    found = told()
    gains, _ = gains_of(found)
    row = 1  # nothing is known there
    after = gains._after_two("rough", "fine", np.array([row]))[0]
    z = gains.x[row : row + 1]
    group, scale = found.groups[0], found.scales["quality"][1]
    best = gains.response("quality").mean.max()
    outcomes: Mapping[str, int] = {"rough": 14, "fine": 9}
    for level, i in enumerate(outcomes.values()):
        moments = group.moments(z, level)
        y = np.append(group.y, moments.mean[0] + T[i] * moments.std[0])
        group = group.with_data(z, np.array([level]), y, np.array([1e-10]))
    end = group.moments(z, 2)
    mean = found.scales["quality"][0] + scale * end.mean
    brute = improvement(mean, scale * end.std, best)
    assert after[14, 9] == pytest.approx(brute[0], rel=0.02, abs=1e-4 * scale)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_a_look_is_worth_more_where_a_scan_may_follow(noise: float) -> None:
    gains, chains = gains_of(told(noise))
    leg = chains.leg("rough", noise > 0)
    then = {"fine": chains.leg("fine", noise > 0, "rough")}
    plain, _, _ = gains.chain("rough", leg)
    rate, gain, price = gains.chain("rough", leg, then)
    assert (rate >= plain - 1e-12).all() and (rate[leg.ready] > plain[leg.ready]).any()
    assert (price >= leg.now).all() and np.isfinite(gain).all()


def test_a_scan_cannot_follow_where_it_was_made() -> None:
    gains, chains = gains_of(told())
    after: Leg = chains.leg("fine", False, "rough")
    made = ~np.isnan(gains.known["fine"])
    assert made.any() and not after.ready[made].any() and after.ready[~made].all()


def test_what_a_first_step_shares_with_the_next_is_paid_once() -> None:
    """Both proxies need the sample: after the first, the second costs its own step alone."""
    flow: Any = {
        "space": [{"name": "a", "low": 0, "high": 1}],
        "steps": [
            {"name": "grow", "level": 4, "controls": "a", "cost_credits": 50},
            *(
                {
                    "name": s,
                    "level": 3,
                    "requires": "grow",
                    "produces": q,
                    "cost_credits": PRICES[s],
                }
                for s, q in MAKES.items()
            ),
        ],
        "sources": {"quality": ["rough", "fine"]},
    }
    planner = Planner(
        Workflow.model_validate(flow), Maximize(quantity="quality"), Budget(credits=500)
    )
    found = NetworkBelief(Network(planner.state.workflow, "quality"), planner.state, Memory())
    x = np.array([[0.2], [0.7]])
    chains = Chains(found, Prices(found.state), x, found.lookup(x))
    first, second = chains.leg("fine"), chains.leg("fine", after="rough")
    scan = chains.alone("fine").credits
    assert (first.now > 50.0 + scan - 1e-9).all()
    np.testing.assert_allclose(second.now, scan)
    np.testing.assert_allclose(second.later, chains.alone("quality").credits)


def shared(again: bool = False) -> NetworkBelief:
    """The scan and the test need a specimen to be mounted, for 5 credits; the look does not."""
    needs: Any = {"requires": "mount"}
    steps = [
        {"name": "mount", "level": 4, "controls": "a", "cost_credits": 5},
        {"name": "look", "level": 3, "produces": "rough", "cost_credits": 1},
        {"name": "scan", "level": 3, "produces": "fine", "cost_credits": 0.1, "latency_h": 5}
        | needs,
        {"name": "test", "level": 3, "produces": "quality", "cost_credits": 20} | needs,
    ]
    if again:
        steps[1] |= {"produces": ["rough", "fine"], "noise": {"rough": 0.3, "fine": 0.3}}
        del steps[2]
    flow = Workflow.model_validate(
        {
            "space": [{"name": "a", "low": 0, "high": 1}],
            "steps": steps,
            "sources": {"quality": ["rough", "fine"]},
            "correlations": {"rough": 0.6, "fine": 0.95},
            "priors": {q: {"mean": 0, "std": 1} for q in MAKES.values()},
        }
    )
    planner = Planner(flow, Maximize(quantity="quality"), Budget(credits=500))
    return NetworkBelief(Network(flow, "quality"), planner.state, Memory())


def test_what_the_second_step_shares_with_the_end_is_paid_once() -> None:
    found = shared()
    x = np.array([[0.2], [0.7]])
    known = found.lookup(x)
    gains, chains = Gains(found, x, known, 0), Chains(found, Prices(found.state), x, known)
    leg, scan = chains.leg("rough"), chains.leg("fine", after="rough")
    assert (scan.now > 5.0).all() and (scan.later + 5.0 <= leg.later).all()
    rate, _, _ = gains.chain("rough", leg, {"fine": scan})
    mounted_twice = replace(scan, later=leg.later)
    dearer, _, _ = gains.chain("rough", leg, {"fine": mounted_twice})
    assert (rate > dearer).all()


def test_no_worker_is_waited_for_twice() -> None:
    """The scan is busy for hours; whether it will be so after a look nobody knows."""
    found = shared()
    at: Any = {"a": 0.5}
    step = found.network.workflow.step("scan")
    state = State(
        found.network.workflow,
        found.state.goal,
        Budget(credits=500, credits_per_hour=2.0),
        capacity={"scan": 1},
        offers={s.needs: (s.needs,) for s in found.network.workflow.steps},
    )
    action = build_action(state, step, Target(design=at))
    decision = Decision(number=0, kind="act", actions=(action,), reason="begun")
    state.apply(Decided(hour=0.0, decision=decision))
    state.apply(Issued(hour=0.0, action=action, worker="scan", commitment=state.commitment(action)))
    busy = NetworkBelief(found.network, state, Memory())
    x = np.array([[0.2], [0.7]])
    chains = Chains(busy, Prices(state), x, busy.lookup(x))
    alone = chains.alone("fine").at(2.0)
    assert chains.leg("fine", after="quality").now == pytest.approx(alone)


def test_what_one_step_gives_with_the_first_does_not_come_after_it() -> None:
    found = shared(again=True)
    pool = screen(found, np.array([[0.2], [0.7]]), 0)
    rates = _Round(found, Prices(found.state), pool, 0, "chain")
    node = found.network.learn("rough")
    assert rates._then(node, rates.legs["rough"]) == {}
