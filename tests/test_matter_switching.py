"""The switchable polarization over the design space."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probewise.matter import (
    SPACE,
    Landau,
    Regions,
    SmBfoTruth,
    TEST_FIELD_kV_per_cm,
    grow,
    landscape,
    loops,
    make_world,
    switchable_polarization,
)

WORLD = make_world(0)
OPTIMUM = landscape(WORLD).optimum


@given(
    seed=st.integers(0, 50),
    x=st.floats(-0.01, 0.26),
    temperature_C=st.floats(500.0, 800.0),
    pressure_mTorr=st.floats(0.5, 300.0),
)
def test_it_is_finite_and_between_zero_and_saturation(
    seed: int, x: float, temperature_C: float, pressure_mTorr: float
) -> None:
    world = make_world(seed)
    value = float(switchable_polarization(world, x, temperature_C, pressure_mTorr))
    assert 0.0 <= value <= 1.05 * world.saturation_uC_per_cm2


def test_arrays_give_what_single_designs_give() -> None:
    rng = np.random.default_rng(0)
    columns = [v.from_unit(rng.random(5000)) for v in SPACE.variables]
    together = switchable_polarization(WORLD, *columns)
    few = [0, 17, 4095, 4096, 4999]
    alone = [float(switchable_polarization(WORLD, *(c[i] for c in columns))) for i in few]
    np.testing.assert_allclose(together[few], alone, rtol=1e-12)


def test_arguments_broadcast() -> None:
    grid = switchable_polarization(WORLD, np.linspace(0, 0.25, 7)[:, None], [600.0, 650.0], 20.0)
    assert grid.shape == (7, 2)


@pytest.mark.parametrize(
    ("x", "temperature_C", "pressure_mTorr"),
    [(0.0, 650, 20), (0.06, 600, 40), (0.09, 654, 20), (0.13, 640, 10), (0.15, 650, 30)],
)
def test_slow_dynamics_come_to_the_same_as_the_closed_form(
    x: float, temperature_C: float, pressure_mTorr: float
) -> None:
    film = grow(WORLD, x, temperature_C, pressure_mTorr)
    y, k, h = np.random.default_rng(1).standard_normal((3, 1, 3000))
    regions = Regions(
        composition=float(film.composition) + WORLD.composition_spread * y,
        barrier=WORLD.barrier_fraction * float(film.pinning) * np.exp(WORLD.barrier_spread * k),
        built_in_kV_per_cm=float(film.imprint_kV_per_cm) + float(film.imprint_spread_kV_per_cm) * h,
        gain=np.full_like(y, 1.0 / (1.0 + float(film.leak))),
    )
    pulses = TEST_FIELD_kV_per_cm * np.array([1.0, -1.0])
    up, down = loops(Landau(WORLD), regions, pulses, at_rest=True, substeps=200)[0]
    moved = 0.5 * float(film.quality) * (up - down)
    closed = float(switchable_polarization(WORLD, x, temperature_C, pressure_mTorr))
    assert moved == pytest.approx(closed, abs=1.8)


def test_it_falls_beyond_the_boundary_and_towards_the_pure_end() -> None:
    x = np.array([0.0, OPTIMUM[0], WORLD.boundary_x + 0.06])
    pure, best, beyond = switchable_polarization(WORLD, x, *OPTIMUM[1:])
    assert pure < 0.6 * best
    assert beyond < 0.05 * best


@pytest.mark.parametrize("column", [1, 2])
def test_growth_has_its_best_condition_inside(column: int) -> None:
    line = np.tile(np.array(OPTIMUM), (3, 1))
    variable = SPACE.variables[column]
    line[0, column], line[2, column] = variable.from_unit(np.array([0.0, 1.0]))
    low, best, high = switchable_polarization(WORLD, *line.T)
    assert max(low, high) < 0.8 * best


def test_more_pressure_asks_for_more_heat() -> None:
    temperatures = np.linspace(550.0, 750.0, 401)
    low, high = OPTIMUM[2] / 3, OPTIMUM[2] * 3

    def centre(pressure: float) -> float:
        value = switchable_polarization(WORLD, OPTIMUM[0], temperatures, pressure)
        return float(np.average(temperatures, weights=value))

    assert centre(high) > centre(low) + 5.0


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_the_search_is_neither_trivial_nor_a_needle_in_a_haystack(seed: int) -> None:
    known = landscape(make_world(seed))
    values = SmBfoTruth(seed).polarization(SPACE.sobol(2**13, seed=1))
    assert 50.0 < known.best < 75.0
    assert 0.01 < np.mean(values > 0.95 * known.best) < 0.04
    assert 0.10 * known.best < known.median < 0.45 * known.best
    assert np.all(values <= known.best + 1e-6)


def test_worlds_differ() -> None:
    optima = np.array([landscape(make_world(seed)).optimum for seed in range(4)])
    assert np.ptp(optima[:, 0]) > 0.005
    assert np.ptp(optima[:, 1]) > 10.0
    assert np.ptp(np.log10(optima[:, 2])) > 0.1
