from __future__ import annotations

import numpy as np
import pytest

from probewise.theory import (
    NAMES,
    Measurements,
    boundary_sm,
    from_normal,
    polarization,
    prior_ensemble,
    refit,
    sample_posterior,
    to_normal,
)


def strips(count: int, rng: np.random.Generator) -> np.ndarray:
    """Designs in the unit cube: strips of four pads along a composition gradient."""
    unit = np.repeat(rng.random((count // 4, 3)), 4, axis=0)
    unit[:, 0] = np.clip(unit[:, 0] + np.tile(np.linspace(-0.16, 0.16, 4), count // 4), 0, 1)
    return unit


def physical(unit: np.ndarray) -> np.ndarray:
    return np.stack([0.25 * unit[:, 0], 550 + 200 * unit[:, 1], 200 ** unit[:, 2]], axis=1)


def from_theory(count: int, seed: int) -> tuple[np.ndarray, Measurements]:
    """Parameters drawn from the prior, and data that obey the model the fit assumes."""
    rng = np.random.default_rng(seed)
    theta = from_normal(rng.standard_normal(len(NAMES)))
    unit = strips(count, rng)
    is_loop = rng.random(count) < 0.7
    field = np.where(is_loop, np.exp(0.35 * rng.normal()), 1.0)
    truth = polarization(theta, *physical(unit).T, field=field)[0]
    std = np.where(is_loop, 3.0, 1.0)
    seen = np.where(is_loop, np.exp(0.25 * rng.normal()) * truth + 3 * rng.normal(), truth)
    value = seen + np.hypot(std, 1.0) * rng.standard_normal(count)
    return theta, Measurements(physical(unit), unit, value, std, is_loop)


def test_sampler_recovers_a_gaussian_posterior_and_its_evidence() -> None:
    noise, datum = 0.5, 1.2

    def log_likelihood(z: np.ndarray) -> np.ndarray:
        return -0.5 * ((z[:, 0] - datum) / noise) ** 2 - np.log(noise * np.sqrt(2 * np.pi))

    found = sample_posterior(log_likelihood, 3, np.random.default_rng(0), particles=2000)
    total = 1 + noise**2
    evidence = -0.5 * datum**2 / total - 0.5 * np.log(2 * np.pi * total)
    assert abs(found.points[:, 0].mean() - datum / total) < 0.06
    assert abs(found.points[:, 0].std() - noise / np.sqrt(total)) < 0.06
    assert np.allclose(found.points[:, 1:].std(axis=0), 1, atol=0.15)
    assert abs(found.log_evidence - evidence) < 0.1


def test_sampler_finds_both_modes() -> None:
    def log_likelihood(z: np.ndarray) -> np.ndarray:
        return -0.5 * ((np.abs(z[:, 0]) - 1.5) / 0.1) ** 2

    points = sample_posterior(log_likelihood, 2, np.random.default_rng(1)).points[:, 0]
    assert 0.25 < np.mean(points > 0) < 0.75
    assert np.all(np.abs(np.abs(points) - 1.5) < 0.6)


def test_sampler_ends_on_absurd_likelihoods() -> None:
    found = sample_posterior(lambda z: -1e8 * z[:, 0] ** 2, 2, np.random.default_rng(0), 64, 2)
    assert np.all(np.isfinite(found.points)) and np.abs(found.points[:, 0]).max() < 0.5


@pytest.mark.slow
def test_parameters_and_boundary_are_recovered_with_honest_errors() -> None:
    scores, edges = [], []
    for seed in range(12):
        theta, data = from_theory(24, seed)
        posterior = refit(data, members=16, seed=seed)
        ensemble = to_normal(posterior.theta)
        spread = ensemble.std(axis=0, ddof=1)
        scores.append((to_normal(theta)[0] - ensemble.mean(axis=0)) / spread)
        edges.append((boundary_sm(theta)[0] - posterior.boundary_mean) / posterior.boundary_std)
    assert 0.75 < np.sqrt(np.mean(np.square(scores))) < 1.4
    assert 0.4 < np.sqrt(np.mean(np.square(edges))) < 1.8
    assert np.abs(edges).max() < 4.5


def test_many_data_narrow_the_posterior_and_few_hardly_do() -> None:
    prior_edge = boundary_sm(prior_ensemble(400, 0)).std()
    _, many = from_theory(60, seed=5)
    _, few = from_theory(4, seed=5)
    few = Measurements(*(part[:2] for part in vars(few).values()))
    narrow, wide = refit(many, 16, 0), refit(few, 16, 0)
    assert narrow.boundary_std < 0.6 * prior_edge
    assert narrow.pinned > wide.pinned + 1.0
    spread_narrow, spread_wide = (
        to_normal(posterior.theta).std(axis=0, ddof=1).mean() for posterior in (narrow, wide)
    )
    assert spread_narrow < spread_wide
    assert 0.7 < spread_wide < 1.1


def test_one_datum_is_enough() -> None:
    _, data = from_theory(4, seed=2)
    one = Measurements(*(part[:1] for part in vars(data).values()))
    posterior = refit(one, members=8, seed=0)
    assert posterior.theta.shape == (8, len(NAMES)) and np.all(np.isfinite(posterior.theta))


def test_same_seed_same_ensemble() -> None:
    _, data = from_theory(12, seed=1)
    first, again, other = (refit(data, 16, seed) for seed in ((0, 7), (0, 7), (0, 8)))
    assert np.array_equal(first.theta, again.theta)
    assert not np.array_equal(first.theta, other.theta)


def foreign_truth(design: np.ndarray, edge_sm: float) -> np.ndarray:
    """A film that no parameters of the theory describe: another peak, a lopsided growth window."""
    x, temperature_C, pressure_mTorr = design.T
    peak = 50 * (0.35 + 0.65 * np.exp(-(((x - 0.8 * edge_sm) / 0.05) ** 2)))
    hot = temperature_C - (650 - 150 * x)
    ln_p = np.log(pressure_mTorr / 20)
    window = (
        np.abs(hot / np.where(hot > 0, 30, 60)) ** 1.6 + (ln_p / np.where(ln_p > 0, 0.9, 1.6)) ** 2
    )
    return peak / (1 + np.exp((x - edge_sm) / 0.008)) * np.exp(-0.5 * window)


@pytest.mark.slow
def test_a_wrong_model_does_not_collapse_on_a_wrong_answer() -> None:
    scores, misfits = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        edge = 0.14 + 0.02 * rng.standard_normal()
        unit = 0.1 + 0.8 * strips(40, rng)
        design = physical(unit)
        value = foreign_truth(design, edge) + np.sqrt(2) * rng.standard_normal(40)
        data = Measurements(design, unit, value, np.ones(40), np.zeros(40, dtype=bool))
        posterior = refit(data, 16, seed)
        grid = np.linspace(0, 0.25, 500)
        line = np.stack([grid, np.full(500, 634.0), np.full(500, 20.0)], axis=1)
        curve = foreign_truth(line, edge)
        top = curve.argmax()
        crossing = grid[top + np.flatnonzero(curve[top:] < 0.5 * curve.max())[0]]
        scores.append((crossing - posterior.boundary_mean) / posterior.boundary_std)
        misfits.append(posterior.reduced_chi2)
    assert np.abs(scores).max() < 4
    assert np.sqrt(np.mean(np.square(scores))) < 2
    assert np.mean(misfits) > 1.2


def test_a_stronger_field_under_the_tip_is_learnt_from_both_kinds_of_data() -> None:
    rng = np.random.default_rng(3)
    theta = from_normal(np.zeros(len(NAMES)))
    unit = np.stack([np.linspace(0, 0.6, 32), np.full(32, 0.5), np.full(32, 0.57)], axis=1)
    is_loop = np.arange(32) % 2 == 0
    field = np.where(is_loop, 1.7, 1.0)
    value = polarization(theta, *physical(unit).T, field=field)[0] + rng.standard_normal(32)
    posterior = refit(Measurements(physical(unit), unit, value, np.ones(32), is_loop), 16, 0)
    assert 1.25 < posterior.tip_field < 2.2
