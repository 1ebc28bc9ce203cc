"""Gaussian processes: kernels, posteriors and sample paths by NumPy in float64."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

JITTER = 1e-8


@dataclass(frozen=True)
class Kernel(ABC):
    """A stationary covariance with one length scale per input (d,) and a variance."""

    lengthscales: Vector
    variance: float

    def __call__(self, x: Matrix, z: Matrix) -> Matrix:
        """Covariance of shape (..., n, m) for inputs (..., n, d) and (..., m, d)."""
        return self._at(_squared_distances(x / self.lengthscales, z / self.lengthscales))

    @abstractmethod
    def _at(self, square: Matrix) -> Matrix:
        """Covariances at squared distances in length scales."""

    @staticmethod
    @abstractmethod
    def correlation(square: Matrix) -> tuple[Matrix, Matrix]:
        """Correlations at squared distances in length scales, and minus twice their slope."""

    @abstractmethod
    def frequencies(self, count: int, rng: np.random.Generator) -> Matrix:
        """Draws (count, d) of the spectral density."""


@final
class Matern52(Kernel):
    """Matérn kernel with nu = 5/2 (Rasmussen & Williams 2006, eq. 4.17)."""

    def _at(self, square: Matrix) -> Matrix:
        r = np.sqrt(5.0 * square)
        return self.variance * (1.0 + r + r**2 / 3.0) * np.exp(-r)

    @staticmethod
    def correlation(square: Matrix) -> tuple[Matrix, Matrix]:
        r = np.sqrt(5.0 * square)
        decay = np.exp(-r)
        return (1.0 + r + r**2 / 3.0) * decay, 5.0 / 3.0 * (1.0 + r) * decay

    def frequencies(self, count: int, rng: np.random.Generator) -> Matrix:
        """Draws (count, d) of a multivariate t with 5 degrees of freedom."""
        normal = rng.standard_normal((count, len(self.lengthscales)))
        chi = rng.chisquare(5.0, (count, 1))
        return normal * np.sqrt(5.0 / chi) / self.lengthscales


@final
class SquaredExponential(Kernel):
    """Kernel of smooth functions (Rasmussen & Williams 2006, eq. 4.9)."""

    def _at(self, square: Matrix) -> Matrix:
        return self.variance * np.exp(-0.5 * square)

    @staticmethod
    def correlation(square: Matrix) -> tuple[Matrix, Matrix]:
        found = np.exp(-0.5 * square)
        return found, found

    def frequencies(self, count: int, rng: np.random.Generator) -> Matrix:
        """Draws (count, d) of a normal."""
        return rng.standard_normal((count, len(self.lengthscales))) / self.lengthscales


def _squared_distances(a: Matrix, b: Matrix) -> Matrix:
    """Squared distances (..., n, m) of points (..., n, d) from points (..., m, d)."""
    square = (
        np.sum(a**2, -1)[..., :, None]
        + np.sum(b**2, -1)[..., None, :]
        - 2.0 * a @ np.swapaxes(b, -1, -2)
    )
    return np.maximum(square, 0.0)


def default_kernel(dim: int, variance: float = 1.0) -> Matern52:
    """The prior's kernel: length scales that grow with the root of the dimension (Hvarfner et
    al. 2024).
    """
    return Matern52(np.full(dim, 0.25 * np.sqrt(max(dim, 1))), variance)


@final
@dataclass(frozen=True)
class Process:
    """A zero-mean Gaussian process observed at ``x`` (n, d) with noise variances ``noise`` (n,)."""

    kernel: Kernel
    x: Matrix
    noise: Vector

    @cached_property
    def _factor(self) -> tuple[Matrix, bool]:
        covariance = self.kernel(self.x, self.x)
        jitter = JITTER * max(self.kernel.variance, 1e-12)
        return cho_factor(covariance + np.diag(self.noise + jitter), lower=True)

    def solve(self, y: Matrix) -> Matrix:
        """(K + noise)^-1 y for y of shape (n,) or (n, k)."""
        return cho_solve(self._factor, y) if len(self.x) else y

    def mean(self, z: Matrix, y: Vector) -> Vector:
        """Posterior mean at z (m, d) given residuals y (n,)."""
        if not len(self.x):
            return np.zeros(len(z))
        return self.kernel(z, self.x) @ self.solve(y)

    def covariance(self, z: Matrix) -> Matrix:
        """Posterior covariance (m, m) at z (m, d)."""
        prior = self.kernel(z, z)
        if not len(self.x):
            return prior
        cross = self.kernel(z, self.x)
        return prior - cross @ self.solve(cross.T)

    def paths(
        self, z: Matrix, residuals: Matrix, rng: np.random.Generator, features: int | None = None
    ) -> Matrix:
        """Antithetic posterior sample paths (S, m) at z (m, d) or, per path, (S, m, d).

        Path s is conditioned on ``residuals[s]`` (n,); S is even, path s and s + S/2 mirror each
        other around the posterior mean. Matheron's rule on random Fourier features (Wilson et al.
        2020).
        """
        shared = z.ndim == 2
        count = features or (1024 if shared else 192)
        half = len(residuals) // 2
        omega = self.kernel.frequencies(count, rng)
        phase = rng.uniform(0.0, 2.0 * np.pi, count)
        weights = rng.standard_normal((half, count)) * np.sqrt(2.0 * self.kernel.variance / count)
        noise = rng.standard_normal((half, len(self.x))) * np.sqrt(self.noise)
        weights, noise = np.concatenate([weights, -weights]), np.concatenate([noise, -noise])
        at_data = weights @ np.cos(self.x @ omega.T + phase).T if len(self.x) else residuals
        update = self.solve((residuals - at_data - noise).T).T if len(self.x) else residuals
        if shared:
            return weights @ np.cos(z @ omega.T + phase).T + update @ self.kernel(self.x, z)
        paths = np.empty(z.shape[:2])
        for s, inputs in enumerate(z):
            waves = np.cos(inputs @ omega.T + phase)
            paths[s] = waves @ weights[s] + update[s] @ self.kernel(self.x, inputs)
        return paths
