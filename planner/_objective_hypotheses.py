"""Tell hypotheses apart: what a measurement is expected to say about which of them holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from ..workflow import Discriminate
from ._closed import Asked, Closed
from ._gp import Matrix, Vector
from ._hypotheses import Weighed
from ._worlds import Indices, Probe, Worlds

_NODES = 24
_MOST_COMPONENTS, _LEAST_WEIGHT = 48, 1e-7
_DRAWS = 96


@final
class Separation(Closed):
    """Gains are bits about which hypothesis holds: the mutual information I(H; Y).

    Lindley 1956; Box & Hill 1967; as entropy less expected entropy of the outcome, Houlsby et al.
    2011. The outcome is a mixture of normals, one for each component of each hypothesis, and its
    entropies are Gauss-Hermite sums. Only measurements of the goal's quantity tell anything.
    """

    def __init__(
        self,
        worlds: Worlds,
        goal: Discriminate,
        weighed: Weighed,
        pending: Sequence[Probe] = (),
    ) -> None:
        super().__init__(worlds, goal.quantities)
        self.weighed, self._goal, self._pending = weighed, goal, tuple(pending)
        self._keep, self._log_weights = _heaviest(weighed.log_weights)
        self._owner = weighed.owner[self._keep]
        self.sure = max(weighed.probabilities.values()) >= goal.sure_above

    def several(self, asked: Sequence[Asked], points: Indices) -> Vector:
        noise = [n for q, n in asked if q == self._goal.quantity]
        if not noise or self.sure:
            return np.zeros(len(points))
        mean, std = self._predict(points)
        std = np.sqrt(std**2 + max(noise[0], self.weighed.least_noise) ** 2)
        return information(self._log_weights, self._owner, mean, std)

    def _predict(self, points: Indices) -> tuple[Matrix, Matrix]:
        """Means and standard deviations (C, N) at pool points, given what is pending."""
        extra = np.array([p.point for p in self._pending], dtype=np.int64)
        rows = np.concatenate([points, extra]).astype(np.int64)
        means, covariances = self.weighed.predict(self.worlds.pool[rows], self._keep)
        n = len(points)
        stds = []
        for covariance in covariances:
            left = np.diag(covariance)[:n].copy()
            if len(extra):
                noise = [max(p.noise_std, self.weighed.least_noise) ** 2 for p in self._pending]
                total = covariance[n:, n:] + np.diag(noise)
                cross = covariance[:n, n:]
                left -= np.sum(cross * np.linalg.solve(total, cross.T).T, axis=1)
            stds.append(np.sqrt(np.maximum(left, 0.0)))
        return means[:, :n], np.stack(stds)

    def joint(self, probes: Sequence[Probe]) -> float:
        told = [p for p in probes if p.quantity == self._goal.quantity]
        if not told or self.sure:
            return 0.0
        if len(told) == 1:
            return float(
                self.several([(told[0].quantity, told[0].noise_std)], np.array([told[0].point]))[0]
            )
        rows = self.worlds.pool[[p.point for p in told]]
        means, covariances = self.weighed.predict(rows, self._keep)
        noise = np.diag([max(p.noise_std, self.weighed.least_noise) ** 2 for p in told])
        roots = [np.linalg.cholesky(c + noise).astype(np.float64) for c in covariances]
        return joint_information(self._log_weights, self._owner, means, roots)

    def given(self, probes: Sequence[Probe]) -> Separation:
        told = [p for p in probes if p.quantity == self._goal.quantity]
        return Separation(self.worlds, self._goal, self.weighed, (*self._pending, *told))

    def theory(self) -> float:
        return 0.0

    def ceiling(self) -> float:
        """The entropy of the hypotheses, in bits."""
        return 0.0 if self.sure else entropy_bits(np.array([*self.weighed.probabilities.values()]))


def entropy_bits(p: Vector) -> float:
    """Entropy of a distribution over a few outcomes."""
    positive = p[p > 0.0]
    return max(float(-np.sum(positive * np.log2(positive))), 0.0)


def _heaviest(log_weights: Vector) -> tuple[list[int], Vector]:
    """Components that matter, and their log weights, normalized."""
    order = np.argsort(-log_weights, kind="stable")[:_MOST_COMPONENTS]
    keep = np.sort(order[np.exp(log_weights[order]) >= _LEAST_WEIGHT])
    kept = log_weights[keep]
    return [int(i) for i in keep], kept - np.logaddexp.reduce(kept)


def _grouped(log_joint: Matrix, log_weights: Vector, owner: Indices) -> Matrix:
    """Log density under each component's own hypothesis, from weighted densities (C, ...)."""
    found = np.empty_like(log_joint)
    for h in np.unique(owner):
        mine = owner == h
        share = np.logaddexp.reduce(log_weights[mine])
        found[mine] = np.logaddexp.reduce(log_joint[mine], axis=0) - share
    return found


def information(log_weights: Vector, owner: Indices, mean: Matrix, std: Matrix) -> Vector:
    """Mutual information (N,), in bits, between the owner of a component and one normal outcome.

    ``mean`` and ``std`` have shape (C, N).
    """
    z, weight = np.polynomial.hermite_e.hermegauss(_NODES)
    weight = weight / weight.sum()
    total = np.zeros(mean.shape[1])
    for c, log_weight in enumerate(log_weights):
        y = mean[c] + std[c] * z[:, None]
        gap = (y[None] - mean[:, None]) / std[:, None]
        log_joint = log_weights[:, None, None] - 0.5 * gap**2 - np.log(std)[:, None]
        own = _grouped(log_joint, log_weights, owner)[c]
        told = own - np.logaddexp.reduce(log_joint, axis=0)
        total += np.exp(log_weight) * (weight @ told)
    return np.clip(total / np.log(2.0), 0.0, None)


def joint_information(
    log_weights: Vector, owner: Indices, means: Matrix, roots: Sequence[Matrix]
) -> float:
    """The same for several outcomes at once, by Monte Carlo with fixed draws.

    ``means`` (C, k) and Cholesky factors (k, k) of the covariances, noise included.
    """
    rng = np.random.default_rng(31)
    half = rng.standard_normal((_DRAWS // 2, means.shape[1]))
    draws = np.concatenate([half, -half])
    total = 0.0
    for c, log_weight in enumerate(log_weights):
        y = means[c] + draws @ roots[c].T
        log_joint = np.stack(
            [lw + _log_normal(y - m, r) for lw, m, r in zip(log_weights, means, roots, strict=True)]
        )
        own = _grouped(log_joint, log_weights, owner)[c]
        told = own - np.logaddexp.reduce(log_joint, axis=0)
        total += float(np.exp(log_weight) * told.mean())
    return max(total / np.log(2.0), 0.0)


def _log_normal(residual: Matrix, root: Matrix) -> Vector:
    """Log densities (n,) of residuals (n, k), up to a constant, by the factor of a covariance."""
    white = np.linalg.solve(root, residual.T)
    return -0.5 * np.sum(white**2, axis=0) - float(np.log(np.diag(root)).sum())
