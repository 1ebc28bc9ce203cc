from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from probewise.analysis import describe, find_domains, probe_lattice


def stripes(amplitude: float, noise: float, seed: int = 0, width: int = 16) -> np.ndarray:
    """Vertical stripe domains of one amplitude, with abrupt walls every ``width`` pixels."""
    rng = np.random.default_rng(seed)
    sign = np.where((np.arange(128) // width) % 2 == 0, 1.0, -1.0)
    return amplitude * sign[None, :] + noise * rng.standard_normal((128, 128))


def labyrinth(amplitude: float, noise: float, seed: int, length: float = 5.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal((128, 128)), length, mode="wrap")
    clean = amplitude * np.tanh(3.0 * field / field.std())
    return clean + noise * rng.standard_normal((128, 128))


def test_contrast_is_the_amplitude_whatever_the_noise_and_the_offset() -> None:
    for noise, offset in ((0.5, 0.0), (6.0, 0.0), (3.0, 4.0)):
        domains = find_domains(stripes(12.0, noise) + offset)
        assert domains.contrast_pm == pytest.approx(12.0, abs=0.3)
        assert domains.noise_pm == pytest.approx(noise, abs=0.3)
        assert domains.offset_pm == pytest.approx(offset, abs=0.3)


def test_noise_alone_is_no_contrast_and_no_wall() -> None:
    found = [find_domains(stripes(0.0, 5.0, seed)) for seed in range(10)]
    assert all(d.contrast_pm < 4 * max(d.contrast_std_pm, 0.1) for d in found)
    assert np.mean([d.contrast_pm for d in found]) < 0.6
    assert max(d.wall_density for d in found) < 0.005


def test_contrast_error_is_what_repeated_pads_show() -> None:
    """Pads differ in their pattern, tunings in their calibration, here by 3 %."""
    gains = 1.0 + 0.03 * np.random.default_rng(0).standard_normal(24)
    found = [find_domains(g * labyrinth(10.0, 3.0, seed)) for seed, g in enumerate(gains)]
    values = np.array([d.contrast_pm for d in found])
    true = np.sqrt(np.mean([np.mean(labyrinth(10.0, 0.0, 100 + k) ** 2) for k in range(24)]))
    scores = (values - true) / [d.contrast_std_pm for d in found]
    assert 0.5 < np.sqrt(np.mean(scores**2)) < 1.5
    density = np.array([d.wall_density for d in found])
    claimed = np.mean([d.wall_density_std for d in found])
    assert 0.5 < density.std(ddof=1) / claimed < 2.0


def test_walls_lie_where_the_stripes_meet() -> None:
    domains = find_domains(stripes(12.0, 2.0))
    edges = np.arange(16, 128, 16)
    assert domains.wall_density == pytest.approx(len(edges) / 128, rel=0.15)
    middle = domains.wall_distance_px[10:-10, 24]
    at_edge = domains.wall_distance_px[10:-10, 32]
    assert np.median(middle) == pytest.approx(8, abs=1) and np.median(at_edge) <= 1


def test_one_domain_keeps_its_amplitude() -> None:
    rng = np.random.default_rng(0)
    domains = find_domains(-9.0 + rng.standard_normal((64, 64)))
    assert domains.contrast_pm == pytest.approx(9.0, abs=0.2)
    assert domains.offset_pm == 0.0 and np.all(np.isinf(domains.wall_distance_px))


def test_spikes_gaps_and_jumping_rows_do_not_matter() -> None:
    image = stripes(12.0, 2.0)
    rng = np.random.default_rng(1)
    image[rng.random(image.shape) < 0.01] = 500.0
    image[rng.random(image.shape) < 0.02] = np.nan
    image += rng.normal(0, 1.0, (128, 1))
    assert find_domains(image).contrast_pm == pytest.approx(12.0, abs=0.5)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((64, 64)), "dead"),
        (np.full((64, 64), np.nan), "missing"),
        (np.ones(10), "shape"),
        (np.ones((64, 4)), "shape"),
    ],
)
def test_useless_images_are_refused(image: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_domains(image)


def test_features_are_those_of_whole_patches_and_repeat_exactly() -> None:
    image = labyrinth(10.0, 2.0, 3)
    positions = probe_lattice(image.shape)
    assert positions.min() >= 8 and positions.max() <= 119
    assert set(np.unique(np.diff(np.unique(positions[:, 0])))) == {8}
    columns = describe(find_domains(image), positions)
    assert list(columns) == [*(f"f{k}" for k in range(6)), "wall"]
    assert all(c.shape == (len(positions),) for c in columns.values())
    again = describe(find_domains(image), positions)
    assert all(np.array_equal(columns[k], again[k]) for k in columns)
    spreads = [columns[f"f{k}"].std() for k in range(6)]
    assert spreads[0] == pytest.approx(1.0) and spreads == sorted(spreads, reverse=True)


def test_features_do_not_depend_on_gain_or_sign() -> None:
    image = labyrinth(10.0, 1.0, 4)
    positions = probe_lattice(image.shape)
    plain, turned = (describe(find_domains(i), positions) for i in (image, -3.0 * image))
    for name in ("f0", "f1", "wall"):
        assert np.corrcoef(plain[name], turned[name])[0, 1] > 0.99


def test_wall_column_is_high_on_walls() -> None:
    image = stripes(12.0, 1.0)
    columns = describe(find_domains(image), np.array([[60, 32], [60, 24], [40, 64], [40, 72]]))
    assert columns["wall"][0] > 0.7 and columns["wall"][2] > 0.7
    assert columns["wall"][1] < 0.25 and columns["wall"][3] < 0.25
