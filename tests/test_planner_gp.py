"""Gaussian processes: posteriors by hand, paths that agree with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from probewise.planner._gp import Matern52, Process, SquaredExponential, default_kernel

KERNEL = Matern52(np.array([0.3, 0.6]), 1.4)
RNG = np.random.default_rng(3)
X = RNG.random((7, 2))
Y = np.sin(5.0 * X[:, 0]) + X[:, 1]
Z = RNG.random((5, 2))
SURE = Process(KERNEL, X, np.full(7, 1e-8))
NOISY = Process(KERNEL, X, np.linspace(0.01, 0.3, 7))
NOTHING = Process(KERNEL, np.zeros((0, 2)), np.zeros(0))


def matern(distance: float) -> float:
    """Equation 4.17 of Rasmussen & Williams with unit length scale."""
    r = np.sqrt(5.0) * distance
    return float((1.0 + r + r**2 / 3.0) * np.exp(-r))


def residuals(y: np.ndarray, count: int = 4000) -> np.ndarray:
    return np.broadcast_to(y, (count, len(y)))


def test_kernel_is_the_matern_of_scaled_distances() -> None:
    a, b = np.array([[0.1, 0.2]]), np.array([[0.4, 0.8]])
    scaled = np.sqrt((0.3 / 0.3) ** 2 + (0.6 / 0.6) ** 2)
    assert KERNEL(a, b)[0, 0] == pytest.approx(1.4 * matern(scaled))
    assert KERNEL(a, a)[0, 0] == pytest.approx(1.4)


def test_kernel_takes_stacks_of_inputs() -> None:
    stack = np.stack([X, X[::-1]])
    np.testing.assert_allclose(KERNEL(stack, Z)[1], KERNEL(X[::-1], Z))


@given(arrays(np.float64, (6, 2), elements=st.floats(0, 1)))
def test_kernel_is_symmetric_and_a_covariance(points: np.ndarray) -> None:
    k = KERNEL(points, points)
    np.testing.assert_allclose(k, k.T, atol=1e-7)
    assert np.linalg.eigvalsh(k).min() > -1e-6


def test_random_features_reproduce_the_kernel() -> None:
    omega = KERNEL.frequencies(60_000, np.random.default_rng(0))
    difference = np.array([0.2, -0.3])
    estimate = 1.4 * np.mean(np.cos(omega @ difference))
    exact = KERNEL(np.zeros((1, 2)), difference[None, :])[0, 0]
    assert estimate == pytest.approx(exact, abs=0.02)


def test_the_smooth_kernel_is_a_gaussian_of_scaled_distances_and_so_are_its_frequencies() -> None:
    smooth = SquaredExponential(np.array([0.3, 0.6]), 1.4)
    a, b = np.array([[0.1, 0.2]]), np.array([[0.4, 0.8]])
    assert smooth(a, b)[0, 0] == pytest.approx(1.4 * np.exp(-1.0))
    omega = smooth.frequencies(60_000, np.random.default_rng(0))
    estimate = 1.4 * np.mean(np.cos(omega @ (a - b)[0]))
    assert estimate == pytest.approx(1.4 * np.exp(-1.0), abs=0.02)


def test_mean_and_covariance_are_those_of_gaussian_conditioning() -> None:
    gram = KERNEL(X, X) + np.diag(NOISY.noise)
    cross = KERNEL(Z, X)
    np.testing.assert_allclose(NOISY.mean(Z, Y), cross @ np.linalg.solve(gram, Y), atol=1e-6)
    expected = KERNEL(Z, Z) - cross @ np.linalg.solve(gram, cross.T)
    np.testing.assert_allclose(NOISY.covariance(Z), expected, atol=1e-6)


def test_without_data_the_prior_is_left() -> None:
    np.testing.assert_array_equal(NOTHING.mean(Z, np.zeros(0)), np.zeros(5))
    np.testing.assert_allclose(NOTHING.covariance(Z), KERNEL(Z, Z))
    paths = NOTHING.paths(Z, np.zeros((4000, 0)), np.random.default_rng(1))
    assert paths.shape == (4000, 5)
    assert paths.std(0) == pytest.approx(np.sqrt(1.4), rel=0.1)


def test_paths_go_through_exact_data() -> None:
    paths = SURE.paths(X, residuals(Y, 64), np.random.default_rng(2))
    np.testing.assert_allclose(paths, residuals(Y, 64), atol=2e-3)


def test_paths_have_the_posterior_mean_and_spread() -> None:
    paths = NOISY.paths(Z, residuals(Y), np.random.default_rng(4))
    spread = np.sqrt(np.diag(NOISY.covariance(Z)))
    np.testing.assert_allclose(paths.mean(0), NOISY.mean(Z, Y), atol=1e-6)
    np.testing.assert_allclose(paths.std(0), spread, rtol=0.12)


def test_paths_come_in_pairs_mirrored_at_the_mean() -> None:
    paths = NOISY.paths(Z, residuals(Y, 10), np.random.default_rng(5))
    middle = (paths[:5] + paths[5:]) / 2
    np.testing.assert_allclose(middle, residuals(NOISY.mean(Z, Y), 5), atol=1e-9)


def test_paths_at_inputs_of_their_own_are_the_same_paths() -> None:
    rng = [np.random.default_rng(6) for _ in range(2)]
    shared = NOISY.paths(Z, residuals(Y, 6), rng[0], features=50)
    own = NOISY.paths(np.broadcast_to(Z, (6, *Z.shape)), residuals(Y, 6), rng[1], features=50)
    np.testing.assert_allclose(own, shared)


def test_a_process_of_no_inputs_is_a_constant() -> None:
    flat = Process(default_kernel(0), np.zeros((3, 0)), np.full(3, 1e-6))
    y = np.full(3, 0.7)
    np.testing.assert_allclose(flat.mean(np.zeros((2, 0)), y), 0.7, atol=1e-4)
    paths = flat.paths(np.zeros((2, 0)), residuals(y, 8), np.random.default_rng(7))
    np.testing.assert_allclose(paths, 0.7, atol=1e-2)
