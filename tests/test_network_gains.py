"""Gains in networks of functions against brute force and closed forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from probewise.planner import Planner
from probewise.planner._network_belief import Memory, NetworkBelief
from probewise.planner._network_chains import Chains
from probewise.planner._network_climb import climb
from probewise.planner._network_forward import forward, improvement, wide_sample
from probewise.planner._network_gains import HERMITE, WEIGHTS, Gains, T, reservation_rate
from probewise.planner._network_graph import Network
from probewise.planner._network_pool import joint_sample, screen, taken
from probewise.planner._prices import Prices
from probewise.workflow import Budget, Maximize, Workflow

VARIABLES = [{"name": "a", "low": 0, "high": 1}, {"name": "b", "low": -1, "high": 1}]


def chain(cheap: float = 1, dear: float = 9, **more: Any) -> Workflow:
    """y1 = f1(a); y2 = f2(b, y1)."""
    first = {"name": "make", "level": 4, "controls": "a", "produces": "y1", "cost_credits": cheap}
    second = {"name": "test", "level": 3, "controls": "b", "consumes": "y1", "produces": "y2"}
    steps = [first, second | {"cost_credits": dear}]
    return Workflow.model_validate({"space": VARIABLES, "steps": steps} | more)


def values(design: Mapping[str, float]) -> dict[str, float]:
    y1 = float(np.sin(6 * design["a"]))
    return {"y1": y1, "y2": -((design["b"] - y1) ** 2) + 0.5 * y1}


def told(flow: Workflow, n: int = 6, ends: int = 6, seed: int = 0) -> Planner:
    """A planner that knows ``n`` first steps and ``ends`` whole chains."""
    planner = Planner(flow, Maximize(quantity="y2"), Budget(credits=100), seed=seed)
    for i, design in enumerate(flow.space.decode(flow.space.sobol(n, seed=seed))):
        found = values(design)
        planner.learn("make", design, {"y1": found["y1"]})
        if i < ends:
            planner.learn("test", design, {"y2": found["y2"]})
    return planner


def belief(planner: Planner) -> NetworkBelief:
    network = Network(planner.state.workflow, "y2")
    return NetworkBelief(network, planner.state, Memory())


def noisy_test(noise: float, known: tuple[float, ...]) -> NetworkBelief:
    """The belief of one noisy step, measured at a few places."""
    flow = Workflow.model_validate(
        {
            "space": VARIABLES[:1],
            "steps": [{"name": "test", "level": 3, "produces": "y2", "noise": {"y2": noise}}],
        }
    )
    planner = Planner(flow, Maximize(quantity="y2"), Budget(credits=9))
    for a in known:
        planner.learn("test", {"a": a}, {"y2": np.sin(7 * a)})
    return belief(planner)


def test_hermite_polynomials_are_orthonormal_under_the_weights() -> None:
    gram = (HERMITE[:6] * WEIGHTS) @ HERMITE[:6].T
    np.testing.assert_allclose(gram, np.eye(6), atol=1e-12)
    np.testing.assert_allclose(HERMITE[2], (T**2 - 1) / np.sqrt(2), atol=0.01)


def test_the_knowledge_gradient_of_the_last_step_is_the_textbook_one() -> None:
    """One Gaussian process: max over lines mean + slope t (Frazier, Powell & Dayanik 2009)."""
    found = noisy_test(0.1, (0.1, 0.35, 0.8, 0.9))
    x = np.linspace(0, 1, 41)[:, None]
    gains = Gains(found, x, found.lookup(x), 0)
    rows = np.arange(0, 41, 5)
    one_step = gains.one_step("y2", rows)
    group, (location, scale) = found.groups[0], found.scales["y2"]
    mean = location + scale * group.moments(x, 0).mean
    t = np.linspace(-5, 5, 4001)
    weights = norm.pdf(t) / norm.pdf(t).sum()
    for row, gain in zip(rows, one_step, strict=True):
        std = scale * group.moments(x[row : row + 1], 0).std[0]
        slope = scale**2 * group.covariance(x, 0, x[row : row + 1], 0)[:, 0]
        slope /= np.sqrt(std**2 + found.noise("y2") ** 2)
        brute = (mean[:, None] + slope[:, None] * t).max(0) @ weights - mean.max()
        assert gain == pytest.approx(brute, abs=0.02 * scale)


def test_the_knowledge_gradient_of_an_early_step_is_that_of_sampling() -> None:
    """Fantasies: draw the outcome, condition the process on it, push through, take the best."""
    planner = Planner(chain(), Maximize(quantity="y2"), Budget(credits=100))
    for a in (0.5, 0.62, 0.9):
        planner.learn("make", {"a": a, "b": 0.0}, {"y1": a * np.sin(9 * a)})
        planner.learn("test", {"a": a, "b": 0.0}, {"y2": np.exp(a * np.sin(9 * a))})
    found = belief(planner)
    x = np.random.default_rng(0).random((64, 2))
    gains = Gains(found, x, found.lookup(x), 0)
    everywhere = gains.one_step("y1", np.arange(len(x)))
    rows = np.argsort(-everywhere)[:3]
    fast = everywhere[rows]
    node = found.network.learn("y1")
    group = found.groups[node.group]
    before = gains.response("y1").mean.max()
    for row, gain in zip(rows, fast, strict=True):
        z = x[row : row + 1, :1]
        moments = group.moments(z, 0)
        total = 0.0
        for t, weight in zip(T, WEIGHTS, strict=True):
            y = np.concatenate([group.y, moments.mean + moments.std * t])
            after = belief_with(found, node.group, group.with_data(z, np.array([0]), y, _FREE))
            reach = forward(after, x, after.lookup(x), {"y1": T[None, None, :]})
            total += weight * float((reach.mean[:, 0] @ WEIGHTS).max())
        assert gain == pytest.approx(total - before, abs=0.03 * found.scales["y2"][1])
    assert fast.max() > 0.01


_FREE = np.array([1e-9])


def belief_with(found: NetworkBelief, number: int, group: Any) -> NetworkBelief:
    return found.with_groups([group if i == number else g for i, g in enumerate(found.groups)])


def test_a_measured_value_is_worth_nothing_again() -> None:
    found = belief(told(chain()))
    x = found.measured_designs()
    gains = Gains(found, x, found.lookup(x), 0)
    assert gains.one_step("y1", np.arange(len(x))).max() < 1e-3 * found.scales["y2"][1]


@given(st.integers(0, 1000), st.floats(0, 50), st.floats(0.01, 5))
def test_the_reservation_rate_makes_the_chain_just_worth_beginning(
    seed: int, later: float, now: float
) -> None:
    better = np.random.default_rng(seed).exponential(1.0, (1, len(T)))
    rate = reservation_rate(better, np.array([now]), np.array([later]))[0]
    worth = np.maximum(better[0] - rate * later, 0.0) @ WEIGHTS
    assert worth == pytest.approx(rate * now, rel=1e-6)
    assert rate >= (better[0] @ WEIGHTS) / (now + later) - 1e-12  # giving up never hurts


def test_slopes_through_the_network_are_exact() -> None:
    found = belief(told(chain()))
    x = np.random.default_rng(1).random((5, 2))
    nowhere = {q: np.full(5, np.nan) for q in ("y1", "y2")}
    sample = joint_sample(found, 0, 8)
    reach = forward(found, x, nowhere, sample.draws, slopes=True)
    assert reach.mean_slope is not None and reach.std_slope is not None
    for column in range(2):
        step = np.zeros(2)
        step[column] = 1e-5
        high = forward(found, x + step, nowhere, sample.draws)
        low = forward(found, x - step, nowhere, sample.draws)
        numeric = (high.mean - low.mean) / 2e-5
        np.testing.assert_allclose(reach.mean_slope[..., column], numeric, rtol=1e-3, atol=1e-4)
        numeric = (high.std - low.std) / 2e-5
        np.testing.assert_allclose(reach.std_slope[..., column], numeric, rtol=1e-2, atol=1e-3)


def test_climbing_rises_and_leaves_measured_steps_alone() -> None:
    found = belief(told(chain(), 8, 5))
    x = np.concatenate([np.random.default_rng(2).random((6, 2)), found.measured_designs()[-3:]])
    pool = screen(found, x, 0)
    reached = climb(found, pool, 0, None)
    after = screen(found, reached, 0)
    assert (after.mean >= pool.mean - 1e-6).all() and after.mean.max() > pool.mean.max()
    np.testing.assert_array_equal(reached[-3:, 0], x[-3:, 0])  # y1 is known there
    assert len(climb(found, taken(pool, np.array([], dtype=int)), 0, None)) == 0


def test_wide_draws_are_weighted_back_to_the_normal() -> None:
    sample = wide_sample(64, ("p", "q"), 0)
    p = sample.draws["p"]
    assert sample.mean(p)[0] == pytest.approx(0.0, abs=0.1)
    assert sample.mean(p**2)[0] == pytest.approx(1.0, abs=0.25)
    assert np.abs(p).max() > 2.8


def test_a_noisy_test_tells_what_it_would_move() -> None:
    """The chain that is one noisy test gains what its posterior mean may rise over the best."""
    found = noisy_test(0.5, (0.1, 0.4, 0.8, 0.9))
    x = np.linspace(0, 1, 21)[:, None]
    gains = Gains(found, x, found.lookup(x), 0)
    moments, (location, scale) = found.groups[0].moments(x, 0), found.scales["y2"]
    mean, std = location + scale * moments.mean, scale * moments.std
    moved = std**2 / np.sqrt(std**2 + 0.5**2)
    expected = improvement(mean, moved, float(mean.max()))
    np.testing.assert_allclose(
        gains.response("y2").better @ WEIGHTS, expected, rtol=1e-6, atol=1e-9 * scale
    )


def test_a_chain_that_was_begun_is_worth_what_a_new_one_is() -> None:
    """Else new ones are begun for ever: a cheap first step costs less than a coarse sum misses."""
    found = belief(told(chain(cheap=1, dear=49), 9, 5))
    x = found.measured_designs()
    gains = Gains(found, x, found.lookup(x), 0)
    known = screen(found, x, 0)
    expected = improvement(known.mean, known.std, float(known.mean.max()))
    assert np.count_nonzero(expected > 1e-3) == 4  # made, not tested
    np.testing.assert_allclose(gains.response("y2").better @ WEIGHTS, expected, 1e-6, 1e-12)


def test_improvement_is_the_closed_form() -> None:
    draws = np.random.default_rng(0).standard_normal(400_000)
    for mean, std in ((0.3, 1.0), (-2.0, 0.7)):
        brute = np.maximum(mean + std * draws - 0.5, 0).mean()
        assert float(improvement(np.array(mean), np.array(std), 0.5)) == pytest.approx(
            brute, abs=3e-3
        )
    assert float(improvement(np.array(1.0), np.array(0.0), 0.25)) == 0.75


def test_prices_of_legs_follow_what_is_open() -> None:
    found = belief(told(chain(cheap=1, dear=9), 6, 3))
    x = np.concatenate([found.measured_designs(), np.array([[0.123, 0.4]])])
    chains = Chains(found, Prices(found.state), x, found.lookup(x))
    first, second = chains.leg("y1"), chains.leg("y2")
    assert first.ready.tolist() == [False] * 9 + [True]
    begun = np.unique(x[:9], axis=0, return_inverse=True)[1]
    assert second.ready.sum() == 3 and len(set(begun[second.ready[:9]])) == 3
    unit = first.now[-1]
    assert first.later[-1] == pytest.approx(9 * unit)
    assert second.now[second.ready] == pytest.approx(9 * unit)
    assert second.later[second.ready] == pytest.approx(0.0)


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(st.sampled_from([1e-12, 1.0, 1e12]), st.integers(0, 20))
def test_the_scale_of_a_quantity_does_not_matter(scale: float, seed: int) -> None:
    """Values times 1e12 or 1e-12: the same decision."""
    chosen = []
    for factor in (1.0, scale):
        planner = Planner(chain(), Maximize(quantity="y2"), Budget(credits=100), seed=seed)
        for design in planner.state.workflow.space.decode(
            planner.state.workflow.space.sobol(5, seed=seed)
        ):
            found = values(design)
            planner.learn("make", design, {"y1": found["y1"] * factor})
            planner.learn("test", design, {"y2": found["y2"] * factor})
        (action,) = planner.suggest()
        chosen.append((action.step, action.target.design))
    assert chosen[0][0] == chosen[1][0]
    assert chosen[0][1] == pytest.approx(chosen[1][1], abs=0.02)
