"""Hypervolumes of fronts in which every aim is maximized, and what a new point would add."""

from __future__ import annotations

from typing import final

import numpy as np
from scipy.special import ndtr
from scipy.stats import qmc

from ._gp import Matrix, Vector

_DRAWS = 128


@final
class Cells:
    """The room above a reference that a front leaves free, as boxes (Yang et al. 2019; BoTorch).

    Parameters
    ----------
    front
        Values (n, m) of the designs on the front; dominated and worthless ones are ignored.
    reference
        Values (m,) that a design must exceed to count.
    """

    def __init__(self, front: Matrix, reference: Vector) -> None:
        self.reference = np.ascontiguousarray(reference, dtype=np.float64)
        kept = front[(front > self.reference).all(1)]
        self.front = np.ascontiguousarray(nondominated(kept))
        m = len(self.reference)
        if not len(self.front):
            self.low, self.high = self.reference[None], np.full((1, m), np.inf)
            self.volume = 0.0
            return
        import torch
        from botorch.utils.multi_objective.box_decompositions import FastNondominatedPartitioning

        torch.set_num_threads(1)
        partitioning = FastNondominatedPartitioning(
            torch.tensor(self.reference), Y=torch.tensor(self.front)
        )
        bounds = partitioning.get_hypercell_bounds().numpy()
        self.low, self.high = bounds[0], bounds[1]
        self.volume = float(partitioning.compute_hypervolume())

    def gain(self, values: Matrix) -> Vector:
        """What points with values (..., m) would add to the hypervolume, each by itself."""
        sides = np.minimum(values[..., None, :], self.high) - self.low
        return np.prod(np.maximum(sides, 0.0), axis=-1).sum(-1)

    def expected_gain(self, mean: Matrix, std: Matrix) -> Vector:
        """Expected gain (N,) of points with independent normal values (N, m): a sum of products of
        one-dimensional expectations over the boxes (Emmerich et al. 2011; Yang et al. 2019).
        """
        sides = above(mean[:, None], std[:, None], self.low) - above(
            mean[:, None], std[:, None], self.high
        )
        return np.prod(np.maximum(sides, 0.0), axis=-1).sum(-1)

    def sampled_gain(self, mean: Matrix, covariance: Matrix) -> Vector:
        """The same for values with covariances (N, m, m), by quasi-Monte Carlo with fixed draws."""
        m = mean.shape[1]
        scale = np.einsum("nii->n", covariance)[:, None, None] * 1e-12 + 1e-300
        roots = np.linalg.cholesky(covariance + scale * np.eye(m))
        moved = mean + np.einsum("nij,sj->sni", roots, normal_draws(_DRAWS, m))
        return np.mean([self.gain(values) for values in moved], axis=0)


def above(mean: Matrix, std: Matrix, level: Matrix) -> Matrix:
    """E[(Y - level)+] for normal Y; zero above every infinite level."""
    finite = np.where(np.isfinite(level), level, 0.0)
    z = np.clip((mean - finite) / np.maximum(std, 1e-300), -37.0, 37.0)
    dense = np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
    found = (mean - finite) * ndtr(z) + std * dense
    return np.where(np.isfinite(level), np.maximum(found, 0.0), 0.0)


def nondominated(values: Matrix) -> Matrix:
    """Rows (k, m) that no other row beats or equals in all aims."""
    return values[nondominated_rows(values)]


def nondominated_rows(values: Matrix) -> np.ndarray:
    """Indices of the rows that no other row beats; of equal rows the first."""
    at_least = (values[:, None, :] >= values[None, :, :]).all(-1)
    better = (values[:, None, :] > values[None, :, :]).any(-1)
    earlier = np.tri(len(values), k=-1, dtype=bool).T
    beaten = (at_least & (better | earlier)).any(0)
    return np.flatnonzero(~beaten)


def hypervolume(values: Matrix, reference: Vector) -> float:
    """Volume between a reference (m,) and points (n, m), all aims maximized."""
    if values.shape[1] > 2:
        return Cells(values, reference).volume
    kept = values[(values > reference).all(1)]
    if not len(kept):
        return 0.0
    kept = nondominated(kept)
    kept = kept[np.argsort(-kept[:, 0])]
    floors = np.concatenate([[reference[1]], kept[:-1, 1]])
    return float(np.sum((kept[:, 0] - reference[0]) * (kept[:, 1] - floors)))


def inferred_reference(front: Matrix) -> Vector:
    """A tenth of a front's range below its worst values (Ishibuchi et al. 2011)."""
    best = nondominated(front)
    worst, top = best.min(0), best.max(0)
    spread = np.where(top > worst, top - worst, np.maximum(np.abs(worst), 1e-9))
    return worst - 0.1 * spread


def normal_draws(count: int, dim: int) -> Matrix:
    """The same quasi-random standard normal draws (count, dim) each time."""
    return np.asarray(qmc.MultivariateNormalQMC(np.zeros(dim), rng=7).random(count))
