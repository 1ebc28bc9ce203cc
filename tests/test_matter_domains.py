"""Domain patterns, and the pads that show them."""

from __future__ import annotations

import numpy as np
import pytest

from probewise.matter import PIXELS, SPACE, Pad, make_pad, make_world

WORLD = make_world(0)


def grown(x: float, temperature_C: float = 650.0, pressure_mTorr: float = 22.0) -> Pad:
    return Pad(WORLD, "s1", 0, (x, temperature_C, pressure_mTorr))


def test_the_energy_falls_at_every_stage() -> None:
    lattice = grown(0.11, 700.0, 5.0).lattice
    rng = np.random.default_rng(0)
    p, a = 0.1 * rng.standard_normal((2, PIXELS, PIXELS))
    energies = [lattice.energy(p, a)]
    for _ in range(8):
        p, a = lattice.relaxed(p, a, 5)
        energies.append(lattice.energy(p, a))
    assert np.all(np.diff(energies) < 0.0)


@pytest.mark.slow
def test_a_pattern_at_rest_stays() -> None:
    lattice = grown(0.06).lattice
    rng = np.random.default_rng(0)
    p, a = lattice.relaxed(*(0.1 * rng.standard_normal((2, PIXELS, PIXELS))), steps=1500)
    after, _ = lattice.relaxed(p, a, 1)
    assert np.abs(after - p).max() < 0.01


def test_ferroelectric_pads_show_domains_of_both_signs() -> None:
    pad = grown(0.07)
    inside = np.abs(pad.pattern) > 0.7 * np.abs(pad.pattern).max()
    up, down = inside & (pad.pattern > 0), inside & (pad.pattern < 0)
    assert min(up.mean(), down.mean()) > 0.1
    assert 0.02 < np.mean(pad.wall > 0.5) < 0.4


def test_contrast_fades_beyond_the_boundary() -> None:
    contrast = [np.abs(grown(x).pattern).mean() for x in (0.05, 0.125, 0.2)]
    assert contrast[0] > 1.3 * contrast[1] > 2.0 * contrast[2]


def test_poor_growth_gives_weaker_and_less_even_domains() -> None:
    good, poor = grown(0.08), grown(0.08, 745.0, 1.2)

    def unevenness(pad: Pad) -> float:
        inside = np.abs(pad.pattern[pad.wall < 0.3])
        return float(inside.std() / inside.mean())

    assert np.abs(poor.pattern).mean() < np.abs(good.pattern).mean()
    assert unevenness(poor) > 1.3 * unevenness(good)


def test_a_pad_belongs_to_world_sample_and_site() -> None:
    design = SPACE.decode([[0.4, 0.5, 0.5]])[0]
    pattern = make_pad(0, "s1", 2, design).pattern
    again = Pad(WORLD, "s1", 2, make_pad(0, "s1", 2, design).design)
    np.testing.assert_array_equal(again.pattern, pattern)
    for other in (make_pad(1, "s1", 2, design), make_pad(0, "s2", 2, design)):
        assert np.abs(other.pattern - pattern).max() > 1.0
    assert np.abs(make_pad(0, "s1", 3, design).pattern - pattern).max() > 1.0


def test_runs_stray_a_little_and_all_pads_of_a_strip_together() -> None:
    design = SPACE.decode([[0.4, 0.5, 0.5]])[0]
    asked = np.array(list(design.values()))
    grown_as = np.array([make_pad(0, f"s{i}", 0, design).design for i in range(200)])
    np.testing.assert_allclose(grown_as.mean(axis=0), asked, rtol=0.01)
    spread = grown_as.std(axis=0)
    assert spread[0] == pytest.approx(0.002, rel=0.2)
    assert spread[1] == pytest.approx(2.5, rel=0.2)
    assert spread[2] / asked[2] == pytest.approx(0.02, rel=0.2)
    assert make_pad(0, "s1", 0, design).design == make_pad(0, "s1", 7, design).design
