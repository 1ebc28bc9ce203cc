"""What is believed of the CTF resolution of holes, given a network's prediction of it.

In logarithms the resolution is the prediction plus an offset, a slope, an effect of the square, one
of the patch, all Gaussian with mean zero, and noise: the network is believed without bias until the
session shows how it errs here. Standard deviations are averaged over a grid with the marginal
likelihood as weight, so that a few measurements make no effect certain (a linear mixed model, as in
Gelman & Hill 2007, ch. 11-13, with few settings in place of Monte Carlo). The noise has the tails
of Student's t with four degrees of freedom (Lange, Little & Taylor 1989): an image that failed for
reasons of its own says little about its patch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.stats import t as student

from ._gp import Matrix, Vector
from ._holes import Hole

_OFFSET_STD, _SLOPE_STD = 0.15, 0.25
_SQUARE_STD, _PATCH_STD, _NOISE_STD = (0.03, 0.1, 0.25), (0.05, 0.15, 0.3), (0.12, 0.2, 0.3)
_FREEDOM, _REWEIGHTINGS, _USUAL = 4.0, 4, (0.1, 0.15, 0.2)
_LIMITS_A = (2.0, 25.0)
"""Resolutions are taken to lie between these: a fit that failed says no more than a poor one."""
_LEAST_WEIGHT = 1e-3


@final
class HoleBelief:
    """The belief after measured resolutions ``known`` (Å, by index into ``holes``)."""

    def __init__(self, holes: Sequence[Hole], known: Mapping[int, float]) -> None:
        self._z = np.log(np.clip([h.predicted_A for h in holes], *_LIMITS_A))
        _, self._square = np.unique([str(h.in_square) for h in holes], return_inverse=True)
        _, self._patch = np.unique([str(h.in_patch) for h in holes], return_inverse=True)
        self._rows = np.array(sorted(known), dtype=np.int64)
        measured = np.clip([known[i] for i in self._rows.tolist()], *_LIMITS_A)
        self._residual = np.log(measured) - self._z[self._rows]
        self._doubt = np.ones(len(self._rows))
        for _ in range(_REWEIGHTINGS if known else 0):
            self._doubt = self._reweighted()

    def probability(self, below_A: float) -> Vector:
        """Probability (n,) that each hole's resolution is better than ``below_A``."""
        total = np.zeros(len(self._z))
        for weight, mean, std in self._mixture():
            total += weight * student.cdf((np.log(below_A) - mean) / std, _FREEDOM)
        return total

    def _mixture(self) -> list[tuple[float, Vector, Vector]]:
        """Weight, mean and standard deviation (n,) of log resolution for every likely setting."""
        settings = list(product(_SQUARE_STD, _PATCH_STD, _NOISE_STD))
        evidence = np.array([self._evidence(*s) for s in settings])
        weights = np.exp(evidence - evidence.max())
        likely = weights > _LEAST_WEIGHT
        weights /= weights[likely].sum()
        return [(float(weights[i]), *self._posterior(*settings[i])) for i in np.flatnonzero(likely)]

    def _reweighted(self) -> Vector:
        """How much more noise (n,) each measurement has than a usual one (EM for Student's t)."""
        square_std, patch_std, noise_std = _USUAL
        cross = self._covariance(self._rows, self._rows, square_std, patch_std)
        noise = noise_std**2 * self._doubt
        gain = np.linalg.solve(cross + np.diag(noise), np.column_stack([self._residual, cross]))
        error = self._residual - cross @ gain[:, 0]
        variance = np.maximum(np.diag(cross - cross @ gain[:, 1:]), 0.0)
        return (_FREEDOM + (error**2 + variance) / noise_std**2) / (_FREEDOM + 1.0)

    def _evidence(self, square_std: float, patch_std: float, noise_std: float) -> float:
        """Log marginal likelihood of what was measured, up to a constant."""
        known = self._covariance(self._rows, self._rows, square_std, patch_std)
        root = np.linalg.cholesky(known + np.diag(noise_std**2 * self._doubt))
        solved = solve_triangular(root, self._residual, lower=True)
        return float(-0.5 * solved @ solved - np.log(np.diag(root)).sum())

    def _posterior(
        self, square_std: float, patch_std: float, noise_std: float
    ) -> tuple[Vector, Vector]:
        """Mean and standard deviation (n,) of the log resolution of a new image."""
        slope = self._z - np.log(6.0)
        prior = _OFFSET_STD**2 + (_SLOPE_STD * slope) ** 2 + square_std**2 + patch_std**2
        cross = self._covariance(slice(None), self._rows, square_std, patch_std)
        root = np.linalg.cholesky(cross[self._rows] + np.diag(noise_std**2 * self._doubt))
        half = solve_triangular(root, cross.T, lower=True)
        mean = self._z + half.T @ solve_triangular(root, self._residual, lower=True)
        variance = np.maximum(prior - np.sum(half**2, axis=0), 0.0) + noise_std**2
        return mean, np.sqrt(variance)

    def _covariance(
        self,
        a: slice | NDArray[np.int64],
        b: NDArray[np.int64],
        square_std: float,
        patch_std: float,
    ) -> Matrix:
        slope = self._z - np.log(6.0)
        return (
            _OFFSET_STD**2
            + _SLOPE_STD**2 * np.outer(slope[a], slope[b])
            + square_std**2 * (self._square[a, None] == self._square[b])
            + patch_std**2 * (self._patch[a, None] == self._patch[b])
        )
