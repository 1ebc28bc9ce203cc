"""Plasmons, core-loss edges, loops and sweeps: what calibration does not show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_drivers import program

from probewise.analysis import (
    Edge,
    Noise,
    composition,
    edge_signal,
    estimate_noise,
    fit_model,
    fit_plasmon,
    fit_sweep,
    loop_parameters,
)
from probewise.instruments import Console, StemTwinDriver

ENERGY = np.arange(-0.6, 5.0, 0.015)
BIAS = 16 / np.pi * np.arcsin(np.sin(2 * np.pi * np.arange(1, 65) / 64))


def low_loss(*peaks: tuple[float, float, float], seed: int = 0) -> np.ndarray:
    clean = 1e5 * np.exp(-0.5 * (ENERGY / 0.07) ** 2) + 40 * np.maximum(ENERGY, 0.15) ** -2.0
    for at, width, height in peaks:
        clean = clean + height / (1 + ((ENERGY - at) / (0.5 * width)) ** 2)
    return np.random.default_rng(seed).poisson(clean).astype(float)


@pytest.mark.parametrize("seed", range(3))
def test_as_many_peaks_as_there_are(seed: int) -> None:
    none = fit_plasmon(ENERGY, low_loss(seed=seed), noise=Noise())
    assert none.peaks == () and none.strongest is None
    two = fit_plasmon(ENERGY, low_loss((1.8, 0.3, 400), (3.4, 0.5, 150), seed=seed), noise=Noise())
    assert [round(p.energy_eV.value, 1) for p in two.peaks] == [1.8, 3.4]
    assert two.strongest is two.peaks[0] and 0.8 < two.misfit < 1.25


def test_energies_are_losses_wherever_the_zero_lies() -> None:
    counts = low_loss((2.2, 0.4, 500))
    for moved in (-0.2, 0.0, 0.35):
        fit = fit_plasmon(ENERGY + moved, counts, peaks=1)
        assert fit.zero_loss_eV.value == pytest.approx(moved, abs=0.005)
        assert fit.peaks[0].energy_eV.value == pytest.approx(2.2, abs=0.03)


def test_spectra_without_zero_loss_or_window_are_refused() -> None:
    with pytest.raises(ValueError, match="no zero-loss peak"):
        fit_plasmon(ENERGY, np.zeros(len(ENERGY)))
    with pytest.raises(ValueError, match="channels between"):
        fit_plasmon(ENERGY, low_loss(), window_eV=(1.0, 1.2))


def test_noise_is_known_from_the_spectrum() -> None:
    rng = np.random.default_rng(0)
    level = np.linspace(400.0, 20.0, 1024)
    made = [
        estimate_noise(3.0 * rng.poisson(level) + 6.0 * rng.standard_normal(1024))
        for _ in range(20)
    ]
    at = np.array([100.0, 1000.0])
    found = np.median([m.variance(at) for m in made], axis=0)
    assert found == pytest.approx(3.0 * at + 36.0, rel=0.15)


def test_a_fit_with_fewer_data_than_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match="parameters"):
        fit_model(lambda q: q[:1], np.zeros(1), 1.0, [0.0, 1.0])


def test_an_edge_that_is_not_there_has_no_signal() -> None:
    energy = np.arange(220.0, 600.0, 0.5)
    clean = 2000 * (energy / 250) ** -3.0
    rng = np.random.default_rng(0)
    edge = Edge(name="C", onset_eV=284)
    found = [edge_signal(energy, rng.poisson(clean).astype(float), edge).snr for _ in range(50)]
    assert np.abs(found).max() < 4.0 and abs(np.mean(found)) < 0.5
    with pytest.raises(ValueError, match="ends at"):
        edge_signal(energy, clean, Edge(name="O", onset_eV=580))
    with pytest.raises(ValueError, match="at least two"):
        composition([edge_signal(energy, clean, edge)])


def test_fractions_add_up_and_follow_the_cross_sections() -> None:
    energy = np.arange(220.0, 600.0, 0.5)
    clean = 2000 * (energy / 250) ** -3.0
    for onset, height in ((284.0, 200.0), (532.0, 60.0)):
        clean = clean + np.where(energy >= onset, height * (energy / onset) ** -3.0, 0.0)
    counts = np.random.default_rng(1).poisson(clean).astype(float)

    def share(factor: float) -> float:
        asked = (Edge(name="C", onset_eV=284), Edge(name="O", onset_eV=532, cross_section=factor))
        found = composition([edge_signal(energy, counts, e) for e in asked])
        assert sum(f.value for f in found.values()) == pytest.approx(1.0)
        return found["O"].value

    assert share(0.5) > share(1.0) > share(2.0) > 0.0


def loop(up: float = 3.0, down: float = -2.0, half: float = 10.0, seed: int = 0) -> np.ndarray:
    rising = np.roll(BIAS, 1) < BIAS
    state = np.where(rising, np.tanh((BIAS - up) / 0.7), np.tanh((BIAS - down) / 0.7))
    return half * state + 0.3 * np.random.default_rng(seed).standard_normal(64)


def test_an_inverted_loop_has_negative_area_and_the_same_fields() -> None:
    plus, minus = loop_parameters(BIAS, loop()), loop_parameters(BIAS, -loop())
    assert plus and minus and plus.switching and minus.switching
    assert plus.area.value > 0 and minus.area.value == pytest.approx(-plus.area.value)
    assert minus.switching.coercive_up_V.value == pytest.approx(3.0, abs=0.1)
    assert minus.switching.coercive_down_V.value == pytest.approx(-2.0, abs=0.1)


@pytest.mark.slow
def test_a_closed_loop_has_an_area_of_zero_and_no_switching() -> None:
    rng = np.random.default_rng(0)
    found = [loop_parameters(BIAS, 0.5 * BIAS + rng.standard_normal(64)) for _ in range(40)]
    rows = [f for f in found if f is not None]
    assert len(rows) >= 38 and sum(f.switching is not None for f in rows) <= 3
    assert np.std([f.area.value / f.area.std for f in rows]) == pytest.approx(1.0, abs=0.3)


def test_a_loop_of_gaps_or_of_one_branch_gives_nothing() -> None:
    gone = loop()
    gone[::2] = np.nan
    assert loop_parameters(BIAS, gone) is None
    assert loop_parameters(np.abs(BIAS), loop()) is None
    assert loop_parameters(BIAS[:8], loop()[:8]) is None


@settings(max_examples=20)
@given(scale=st.floats(1e-9, 1e9), seed=st.integers(0, 99), share=st.floats(0, 0.4))
def test_loop_parameters_are_finite_or_nothing(scale: float, seed: int, share: float) -> None:
    row = scale * loop(seed=seed)
    row[np.random.default_rng(seed).random(64) < share] = np.nan
    found = loop_parameters(BIAS, row)
    if found is not None:
        assert np.isfinite([found.area.value, found.area.std]).all() and found.area.std > 0


def test_a_ratio_without_a_quadratic_part_is_not_given() -> None:
    volts = np.linspace(0.1, 3, 20)
    noise = 0.2 * np.random.default_rng(0).standard_normal(20)
    assert fit_sweep(volts, 2.0 * volts + noise).ratio is None
    with pytest.raises(ValueError, match="different amplitudes"):
        fit_sweep(volts[:5], volts[:5])


def test_the_background_of_a_sweep_is_fitted_when_asked() -> None:
    volts = np.linspace(0.1, 3, 40)
    response = 5.0 + 2.0 * volts + 0.5 * volts**2
    fit = fit_sweep(volts, response + 1e-3 * np.sin(99 * volts), offset=True)
    assert fit.offset.value == pytest.approx(5.0, abs=0.01)
    assert fit.A.value == pytest.approx(2.0, abs=0.02)


def test_spectra_of_the_microscopes_twin_are_fitted_to_within_their_noise() -> None:
    """The twin has a tail, a film and plasmons of its own making; it was not made for this fit."""
    console = Console(StemTwinDriver(0))
    at = [[40.0, 40.0], [60.0, 110.0], [150.0, 90.0]]
    run = console.run(
        program({"load": {"sample": "film"}}, {"spectrum": {"at": at, "exposure_s": 0.05}}), seed=1
    )
    assert run.failure is None
    (array,) = run.readings["spectra"].arrays.values()
    for row in array.data:
        fit = fit_plasmon(array.axes[-1].values, row)
        assert fit.strongest is not None and fit.misfit < 1.4
        assert 1.5 < fit.strongest.energy_eV.value < 3.5
