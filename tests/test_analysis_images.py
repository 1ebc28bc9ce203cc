"""Walls, edges, particles and atomic columns: what calibration does not show."""

from __future__ import annotations

import numpy as np
import pytest

from probewise.analysis import (
    find_columns,
    find_edges,
    find_particles,
    find_walls,
    fit_atoms,
    image_noise,
    simulate_atoms,
)
from probewise.analysis._unet import LAYERS, WEIGHTS, column_map, trained


def noise(size: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((size, size))


def discs(*places: tuple[float, float, float], size: int = 96, seed: int = 0) -> np.ndarray:
    rows, cols = np.mgrid[:size, :size]
    clean = np.full((size, size), 10.0)
    for row, col, radius in places:
        distance = np.hypot(rows - row, cols - col)
        clean += 100.0 / (1.0 + np.exp((distance - radius) / 0.5))
    return np.random.default_rng(seed).poisson(clean).astype(float)


def test_noise_alone_has_no_walls_and_no_particles() -> None:
    for seed in range(5):
        assert find_walls(noise(seed=seed)) == ()
        assert len(find_particles(100 + noise(seed=seed))) == 0


def test_a_round_domain_has_a_closed_wall_of_its_circumference() -> None:
    rows, cols = np.mgrid[:96, :96]
    distance = np.hypot(rows - 50, cols - 45)
    (wall,) = find_walls(10 * np.tanh((distance - 20.0) / 1.5) + noise(96))
    assert wall.closed and wall.length_px.value == pytest.approx(2 * np.pi * 20, rel=0.03)
    off = np.hypot(*(wall.points_px - [50, 45]).T) - 20.0
    assert np.abs(off).max() < 6 * wall.std_px.max() + 0.2


def test_edges_of_particles_are_closed_curves() -> None:
    edges = find_edges(discs((30, 30, 12), (65, 60, 8)))
    assert [e.closed for e in edges] == [True, True]
    assert edges[0].length_px.value == pytest.approx(2 * np.pi * 12, rel=0.05)


def test_touching_particles_are_parted_and_those_at_the_border_counted() -> None:
    image = discs((40, 30, 9), (40, 47.5, 9), (95, 60, 8))
    found = find_particles(image, profile="disc")
    assert len(found) == 2 and found.at_border == 1
    assert found.diameters_px == pytest.approx([18, 18], abs=0.6)
    assert np.sort(found.centers_px[:, 1]) == pytest.approx([30, 47.5], abs=0.3)


@pytest.mark.parametrize("image", [np.zeros((8, 8)), np.full((64, 64), np.nan), np.zeros(64)])
def test_images_that_cannot_be_analysed_are_refused(image: np.ndarray) -> None:
    for find in (find_particles, find_walls, find_edges, find_columns):
        with pytest.raises(ValueError, match=r"32|missing"):
            find(image)


def test_noise_of_an_image_is_known_from_it() -> None:
    rng = np.random.default_rng(0)
    ramp = np.tile(np.linspace(10, 200, 128), (128, 1))
    found = image_noise(2.0 * rng.poisson(ramp) + 3.0 * rng.standard_normal((128, 128)))
    at = np.array([100.0, 400.0])
    assert found.variance(at) == pytest.approx(2.0 * at + 9.0, rel=0.15)


def test_weights_are_small_and_whole() -> None:
    assert WEIGHTS.stat().st_size < 500_000
    shapes = {f"{name}.weight": (made, given, 3, 3) for name, (given, made) in LAYERS.items()}
    assert {k: w.shape for k, w in trained().items() if k in shapes} == shapes


def test_the_network_is_the_one_that_was_trained() -> None:
    """The numpy inference agrees with the module that ``train_atoms`` trains."""
    torch = pytest.importorskip("torch")
    from benchmarks.train_atoms import UNet
    from probewise.analysis._unet import normalized

    model = UNet()
    model.load_state_dict({k: torch.from_numpy(w) for k, w in trained().items()})
    image = simulate_atoms(np.random.default_rng(1), 64).image
    shown = torch.from_numpy(normalized(image)[None, None]).float()
    with torch.no_grad():
        expected = torch.sigmoid(model(shown))[0, 0].numpy()
    assert column_map(image) == pytest.approx(expected, abs=1e-4)


def test_the_network_finds_faint_columns_that_maxima_miss() -> None:
    recall = dict.fromkeys(("network", "maxima"), 0.0)
    for method in ("network", "maxima"):
        hits = present = found = 0
        for seed in range(8):
            made = simulate_atoms(np.random.default_rng([7, seed]), 96, peak_counts=(8, 20))
            guess = find_columns(made.image, method=method)
            inner = np.all((made.positions > 4) & (made.positions < 91), axis=1)
            off = np.linalg.norm(made.positions[inner][:, None] - guess[None], axis=-1)
            hits += int(np.sum(off.min(axis=1) < 2.5))
            present += int(inner.sum())
            near = np.linalg.norm(guess[:, None] - made.positions[None], axis=-1).min(axis=1)
            found += int(np.sum(near > 4.0))
        recall[method] = hits / present
        assert found / present < 0.08, f"{method}: {found} columns of {present} are invented"
    assert recall["network"] > 0.9 and recall["network"] > recall["maxima"]


def test_large_images_go_through_in_tiles_without_seams() -> None:
    made = simulate_atoms(np.random.default_rng(3), 300, peak_counts=(50, 60))
    whole = column_map(made.image)
    part = column_map(made.image[200:300, 200:300])
    assert np.abs(whole[240:270, 240:270] - part[40:70, 40:70]).mean() < 0.02


def test_columns_that_are_not_there_are_not_fitted() -> None:
    made = simulate_atoms(
        np.random.default_rng(0), 64, peak_counts=(100, 101), background=(0.1, 0.2)
    )
    empty = np.array([[31.0, 31.0]])
    flat = np.random.default_rng(0).poisson(np.full((64, 64), 20.0)).astype(float)
    assert not fit_atoms(flat, empty).good.any()
    fit = fit_atoms(made.image, find_columns(made.image))
    assert fit.good.mean() > 0.8
    assert np.isinf(fit.positions_std_px[~fit.good]).all()
