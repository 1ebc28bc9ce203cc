"""Covariance of a quantity and its cheaper sources: Matérn 5/2 components, one a source.

The dearest source of a property is a factor times the next cheaper one plus a process of its own
(Kennedy & O'Hagan 2000), so that level l of L levels is a sum of components 0..l. With one level it
is a plain Matérn kernel with one length scale per input (Rasmussen & Williams 2006, eq. 4.17). What
no smooth function of the inputs explains is part of a component, too: a cheap source tells of the
peculiarities of one candidate as well as of what it has in common with others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Levels = NDArray[np.int64]

MEAN_VARIANCE = 1.0
"""Prior variance of a component's unknown mean, in standardized units."""


def matern(x: Matrix, z: Matrix, lengthscales: Vector) -> tuple[Matrix, Matrix]:
    """Matérn 5/2 correlation (n, m) of x (n, d) and z (m, d), and its slope factor.

    The derivative of the correlation by x_i is ``-slope * (x_i - z_i) / lengthscales_i**2``.
    """
    square = cdist(x / lengthscales, z / lengthscales, "sqeuclidean")
    r = np.sqrt(5.0 * square, out=square)
    decay = np.exp(-r)
    slope = (1.0 + r) * decay
    slope *= 5.0 / 3.0
    r *= 1.0 + r / 3.0
    r += 1.0
    r *= decay
    return r, slope


@final
@dataclass(frozen=True)
class LevelKernel:
    """Covariance between (input, level) pairs.

    Attributes
    ----------
    lengthscales
        Shape (L, d), one row per component.
    variances
        Shape (L,), variance of each component.
    factors
        Shape (L,), what a level keeps of the next cheaper one; the first is not used.
    roughness
        Shape (L,), variance of each component that belongs to one input alone.
    """

    lengthscales: Matrix
    variances: Vector
    factors: Vector
    roughness: Vector

    @property
    def levels(self) -> int:
        return len(self.variances)

    @cached_property
    def shares(self) -> Matrix:
        """Shape (L, L): the factor with which component m enters level l (zero for m > l)."""
        shares = np.zeros((self.levels, self.levels))
        for m in range(self.levels):
            shares[m:, m] = np.cumprod(np.concatenate([[1.0], self.factors[m + 1 :]]))
        return shares

    def __call__(self, x: Matrix, a: Levels, z: Matrix, b: Levels) -> Matrix:
        """Covariance (n, m) of x (n, d) at levels a (n,) with z (m, d) at levels b (m,)."""
        total = np.zeros((len(x), len(z)))
        for m in range(self.levels):
            left, right = self.shares[a, m], self.shares[b, m]
            if not left.any() or not right.any():
                continue
            value, _ = matern(x, z, self.lengthscales[m])
            same = value >= 1.0 if self.roughness[m] > 0.0 else None
            value *= self.variances[m]
            value += MEAN_VARIANCE
            if same is not None:
                value[same] += self.roughness[m]
            if self.levels > 1:
                value *= left[:, None] * right
            total += value
        return total

    def prior_variance(self, level: int) -> float:
        """Variance of one value of a level."""
        return float(np.sum(self.paired(level, level)))

    def paired(self, level: int, other: int) -> Vector:
        """Covariance (L,) of two levels at the same input, by components."""
        own = self.variances + MEAN_VARIANCE + self.roughness
        return self.shares[level] * self.shares[other] * own

    def shorter(self, factor: float) -> LevelKernel:
        """The same kernel with all length scales times ``factor``."""
        return replace(self, lengthscales=self.lengthscales * factor)
