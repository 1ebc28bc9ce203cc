"""Hysteresis under the tip and between plates."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from probewise.matter import (
    SPACE,
    Landau,
    Pad,
    Regions,
    TEST_FIELD_kV_per_cm,
    loops,
    make_world,
    triangle,
)

Floats = NDArray[np.float64]

WORLD = make_world(0)
BIAS_V = triangle(128, 8.0)
POINTS_UP, POINTS_DOWN = 63, 127  # where the bias is zero after the positive and the negative peak


def grown(x: float, temperature_C: float = 650.0, pressure_mTorr: float = 22.0) -> Pad:
    return Pad(WORLD, "s1", 0, (x, temperature_C, pressure_mTorr))


def remanence(loop: Floats) -> Floats:
    return 0.5 * (loop[..., POINTS_UP] - loop[..., POINTS_DOWN])


def coercive_V(loop: Floats) -> float:
    """Half the distance of the biases where the loop crosses its own middle."""
    middle = loop - 0.5 * (loop.max() + loop.min())
    crossings = np.flatnonzero(np.diff(np.sign(middle)))
    falling = BIAS_V[crossings[middle[crossings] > 0]]
    rising = BIAS_V[crossings[middle[crossings] < 0]]
    return 0.5 * float(rising.mean() - falling.mean())


def places(mask: NDArray[np.bool_], n: int = 24) -> NDArray[np.intp]:
    found = np.argwhere(mask)
    return found[np.random.default_rng(0).choice(len(found), n, replace=False)]


def test_the_triangle_is_one_closed_cycle() -> None:
    assert BIAS_V.max() == pytest.approx(8.0)
    assert BIAS_V.min() == pytest.approx(-8.0)
    assert BIAS_V[[POINTS_UP, POINTS_DOWN]] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert np.abs(np.diff(BIAS_V)) == pytest.approx(0.25)


def test_one_region_switches_at_its_own_barrier() -> None:
    """Without antipolar order, at x = 0, the spinodal field is known in closed form."""
    landau = Landau(WORLD)
    intrinsic = 2 / np.sqrt(27) * -float(landau.a_polar(0.0)) * float(landau.spontaneous(0.0))
    one = np.ones((1, 1))
    region = Regions(composition=0 * one, barrier=0.1 * one, built_in_kV_per_cm=0 * one, gain=one)
    for factor, moves in ((0.97, False), (1.03, True)):
        pulses = 0.1 * intrinsic * factor * np.array([1.0, -1.0])
        up, down = loops(landau, region, pulses, at_rest=True, substeps=400)[0]
        expected = float(landau.spontaneous(0.0)) if moves else 0.0
        assert 0.5 * (up - down) == pytest.approx(expected, abs=1e-3)


def test_a_built_in_field_shifts_a_loop() -> None:
    one = np.ones((1, 1))
    field = triangle(256, 400.0)
    means = []
    for built_in in (-60.0, 0.0, 60.0):
        region = Regions(0.1 * one, 0.15 * one, built_in * one, one)
        means.append(loops(Landau(WORLD), region, field)[0].mean())
    assert means[0] < means[1] - 1.0
    assert means[2] > means[1] + 1.0


def test_ferroelectric_loops_are_open_and_antiferroelectric_ones_closed() -> None:
    inside = places(np.ones((128, 128), dtype=bool))
    opened = grown(0.09).local_loops(inside, BIAS_V)
    assert np.all(remanence(opened) > 20.0)
    assert min(coercive_V(loop) for loop in opened) > 0.5
    closed = grown(0.21).local_loops(inside, BIAS_V)
    assert np.all(np.abs(remanence(closed)) < 5.0)


def test_walls_switch_at_lower_bias_and_answer_less() -> None:
    pad = grown(0.08)
    interior = pad.local_loops(places(pad.wall < 0.1), BIAS_V)
    wall = pad.local_loops(places(pad.wall > 0.8), BIAS_V)

    def mean_coercive(some: Floats) -> float:
        return float(np.mean([coercive_V(loop) for loop in some]))

    assert mean_coercive(wall) < 0.8 * mean_coercive(interior)
    assert remanence(wall).mean() < 0.95 * remanence(interior).mean()


def test_leakage_hides_from_the_tip_but_not_from_the_plates() -> None:
    field = triangle(200, TEST_FIELD_kV_per_cm)
    tight, leaky = grown(0.09), grown(0.09, 650.0, 1.2)
    anywhere = places(np.ones((128, 128), dtype=bool))
    seen = [float(remanence(p.local_loops(anywhere, BIAS_V)).mean()) for p in (tight, leaky)]
    true = [p.switchable_uC_per_cm2 for p in (tight, leaky)]
    assert true[1] / true[0] < seen[1] / seen[0] - 0.05
    tops = [p.capacitor_loop(field).max() for p in (tight, leaky)]
    assert tops[1] < tops[0]


@pytest.mark.slow
def test_proxies_follow_the_truth_but_not_blindly() -> None:
    unit = SPACE.sobol(32, seed=3)
    truth, loop, contrast = [], [], []
    for i, (x, t, p) in enumerate(
        zip(*(v.from_unit(u) for v, u in zip(SPACE.variables, unit.T, strict=True)), strict=True)
    ):
        pad = Pad(WORLD, f"s{i}", 0, (float(x), float(t), float(p)))
        at = np.random.default_rng(i).integers(0, 128, (12, 2))
        truth.append(pad.switchable_uC_per_cm2)
        loop.append(float(remanence(pad.local_loops(at, BIAS_V)).mean()))
        contrast.append(float(np.abs(pad.pattern).mean()))
    _, r_loop, r_contrast = np.corrcoef([truth, loop, contrast])[0]
    assert 0.8 < r_loop < 0.995
    assert 0.4 < r_contrast < r_loop
