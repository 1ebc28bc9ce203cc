"""Simulated images of atomic columns, to train and to test on: a simulation, and called so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AtomImage:
    """An image (n, n) in counts, the columns' positions (k, 2) as (row, column) in pixels, their
    heights in counts (k,), and the standard deviation of a column in pixels."""

    image: Floats
    positions: Floats
    heights: Floats
    width_px: float


def simulate_atoms(
    rng: np.random.Generator,
    size: int = 64,
    *,
    spacing_px: tuple[float, float] = (7.0, 14.0),
    peak_counts: tuple[float, float] = (8.0, 200.0),
    background: tuple[float, float] = (0.05, 1.0),
    disorder: tuple[float, float] = (0.0, 0.12),
) -> AtomImage:
    """Gaussian columns on a lattice with one or two atoms a cell, under Poisson noise.

    The lattice is rotated at random and may be oblique; columns are displaced by ``disorder`` (in
    spacings), some are missing, and the second atom of a cell is fainter. ``background`` is a
    smooth field, in peaks. That is the incoherent, linear picture of a dark-field image: no
    channelling, no scan distortion.
    """
    spacing = rng.uniform(*spacing_px)
    width = spacing * rng.uniform(0.13, 0.24)
    points, strength = _lattice(rng, size, spacing)
    points = points + rng.uniform(*disorder) * spacing * rng.standard_normal(points.shape)
    kept = rng.random(len(points)) > rng.choice([0.0, 0.05, 0.4])
    points, strength = points[kept], strength[kept]
    peak = np.exp(rng.uniform(*np.log(peak_counts)))
    heights = peak * strength * np.clip(1.0 + 0.1 * rng.standard_normal(len(points)), 0.5, 1.5)
    clean = columns(size, points, heights, width) + peak * _field(rng, size, background)
    image = rng.poisson(np.maximum(clean, 0.0)).astype(np.float64)
    inside = np.all((points >= 0.0) & (points <= size - 1.0), axis=1)
    return AtomImage(image, points[inside], heights[inside], width)


def columns(size: int, positions: Floats, heights: Floats, width_px: float) -> Floats:
    """The sum (size, size) of Gaussians of one width at positions (k, 2)."""
    grid = np.arange(size)
    rows = np.exp(-0.5 * ((grid[:, None] - positions[None, :, 0]) / width_px) ** 2)
    cols = np.exp(-0.5 * ((grid[:, None] - positions[None, :, 1]) / width_px) ** 2)
    return np.asarray((rows * heights) @ cols.T)


def _lattice(rng: np.random.Generator, size: int, spacing: float) -> tuple[Floats, Floats]:
    """Points that cover the image with a margin, and the relative height of each."""
    turn, lean = rng.uniform(0.0, np.pi), rng.choice([np.pi / 2, np.pi / 3, rng.uniform(1.0, 1.6)])
    a = spacing * np.array([np.sin(turn), np.cos(turn)])
    b = spacing * np.array([np.sin(turn + lean), np.cos(turn + lean)]) * rng.uniform(1.0, 1.3)
    reach = int(2.0 * size / spacing) + 2
    i, j = np.meshgrid(np.arange(-reach, reach), np.arange(-reach, reach), indexing="ij")
    points = i.reshape(-1, 1) * a + j.reshape(-1, 1) * b + 0.5 * size + rng.uniform(0, spacing, 2)
    strength = np.ones(len(points))
    if rng.random() < 0.4 and spacing > 10.0:
        second = points + 0.5 * (a + b)
        points = np.concatenate([points, second])
        strength = np.concatenate([strength, np.full(len(second), rng.uniform(0.35, 0.9))])
    near = np.all((points > -spacing) & (points < size + spacing), axis=1)
    return points[near], strength[near]


def _field(rng: np.random.Generator, size: int, background: tuple[float, float]) -> Floats:
    """A smooth positive field of mean ``background``."""
    rough = gaussian_filter(rng.standard_normal((size, size)), size / 6.0, mode="wrap")
    rough = rough / max(float(np.abs(rough).max()), 1e-12)
    return rng.uniform(*background) * (1.0 + 0.7 * rough)
