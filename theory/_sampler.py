"""Samples of a posterior whose prior is standard normal, by tempered sequential Monte Carlo.

P. Del Moral, A. Doucet, A. Jasra, J. R. Stat. Soc. B 68, 411 (2006): particles start at the
prior, the likelihood is switched on in steps that keep half of the effective sample size, and
between the steps random-walk Metropolis moves with the particles' own covariance keep them
spread. It copes with several modes and bent ridges, where a Gaussian at the best fit does not,
and gives the evidence as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root_scalar

Floats = NDArray[np.float64]
LogLikelihood = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Samples:
    """Equally weighted points (particles, dim), their log-likelihoods and the log evidence."""

    points: Floats
    log_likelihood: Floats
    log_evidence: float


def sample_posterior(
    log_likelihood: LogLikelihood,
    dim: int,
    rng: np.random.Generator,
    particles: int = 512,
    moves: int = 8,
) -> Samples:
    """Draw from ``N(z; 0, I) * exp(log_likelihood(z))``.

    ``log_likelihood`` maps points (particles, dim) to values (particles,), all finite.
    """
    points = rng.standard_normal((particles, dim))
    values = log_likelihood(points)
    heat, evidence, scale = 0.0, 0.0, 2.38 / np.sqrt(dim)
    while heat < 1.0:
        step = _next_step(values, 1.0 - heat)
        weights = np.exp(step * (values - values.max()))
        evidence += float(step * values.max() + np.log(weights.mean()))
        kept = _systematic(weights / weights.sum(), rng)
        points, values = points[kept], values[kept]
        heat += step
        for _ in range(moves if heat < 1.0 else 2 * moves):
            points, values, accepted = _move(points, values, heat, scale, log_likelihood, rng)
            scale *= float(np.exp(0.5 * (accepted - 0.25)))
    return Samples(points, values, evidence)


def _next_step(values: Floats, room: float) -> float:
    """The largest step in temperature that keeps half of the effective sample size.

    At least one in a hundred, so that absurd data end the loop as well.
    """

    def excess(step: float) -> float:
        log_weights = step * (values - values.max())
        total, squares = np.exp(log_weights).sum(), np.exp(2.0 * log_weights).sum()
        return float(total**2 / squares / len(values) - 0.5)

    if excess(room) >= 0.0:
        return room
    return min(max(float(root_scalar(excess, bracket=(0.0, room)).root), 0.01), room)


def _systematic(weights: Floats, rng: np.random.Generator) -> NDArray[np.intp]:
    """Indices resampled in proportion to the weights, evenly; the weights add up to one."""
    ticks = (rng.random() + np.arange(len(weights))) / len(weights)
    return np.minimum(np.searchsorted(np.cumsum(weights), ticks), len(weights) - 1)


def _move(
    points: Floats,
    values: Floats,
    heat: float,
    scale: float,
    log_likelihood: LogLikelihood,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, float]:
    """One Metropolis step of every particle; returns also the share of accepted moves."""
    count, dim = points.shape
    root = np.linalg.cholesky(np.cov(points.T).reshape(dim, dim) + 1e-9 * np.eye(dim))
    tried = points + scale * rng.standard_normal((count, dim)) @ root.T
    new_values = log_likelihood(tried)
    gain = heat * (new_values - values) - 0.5 * (np.sum(tried**2, 1) - np.sum(points**2, 1))
    taken = np.log(rng.random(count)) < gain
    points = np.where(taken[:, None], tried, points)
    return points, np.where(taken, new_values, values), float(taken.mean())
