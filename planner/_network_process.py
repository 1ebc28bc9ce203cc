"""The posterior of one group of quantities: exact Gaussian process, with slopes for climbing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from ._network_kernel import LevelKernel, Levels, Matrix, Vector, matern

_CHUNK = 8_192
_MIN_VARIANCE = 1e-14


@final
@dataclass(frozen=True)
class Moments:
    """Posterior mean and standard deviation (n,), and their slopes (n, d) where asked for."""

    mean: Vector
    std: Vector
    mean_slope: Matrix
    std_slope: Matrix


def factor(covariance: Matrix) -> Matrix:
    """Lower Cholesky factor; the diagonal grows until the matrix is positive definite."""
    scale = float(np.mean(np.abs(np.diag(covariance))))
    for jitter in (0.0, *(scale * 10.0**k for k in range(-12, 1))):
        try:
            return cholesky(
                covariance + jitter * np.eye(len(covariance)), lower=True, check_finite=False
            )
        except LinAlgError:
            continue
    raise LinAlgError("the covariance of the measurements is not finite")


@final
class GroupProcess:
    """A zero-mean process over (input, level), observed with noise.

    Parameters
    ----------
    kernel
        Prior covariance, in standardized units.
    x, levels, y, noise
        Inputs (n, d), levels (n,), values (n,) and noise variances (n,).
    nugget
        Shape (L,): added to the noise of each level, for the numbers' sake.
    """

    def __init__(
        self,
        kernel: LevelKernel,
        x: Matrix,
        levels: Levels,
        y: Vector,
        noise: Vector,
        nugget: Vector,
    ) -> None:
        self.kernel = kernel
        self.x, self.levels, self.y, self.noise = x, levels, y, noise
        self.nugget = nugget
        self._inflation = 1.0
        self._inverse = np.zeros((0, 0))
        self._weights = np.zeros(0)
        if len(y):
            covariance = kernel(x, levels, x, levels)
            covariance[np.diag_indices(len(y))] += noise + nugget[levels]
            lower = factor(covariance)
            self._inverse = solve_triangular(lower, np.eye(len(y)), lower=True, check_finite=False)
            self._weigh()

    def _weigh(self) -> None:
        self._weights = self._inverse.T @ (self._inverse @ self.y)

    def with_data(self, x: Matrix, levels: Levels, y: Vector, noise: Vector) -> GroupProcess:
        """The process after more measurements, with the same kernel: rows are added to the factor.

        ``y`` are all values, old and new (n,): their scale may have changed meanwhile.
        """
        other = object.__new__(GroupProcess)
        other.__dict__.update(self.__dict__)
        other.x = np.concatenate([self.x, x])
        other.levels = np.concatenate([self.levels, levels])
        other.noise = np.concatenate([self.noise, noise])
        other.y = y
        if not len(x):
            other._weigh()
            return other
        old, new = len(self.x), len(x)
        cross = self.kernel(x, levels, self.x, self.levels) @ self._inverse.T
        own = self.kernel(x, levels, x, levels) - cross @ cross.T
        own[np.diag_indices(new)] += noise + self.nugget[levels]
        corner = solve_triangular(factor(own), np.eye(new), lower=True, check_finite=False)
        other._inverse = np.zeros((old + new, old + new))
        other._inverse[:old, :old] = self._inverse
        other._inverse[old:, old:] = corner
        other._inverse[old:, :old] = -corner @ cross @ self._inverse
        other._weigh()
        return other

    def continues(self, x: Matrix, levels: Levels, noise: Vector) -> bool:
        """Whether data begin with those of this process."""
        n = len(self.x)
        return (
            n <= len(x)
            and np.array_equal(self.levels, levels[:n])
            and np.array_equal(self.x, x[:n])
            and np.array_equal(self.noise, noise[:n])
        )

    def means(self, z: Matrix, level: int) -> Vector:
        """Posterior mean (m,) alone: all that many candidates can be asked for."""
        parts = [
            self.kernel(
                z[i : i + _CHUNK], np.full(len(z[i : i + _CHUNK]), level), self.x, self.levels
            )
            @ self._weights
            for i in range(0, len(z), _CHUNK)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    def inflated(self, factor: float) -> GroupProcess:
        """The same process with all posterior standard deviations times ``factor``."""
        other = object.__new__(GroupProcess)
        other.__dict__.update(self.__dict__)
        other._inflation = self._inflation * factor
        return other

    def moments(self, z: Matrix, level: int, slopes: bool = False) -> Moments:
        """Posterior moments of one level at z (m, d)."""
        if slopes:
            return self._moments(z, level, True)
        parts = [
            self._moments(z[i : i + _CHUNK], level, False) for i in range(0, len(z), _CHUNK)
        ] or [self._moments(z, level, False)]
        if len(parts) == 1:
            return parts[0]
        none = np.zeros((0, z.shape[1]))
        mean, std = (np.concatenate([getattr(p, k) for p in parts]) for k in ("mean", "std"))
        return Moments(mean, std, none, none)

    def _moments(self, z: Matrix, level: int, slopes: bool) -> Moments:
        prior = self.kernel.prior_variance(level)
        none = np.zeros((0, z.shape[1]))
        if not len(self.y):
            flat = np.zeros_like(z) if slopes else none
            spread = self._inflation * np.sqrt(prior)
            return Moments(np.zeros(len(z)), np.full(len(z), spread), flat, flat)
        cross = self.kernel(z, np.full(len(z), level), self.x, self.levels)
        half = cross @ self._inverse.T
        variance = np.maximum(prior - np.einsum("ij,ij->i", half, half), _MIN_VARIANCE)
        mean, std = cross @ self._weights, self._inflation * np.sqrt(variance)
        if not slopes:
            return Moments(mean, std, none, none)
        full = half @ self._inverse
        mean_slope, variance_slope = np.zeros_like(z), np.zeros_like(z)
        for m in range(level + 1):
            share = self.kernel.shares[level, m] * self.kernel.shares[self.levels, m]
            if not share.any():
                continue
            _, bend = matern(z, self.x, self.kernel.lengthscales[m])
            bend *= self.kernel.variances[m] * share
            scale = self.kernel.lengthscales[m] ** 2
            mean_slope -= _pull(bend * self._weights, z, self.x) / scale
            variance_slope += 2.0 * _pull(bend * full, z, self.x) / scale
        std_slope = self._inflation**2 * variance_slope / (2.0 * std[:, None])
        return Moments(mean, std, mean_slope, std_slope)

    def covariance(self, z: Matrix, level: int, other: Matrix, level_other: int) -> Matrix:
        """Posterior covariance (m, k) of level ``level`` at z with ``level_other`` at other."""
        a, b = np.full(len(z), level), np.full(len(other), level_other)
        prior = self.kernel(z, a, other, b)
        if not len(self.y):
            return self._inflation**2 * prior
        left = self.kernel(z, a, self.x, self.levels) @ self._inverse.T
        right = self.kernel(other, b, self.x, self.levels) @ self._inverse.T
        return self._inflation**2 * (prior - left @ right.T)

    def paired(self, z: Matrix, level: int, level_other: int) -> Vector:
        """Posterior covariance (m,) of two levels, both at z (m, d)."""
        flat = np.full(len(z), float(self.kernel.paired(level, level_other).sum()))
        if not len(self.y):
            return self._inflation**2 * flat
        left = self.kernel(z, np.full(len(z), level), self.x, self.levels) @ self._inverse.T
        right = self.kernel(z, np.full(len(z), level_other), self.x, self.levels) @ self._inverse.T
        return self._inflation**2 * (flat - np.einsum("ij,ij->i", left, right))


def _pull(weights: Matrix, z: Matrix, x: Matrix) -> Matrix:
    """Sum over data a of ``weights[i, a] * (z[i] - x[a])``, shape (m, d)."""
    return weights.sum(1)[:, None] * z - weights @ x
