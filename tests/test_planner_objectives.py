"""Gains in closed form against sampling, enumeration and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from probewise.planner import Probe, Worlds
from probewise.planner._gp import Matern52, Matrix
from probewise.planner._hypervolume import (
    Cells,
    hypervolume,
    inferred_reference,
    nondominated_rows,
)
from probewise.planner._moments import Moments
from probewise.planner._objective_hypotheses import (
    entropy_bits,
    information,
    joint_information,
)
from probewise.planner._objective_pareto import Hypervolume
from probewise.planner._objective_region import Region, bivariate_normal, same_side
from probewise.planner._objective_variance import IntegratedVariance
from probewise.workflow import Limit, Pareto

RNG = np.random.default_rng(4)
POOL = RNG.random((30, 2))
GRID = np.arange(10, 30)
POINTS = np.arange(10)
KERNEL = Matern52(np.full(2, 0.4), 1.0)
TINY = settings(max_examples=40, deadline=None)


def moments(link: float = 0.0, scale: float = 1.0) -> Moments:
    """Two quantities with one kernel, correlated by ``link``."""
    k = KERNEL(POOL, POOL) * scale**2
    mean = {q: scale * np.sin(5.0 * POOL[:, i] + i) for i, q in enumerate("fg")}
    return Moments(mean, {("f", "f"): k, ("g", "g"): k, ("g", "f"): link * k})


def worlds(found: Moments, count: int = 4000) -> Worlds:
    n = len(POOL)
    full = np.zeros((2 * n, 2 * n))
    for i, a in enumerate("fg"):
        for j, b in enumerate("fg"):
            rows = np.arange(n)
            full[i * n : (i + 1) * n, j * n : (j + 1) * n] = found.covariance(a, rows, b, rows)
    root = np.linalg.cholesky(full + 1e-9 * np.eye(2 * n))
    half = np.random.default_rng(8).standard_normal((count // 2, 2 * n)) @ root.T
    drawn = np.concatenate([half, -half])
    values = {q: found.mean[q] + drawn[:, i * n : (i + 1) * n] for i, q in enumerate("fg")}
    return Worlds(POOL, values, "f", np.ones(n, dtype=bool))


# -- integrated variance -----------------------------------------------------------------------


def test_the_variance_falls_as_conditioning_says() -> None:
    found = moments()
    goal = IntegratedVariance(worlds(found), found, GRID)
    gains = goal.single("f", POINTS, 0.2)
    for point, gain in zip(POINTS, gains, strict=True):
        after = found.given([Probe("f", int(point), 0.2)]).variance("f", GRID)
        want = np.sqrt(found.variance("f", GRID).mean()) - np.sqrt(after.mean())
        assert gain == pytest.approx(want, rel=1e-6)
        assert goal.joint([Probe("f", int(point), 0.2)]) == pytest.approx(want, rel=1e-6)


def test_what_is_pending_leaves_less_to_gain_and_gains_add_up() -> None:
    found = moments()
    goal = IntegratedVariance(worlds(found), found, GRID)
    first, second = Probe("f", 3, 0.2), Probe("f", 4, 0.1)
    later = goal.given([first])
    assert later.joint([second]) + goal.joint([first]) == pytest.approx(
        goal.joint([first, second]), rel=1e-6
    )
    assert later.single("f", np.array([3]), 0.2)[0] < goal.single("f", np.array([3]), 0.2)[0]
    assert goal.single("g", POINTS, 0.0).max() < 1e-9


# -- region ------------------------------------------------------------------------------------

LIMITS = {
    "above": Limit(quantity="f", above=0.3),
    "below": Limit(quantity="f", below=0.1),
    "between": Limit(quantity="f", above=-0.5, below=0.6),
}


@TINY
@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0, 0.999))
def test_the_bivariate_normal_is_scipys(h: float, k: float, r: float) -> None:
    want = multivariate_normal.cdf([h, k], mean=np.zeros(2), cov=np.array([[1, r], [r, 1]]))
    arrays = (np.array(h), np.array(k), np.array(r))
    assert float(bivariate_normal(*arrays)) == pytest.approx(float(want), abs=2e-5)
    assert float(same_side(arrays[0], arrays[2])) == pytest.approx(
        float(bivariate_normal(arrays[0], arrays[0], arrays[2])), abs=1e-6
    )


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS.keys())
def test_the_misjudged_share_falls_as_sampled_outcomes_say(limit: Limit) -> None:
    found = moments()
    goal = Region(worlds(found), found, [limit], GRID)
    before = goal.ceiling()
    noise, point = 0.3, 2
    at = np.array([point])
    after = found.given([Probe("f", point, noise)])
    total = float(found.variance("f", at)[0]) + noise**2
    slope = found.covariance("f", GRID, "f", at)[:, 0] / np.sqrt(total)
    left = np.sqrt(after.variance("f", GRID))
    low = -np.inf if limit.above is None else limit.above
    high = np.inf if limit.below is None else limit.below
    z = norm.ppf((np.arange(4000) + 0.5) / 4000)[:, None]
    mean = found.mean["f"][GRID] + slope * z
    p = norm.cdf((high - mean) / left) - norm.cdf((low - mean) / left)
    want = before - float(np.mean(p * (1 - p)))
    assert goal.single("f", at, noise)[0] == pytest.approx(want, abs=2e-4)
    assert goal.joint([Probe("f", point, noise)]) == pytest.approx(want, abs=2e-4)


def test_knowing_more_never_loses_and_nothing_gains_nothing() -> None:
    found = moments()
    goal = Region(worlds(found), found, [LIMITS["above"], Limit(quantity="g", below=0.5)], GRID)
    one = goal.several([("f", 0.1)], POINTS)
    two = goal.several([("f", 0.1), ("g", 0.1)], POINTS)
    assert (two >= one - 1e-12).all() and (one >= 0).all()
    assert two.max() < goal.ceiling()
    assert goal.several([("f", 1e6)], POINTS).max() < 1e-6
    assert goal.joint([]) == 0.0


def test_the_feasible_share_is_that_of_the_worlds() -> None:
    found = moments()
    drawn = worlds(found)
    goal = Region(drawn, found, [LIMITS["between"]], GRID)
    inside = (drawn.values["f"] >= -0.5) & (drawn.values["f"] <= 0.6)
    assert goal.probabilities() == pytest.approx(inside[:, GRID].mean(0), abs=0.03)


# -- hypervolume -------------------------------------------------------------------------------


def counted(values: Matrix, reference: np.ndarray) -> float:
    """Hypervolume by counting points of a fine grid."""
    top = np.maximum(values.max(0), reference)
    rng = np.random.default_rng(0)
    places = reference + rng.random((60_000, len(reference))) * (top - reference)
    under = (values[:, None, :] >= places[None]).all(-1).any(0)
    return float(under.mean() * np.prod(top - reference))


@pytest.mark.parametrize("aims", [2, 3])
def test_the_hypervolume_is_what_counting_gives(aims: int) -> None:
    values, reference = RNG.random((12, aims)), np.full(aims, 0.1)
    assert hypervolume(values, reference) == pytest.approx(counted(values, reference), rel=0.03)
    assert Cells(values, reference).volume == pytest.approx(hypervolume(values, reference))


@pytest.mark.parametrize("aims", [2, 3])
def test_a_points_gain_is_the_rise_of_the_hypervolume(aims: int) -> None:
    front, reference = RNG.random((8, aims)), np.full(aims, 0.2)
    cells = Cells(front, reference)
    new = 1.2 * RNG.random((20, aims))
    want = [
        hypervolume(np.concatenate([front, [v]]), reference) - hypervolume(front, reference)
        for v in new
    ]
    assert cells.gain(new) == pytest.approx(want, abs=1e-9)


@pytest.mark.parametrize("aims", [2, 3])
def test_the_expected_gain_is_the_mean_over_draws(aims: int) -> None:
    front = RNG.random((6, aims))
    cells = Cells(front, np.full(aims, 0.1))
    mean, std = RNG.random((5, aims)), 0.05 + 0.3 * RNG.random((5, aims))
    draws = mean + std * np.random.default_rng(1).standard_normal((20_000, 5, aims))
    sampled = cells.gain(draws).mean(0)
    assert cells.expected_gain(mean, std) == pytest.approx(sampled, rel=0.06, abs=2e-3)
    spread = np.einsum("ni,ij->nij", std**2, np.eye(aims))
    assert cells.sampled_gain(mean, spread) == pytest.approx(sampled, rel=0.12, abs=4e-3)


@TINY
@given(st.integers(0, 10_000), st.floats(0.1, 10.0), st.floats(-5.0, 5.0))
def test_gains_scale_with_units_and_do_not_care_for_the_order_of_aims(
    seed: int, factor: float, shift: float
) -> None:
    rng = np.random.default_rng(seed)
    front, reference = rng.random((5, 2)), np.array([0.1, 0.1])
    mean, std = rng.random((4, 2)), 0.01 + rng.random((4, 2))
    gain = Cells(front, reference).expected_gain(mean, std)
    moved = Cells(factor * front + shift, factor * reference + shift)
    assert moved.expected_gain(factor * mean + shift, factor * std) == pytest.approx(
        factor**2 * gain, rel=1e-6, abs=1e-9
    )
    turned = Cells(front[::-1, ::-1], reference[::-1])
    assert turned.expected_gain(mean[:, ::-1], std[:, ::-1]) == pytest.approx(gain, rel=1e-9)


def test_the_front_keeps_one_of_equals_and_nobody_beaten() -> None:
    values = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [0.4, 0.5]])
    assert list(nondominated_rows(values)) == [0, 1, 3]
    assert (inferred_reference(values) < values.min(0) + 1e-12).all()


GOAL = Pareto(aims={"f": "maximize", "g": "minimize"}, reference={"f": -1.2, "g": 1.2})


def front_goal(link: float = 0.0) -> Hypervolume:
    found = moments(link)
    told = np.zeros((len(POOL), 2), dtype=bool)
    told[:4] = True
    return Hypervolume(worlds(found, 400), found, GOAL, told)


@pytest.mark.parametrize("link", [0.0, 0.7])
def test_a_measurement_gains_what_its_outcomes_do(link: float) -> None:
    goal, found = front_goal(link), moments(link)
    noise, at = 0.3, np.array([7])
    k, total = 1.0, np.array([[1.0 + noise**2, link], [link, 1.0 + noise**2]])
    cross = np.array([[k, link], [link, k]])
    moves = cross @ np.linalg.solve(total, cross.T)
    rng = np.random.default_rng(2)
    mean = np.array([found.mean["f"][7], found.mean["g"][7]])
    draws = rng.multivariate_normal(mean, moves, 40_000) * [1.0, -1.0]
    want = float(goal.cells.gain(draws).mean())
    got = goal.several([("f", noise), ("g", noise)], at)[0]
    assert got == pytest.approx(want, rel=0.1, abs=5e-3)
    alone = goal.several([("f", noise)], at)[0]
    assert 0.0 <= alone <= got + 0.01


def test_measuring_at_several_points_is_worth_more_than_the_best_and_less_than_all() -> None:
    goal = front_goal()
    probes = [Probe(q, p, 0.1) for p in (6, 7, 8) for q in "fg"]
    alone = goal.several([("f", 0.1), ("g", 0.1)], np.array([6, 7, 8]))
    together = goal.joint(probes)
    assert alone.max() - 1e-9 <= together <= 1.15 * alone.sum()
    assert goal.joint(probes[:2]) == pytest.approx(alone[0])
    later = goal.given(probes[:2])
    assert 6 in later.known and later.several([("f", 0.1), ("g", 0.1)], np.array([6]))[0] < alone[0]


def test_everything_known_is_worth_more_than_any_one_measurement() -> None:
    goal = front_goal()
    assert goal.ceiling() > goal.several([("f", 0.0), ("g", 0.0)], POINTS).max()


# -- information -------------------------------------------------------------------------------


def enumerated(weights: np.ndarray, owner: np.ndarray, mean: np.ndarray, std: np.ndarray) -> float:
    """Mutual information by a fine sum over the outcome."""
    y = np.linspace((mean - 9 * std).min(), (mean + 9 * std).max(), 40_001)
    dense = weights[:, None] * norm.pdf(y, mean[:, None], std[:, None])
    total = dense.sum(0)
    found = 0.0
    for h in np.unique(owner):
        mine = dense[owner == h].sum(0)
        share = weights[owner == h].sum()
        ratio = np.log2(np.maximum(mine / share, 1e-300) / np.maximum(total, 1e-300))
        found += float(np.sum(mine * ratio) * (y[1] - y[0]))
    return found


@TINY
@given(st.integers(0, 10_000))
def test_information_is_what_enumeration_of_outcomes_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(5))
    owner = np.array([0, 0, 1, 2, 2])
    mean, std = rng.normal(size=(5, 1)), 0.2 + rng.random((5, 1))
    got = float(information(np.log(weights), owner, mean, std)[0])
    want = enumerated(weights, owner, mean[:, 0], std[:, 0])
    assert got == pytest.approx(want, abs=0.01)
    assert -1e-9 <= got <= entropy_bits(np.bincount(owner, weights).astype(np.float64)) + 0.01
    moved = information(np.log(weights), owner, 3.0 * mean - 2.0, 3.0 * std)
    assert float(moved[0]) == pytest.approx(got, abs=1e-6)


def test_information_is_all_there_is_where_predictions_are_far_apart_and_none_where_equal() -> None:
    log = np.log(np.array([0.25, 0.75]))
    owner = np.array([0, 1])
    far = information(log, owner, np.array([[0.0, 1.0], [50.0, 1.0]]), np.ones((2, 2)))
    assert far == pytest.approx([entropy_bits(np.array([0.25, 0.75])), 0.0], abs=1e-6)


def test_several_outcomes_tell_as_much_as_their_mean_does() -> None:
    log, owner = np.log(np.array([0.4, 0.6])), np.array([0, 1])
    means = np.array([[0.0, 0.0, 0.0], [0.8, 0.8, 0.8]])
    roots = [np.eye(3), np.eye(3)]
    want = information(log, owner, means[:, :1], np.full((2, 1), 1 / np.sqrt(3)))[0]
    assert joint_information(log, owner, means, roots) == pytest.approx(float(want), abs=0.05)
