"""The rotation-invariant autoencoder on simulated motifs that are turned at random."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from probewise.analysis import RotationInvariantVae

MOTIFS = (
    ((5.0, 0.0, 1.0), (4.0, 2.2, 0.6)),
    ((5.0, 0.0, 1.0), (5.0, 1.5, 0.7), (5.0, 3.4, 0.5)),
    ((6.0, 0.0, 1.0), (2.5, 2.5, 0.8)),
)
"""Blobs: radius in pixels, angle, height."""


def motifs(n: int, seed: int, side: int = 21) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patches, which motif each is, and how far it is turned; noise a fifth of the largest blob."""
    rng = np.random.default_rng(seed)
    kinds, turns = rng.integers(0, 3, n), rng.uniform(-np.pi, np.pi, n)
    rows, cols = np.mgrid[:side, :side] - 0.5 * (side - 1)
    patches = 0.2 * rng.standard_normal((n, side, side))
    for patch, kind, turn in zip(patches, kinds, turns, strict=True):
        for radius, angle, height in MOTIFS[kind]:
            at = radius * np.array([np.sin(angle + turn), np.cos(angle + turn)])
            patch += height * np.exp(-0.5 * ((rows - at[0]) ** 2 + (cols - at[1]) ** 2) / 2.56)
    return patches, kinds, turns


@pytest.mark.slow
def test_kinds_are_parted_and_angles_recovered() -> None:
    pytest.importorskip("torch")
    model = RotationInvariantVae().fit(motifs(600, 0)[0])
    patches, kinds, turns = motifs(300, 1)
    found = model.encode(patches)
    groups = KMeans(3, random_state=0).fit_predict(found.latent)
    assert adjusted_rand_score(kinds, groups) > 0.9
    for kind in range(3):
        own = kinds == kind
        off = np.exp(1j * (found.angle_rad - turns)[own])
        error = np.angle(off / off.mean())
        assert np.degrees(np.sqrt(np.mean(error**2))) < 5.0
        assert 0.8 < np.sqrt(np.mean((error / found.angle_std_rad[own]) ** 2)) < 1.25
        for coordinate in found.latent[own].T:
            alike = [np.corrcoef(coordinate, f(turns[own]))[0, 1] for f in (np.cos, np.sin)]
            assert np.abs(alike).max() < 0.4
    assert model.decode(found.latent[:2], side=21).shape == (2, 21, 21)


@pytest.mark.slow
def test_a_quarter_turn_changes_the_angle_and_nothing_else() -> None:
    pytest.importorskip("torch")
    patches, _, _ = motifs(40, 2)
    model = RotationInvariantVae().fit(patches, steps=20)
    first, second = model.encode(patches), model.encode(np.rot90(patches, axes=(2, 1)))
    assert second.latent == pytest.approx(first.latent, abs=1e-6)
    turned = np.angle(np.exp(1j * (second.angle_rad - first.angle_rad)))
    assert np.median(np.abs(turned)) == pytest.approx(0.5 * np.pi, abs=1e-3)


def test_what_cannot_be_learnt_is_refused() -> None:
    model = RotationInvariantVae()
    with pytest.raises(ValueError, match="not fitted"):
        model.encode(np.zeros((1, 9, 9)))
    for wrong in (np.zeros((20, 9, 8)), np.zeros((3, 9, 9)), np.full((20, 9, 9), np.nan)):
        with pytest.raises(ValueError, match=r"patches|finite"):
            model.fit(wrong)
