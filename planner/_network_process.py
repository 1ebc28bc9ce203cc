"""The posterior of one group of quantities: Gaussian process, with slopes for climbing.

It is exact for some thousand measurements; many more are carried by a part of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from ._network_factor import factor, inverted, times, times_transposed
from ._network_kernel import LevelKernel, Levels, Matrix, Vector, matern
from ._network_sparse import EXACT, carried

_CHUNK = 2**19
"""So many covariances with measurements are held at once."""
_MIN_VARIANCE = 1e-14


@final
@dataclass(frozen=True)
class Moments:
    """Posterior mean and standard deviation (n,), and their slopes (n, d) where asked for."""

    mean: Vector
    std: Vector
    mean_slope: Matrix
    std_slope: Matrix


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
    support
        The rows that carry all others (m,); every row carries itself where it is not given.
    """

    def __init__(
        self,
        kernel: LevelKernel,
        x: Matrix,
        levels: Levels,
        y: Vector,
        noise: Vector,
        nugget: Vector,
        support: NDArray[np.int64] | None = None,
    ) -> None:
        self.kernel = kernel
        self.x, self.levels, self.y, self.noise = x, levels, y, noise
        self.nugget, self.support = nugget, support
        self._inflation = 1.0
        self._inverse = np.zeros((0, 0))
        self._weights = np.zeros(0)
        self._at, self._at_levels = x, levels
        if support is not None:
            whole = noise + nugget[levels]
            self._at, self._at_levels = x[support], levels[support]
            self._inverse, self._weights = carried(kernel, x, levels, y, whole, support)
        elif len(y):
            covariance = kernel(x, levels, x, levels)
            covariance[np.diag_indices(len(y))] += noise + nugget[levels]
            self._inverse = inverted(factor(covariance))
            self._weigh()

    def _weigh(self) -> None:
        self._weights = self._inverse.T @ (self._inverse @ self.y)

    def with_data(self, x: Matrix, levels: Levels, y: Vector, noise: Vector) -> GroupProcess:
        """The process after more measurements, with the same kernel: rows are added to the factor.

        ``y`` are all values, old and new (n,): their scale may have changed meanwhile. What is new
        is carried by itself.
        """
        old, new = len(self._at), len(x)
        joined = (
            np.concatenate([self.x, x]),
            np.concatenate([self.levels, levels]),
            y,
            np.concatenate([self.noise, noise]),
        )
        if self.support is not None and not np.array_equal(self.y, y[: len(self.y)]):
            return GroupProcess(self.kernel, *joined, self.nugget, self.support)
        other = object.__new__(GroupProcess)
        other.__dict__.update(self.__dict__)
        other.x, other.levels, other.y, other.noise = joined
        if not new:
            if self.support is None:
                other._weigh()
            return other
        covers = self._covers(x, levels)
        told = covers @ self._weights
        cross = times_transposed(covers, self._inverse)
        own = self.kernel(x, levels, x, levels) - cross @ cross.T
        own[np.diag_indices(new)] += noise + self.nugget[levels]
        corner = inverted(factor(own))
        other._inverse = np.zeros((old + new, old + new))
        other._inverse[:old, :old] = self._inverse
        other._inverse[old:, old:] = corner
        other._inverse[old:, :old] = -times(corner @ cross, self._inverse)
        other._at = np.concatenate([self._at, x])
        other._at_levels = np.concatenate([self._at_levels, levels])
        if self.support is None:
            other._weigh()
            return other
        other._weights = np.concatenate([self._weights, np.zeros(new)])
        other._weights += other._inverse[old:].T @ (corner @ (y[-new:] - told))
        other.support = np.concatenate([self.support, np.arange(len(y) - new, len(y))])
        return other

    def continues(self, x: Matrix, levels: Levels, noise: Vector) -> bool:
        """Whether data begin with those of this process, and few enough carry them."""
        n = len(self.x)
        return (
            n <= len(x)
            and (self.support is None or len(self.support) <= EXACT)
            and np.array_equal(self.levels, levels[:n])
            and np.array_equal(self.x, x[:n])
            and np.array_equal(self.noise, noise[:n])
        )

    def _covers(self, z: Matrix, levels: Levels) -> Matrix:
        """Prior covariance (k, m) of points z (k, d) with what carries the measurements."""
        return self.kernel(z, levels, self._at, self._at_levels)

    def _seen(self, z: Matrix, levels: Levels) -> Matrix:
        """What measurements say of points z (k, d) in independent parts (k, m)."""
        return times_transposed(self._covers(z, levels), self._inverse)

    def _chunks(self, z: Matrix) -> list[Matrix]:
        step = max(_CHUNK // max(len(self._at), 1), 1)
        return [z[i : i + step] for i in range(0, len(z), step)] or [z]

    def means(self, z: Matrix, level: int) -> Vector:
        """Posterior mean (m,) alone: all that many candidates can be asked for."""
        return np.concatenate(
            [self._covers(p, np.full(len(p), level)) @ self._weights for p in self._chunks(z)]
        )

    def inflated(self, factor: float) -> GroupProcess:
        """The same process with all posterior standard deviations times ``factor``."""
        other = object.__new__(GroupProcess)
        other.__dict__.update(self.__dict__)
        other._inflation = self._inflation * factor
        return other

    def under(self, kernel: LevelKernel) -> GroupProcess:
        """What the same data say with another kernel."""
        return GroupProcess(
            kernel, self.x, self.levels, self.y, self.noise, self.nugget, self.support
        )

    def moments(self, z: Matrix, level: int, slopes: bool = False) -> Moments:
        """Posterior moments of one level at z (m, d)."""
        parts = [self._moments(p, level, slopes) for p in self._chunks(z)]
        return (
            parts[0]
            if len(parts) == 1
            else Moments(
                np.concatenate([p.mean for p in parts]),
                np.concatenate([p.std for p in parts]),
                np.concatenate([p.mean_slope for p in parts]),
                np.concatenate([p.std_slope for p in parts]),
            )
        )

    def _moments(self, z: Matrix, level: int, slopes: bool) -> Moments:
        prior = self.kernel.prior_variance(level)
        none = np.zeros((0, z.shape[1]))
        if not len(self.y):
            flat = np.zeros_like(z) if slopes else none
            spread = self._inflation * np.sqrt(prior)
            return Moments(np.zeros(len(z)), np.full(len(z), spread), flat, flat)
        cross = self._covers(z, np.full(len(z), level))
        mean = cross @ self._weights
        half = times_transposed(cross, self._inverse)
        variance = np.maximum(prior - np.einsum("ij,ij->i", half, half), _MIN_VARIANCE)
        std = self._inflation * np.sqrt(variance)
        if not slopes:
            return Moments(mean, std, none, none)
        full = times(half, self._inverse)
        mean_slope, variance_slope = np.zeros_like(z), np.zeros_like(z)
        for m in range(level + 1):
            share = self.kernel.shares[level, m] * self.kernel.shares[self._at_levels, m]
            if not share.any():
                continue
            _, bend = matern(z, self._at, self.kernel.lengthscales[m])
            bend *= self.kernel.variances[m] * share
            scale = self.kernel.lengthscales[m] ** 2
            mean_slope -= _pull(bend * self._weights, z, self._at) / scale
            variance_slope += 2.0 * _pull(bend * full, z, self._at) / scale
        std_slope = self._inflation**2 * variance_slope / (2.0 * std[:, None])
        return Moments(mean, std, mean_slope, std_slope)

    def covariance(self, z: Matrix, level: int, other: Matrix, level_other: int) -> Matrix:
        """Posterior covariance (m, k) of level ``level`` at z with ``level_other`` at other."""
        a, b = np.full(len(z), level), np.full(len(other), level_other)
        prior = self.kernel(z, a, other, b)
        if not len(self.y):
            return self._inflation**2 * prior
        left, right = self._seen(z, a), self._seen(other, b)
        return self._inflation**2 * (prior - left @ right.T)

    def paired(self, z: Matrix, level: int, level_other: int) -> Vector:
        """Posterior covariance (m,) of two levels, both at z (m, d)."""
        flat = np.full(len(z), float(self.kernel.paired(level, level_other).sum()))
        if not len(self.y):
            return self._inflation**2 * flat
        left, right = (self._seen(z, np.full(len(z), k)) for k in (level, level_other))
        return self._inflation**2 * (flat - np.einsum("ij,ij->i", left, right))


def _pull(weights: Matrix, z: Matrix, x: Matrix) -> Matrix:
    """Sum over data a of ``weights[i, a] * (z[i] - x[a])``, shape (m, d)."""
    return weights.sum(1)[:, None] * z - weights @ x
