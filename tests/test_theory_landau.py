from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from probewise.theory import (
    NAMES,
    PARAMETERS,
    boundary_sm,
    from_normal,
    growth_quality,
    polarization,
    prior_ensemble,
    remanent,
    switched_fraction,
    to_normal,
    transition_sm,
)

normals = arrays(np.float64, (1, len(NAMES)), elements=st.floats(-8, 8))
shares = st.floats(0, 1)


def theta_with(**changes: float) -> np.ndarray:
    values = {p.name: p.center for p in PARAMETERS} | changes
    return np.array([[values[name] for name in NAMES]])


@given(z=normals)
def test_transforms_are_inverses(z: np.ndarray) -> None:
    z = np.clip(z, -4, 4)
    assert np.allclose(to_normal(from_normal(z)), z, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(z=normals, u=st.tuples(shares, shares, shares))
def test_polarization_is_finite_positive_and_below_saturation(
    z: np.ndarray, u: tuple[float, float, float]
) -> None:
    theta = from_normal(z)
    design = ([0.25 * u[0]], [550 + 200 * u[1]], [200 ** u[2]])
    value = polarization(theta, *design)[0, 0]
    bounds = remanent(theta, design[0]), switched_fraction(theta, design[0])
    growth = growth_quality(theta, *design[1:])
    assert np.isfinite(value) and value >= 0
    assert value <= bounds[0][0, 0] + 1e-12 and np.all(bounds[1] <= 1)
    assert 0 <= growth[0, 0] <= 1
    assert np.all(np.isfinite(boundary_sm(theta)))


def test_order_parameter_solves_the_landau_equation() -> None:
    for quartic in (-0.6, 0.0, 0.5):
        theta = theta_with(quartic=quartic, smear_sm=1e-4, saturation_uC_per_cm2=1.0)
        x = np.array([0.0, 0.05, 0.1])
        p = remanent(theta, x)[0]
        force = -(1 - x / 0.14) * p + quartic * p**3 + (1 - quartic) * p**5
        assert np.allclose(force, 0, atol=1e-9)


def test_first_order_transition_is_where_both_states_have_equal_energy() -> None:
    b, x_c = -0.7, 0.14
    x = transition_sm(theta_with(quartic=b, instability_sm=x_c))[0]
    t = 1 - x / x_c
    p2 = (-b + np.sqrt(b**2 + 4 * (1 - b) * t)) / (2 * (1 - b))
    energy = -t * p2 / 2 + b * p2**2 / 4 + (1 - b) * p2**3 / 6
    assert x > x_c and energy == pytest.approx(0, abs=1e-12)
    assert transition_sm(theta_with(quartic=0.3))[0] == pytest.approx(0.14)


def test_softening_lets_more_of_the_film_switch_towards_the_transition() -> None:
    shares = switched_fraction(theta_with(coercive_ratio=2.0), [0.0, 0.06, 0.12])[0]
    assert np.all(np.diff(shares) > 0) and shares[0] < 0.2 and shares[-1] > 0.9
    stronger = switched_fraction(theta_with(coercive_ratio=2.0), [0.0, 0.06, 0.12], field=2.0)[0]
    assert stronger[0] == pytest.approx(0.5, abs=1e-3) and np.all(stronger > shares)


def test_growth_is_best_at_its_centre() -> None:
    theta = theta_with(window_tilt=0.6)
    assert growth_quality(theta, [650.0], [20.0])[0, 0] == pytest.approx(1.0)
    tilted = growth_quality(theta, [680.0, 680.0], [40.0, 10.0])[0]
    assert tilted[0] > tilted[1]


def test_boundary_is_where_the_curve_crosses_the_level() -> None:
    theta = prior_ensemble(12, seed=3)
    found = boundary_sm(theta, level=0.5)
    x = np.linspace(0, 0.4, 401)
    for row, edge in zip(theta, found, strict=True):
        top = (remanent(row, x) * switched_fraction(row, x)).max()
        at = (remanent(row, [edge]) * switched_fraction(row, [edge]))[0, 0]
        assert at == pytest.approx(0.5 * top, rel=0.02)
    assert np.all(boundary_sm(theta, level=0.9) < found)


def test_prior_ensemble_is_seeded_and_covers_what_is_plausible() -> None:
    theta = prior_ensemble(400, seed=0)
    assert np.array_equal(theta, prior_ensemble(400, seed=0))
    assert not np.array_equal(theta, prior_ensemble(400, seed=1))
    saturation, boundary = theta[:, 0], boundary_sm(theta)
    assert saturation.mean() == pytest.approx(50, abs=2)
    assert saturation.std() == pytest.approx(15, abs=2)
    assert theta[:, 1].mean() == pytest.approx(0.14, abs=0.01)
    assert 0.02 < boundary.std() < 0.05
    at_best = polarization(theta, [0.08], [650.0], [20.0])[:, 0]
    assert np.percentile(at_best, 5) < 15 and np.percentile(at_best, 95) > 40


def test_wrong_number_of_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match="columns"):
        polarization(np.ones((2, 3)), [0.1], [650.0], [20.0])
