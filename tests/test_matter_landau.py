"""The Landau energy of competing polar and antipolar order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probewise.matter import Landau, make_world, switching_fields
from probewise.workflow import SpecError

WORLD = make_world(0)
LANDAU = Landau(WORLD)
FRACTIONS = st.floats(0.0, 0.3)
POLARIZATIONS = st.floats(-150.0, 150.0)


@given(P=POLARIZATIONS, A=POLARIZATIONS, x=FRACTIONS)
def test_without_a_field_no_direction_is_preferred(P: float, A: float, x: float) -> None:
    energies = LANDAU.energy([P, -P, P, -P], [A, A, -A, -A], x)
    np.testing.assert_allclose(energies, energies[0])


@given(P=st.floats(1.0, 150.0), x=FRACTIONS, field=st.floats(1.0, 500.0))
def test_a_field_prefers_its_own_direction(P: float, x: float, field: float) -> None:
    along, against = LANDAU.energy([P, -P], 0.0, x, field)
    assert along < against


@given(P=POLARIZATIONS, x=FRACTIONS)
def test_the_relaxed_antipolar_order_is_the_best_one(P: float, x: float) -> None:
    relaxed = np.sqrt(LANDAU.antipolar_squared(P, x))
    tried = np.linspace(0.0, 200.0, 401)
    best = LANDAU.energy(P, relaxed, x)
    assert np.all(LANDAU.energy(P, tried, x) >= best - 1e-9 * (1.0 + abs(best)))


@given(P=st.floats(-120.0, 120.0), x=FRACTIONS)
def test_the_restoring_field_is_the_slope_of_the_relaxed_energy(P: float, x: float) -> None:
    h = 1e-3
    sides = np.array([P - h, P + h])
    energy = LANDAU.energy(sides, np.sqrt(LANDAU.antipolar_squared(sides, x)), x)
    slope = (energy[1] - energy[0]) / (2 * h)
    assert slope == pytest.approx(float(LANDAU.restoring_field(P, x)), rel=1e-3, abs=0.5)


def test_polar_and_antipolar_order_meet_at_the_boundary() -> None:
    def energies(x: float) -> tuple[float, float]:
        antipolar = np.sqrt(LANDAU.antipolar_squared(0.0, x))
        polar = LANDAU.spontaneous(x)
        return float(LANDAU.energy(polar, 0.0, x)), float(LANDAU.energy(0.0, antipolar, x))

    polar, antipolar = energies(WORLD.boundary_x)
    assert polar == pytest.approx(antipolar)
    polar, antipolar = energies(WORLD.boundary_x - 0.03)
    assert polar < antipolar
    polar, antipolar = energies(WORLD.boundary_x + 0.03)
    assert polar > antipolar


def test_far_beyond_the_boundary_there_is_no_order_at_all() -> None:
    x = 0.40
    assert LANDAU.spontaneous(x) == 0.0
    assert LANDAU.antipolar_squared(0.0, x) == 0.0


def test_samarium_lowers_the_field_that_leaves_the_polar_state() -> None:
    table = switching_fields(WORLD)
    until = table.x < WORLD.boundary_x
    assert np.all(np.diff(table.leaving_kV_per_cm[until]) < 0.0)
    assert np.all(table.leaving_kV_per_cm[table.x > WORLD.boundary_x + 0.03] == 0.0)
    assert np.all(table.crossing_kV_per_cm >= table.leaving_kV_per_cm)


@pytest.mark.parametrize("seed", [-1, 0.5, "0", True])
def test_a_strange_seed_is_refused(seed: object) -> None:
    with pytest.raises(SpecError, match="world_seed"):
        make_world(seed)  # pyright: ignore[reportArgumentType]


def test_the_boundary_lies_where_it_was_found() -> None:
    """x = 0.14 within 0.015: Fujino et al., Appl. Phys. Lett. 92, 202904 (2008)."""
    boundaries = np.array([make_world(seed).boundary_x for seed in range(50)])
    assert np.all(np.abs(boundaries - 0.14) <= 0.015)
    assert boundaries.std() > 0.004
