"""Gains as regressions over worlds, held against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from probewise.planner import Best, Certainty, Probe, Worlds
from probewise.planner._gp import Matern52, Matrix, Vector
from probewise.planner._worlds import crossings

POINTS = np.linspace(0.0, 1.0, 9)[:, None]
COVARIANCE = Matern52(np.array([0.4]), 1.0)(POINTS, POINTS)
MEAN = 0.4 * np.sin(4.0 * POINTS[:, 0])
ALL = np.arange(9)
SMALL = 0.3


def draws(mean: Vector, covariance: Matrix, count: int, seed: int = 0) -> Matrix:
    """Mirrored draws, moved and stretched so that their moments are exact."""
    half = np.random.default_rng(seed).standard_normal((count // 2, len(mean)))
    half = half @ np.linalg.inv(np.linalg.cholesky(half.T @ half / len(half))).T
    kicks = half @ np.linalg.cholesky(covariance + 1e-12 * np.eye(len(mean))).T
    return np.asarray(mean + np.concatenate([kicks, -kicks]), dtype=np.float64)


def worlds(count: int = 20_000, **more: Matrix) -> Worlds:
    """``f`` over nine points; ``junk`` is independent of it."""
    f = draws(MEAN, COVARIANCE, count)
    junk = draws(np.zeros(9), np.eye(9), count, seed=1)
    return Worlds(POINTS, {"f": f, "junk": junk, **more}, "f", np.ones(9, dtype=bool))


WORLDS = worlds()
BEST = Best(WORLDS)


def exact_gain(point: int, noise_std: float) -> float:
    """Frazier, Powell & Dayanik 2009: E max(mean + slope Z) - max(mean), by dense quadrature."""
    slope = COVARIANCE[:, point] / np.sqrt(COVARIANCE[point, point] + noise_std**2)
    z = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    return float(np.max(MEAN + z[:, None] * slope, axis=1).mean() - MEAN.max())


def test_two_halves_share_no_mirrored_pair() -> None:
    first, second = WORLDS.halves
    mirror = WORLDS.count // 2
    assert not {i % mirror for i in first} & {i % mirror for i in second}
    assert len(first) == len(second) == WORLDS.count // 2
    pairs = (
        WORLDS.values["f"][first[: len(first) // 2]] + WORLDS.values["f"][first[len(first) // 2 :]]
    )
    np.testing.assert_allclose(pairs, np.broadcast_to(2.0 * MEAN, pairs.shape), atol=1e-9)


@pytest.mark.parametrize("noise_std", [0.0, 0.5, 2.0])
def test_single_is_the_knowledge_gradient(noise_std: float) -> None:
    exact = [exact_gain(int(i), noise_std) for i in ALL]
    np.testing.assert_allclose(BEST.single("f", ALL, noise_std), exact, rtol=0.06, atol=0.004)


def test_single_of_one_rival_is_the_closed_form() -> None:
    """One unknown point against a known leader: the gain is s phi(d/s) - d Phi(-d/s)."""
    d, s = 0.5, 0.8
    f = draws(np.array([d, 0.0]), np.diag([1e-12, s**2]), 8000)
    best = Best(Worlds(np.zeros((2, 1)), {"f": f}, "f", np.ones(2, dtype=bool)))
    expected = s * norm.pdf(d / s) - d * norm.cdf(-d / s)
    assert best.incumbent == pytest.approx(d)
    assert best.single("f", np.array([1]), 0.0)[0] == pytest.approx(expected, rel=0.05)
    assert best.joint([Probe("f", 1, 0.0)]) == pytest.approx(expected, rel=0.05)
    assert best.ceiling() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("point", [0, 4, 8])
def test_joint_of_one_probe_is_single(point: int) -> None:
    joint = BEST.joint([Probe("f", point, 0.5)])
    assert joint == pytest.approx(BEST.single("f", np.array([point]), 0.5)[0], rel=0.1, abs=0.01)


def test_joint_of_several_probes_is_the_gain_of_their_posterior() -> None:
    points, noise = np.array([1, 5, 8]), 0.4
    gram = COVARIANCE[np.ix_(points, points)] + noise**2 * np.eye(3)
    slopes = np.linalg.cholesky(np.linalg.inv(gram)).T @ COVARIANCE[points]
    z = np.random.default_rng(5).standard_normal((40_000, 3))
    exact = np.max(MEAN + np.concatenate([z, -z]) @ slopes, axis=1).mean() - MEAN.max()
    probes = [Probe("f", int(p), noise) for p in points]
    assert BEST.joint(probes) == pytest.approx(exact, rel=0.05)


def test_joint_grows_with_probes_and_shrinks_with_noise() -> None:
    one, two = [Probe("f", 2, 0.5)], [Probe("f", 2, 0.5), Probe("f", 6, 0.5)]
    assert BEST.joint([]) == 0.0
    assert BEST.joint(one) < BEST.joint(two) < BEST.ceiling()
    assert BEST.joint([Probe("f", 2, 5.0)]) < BEST.joint(one)


def test_no_gain_beats_knowing_everything() -> None:
    ceiling = BEST.ceiling()
    assert np.all(BEST.single("f", ALL, 0.0) <= ceiling + 1e-9)
    assert BEST.joint([Probe("f", int(i), 0.0) for i in ALL]) == pytest.approx(ceiling, rel=0.05)


@pytest.mark.parametrize("count", [200, 384])
def test_pure_noise_gains_next_to_nothing_even_with_few_worlds(count: int) -> None:
    """One half chooses, the other judges: without that, luck looks like gain."""
    best = Best(worlds(count))
    real = best.single("f", ALL, 0.5).mean()
    lucky = best.single("junk", ALL, 0.0).mean()
    assert lucky < 0.15 * real
    assert best.joint([Probe("junk", i, 0.1) for i in range(6)]) < 0.25 * real


def test_only_open_points_may_be_recommended() -> None:
    shut = np.ones(9, dtype=bool)
    shut[int(MEAN.argmax())] = False
    best = Best(Worlds(POINTS, WORLDS.values, "f", shut))
    assert best.incumbent == pytest.approx(float(np.sort(MEAN)[-2]))


def ensemble(shift: float, members: int = 4, count: int = 4000) -> Worlds:
    """Theories that move ``shift`` times their number from the first point to the last."""
    member = np.tile(np.arange(count // 2) % members, 2)
    f = draws(np.zeros(2), SMALL**2 * np.eye(2), count)
    step = shift * (member - (members - 1) / 2)
    f = np.asarray(f + np.stack([-step, step], axis=1), dtype=np.float64)
    return Worlds(np.zeros((2, 1)), {"f": f}, "f", np.ones(2, dtype=bool), member)


def test_theories_that_agree_are_not_worth_telling_apart() -> None:
    assert Best(ensemble(0.0)).theory() < 0.01
    assert Best(WORLDS).theory() == 0.0


def test_theories_that_disagree_are_worth_the_mean_of_their_maxima() -> None:
    # members at -1.5, -0.5, 0.5, 1.5 times the shift: the better point gains 1 shift on average
    assert Best(ensemble(0.4)).theory() == pytest.approx(0.4, abs=0.03)


FEATURES = Certainty(WORLDS, WORLDS.values["f"])


def test_certainty_falls_as_gaussian_conditioning_says() -> None:
    noise = 0.3
    for point in (0, 4):
        explained = COVARIANCE[:, point] ** 2 / (COVARIANCE[point, point] + noise**2)
        left = np.sqrt(np.diag(COVARIANCE) - explained)
        expected = float(np.mean(np.sqrt(np.diag(COVARIANCE)) - left))
        assert FEATURES.single("f", np.array([point]), noise)[0] == pytest.approx(
            expected, rel=0.02
        )
        assert FEATURES.joint([Probe("f", point, noise)]) == pytest.approx(expected, rel=0.02)


def test_certainty_of_several_probes_is_their_joint_conditioning() -> None:
    points, noise = np.array([0, 4, 8]), 0.3
    gram = COVARIANCE[np.ix_(points, points)] + noise**2 * np.eye(3)
    explained = np.diag(COVARIANCE[points].T @ np.linalg.solve(gram, COVARIANCE[points]))
    expected = float(np.mean(1.0 - np.sqrt(1.0 - explained)))
    got = FEATURES.joint([Probe("f", int(p), noise) for p in points])
    assert got == pytest.approx(expected, rel=0.02)


def test_certainty_of_everything_is_all_the_spread_and_of_nothing_none() -> None:
    assert FEATURES.spread == FEATURES.ceiling() == pytest.approx(1.0, rel=1e-6)
    everything = [Probe("f", int(i), 0.0) for i in ALL]
    assert FEATURES.joint(everything) == pytest.approx(1.0, abs=0.02)
    assert FEATURES.joint([]) == 0.0
    assert FEATURES.theory() == 0.0
    few = worlds(384)
    lucky = Certainty(few, few.values["f"]).single("junk", ALL, 0.0)
    assert lucky.mean() < 0.005


def test_certainty_about_theories_is_the_share_that_they_explain() -> None:
    """Spread between members over all spread: sqrt(1 - explained) is what stays."""
    shift, steps = 0.4, np.array([-1.5, -0.5, 0.5, 1.5])
    between = shift**2 * float(np.mean(steps**2))
    total = np.sqrt(between + SMALL**2)
    made = ensemble(shift)
    got = Certainty(made, made.values["f"]).theory()
    assert got == pytest.approx(total - SMALL, rel=0.1)


TICKS = np.linspace(2.0, 4.0, 5)


def test_a_crossing_is_interpolated_after_the_maximum() -> None:
    rows = np.array([[0.0, 4.0, 3.0, 1.0, 0.0], [0.0, 1.0, 3.0, 4.0, 4.0]])
    falling, never = crossings(rows, TICKS, 0.5)
    assert falling == pytest.approx(3.25)  # from 3 to 1 at 3.0 .. 3.5, through 2
    assert never == 4.0


def test_a_low_value_before_the_maximum_is_no_crossing() -> None:
    assert crossings(np.array([[0.1, 5.0, 4.0, 4.0, 1.0]]), TICKS, 0.5)[0] > 3.5


@given(st.lists(st.floats(0.1, 10.0), min_size=5, max_size=5), st.floats(0.05, 0.95))
def test_a_crossing_lies_on_the_line_between_its_neighbours(row: list[float], level: float) -> None:
    values = np.array([row])
    place = float(crossings(values, TICKS, level)[0])
    top = TICKS[int(np.argmax(row))]
    assert top <= place <= 4.0
    if place < 4.0:
        assert np.interp(place, TICKS, row) == pytest.approx(level * max(row), rel=1e-6)
