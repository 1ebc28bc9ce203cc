"""Many measurements carried by a part of them: as exact where that can be, honest where not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from probewise.planner import _network_sparse
from probewise.planner._network_factor import inverted, times, times_transposed
from probewise.planner._network_kernel import LevelKernel
from probewise.planner._network_process import GroupProcess
from probewise.planner._network_sparse import support_of

NUGGET = np.full(2, 1e-6)
KERNEL = LevelKernel(
    np.array([[0.5, 0.7], [0.4, 0.6]]),
    np.array([1.0, 0.4]),
    np.array([[1.0, 0.0], [0.7, 1.0]]),
    np.array([0.0, 0.0]),
)


def data(n: int, noise: float = 1e-6) -> Any:
    rng = np.random.default_rng(5)
    x, level = rng.random((n, 2)), rng.integers(0, 2, n)
    y = np.sin(6 * x[:, 0]) * x[:, 1] + 0.3 * level * x[:, 1]
    return x, level, y + np.sqrt(noise) * rng.standard_normal(n), np.full(n, noise)


def test_products_with_triangles() -> None:
    rng = np.random.default_rng(0)
    lower = np.tril(rng.random((5, 5))) + np.eye(5)
    rows = rng.random((3, 5))
    np.testing.assert_allclose(times_transposed(rows.copy(), lower), rows @ lower.T)
    np.testing.assert_allclose(times(rows.copy(), lower), rows @ lower)
    np.testing.assert_allclose(inverted(lower) @ lower, np.eye(5), atol=1e-12)


@pytest.mark.parametrize("noise", [1e-8, 1e-2])
def test_data_that_all_carry_themselves_are_exact(noise: float) -> None:
    x, level, y, variances = data(60, noise)
    exact = GroupProcess(KERNEL, x, level, y, variances, NUGGET)
    carried = GroupProcess(KERNEL, x, level, y, variances, NUGGET, np.arange(60))
    z = np.random.default_rng(1).random((20, 2))
    for lev in (0, 1):
        one, other = exact.moments(z, lev, slopes=True), carried.moments(z, lev, slopes=True)
        np.testing.assert_allclose(other.mean, one.mean, atol=2e-4)
        np.testing.assert_allclose(other.std, one.std, rtol=0.02, atol=1e-4)
        np.testing.assert_allclose(other.mean_slope, one.mean_slope, rtol=0.02, atol=0.02)
    np.testing.assert_allclose(
        carried.covariance(z, 0, z, 1), exact.covariance(z, 0, z, 1), atol=1e-5
    )


def test_noise_off_the_support_is_averaged_out() -> None:
    x, level, y, variances = data(800, 0.05)
    support = np.arange(0, 800, 8)
    z = np.random.default_rng(1).random((40, 2))
    exact = GroupProcess(KERNEL, x, level, y, variances, NUGGET).moments(z, 1)
    carried = GroupProcess(KERNEL, x, level, y, variances, NUGGET, support).moments(z, 1)
    alone = GroupProcess(
        KERNEL, x[support], level[support], y[support], variances[support], NUGGET
    ).moments(z, 1)
    assert np.median(carried.std) < 1.25 * np.median(exact.std)
    assert np.median(alone.std) > 1.6 * np.median(exact.std)
    away = (carried.mean - exact.mean) / exact.std
    assert np.sqrt(np.mean(away**2)) < 0.6


def test_repeated_measurements_may_be_part_of_the_support() -> None:
    x, level, y, variances = (np.repeat(a, 4, axis=0) for a in data(20, 0.01))
    z = np.random.default_rng(1).random((9, 2))
    exact = GroupProcess(KERNEL, x, level, y, variances, NUGGET).moments(z, 1)
    carried = GroupProcess(KERNEL, x, level, y, variances, NUGGET, np.arange(80)).moments(z, 1)
    np.testing.assert_allclose(carried.mean, exact.mean, atol=1e-4)
    np.testing.assert_allclose(carried.std, exact.std, rtol=1e-3)


def test_what_is_new_is_carried_by_itself() -> None:
    x, level, y, variances = data(200)
    support = np.arange(0, 190, 3)
    old = GroupProcess(KERNEL, x[:190], level[:190], y[:190], variances[:190], NUGGET, support)
    grown = old.with_data(x[190:195], level[190:195], y[:195], variances[190:195])
    grown = grown.with_data(x[195:], level[195:], y, variances[195:])
    seen = np.concatenate([support, np.arange(190, 200)])
    whole = GroupProcess(KERNEL, x, level, y, variances, NUGGET, seen)
    assert grown.support is not None
    np.testing.assert_array_equal(grown.support, seen)
    assert grown.continues(x, level, variances)
    z = np.random.default_rng(1).random((30, 2))
    one, other = whole.moments(z, 1), grown.moments(z, 1)
    # the old ones know their neighbours by the old support alone: a difference, but a small one
    assert np.sqrt(np.mean(((one.mean - other.mean) / one.std) ** 2)) < 0.5
    np.testing.assert_allclose(grown.moments(x[190:], 1).std[level[190:] == 1], 0.0, atol=3e-3)
    other = grown.moments(x[195:], 1).mean[level[195:] == 1]
    np.testing.assert_allclose(other, y[195:][level[195:] == 1], atol=3e-3)


def test_values_on_another_scale_are_carried_again() -> None:
    x, level, y, variances = data(90)
    support = np.arange(0, 80, 2)
    old = GroupProcess(KERNEL, x[:80], level[:80], y[:80], variances[:80], NUGGET, support)
    grown = old.with_data(x[80:], level[80:], 2.0 * y, variances[80:])
    whole = GroupProcess(KERNEL, x, level, 2.0 * y, variances, NUGGET, support)
    z = np.random.default_rng(1).random((9, 2))
    np.testing.assert_allclose(grown.means(z, 0), whole.means(z, 0))


def test_a_process_whose_support_has_grown_much_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, level, y, variances = data(40)
    found = GroupProcess(KERNEL, x, level, y, variances, NUGGET, np.arange(30))
    assert found.continues(x, level, variances)
    monkeypatch.setattr("probewise.planner._network_process.EXACT", 29)
    assert not found.continues(x, level, variances)


def test_the_support_is_spread_and_denser_where_the_end_was_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_network_sparse, "_SUPPORT", 100)
    x = np.random.default_rng(2).random((2000, 2))
    level = np.zeros(2000, dtype=np.int64)
    standing = np.maximum(1.0 - np.abs(x - 0.2).max(1), 0.0)
    found = support_of(KERNEL, x, level, standing)
    assert len(found) == len(set(found.tolist())) == 100
    assert np.sum(np.abs(x[found] - 0.2).max(1) < 0.1) > 40
    far = np.linalg.norm(x[:, None] - x[None, found], axis=2).min(1)
    assert far.max() < 0.2


def test_repeated_inputs_are_spread_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_network_sparse, "_SUPPORT", 20)
    x = np.repeat(np.random.default_rng(2).random((12, 2)), 5, axis=0)
    found = support_of(KERNEL, x, np.zeros(60, dtype=np.int64), np.zeros(60))
    assert len(np.unique(x[found], axis=0)) == 12
    assert len(found) == 10 + 10
