"""Hyperparameters of a group: maximum a posteriori with analytic slopes.

Length scales have log-normal priors that grow with the root of the dimension (Hvarfner, Hellsten &
Nardi 2024), so do not need many data in many dimensions; what no smooth function explains goes into
a fitted roughness instead of into ever shorter length scales.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from scipy.linalg import LinAlgError, cholesky
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from ._network_factor import inverse_by
from ._network_kernel import MEAN_VARIANCE, LevelKernel, Levels, Matrix, Vector, matern

_LENGTH_SPREAD = 0.7
_VARIANCE_SPREAD = 1.0
_FACTOR_MEAN, _FACTOR_SPREAD = 0.8, 0.4
_ROUGH_MEDIAN, _ROUGH_SPREAD = 1e-6, 2.5
ROUGH_FLOOR = 1e-9
_NUGGET = 1e-5
"""A roughness below this is a numerical nugget: no new point could profit from it."""
_DOUBT = 2.0
"""How many nats of posterior the doubted length scales may lose."""


@final
@dataclass(frozen=True)
class Fit:
    """A kernel with a nugget for each level, and how short its length scales may be.

    ``doubt`` is the smallest common factor on the length scales that the data do not contradict.
    """

    kernel: LevelKernel
    nugget: Vector
    doubt: float = 1.0


def prior_lengthscales(widths: Vector) -> Vector:
    """Median length scales for inputs that span ``widths``: 0.4 sqrt(d) of the span."""
    return 0.4 * np.sqrt(max(len(widths), 1)) * widths


@final
class _Posterior:
    """Negative log posterior of the hyperparameters and its slope.

    Parameters are logs of length scales (L, d), variances (L,), roughness (L,); then factors
    (L-1,). ``same`` (n, n) is one where two inputs are the same; None where no two are.
    """

    def __init__(
        self, x: Matrix, levels: Levels, y: Vector, noise: Vector, widths: Vector, count: int
    ) -> None:
        self.x, self.levels, self.y, self.noise = x, levels, y, noise
        self.count, self.dim = count, x.shape[1]
        same = cdist(x, x, "sqeuclidean") == 0.0
        self.same = same.astype(np.float64) if np.count_nonzero(same) > len(x) else None
        self.center = self._center(widths)
        self.spread = np.concatenate(
            [
                np.full(count * self.dim, _LENGTH_SPREAD),
                np.full(count, _VARIANCE_SPREAD),
                np.full(count, _ROUGH_SPREAD),
                np.full(count - 1, _FACTOR_SPREAD),
            ]
        )

    def _center(self, widths: Vector) -> Vector:
        lengths = np.tile(np.log(prior_lengthscales(widths)), self.count)
        left = 1.0 - _FACTOR_MEAN**2
        variances = np.log(np.array([1.0, *[left] * (self.count - 1)]))
        rough = np.full(self.count, np.log(_ROUGH_MEDIAN))
        return np.concatenate([lengths, variances, rough, np.full(self.count - 1, _FACTOR_MEAN)])

    def kernel(self, theta: Vector) -> LevelKernel:
        n, d = self.count, self.dim
        lengths = np.exp(theta[: n * d]).reshape(n, d)
        variances = np.exp(theta[n * d : n * d + n])
        rough = np.exp(theta[n * d + n : n * d + 2 * n])
        factors = np.concatenate([[1.0], theta[n * d + 2 * n :]])
        return LevelKernel(lengths, variances, factors, rough)

    def fit(self, theta: Vector, doubt: float) -> Fit:
        """A roughness too small for a new point to profit from is a nugget."""
        kernel = self.kernel(theta)
        rough = kernel.roughness
        small = rough < _NUGGET
        nugget = np.where(small, rough, 0.0) + ROUGH_FLOOR
        return Fit(replace(kernel, roughness=np.where(small, 0.0, rough)), nugget, doubt)

    def _block(self, kernel: LevelKernel, value: Matrix, which: int) -> Matrix:
        """Covariance (n, n) of a component, whose correlation is ``value``."""
        block = kernel.variances[which] * value
        block += MEAN_VARIANCE
        if self.same is None:
            block[np.diag_indices(len(block))] += kernel.roughness[which]
        else:
            block += kernel.roughness[which] * self.same
        return block

    def __call__(self, theta: Vector) -> tuple[float, Vector]:
        kernel = self.kernel(theta)
        n, d = self.count, self.dim
        size = len(self.y)
        parts = [matern(self.x, self.x, kernel.lengthscales[m]) for m in range(n)]
        shares = kernel.shares[self.levels]
        covariance = np.zeros((size, size))
        for m in range(n):
            block = self._block(kernel, parts[m][0], m)
            covariance += block if n == 1 else block * np.outer(shares[:, m], shares[:, m])
        covariance[np.diag_indices(size)] += self.noise + ROUGH_FLOOR
        try:
            lower = cholesky(covariance, lower=True, check_finite=False)
        except LinAlgError:
            return 1e10, np.zeros_like(theta)
        logs = float(np.sum(np.log(np.diag(lower))))
        gap = inverse_by(lower)
        weights = gap @ self.y
        value = 0.5 * float(self.y @ weights) + logs
        gap -= np.outer(weights, weights)
        slope = np.zeros_like(theta)
        for m in range(n):
            outer = gap if n == 1 else gap * np.outer(shares[:, m], shares[:, m])
            bend = outer * parts[m][1]
            bend *= kernel.variances[m]
            square = 2.0 * (bend.sum(1) @ self.x**2 - np.sum((bend @ self.x) * self.x, axis=0))
            slope[m * d : (m + 1) * d] = 0.5 * square / kernel.lengthscales[m] ** 2
            slope[n * d + m] = 0.5 * kernel.variances[m] * float(np.vdot(outer, parts[m][0]))
            same = np.trace(outer) if self.same is None else np.vdot(outer, self.same)
            slope[n * d + n + m] = 0.5 * kernel.roughness[m] * float(same)
        for m in range(1, n):
            slope[n * d + 2 * n + m - 1] = self._factor_slope(kernel, parts, gap, m)
        z = (theta - self.center) / self.spread
        return value + 0.5 * float(z @ z), slope + z / self.spread

    def _factor_slope(
        self, kernel: LevelKernel, parts: list[tuple[Matrix, Matrix]], gap: Matrix, which: int
    ) -> float:
        """Slope by the factor between level ``which`` - 1 and ``which``."""
        total = 0.0
        step = 1e-6
        up, down = kernel.factors.copy(), kernel.factors.copy()
        up[which] += step
        down[which] -= step
        rise, fall = replace(kernel, factors=up).shares, replace(kernel, factors=down).shares
        for m in range(which):
            bent = (rise[self.levels, m] - fall[self.levels, m]) / (2.0 * step)
            share = kernel.shares[self.levels, m]
            block = self._block(kernel, parts[m][0], m)
            total += float(bent @ (gap * block) @ share)
        return total


def fit_group(
    x: Matrix, levels: Levels, y: Vector, noise: Vector, widths: Vector, count: int
) -> Fit:
    """Kernel and roughness for data x (n, d), levels (n,), y (n,) with noise variances (n,).

    ``widths`` (d,) are the spans of the inputs, ``count`` the number of levels. Fewer than three
    data say nothing about a kernel: the prior's is returned.
    """
    posterior = _Posterior(x, levels, y, noise, widths, count)
    if len(y) < 3:
        return posterior.fit(posterior.center, 0.5)
    n, d = count, x.shape[1]
    low = posterior.center - 4.0 * posterior.spread
    high = posterior.center + 4.0 * posterior.spread
    low[n * d + n : n * d + 2 * n] = np.log(ROUGH_FLOOR)
    high[n * d + n : n * d + 2 * n] = np.log(1.0)
    starts = [posterior.center.copy() for _ in range(2 if count == 1 else 3)]
    starts[1][: n * d] += np.log(0.4)
    starts[1][n * d + n : n * d + 2 * n] = np.log(1e-3)
    if count > 1:  # sources may tell of single candidates, of which no neighbour tells
        starts[2][n * d + n : n * d + 2 * n] = np.log(0.3)
    found = [
        minimize(
            posterior,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)),
            options={"maxiter": 60},
        )
        for start in starts
    ]
    best = min(found, key=lambda f: float(f.fun))
    return posterior.fit(best.x, _doubt(posterior, best.x, float(best.fun)))


def _doubt(posterior: _Posterior, theta: Vector, value: float) -> float:
    """The smallest common factor on the length scales within :data:`_DOUBT` of the optimum."""
    lengths = posterior.count * posterior.dim
    smallest = 1.0
    for share in (0.8, 0.64, 0.5, 0.4, 0.32):
        shorter = theta.copy()
        shorter[:lengths] += np.log(share)
        if posterior(shorter)[0] > value + _DOUBT:
            break
        smallest = share
    return smallest
