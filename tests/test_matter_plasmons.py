"""Coupled plasmons against what is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import k0, k1

from probewise.matter import DAMPING_eV, Particles, Plasmons, make_particles, make_plasmons
from probewise.matter._plasmons import depolarization, electron_speed

BULK_eV = 4.2
RADIUS_nm = 6.0
AXIS = np.linspace(0.0, 5.0, 2001)


def spheres(*x_nm: float) -> Plasmons:
    n = len(x_nm)
    ones = np.ones(n)
    return Plasmons(
        Particles(
            y_nm=0.0 * ones,
            x_nm=np.array(x_nm),
            long_nm=RADIUS_nm * ones,
            short_nm=RADIUS_nm * ones,
            angle=0.0 * ones,
            bulk_eV=BULK_eV * ones,
            atomic_number=47.0 * ones,
        )
    )


def test_one_sphere_has_the_frohlich_mode() -> None:
    energies, _ = spheres(0.0).modes
    np.testing.assert_allclose(energies, BULK_eV / np.sqrt(3.0), rtol=1e-4)


def test_two_spheres_split_as_two_dipoles_do() -> None:
    """Along the pair w^2 = w0^2 (1 -+ 2 (a/d)^3), across it w0^2 (1 +- (a/d)^3), each twice."""
    d = 20.0
    single, g = BULK_eV**2 / 3.0, (RADIUS_nm / d) ** 3
    expected = np.sqrt(single * np.array([1 - 2 * g, 1 - g, 1 - g, 1 + g, 1 + g, 1 + 2 * g]))
    np.testing.assert_allclose(spheres(0.0, d).modes[0], expected, rtol=1e-4)


def test_a_close_neighbour_moves_the_peak_to_the_red_where_the_electron_passes_outside() -> None:
    def peak(plasmons: Plasmons) -> float:
        beside = plasmons.loss(np.zeros(1), np.array([-9.0]), AXIS, 100.0)[0]
        return float(AXIS[np.argmax(beside)])

    alone, pair = peak(spheres(0.0)), peak(spheres(0.0, 14.0))
    assert pair < alone - 0.05
    assert peak(spheres(0.0, 60.0)) == pytest.approx(alone, abs=0.02)


def test_one_sphere_loses_what_the_formula_says() -> None:
    """Gamma(E) = (4 e^2 E^2 / (pi (hbar v)^4 gamma^2)) (K1^2 + K0^2 / gamma^2) Im alpha(E)."""
    beta, gamma = electron_speed(100.0)
    distance, energy = 15.0, BULK_eV / np.sqrt(3.0)
    strength = RADIUS_nm**3 * BULK_eV**2 / 3.0
    alpha = strength / (energy**2 - AXIS**2 - 1j * DAMPING_eV * AXIS)
    hv = 197.3269804 * beta
    reach = energy * distance / (hv * gamma)
    field = k1(reach) ** 2 + k0(reach) ** 2 / gamma**2
    expected = 4.0 * 1.439964548 * energy**2 / (np.pi * hv**4 * gamma**2) * field * alpha.imag
    found = spheres(0.0).loss(np.zeros(1), np.array([distance]), AXIS, 100.0)[0]
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=1e-9)


def test_the_loss_falls_with_the_distance() -> None:
    x = np.array([7.0, 12.0, 20.0, 40.0, 80.0])
    total = spheres(0.0).loss(np.zeros(5), x, AXIS, 100.0).sum(axis=1)
    assert np.all(np.diff(total) < 0)


@given(st.floats(1.0, 5.0))
def test_depolarization_factors_lie_between_needle_and_sphere(aspect: float) -> None:
    along = float(depolarization(np.array([aspect]))[0])
    assert 0.0 < along <= 1.0 / 3.0 + 1e-6
    assert float(depolarization(np.array([aspect + 0.1]))[0]) < along


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_scenes_are_what_the_dipoles_are_meant_for(seed: int) -> None:
    scene = make_particles(seed, "S1", 0)
    assert 40 <= len(scene) <= 70
    step = np.hypot(scene.y_nm[:, None] - scene.y_nm, scene.x_nm[:, None] - scene.x_nm)
    gap = step - scene.long_nm[:, None] - scene.long_nm + 1e9 * np.eye(len(scene))
    assert gap.min() > 0.4 * RADIUS_nm / 2
    assert make_particles(seed, "S1", 0) is scene
    assert len(make_particles(seed, "S2", 0)) != 0
    energies = make_plasmons(seed, "S1", 0).modes[0]
    assert energies.min() > 0.8 and energies.max() < 4.0


@given(st.floats(0, 200), st.floats(0, 200))
def test_losses_are_never_negative(y_nm: float, x_nm: float) -> None:
    loss = make_plasmons(0, "S1", 0).loss(np.array([y_nm]), np.array([x_nm]), AXIS, 100.0)
    assert loss.min() >= 0.0 and np.isfinite(loss).all()


def test_thickness_is_that_of_the_spheroid_at_its_centre() -> None:
    scene = make_particles(0, "S1", 0)
    there = scene.thickness_nm(scene.y_nm[:1], scene.x_nm[:1])
    assert there[0, 0] == pytest.approx(2.0 * scene.short_nm[0])
