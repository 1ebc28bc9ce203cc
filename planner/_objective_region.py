"""Know where limits are kept: the fall of the share of the space that is misjudged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from scipy.special import ndtr, owens_t

from ..workflow import Limit
from ._closed import Asked, Closed, explained, explained_by
from ._gp import Matrix, Vector
from ._moments import Moments
from ._worlds import Indices, Probe, Worlds


@final
class Region(Closed):
    """Gains are falls of the integral of p (1 - p), with p the probability that all limits hold.

    p (1 - p) is the chance that two independent readings of the belief disagree at a point; its
    integral is the uncertainty of the feasible set (Bect et al. 2012, J with p(1-p); Chevalier et
    al. 2014). After a measurement that explains a share r of the variance, the mean of p^2 is the
    probability that two normals with correlation r both keep the limit, so the gain needs no
    sampling. Quantities are taken as independent of each other at a point.
    """

    def __init__(
        self, worlds: Worlds, moments: Moments, limits: Sequence[Limit], grid: Indices
    ) -> None:
        super().__init__(worlds, [limit.quantity for limit in limits])
        self.moments, self._limits, self.grid = moments, tuple(limits), grid
        self._both = self._prior_both()

    def _prior_both(self) -> Vector:
        kept = [limit_kept(self.moments, limit, self.grid) for limit in self._limits]
        return np.prod(kept, axis=0) ** 2

    def probabilities(self) -> Vector:
        """The probability (G,) that all limits are kept at each point of the grid."""
        return np.sqrt(self._both)

    def _gain(self, shares: Sequence[Matrix]) -> Matrix:
        """Gains from shares (G, ...) of each quantity's variance that would be explained."""
        both = np.ones_like(shares[0])
        for limit, share in zip(self._limits, shares, strict=True):
            low, high = standard_limits(self.moments, limit, self.grid)
            wide = (slice(None), *([None] * (share.ndim - 1)))
            both = both * _both_inside(low[wide], high[wide], share)
        before = self._both[(slice(None), *([None] * (both.ndim - 1)))]
        return np.maximum(np.mean(both - before, axis=0), 0.0)

    def _variance(self, quantity: str) -> Vector:
        return np.maximum(self.moments.variance(quantity, self.grid), 1e-300)

    def several(self, asked: Sequence[Asked], points: Indices) -> Vector:
        shares = [
            explained(self.moments, q, self.grid, asked, points) / self._variance(q)[:, None]
            for q in self.quantities
        ]
        return np.asarray(self._gain(shares))

    def joint(self, probes: Sequence[Probe]) -> float:
        if not probes:
            return 0.0
        shares = [
            explained_by(self.moments, q, self.grid, probes) / self._variance(q)
            for q in self.quantities
        ]
        return float(self._gain(shares))

    def given(self, probes: Sequence[Probe]) -> Region:
        return Region(self.worlds, self.moments.given(probes), self._limits, self.grid)

    def ceiling(self) -> float:
        p = self.probabilities()
        return float(np.mean(p * (1.0 - p)))


def standard_limits(moments: Moments, limit: Limit, at: Indices) -> tuple[Vector, Vector]:
    """Lower and upper limit (N,) in standard deviations from the mean; infinite where none."""
    mean = moments.mean[limit.quantity][at]
    std = np.sqrt(np.maximum(moments.variance(limit.quantity, at), 1e-300))
    low = np.full(len(at), -np.inf) if limit.above is None else (limit.above - mean) / std
    high = np.full(len(at), np.inf) if limit.below is None else (limit.below - mean) / std
    return low, high


def limit_kept(moments: Moments, limit: Limit, at: Indices) -> Vector:
    """The probability (N,) that a limit is kept."""
    low, high = standard_limits(moments, limit, at)
    return np.maximum(ndtr(high) - ndtr(low), 0.0)


def _both_inside(low: Vector, high: Vector, correlation: Matrix) -> Matrix:
    """Probability that two standard normals with a correlation both lie between the limits."""
    if np.isneginf(low).all():
        return same_side(high, correlation)
    if np.isposinf(high).all():
        return same_side(-low, correlation)
    upper, lower = same_side(high, correlation), same_side(low, correlation)
    return np.clip(upper - 2.0 * bivariate_normal(low, high, correlation) + lower, 0.0, 1.0)


def same_side(h: Matrix, r: Matrix) -> Matrix:
    """P(X <= h, Y <= h) for standard normals with correlation 0 <= r <= 1 (Owen 1956)."""
    r = np.clip(r, 0.0, 1.0)
    return ndtr(h) - 2.0 * owens_t(h, np.sqrt((1.0 - r) / (1.0 + r)))


def bivariate_normal(h: Matrix, k: Matrix, r: Matrix) -> Matrix:
    """P(X <= h, Y <= k) for standard normals with correlation 0 <= r <= 1 (Owen 1956)."""
    h, k, r = np.broadcast_arrays(h, k, np.clip(r, 0.0, 1.0 - 1e-12))
    ends = np.where(
        np.isneginf(h) | np.isneginf(k), 0.0, np.where(np.isposinf(h), ndtr(k), ndtr(h))
    )
    open_ = np.isinf(h) | np.isinf(k)
    a, b = np.where(open_, 1.0, h), np.where(open_, 1.0, k)
    a, b = np.where(np.abs(a) < 1e-9, 1e-9, a), np.where(np.abs(b) < 1e-9, 1e-9, b)
    root = np.sqrt(1.0 - r**2)
    one, two = (b - r * a) / (a * root), (a - r * b) / (b * root)
    apart = np.where(a * b > 0.0, 0.0, 0.5)
    inner = 0.5 * (ndtr(a) + ndtr(b)) - owens_t(a, one) - owens_t(b, two) - apart
    return np.where(open_, ends, np.clip(inner, 0.0, 1.0))
