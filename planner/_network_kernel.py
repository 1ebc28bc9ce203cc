"""Covariance of a quantity and its cheaper sources: Matérn 5/2 components, one a source.

A source is a sum of what the cheaper ones are made of, each with a factor, and a process of its
own: level l of L levels is a sum of components 0..l. That is the model of Kennedy & O'Hagan (2000)
with factors to all cheaper sources instead of the next cheaper one alone, so that a dear proxy does
not make what a cheap one says worthless (linear model of coregionalization; Álvarez, Rosasco &
Lawrence 2012, section 4.2). With one level it is a plain Matérn kernel with one length scale per
input (Rasmussen & Williams 2006, eq. 4.17). What no smooth function of the inputs explains is part
of a component, too: a cheap source tells of the peculiarities of one candidate as well as of what
it has in common with others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Levels = NDArray[np.int64]

MEAN_VARIANCE = 1.0
"""Prior variance of a component's unknown mean, in standardized units."""


_CACHED = 2**16
"""So many numbers of a block at once: they stay in the processor's cache."""


def _distance(x: Matrix, z: Matrix, lengthscales: Vector) -> Matrix:
    """Distance (n, m) of x (n, d) and z (m, d) in length scales, times the root of five."""
    scale = np.sqrt(5.0) / lengthscales
    if x.shape[1] == 1:
        r = np.subtract.outer(x[:, 0] * scale, z[:, 0] * scale)
        return np.abs(r, out=r)
    r = cdist(x * scale, z * scale, "sqeuclidean")
    return np.sqrt(r, out=r)


def correlation(x: Matrix, z: Matrix, lengthscales: Vector) -> Matrix:
    """Matérn 5/2 correlation (n, m) of x (n, d) and z (m, d)."""
    r = _distance(x, z, lengthscales)
    decay = np.negative(r)
    np.exp(decay, out=decay)
    value = r * (1.0 / 3.0)
    value += 1.0
    value *= r
    value += 1.0
    value *= decay
    return value


def matern(x: Matrix, z: Matrix, lengthscales: Vector) -> tuple[Matrix, Matrix]:
    """Matérn 5/2 correlation (n, m) of x (n, d) and z (m, d), and its slope factor.

    The derivative of the correlation by x_i is ``-slope * (x_i - z_i) / lengthscales_i**2``.
    """
    r = _distance(x, z, lengthscales)
    decay = np.negative(r)
    np.exp(decay, out=decay)
    slope = r + 1.0
    value = np.multiply(r, r, out=r)
    value *= 1.0 / 3.0
    value += slope
    value *= decay
    slope *= decay
    slope *= 5.0 / 3.0
    return value, slope


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
    shares
        Shape (L, L): the factor with which component m enters level l; one for m = l and zero for
        m > l.
    roughness
        Shape (L,), variance of each component that belongs to one input alone.
    """

    lengthscales: Matrix
    variances: Vector
    shares: Matrix
    roughness: Vector

    @property
    def levels(self) -> int:
        return len(self.variances)

    def __call__(self, x: Matrix, a: Levels, z: Matrix, b: Levels) -> Matrix:
        """Covariance (n, m) of x (n, d) at levels a (n,) with z (m, d) at levels b (m,)."""
        total = np.empty((len(x), len(z)))
        step = max(_CACHED // max(len(z), 1), 1)
        for i in range(0, len(x), step):
            self._fill(total[i : i + step], x[i : i + step], a[i : i + step], z, b)
        return total

    def _fill(self, total: Matrix, x: Matrix, a: Levels, z: Matrix, b: Levels) -> None:
        """Write the covariance of x with z into ``total``."""
        if self.levels > 1:
            total[:] = 0.0
        for m in range(self.levels):
            left, right = self.shares[a, m], self.shares[b, m]
            if not left.any() or not right.any():
                continue
            value = correlation(x, z, self.lengthscales[m])
            same = value >= 1.0 if self.roughness[m] > 0.0 else None
            into = value if self.levels > 1 else total
            np.multiply(value, self.variances[m], out=into)
            into += MEAN_VARIANCE
            if same is not None:
                into[same] += self.roughness[m]
            if self.levels > 1:
                value *= left[:, None] * right
                total += value

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
