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
_SHARE_MEAN, _SHARE_SPREAD = 0.8, 0.4
_CERTAIN = 1.0 - 1e-6
"""A correlation beyond this is as good as one."""
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


@final
@dataclass(frozen=True)
class _Scatter:
    """How much follows smoothly from the inputs, and how much belongs to each point alone.

    ``smooth`` is the share of the variances' usual medians, ``rough`` the median of roughness;
    both with logarithmic spreads. ``by_level`` makes ``rough`` a share of the same medians.
    """

    rough: float
    rough_spread: float
    smooth: float = 1.0
    smooth_spread: float = _VARIANCE_SPREAD
    by_level: bool = False


_SMOOTH = _Scatter(rough=1e-6, rough_spread=2.5)
_PECULIAR = _Scatter(rough=0.3, rough_spread=1.0)
_STRANGERS = _Scatter(1.0, 0.5, smooth=1e-3, smooth_spread=0.1, by_level=True)
"""Inputs tell nearly all, a part, and nothing: what one point has says nothing of the next one."""
_ODDS = 3.0
"""How many nats it costs to believe that points of a continuum are peculiar."""
_STRANGE_ODDS = 1.0
"""How many nats it costs to believe that listed points are strangers to each other."""


def prior_lengthscales(widths: Vector) -> Vector:
    """Median length scales for inputs that span ``widths``: 0.4 sqrt(d) of the span."""
    return 0.4 * np.sqrt(max(len(widths), 1)) * widths


@final
@dataclass(frozen=True)
class Told:
    """What is known beforehand of the correlation of a level with another one.

    ``z`` is Fisher's transform of the correlation, atanh(r), and ``spread`` its standard deviation.
    """

    level: int
    other: int
    z: float
    spread: float

    @classmethod
    def of(cls, level: int, other: int, r: float, std: float) -> Told:
        """From Pearson's r and its standard deviation.

        Where r + std would pass one, the spread is that of r = 1 - std: it would grow beyond all
        bounds otherwise, and a better source would count less.
        """
        near = min(abs(r), 1.0 - std)
        z = float(np.arctanh(np.clip(r, -_CERTAIN, _CERTAIN)))
        return cls(level, other, z, std / (1.0 - near**2))


@final
class _Posterior:
    """Negative log posterior of the hyperparameters and its slope.

    Parameters are logs of length scales (L, d), variances (L,), roughness (L,); then the shares
    below the diagonal (L (L-1) / 2,). ``price`` is what it costs in nats to believe in a scatter.
    ``same`` (n, n) is one where two inputs are the same; None where no two are.
    """

    def __init__(
        self,
        x: Matrix,
        levels: Levels,
        y: Vector,
        noise: Vector,
        widths: Vector,
        count: int,
        scatter: _Scatter = _SMOOTH,
        price: float = 0.0,
        told: tuple[Told, ...] = (),
    ) -> None:
        self._told, self.scatter = told, scatter
        self._price = price + count * float(np.log(scatter.rough_spread))
        self.x, self.levels, self.y, self.noise = x, levels, y, noise
        self.count, self.dim = count, x.shape[1]
        self.below = np.tril_indices(count, -1)
        self.at = [np.flatnonzero(levels == level) for level in range(count)]
        same = cdist(x, x, "sqeuclidean") == 0.0
        self.same = same.astype(np.float64) if np.count_nonzero(same) > len(x) else None
        self.center = self._center(widths, scatter)
        self.spread = np.concatenate(
            [
                np.full(count * self.dim, _LENGTH_SPREAD),
                np.full(count, scatter.smooth_spread),
                np.full(count, scatter.rough_spread),
                np.full(count * (count - 1) // 2, _SHARE_SPREAD),
            ]
        )

    def _center(self, widths: Vector, scatter: _Scatter) -> Vector:
        """Medians; the shares of a source that is told to run against another are negative."""
        lengths = np.tile(np.log(prior_lengthscales(widths)), self.count)
        left = 1.0 - _SHARE_MEAN**2
        usual = np.log(np.array([1.0, *[left] * (self.count - 1)]))
        variances = usual + np.log(scatter.smooth)
        rough = np.log(scatter.rough) + (usual if scatter.by_level else np.zeros(self.count))
        below, above = self.below
        signs = np.ones(self.count)
        for told in sorted(self._told, key=lambda t: -t.other):
            signs[told.level] = -signs[told.other] if told.z < 0.0 else signs[told.other]
        shares = signs[below] * signs[above] * _SHARE_MEAN ** (below - above).astype(np.float64)
        return np.concatenate([lengths, variances, rough, shares])

    def kernel(self, theta: Vector) -> LevelKernel:
        n, d = self.count, self.dim
        lengths = np.exp(theta[: n * d]).reshape(n, d)
        variances = np.exp(theta[n * d : n * d + n])
        rough = np.exp(theta[n * d + n : n * d + 2 * n])
        shares = np.eye(n)
        shares[self.below] = theta[n * d + 2 * n :]
        return LevelKernel(lengths, variances, shares, rough)

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
        value, slope = self._misfit(kernel) if len(self.y) else (0.0, np.zeros_like(theta))
        z = (theta - self.center) / self.spread
        value += 0.5 * float(z @ z) + self._price
        slope += z / self.spread
        for told in self._told:
            value += self._add_told(told, kernel, slope)
        return value, slope

    def _misfit(self, kernel: LevelKernel) -> tuple[float, Vector]:
        """Negative log marginal likelihood and its slope."""
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
            return 1e10, np.zeros_like(self.center)
        logs = float(np.sum(np.log(np.diag(lower))))
        gap = inverse_by(lower)
        weights = gap @ self.y
        value = 0.5 * float(self.y @ weights) + logs
        gap -= np.outer(weights, weights)
        slope = np.zeros_like(self.center)
        for m in range(n):
            outer = gap if n == 1 else gap * np.outer(shares[:, m], shares[:, m])
            bend = outer * parts[m][1]
            bend *= kernel.variances[m]
            square = 2.0 * (bend.sum(1) @ self.x**2 - np.sum((bend @ self.x) * self.x, axis=0))
            slope[m * d : (m + 1) * d] = 0.5 * square / kernel.lengthscales[m] ** 2
            slope[n * d + m] = 0.5 * kernel.variances[m] * float(np.vdot(outer, parts[m][0]))
            same = np.trace(outer) if self.same is None else np.vdot(outer, self.same)
            slope[n * d + n + m] = 0.5 * kernel.roughness[m] * float(same)
        for i, (level, m) in enumerate(np.column_stack(self.below).tolist()):
            slope[n * d + 2 * n + i] = self._share_slope(kernel, parts[m][0], gap, level, m)
        return value, slope

    def _add_told(self, told: Told, kernel: LevelKernel, slope: Vector) -> float:
        """What the posterior loses where a correlation is not as told; adds to its slope."""
        n, d = self.count, self.dim
        own = kernel.variances + kernel.roughness
        a, b = kernel.shares[told.level], kernel.shares[told.other]
        first, second, both = float(a**2 @ own), float(b**2 @ own), float((a * b) @ own)
        root = np.sqrt(first * second)
        r = float(np.clip(both / root, -_CERTAIN, _CERTAIN))
        gap = (np.arctanh(r) - told.z) / told.spread
        pull = gap / told.spread / (1.0 - r**2)
        by_own = pull * (a * b / root - 0.5 * r * (a**2 / first + b**2 / second))
        slope[n * d : n * d + n] += by_own * kernel.variances
        slope[n * d + n : n * d + 2 * n] += by_own * kernel.roughness
        by_first = pull * own * (b / root - r * a / first)
        by_second = pull * own * (a / root - r * b / second)
        for i, (level, m) in enumerate(np.column_stack(self.below).tolist()):
            slope[n * d + 2 * n + i] += by_first[m] * (level == told.level)
            slope[n * d + 2 * n + i] += by_second[m] * (level == told.other)
        return 0.5 * gap**2

    def _share_slope(
        self, kernel: LevelKernel, value: Matrix, gap: Matrix, level: int, which: int
    ) -> float:
        """Slope by the share of a component in a level above it."""
        rows = self.at[level]
        block = self._block(kernel, value, which)[rows] * gap[rows]
        return float(np.sum(block @ kernel.shares[self.levels, which]))


def fit_group(
    x: Matrix,
    levels: Levels,
    y: Vector,
    noise: Vector,
    widths: Vector,
    count: int,
    listed: bool = False,
    told: tuple[Told, ...] = (),
) -> Fit:
    """Kernel and roughness for data x (n, d), levels (n,), y (n,) with noise variances (n,).

    ``widths`` (d,) are the spans of the inputs, ``count`` the number of levels. Up to three beliefs
    compete: that nearly all follows smoothly from the inputs; where there are several levels or the
    candidates are ``listed``, that much belongs to each point alone; and where both hold, that all
    does, so that one candidate is known by its own cheaper sources only. Fewer than three data
    say nothing about a kernel: the prior's is returned, with correlations as ``told``.
    """
    smooth = _Posterior(x, levels, y, noise, widths, count, told=told)
    if len(y) < 3:
        theta = smooth.center
        if told:
            none = _Posterior(x[:0], levels[:0], y[:0], noise[:0], widths, count, told=told)
            theta = _climb(none, theta)[1]
        return smooth.fit(theta, 0.5)
    n, d = count, x.shape[1]
    short = smooth.center.copy()
    short[: n * d] += np.log(0.4)
    short[n * d + n : n * d + 2 * n] = np.log(1e-3)
    found = [_climb(smooth, smooth.center), _climb(smooth, short)]
    others: list[tuple[_Scatter, float]] = []
    if listed or count > 1:
        others.append((_PECULIAR, 0.0 if listed else _ODDS))
    if listed and count > 1:
        others.append((_STRANGERS, _STRANGE_ODDS))
    for scatter, price in others:
        other = _Posterior(x, levels, y, noise, widths, count, scatter, price, told)
        found.append(_climb(other, other.center))
    posterior, theta, value = min(found, key=lambda f: f[2])
    return posterior.fit(theta, _doubt(posterior, theta, value))


def _climb(posterior: _Posterior, start: Vector) -> tuple[_Posterior, Vector, float]:
    """The optimum of a posterior that is reached from a start, and its value."""
    n, d = posterior.count, posterior.dim
    low = posterior.center - 4.0 * posterior.spread
    high = posterior.center + 4.0 * posterior.spread
    low[n * d + n : n * d + 2 * n] = np.log(ROUGH_FLOOR)
    if not posterior.scatter.by_level:
        high[n * d + n : n * d + 2 * n] = np.log(1.0)
    found = minimize(
        posterior,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxiter": 60},
    )
    return posterior, found.x, float(found.fun)


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
