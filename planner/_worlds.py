"""Possible worlds: joint draws of all quantities over a pool, and what a measurement would gain.

A world is one draw of every quantity of the workflow at every point of a pool. Everything the
planner wants to know is a regression over worlds: what the goal would be believed to be, had
these quantities been measured at those points (the regression estimate of the expected value of
sample information, Strong, Oakley & Brennan 2014). A regression over a finite number of worlds
flatters itself, because the maximum finds the luck in the noise. So worlds come in two halves:
one chooses, the other judges.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from ._gp import Matrix, Vector

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Probe:
    """A measurement that could be made: a quantity at a pool point with a noise standard
    deviation.
    """

    quantity: str
    point: int
    noise_std: float


@final
@dataclass(frozen=True)
class Worlds:
    """``values[q]`` has shape (S, M): S worlds, mirrored in pairs (s, s + S/2), over M pool points.

    Attributes
    ----------
    pool
        Pool points (M, d) in the unit cube (or any features).
    goal
        The quantity that the goal is about.
    open
        Mask (M,) of points that may be recommended.
    theory
        Member of the theory's ensemble in each world (S,), or None.
    """

    pool: Matrix
    values: dict[str, Matrix]
    goal: str
    open: NDArray[np.bool_]
    theory: Indices | None = None

    @property
    def count(self) -> int:
        return len(self.values[self.goal])

    @cached_property
    def halves(self) -> tuple[Indices, Indices]:
        """Two sets of worlds without a mirrored pair between them."""
        pairs = self.count // 2
        first = np.arange(pairs // 2)
        second = np.arange(pairs // 2, pairs)
        return (np.concatenate([first, first + pairs]), np.concatenate([second, second + pairs]))

    def columns(self, probes: Sequence[Probe]) -> tuple[Matrix, Vector]:
        """Values (S, k) and noise variances (k,) of the probes."""
        y = np.stack([self.values[p.quantity][:, p.point] for p in probes], axis=1)
        return y, np.array([p.noise_std**2 for p in probes])


class Objective(ABC):
    """What a goal makes of worlds. All gains are in the goal's unit and never negative."""

    @abstractmethod
    def single(self, quantity: str, points: Indices, noise_std: float) -> Vector:
        """Expected gain (N,) of measuring ``quantity`` at each of ``points``, one at a time."""

    @abstractmethod
    def joint(self, probes: Sequence[Probe]) -> float:
        """Expected gain of making all ``probes``."""

    @abstractmethod
    def theory(self) -> float:
        """Expected gain of knowing which member of the theory's ensemble is right."""

    @abstractmethod
    def ceiling(self) -> float:
        """Expected gain of knowing everything."""


def _slopes(goal: Matrix, y: Matrix, noise: Vector, rows: Indices) -> Matrix:
    """Regression coefficients (k, M) of the goal on k noisy probes, from the worlds in ``rows``."""
    dy = y[rows] - y[rows].mean(0)
    df = goal[rows] - goal[rows].mean(0)
    gram = dy.T @ dy / len(rows)
    ridge = np.diag(noise + 1e-9 * (np.trace(gram) / len(gram) + 1e-300))
    return np.linalg.solve(gram + ridge, dy.T @ df / len(rows))


@final
class Best(Objective):
    """Find the largest value: gains are rises of the largest posterior mean.

    The knowledge gradient of Frazier, Powell & Dayanik 2009, for any set of probes.
    """

    def __init__(self, worlds: Worlds, contenders: int = 256) -> None:
        self.worlds = worlds
        goal = worlds.values[worlds.goal]
        mean, std = goal.mean(0), goal.std(0)
        reach = np.where(worlds.open, mean + 2.5 * std, -np.inf)
        top = np.argsort(-reach, kind="stable")[:contenders]
        self._contenders = np.sort(top[np.isfinite(reach[top])])
        self._goal = goal[:, self._contenders]
        self._mean = mean[self._contenders]
        self.incumbent = float(self._mean.max()) if len(self._mean) else 0.0
        self._z = norm.ppf((np.arange(15) + 0.5) / 15)
        self._z *= 1.0 / np.sqrt(np.mean(self._z**2))

    def single(self, quantity: str, points: Indices, noise_std: float) -> Vector:
        """Closed form for the linear-Gaussian change of mean, summed over quantiles of the
        outcome.
        """
        y = self.worlds.values[quantity][:, points]
        variance = y.var(0) + noise_std**2
        scale = 1.0 / np.sqrt(np.maximum(variance, 1e-300))
        slopes = []
        for rows in self.worlds.halves:
            dy = y[rows] - y[rows].mean(0)
            df = self._goal[rows] - self._goal[rows].mean(0)
            slopes.append((df.T @ dy) / len(rows) * scale)
        gain = np.zeros(len(points))
        index = np.arange(len(points))
        for chooses, judges in ((slopes[0], slopes[1]), (slopes[1], slopes[0])):
            for z in self._z:
                best = np.argmax(self._mean[:, None] + chooses * z, axis=0)
                gain += self._mean[best] + judges[best, index] * z
        return np.maximum(gain / (2 * len(self._z)) - self.incumbent, 0.0)

    def joint(self, probes: Sequence[Probe]) -> float:
        if not probes:
            return 0.0
        y, noise = self.worlds.columns(probes)
        rng = np.random.default_rng(
            20_231
        )  # the same noise for the same place in any list of probes
        eps = rng.standard_normal((len(probes), self.worlds.count // 2)).T * np.sqrt(noise)
        outcome = y - y.mean(0) + np.concatenate([eps, -eps])
        first, second = self.worlds.halves
        slopes = {0: _slopes(self._goal, y, noise, first), 1: _slopes(self._goal, y, noise, second)}
        total = 0.0
        for chooses, judges in ((0, 1), (1, 0)):
            best = np.argmax(self._mean + outcome @ slopes[chooses], axis=1)
            total += float(
                np.mean(self._mean[best] + np.sum(outcome * slopes[judges].T[best], axis=1))
            )
        return max(total / 2 - self.incumbent, 0.0)

    def theory(self) -> float:
        members = self.worlds.theory
        if members is None:
            return 0.0
        means = np.stack([self._goal[members == k].mean(0) for k in np.unique(members)])
        within = np.stack([self._goal[members == k].var(0) for k in np.unique(members)]).mean(0)
        spread = means.var(0)
        luck = within / max(np.mean(np.bincount(members)), 1.0)
        shrink = np.sqrt(np.clip(1.0 - luck / np.maximum(spread, 1e-300), 0.0, 1.0))
        centred = self._mean + (means - means.mean(0)) * shrink
        return max(float(centred.max(1).mean()) - self.incumbent, 0.0)

    def ceiling(self) -> float:
        return max(float(self._goal.max(1).mean()) - self.incumbent, 0.0)


@final
class Certainty(Objective):
    """Know some numbers: gains are falls of their mean standard deviation.

    ``features`` (S, K) are the numbers in each world: the goal's quantity over the space
    (explore) or the place of a boundary (locate_boundary).
    """

    def __init__(self, worlds: Worlds, features: Matrix) -> None:
        self.worlds = worlds
        self._centred = features - features.mean(0)
        self._std = features.std(0)

    @property
    def spread(self) -> float:
        """Mean standard deviation of the features."""
        return float(self._std.mean())

    def _fall(self, explained: Matrix, regressors: int) -> Vector:
        """Fall of the mean std for explained shares (..., K), corrected for the number of
        regressors.
        """
        n = self.worlds.count
        share = 1.0 - (1.0 - explained) * (n - 1) / max(n - 1 - regressors, 1)
        return np.mean(self._std * (1.0 - np.sqrt(1.0 - np.clip(share, 0.0, 1.0))), axis=-1)

    def single(self, quantity: str, points: Indices, noise_std: float) -> Vector:
        y = self.worlds.values[quantity][:, points]
        dy = y - y.mean(0)
        variance = y.var(0) + noise_std**2
        covariance = dy.T @ self._centred / len(y)
        explained = covariance**2 / np.maximum(variance[:, None] * self._std[None, :] ** 2, 1e-300)
        return self._fall(explained, 1)

    def joint(self, probes: Sequence[Probe]) -> float:
        if not probes:
            return 0.0
        y, noise = self.worlds.columns(probes)
        rows = np.arange(len(y))
        slopes = _slopes(self._centred, y, noise, rows)
        covariance = (y - y.mean(0)).T @ self._centred / len(y)
        explained = np.sum(slopes * covariance, axis=0) / np.maximum(self._std**2, 1e-300)
        return float(self._fall(explained, len(probes)))

    def theory(self) -> float:
        members = self.worlds.theory
        if members is None:
            return 0.0
        kinds = np.unique(members)
        means = np.stack([self._centred[members == k].mean(0) for k in kinds])
        explained = means.var(0) / np.maximum(self._std**2, 1e-300)
        return float(self._fall(explained, len(kinds) - 1))

    def ceiling(self) -> float:
        return self.spread


def crossings(values: Matrix, ticks: Vector, level: float) -> Vector:
    """Where each row (S, K) over ascending ``ticks`` (K,) first falls below ``level`` of its
    maximum.

    Searched from the maximum upwards, with linear interpolation; the last tick where it never
    falls.
    """
    top = values.argmax(1)
    limit = level * values.max(1)
    index = np.arange(values.shape[1])
    below = (values < limit[:, None]) & (index > top[:, None])
    first = np.where(below.any(1), below.argmax(1), values.shape[1] - 1)
    rows = np.arange(len(values))
    upper, lower = values[rows, first - 1], values[rows, first]
    share = np.clip((upper - limit) / np.where(upper > lower, upper - lower, 1.0), 0.0, 1.0)
    place = ticks[first - 1] + share * (ticks[first] - ticks[first - 1])
    return np.where(below.any(1), place, ticks[-1])
