"""Groups of quantities: slopes, growing factors, sources, fits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probewise.planner._network_data import with_scatter
from probewise.planner._network_fit import Fit, Told, _Posterior, fit_group
from probewise.planner._network_kernel import LevelKernel
from probewise.planner._network_process import GroupProcess


def data(n: int = 24, d: int = 2, levels: int = 2, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    x, level = rng.random((n, d)), rng.integers(0, levels, n)
    y = np.sin(5 * x[:, 0]) + x[:, 1] + 0.4 * level * x[:, 0]
    return x, level, (y - y.mean()) / y.std(), np.full(n, 1e-6)


def kernel(levels: int = 2, d: int = 2) -> LevelKernel:
    lengths = 0.3 + 0.1 * np.arange(levels * d, dtype=np.float64).reshape(levels, d)
    return LevelKernel(
        lengths,
        np.array([1.0, 0.4])[:levels],
        np.array([[1.0, 0.0], [0.7, 1.0]])[:levels, :levels],
        np.array([0.0, 0.02])[:levels],
    )


def process(levels: int = 2) -> GroupProcess:
    x, level, y, noise = data(levels=levels)
    return GroupProcess(kernel(levels), x, level, y, noise, np.full(levels, 1e-6))


TOLD = (Told(0, 2, float(np.arctanh(0.6)), 0.1), Told(1, 2, float(np.arctanh(0.85)), 0.1))


@pytest.mark.parametrize(("levels", "told"), [(1, ()), (2, ()), (3, TOLD)])
def test_the_slope_of_the_posterior_is_exact(levels: int, told: tuple[Told, ...]) -> None:
    x, level, y, noise = data(levels=levels)
    posterior = _Posterior(x, level, y, noise, np.ones(2), levels, told=told)
    theta = posterior.center + 0.2 * np.random.default_rng(1).standard_normal(len(posterior.center))
    theta[3 * levels : 4 * levels] = np.log(1e-3)
    _, slope = posterior(theta)
    for i in range(len(theta)):
        step = np.zeros(len(theta))
        step[i] = 1e-5
        numeric = (posterior(theta + step)[0] - posterior(theta - step)[0]) / 2e-5
        assert slope[i] == pytest.approx(numeric, rel=1e-4, abs=1e-4)


def test_slopes_of_moments_are_exact() -> None:
    found, z = process(), np.random.default_rng(2).random((6, 2))
    moments = found.moments(z, 1, slopes=True)
    for i in range(2):
        step = np.zeros(2)
        step[i] = 1e-5
        high, low = found.moments(z + step, 1), found.moments(z - step, 1)
        np.testing.assert_allclose(
            moments.mean_slope[:, i], (high.mean - low.mean) / 2e-5, rtol=1e-4, atol=1e-6
        )
        np.testing.assert_allclose(
            moments.std_slope[:, i], (high.std - low.std) / 2e-5, rtol=1e-3, atol=1e-5
        )


def test_a_process_that_grew_is_the_process_of_all_data() -> None:
    x, level, y, noise = data()
    rough = np.full(2, 1e-6)
    whole = GroupProcess(kernel(), x, level, y, noise, rough)
    grown = GroupProcess(kernel(), x[:9], level[:9], y[:9], noise[:9], rough)
    assert grown.continues(x, level, noise)
    grown = grown.with_data(x[9:20], level[9:20], y[:20], noise[9:20])
    grown = grown.with_data(x[20:], level[20:], y, noise[20:])
    assert not grown.continues(x[:9], level[:9], noise[:9])
    z = np.random.default_rng(3).random((7, 2))
    for lev in (0, 1):
        one, other = whole.moments(z, lev), grown.moments(z, lev)
        np.testing.assert_allclose(one.mean, other.mean, atol=1e-7)
        np.testing.assert_allclose(one.std, other.std, atol=1e-7)
        np.testing.assert_allclose(whole.means(z, lev), one.mean, atol=1e-12)
    unchanged = grown.with_data(x[:0], level[:0], 2.0 * y, noise[:0])
    np.testing.assert_allclose(unchanged.moments(z, 0).mean, 2.0 * grown.moments(z, 0).mean)


def test_covariance_between_levels_is_that_of_conditioning() -> None:
    """Measuring the cheap source at z changes the dear one at x by covariance over variance."""
    found, rng = process(), np.random.default_rng(4)
    z, x = rng.random((1, 2)), rng.random((5, 2))
    before, at = found.moments(x, 1), found.moments(z, 0)
    covariance = found.covariance(x, 1, z, 0)[:, 0]
    told = at.mean + 0.7
    after = found.with_data(z, np.array([0]), np.concatenate([found.y, told]), np.array([1e-6]))
    predicted = before.mean + covariance / (at.std**2 + 2e-6) * 0.7
    np.testing.assert_allclose(after.moments(x, 1).mean, predicted, atol=1e-5)
    np.testing.assert_allclose(
        found.paired(x, 0, 1), np.diag(found.covariance(x, 0, x, 1)), atol=1e-10
    )
    np.testing.assert_allclose(found.paired(x, 1, 1), before.std**2, atol=1e-10)


def test_a_source_without_relation_is_dropped_and_a_good_one_used() -> None:
    rng = np.random.default_rng(5)
    x = rng.random((60, 1))
    level = np.repeat([0, 1], 30)
    good = np.sin(6 * x[:, 0])
    z = rng.random((20, 1))
    dear, shares = np.ones(20, dtype=int), []
    for cheap in (good + 0.1, np.cos(17 * x[:, 0])):
        y, noise = np.where(level == 1, good, cheap), np.full(60, 1e-4)
        fit = fit_group(x, level, y, noise, np.ones(1), 2)
        found = GroupProcess(fit.kernel, x[:30], level[:30], y[:30], noise[:30], fit.nugget)
        before = np.sqrt(fit.kernel.prior_variance(1))
        shares.append(float(np.median(found.moments(z, int(dear[0])).std)) / before)
    assert shares[0] < 0.8 < 0.9 < shares[1]


def test_roughness_is_fitted_where_no_smooth_function_is() -> None:
    rng = np.random.default_rng(6)
    x = rng.random((80, 1))
    smooth = np.sin(4 * x[:, 0])
    rough = smooth + 0.3 * rng.standard_normal(80)
    fits = [
        fit_group(x, np.zeros(80, int), y, np.full(80, 1e-8), np.ones(1), 1)
        for y in (smooth, rough)
    ]
    rough = [float(fit.kernel.roughness[0]) for fit in fits]
    assert rough[0] < 1e-4 < 0.03 < rough[1] < 0.3


def test_a_cheap_source_tells_of_what_is_peculiar_to_one_candidate() -> None:
    """No candidate tells of another, but the source of all of them, by 0.9."""
    rng = np.random.default_rng(8)
    x = rng.random((60, 3))
    cheap = rng.standard_normal(60)
    dear = 0.9 * cheap + np.sqrt(0.19) * rng.standard_normal(60)
    seen = np.concatenate([x, x[:30]])
    level = np.repeat([0, 1], [60, 30])
    y, noise = np.concatenate([cheap, dear[:30]]), np.full(90, 1e-8)
    fit = fit_group(seen, level, y, noise, np.ones(3), 2)
    found = GroupProcess(fit.kernel, seen, level, y, noise, fit.nugget).moments(x[30:], 1)
    assert np.corrcoef(found.mean, dear[30:])[0, 1] > 0.8
    z = (dear[30:] - found.mean) / found.std
    assert 0.6 < z.std() < 1.6


@pytest.mark.slow
def test_a_dear_proxy_does_not_make_a_cheap_one_worthless() -> None:
    """Two proxies whose errors have nothing to do with each other: both count."""
    rng = np.random.default_rng(9)
    x, truth = rng.random((70, 3)), rng.standard_normal(70)
    rough = 0.6 * truth + 0.8 * rng.standard_normal(70)
    fine = 0.8 * truth + 0.6 * rng.standard_normal(70)
    level = np.repeat([0, 1, 2], 70)
    y, noise = np.concatenate([rough, fine, truth]), np.full(210, 1e-8)
    kernel = fit_group(np.tile(x, (3, 1)), level, y, noise, np.ones(3), 3, listed=True).kernel
    own = kernel.variances + kernel.roughness
    joint = (kernel.shares * own) @ kernel.shares.T
    believed = joint / np.sqrt(np.outer(joint.diagonal(), joint.diagonal()))
    np.testing.assert_allclose(believed, np.corrcoef([rough, fine, truth]), atol=0.12)


@pytest.mark.parametrize("alike", [True, False])
def test_listed_candidates_are_peculiar_if_neighbours_differ(alike: bool) -> None:
    rng = np.random.default_rng(10)
    x = rng.random((25, 2))
    y = np.sin(3.0 * x.sum(1)) if alike else rng.standard_normal(25)
    fit = fit_group(x, np.zeros(25, int), y, np.full(25, 1e-8), np.ones(2), 1, listed=True)
    assert (fit.kernel.roughness[0] > 0.1) is not alike


@pytest.mark.parametrize("alike", [True, False])
def test_listed_candidates_with_sources_are_strangers_if_nothing_is_alike(alike: bool) -> None:
    """What a smooth dependence would explain is then not looked for in every scatter of a look."""
    rng = np.random.default_rng(12)
    x = rng.random((60, 3))
    truth = np.sin(4.0 * x.sum(1)) if alike else rng.standard_normal(60)
    look = 0.6 * truth / truth.std() + 0.8 * rng.standard_normal(60)
    level = np.repeat([0, 1], [60, 15])
    y, seen = np.concatenate([look, truth[:15]]), np.concatenate([x, x[:15]])
    kernel = fit_group(seen, level, y, np.full(75, 1e-8), np.ones(3), 2, listed=True).kernel
    assert (kernel.variances.max() < 0.01) is not alike
    assert kernel.roughness.min() > 0.0


def test_repetitions_that_disagree_raise_the_noise() -> None:
    x = np.array([[0.1], [0.1], [0.7], [0.9]])
    level, y = np.array([0, 0, 0, 1]), np.array([1.0, 2.0, 0.0, 5.0])
    raised = with_scatter(x, level, y, np.full(4, 0.1))
    np.testing.assert_allclose(raised, [0.5, 0.5, 0.5, 0.1])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-3, 3), min_size=1, max_size=12),
    st.sampled_from([0.0, 1e-12, 1.0]),
    st.integers(0, 3),
)
def test_no_data_break_the_algebra(values: list[float], spread: float, seed: int) -> None:
    """Constant outputs, repeated points, one datum: finite moments, never a crash."""
    rng = np.random.default_rng(seed)
    n = len(values)
    x = spread * rng.random((n, 2))
    y, noise = np.array(values), np.full(n, 1e-10)
    fit = fit_group(x, np.zeros(n, int), y, noise, np.ones(2), 1)
    found = GroupProcess(fit.kernel, x, np.zeros(n, int), y, noise, fit.nugget)
    moments = found.moments(rng.random((5, 2)), 0, slopes=True)
    for part in (moments.mean, moments.std, moments.mean_slope, moments.std_slope):
        assert np.isfinite(part).all()
    assert (moments.std >= 0).all()


def correlations(fit: Fit) -> Any:
    """Correlations (L, L) of all levels of a fit at one input."""
    k = fit.kernel
    covariance = (k.shares * (k.variances + k.roughness)) @ k.shares.T
    root = np.sqrt(np.diag(covariance))
    return covariance / np.outer(root, root)


@pytest.mark.parametrize("n", [0, 1, 30])
@pytest.mark.parametrize("listed", [False, True])
def test_what_was_told_of_a_source_holds_until_data_contradict_it(n: int, listed: bool) -> None:
    rng = np.random.default_rng(3)
    x, level = rng.random((n, 2)), np.arange(n) % 3
    if n > 2:
        x[1::3] = x[2::3] = x[::3]
    y = rng.standard_normal(n)  # in which nothing correlates
    fit = fit_group(x, level, y, np.full(n, 1e-4), np.ones(2), 3, listed, TOLD)
    assert correlations(fit)[2, :2] == pytest.approx([0.6, 0.85], abs=0.08)


@pytest.mark.slow
def test_many_data_weigh_more_than_what_was_told() -> None:
    rng = np.random.default_rng(3)
    x = np.tile(rng.random((120, 2)), (2, 1))
    y, level = rng.standard_normal(240), np.repeat([0, 1], 120)
    told = (Told(0, 1, float(np.arctanh(0.9)), 0.5),)
    fit = fit_group(x, level, y, np.full(240, 1e-4), np.ones(2), 2, True, told)
    assert abs(correlations(fit)[0, 1]) < 0.35


def implied(*told: Told) -> np.ndarray[Any, Any]:
    """Correlations (L, L) that a group of which nothing is measured has, told these."""
    none, levels = np.zeros(0), np.zeros(0, dtype=np.int64)
    count = 1 + max(t.other for t in told)
    return correlations(
        fit_group(np.zeros((0, 2)), levels, none, none, np.ones(2), count, told=told)
    )


@pytest.mark.parametrize("r", [0.3, 0.85, 0.95, 0.99])
def test_a_source_that_is_told_to_run_against_is_the_mirror_of_one_that_runs_with(r: float) -> None:
    along, against = implied(Told.of(0, 1, r, 0.1))[0, 1], implied(Told.of(0, 1, -r, 0.1))[0, 1]
    assert against == pytest.approx(-along, abs=1e-3)
    assert along == pytest.approx(r, abs=0.05)
    both = implied(Told.of(0, 2, -0.6, 0.1), Told.of(1, 2, 0.85, 0.1))
    assert both[0, 2] == pytest.approx(-0.6, abs=0.05) and both[0, 1] < 0.0


@pytest.mark.parametrize("std", [1.0, 0.1, 0.03, 0.001])
def test_the_better_a_source_is_told_to_be_the_better_it_is_believed(std: float) -> None:
    told = [0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0 - 1e-16]
    believed = [implied(Told.of(0, 1, r, std))[0, 1] for r in told]
    assert believed == sorted(believed)
