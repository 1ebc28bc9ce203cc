"""Objectives with a closed form on the moments of a belief, for any set of measurements."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from ._gp import Vector
from ._moments import Moments
from ._worlds import Indices, Objective, Probe, Worlds

Asked = tuple[str, float]
"""A quantity to be measured, and the standard deviation of its noise."""


class Closed(Objective):
    """Gains in closed form. A step may measure several quantities at a point at once."""

    def __init__(self, worlds: Worlds, quantities: Sequence[str]) -> None:
        self.worlds, self.quantities = worlds, tuple(quantities)

    @abstractmethod
    def several(self, asked: Sequence[Asked], points: Indices) -> Vector:
        """Expected gain (N,) of measuring all of ``asked`` at each of ``points``."""

    @abstractmethod
    def given(self, probes: Sequence[Probe]) -> Closed:
        """The objective once the probes have shown what is expected of them."""

    def single(self, quantity: str, points: Indices, noise_std: float) -> Vector:
        return self.several([(quantity, noise_std)], points)

    def theory(self) -> float:
        """The share of the goal's variance on which the members of the ensemble disagree, of the
        gain of knowing everything; what luck gives in so few worlds is taken off.
        """
        members = self.worlds.theory
        if members is None:
            return 0.0
        kinds, counts = np.unique(members, return_counts=True)
        shares = []
        for quantity in self.quantities:
            values = self.worlds.values[quantity]
            means = np.stack([values[members == k].mean(0) for k in kinds])
            total = max(float(values.var(0).mean()), 1e-300)
            shares.append(float(means.var(0).mean()) / total - 1.0 / float(counts.mean()))
        return max(float(np.mean(shares)), 0.0) * self.ceiling()


def explained(
    moments: Moments, quantity: str, at: Indices, asked: Sequence[Asked], points: Indices
) -> np.ndarray:
    """Variance (len(at), N) of ``quantity`` at points that measuring ``asked`` at each of
    ``points`` would take away.
    """
    if len(asked) == 1:
        name, noise = asked[0]
        total = moments.variance(name, points) + noise**2
        cross = moments.covariance(quantity, at, name, points)
        return cross**2 / np.maximum(total, 1e-300)
    cross = np.stack([moments.covariance(quantity, at, q, points) for q, _ in asked], axis=-1)
    solved = np.linalg.solve(between(moments, asked, points)[None], cross[..., None])[..., 0]
    return np.maximum(np.sum(solved * cross, axis=-1), 0.0)


def between(moments: Moments, asked: Sequence[Asked], points: Indices) -> np.ndarray:
    """Covariance (N, k, k) of what ``asked`` would show at each of ``points``, noise included."""
    k = len(asked)
    found = np.zeros((len(points), k, k))
    for i, (a, noise) in enumerate(asked):
        for j, (b, _) in enumerate(asked):
            found[:, i, j] = moments.pairwise(a, b, points)
        found[:, i, i] = np.maximum(found[:, i, i], 0.0) * (1.0 + 1e-9) + noise**2 + 1e-300
    return found


def explained_by(moments: Moments, quantity: str, at: Indices, probes: Sequence[Probe]) -> Vector:
    """Variance (len(at),) of ``quantity`` at points that making all probes would take away."""
    cross = moments.with_probes(quantity, at, probes)
    solved = np.linalg.solve(moments.among_probes(probes), cross.T)
    return np.maximum(np.sum(cross.T * solved, axis=0), 0.0)
