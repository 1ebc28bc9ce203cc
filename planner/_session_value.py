"""What a measurement at each place is worth: in the largest value, and in what becomes known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from ..workflow import Wishes
from ._gp import Matrix, Vector


@dataclass(frozen=True)
class Overview:
    """Places that stand for all: their rows (R,), and the covariance (N, R) of all with them."""

    rows: NDArray[np.int64]
    shared: Matrix

    def after(self, column: Vector, known: float) -> Overview:
        """After a measurement at a place with covariance ``column`` (N,) and variance ``known``."""
        return replace(self, shared=self.shared - np.outer(column, column[self.rows]) / known)


@final
@dataclass(frozen=True)
class LocalValue:
    """Gains of single measurements, in standard deviations of the reward.

    Attributes
    ----------
    mean, std
        Belief of the smooth part at all candidates (N,).
    scatter
        What pixels vary by beyond it.
    best
        The largest believed value of a place that was measured.
    unit
        Standard deviation of the reward.
    liking
        How much more than the best of them all people like each place (N,), in its gain.
    overview
        What is needed for the weight ``explore``; None where it is zero.
    """

    mean: Vector
    std: Vector
    scatter: float
    best: float
    unit: float
    liking: Vector
    overview: Overview | None = None
    earlier: tuple[tuple[Vector, float], ...] = ()

    def gain(self, wishes: Wishes, noise: float) -> Vector:
        """Of a measurement with so much noise at every candidate, (N,)."""
        if wishes.exploit:
            return self._liked((self.mean - float(self.mean.min())) / self.unit)
        total = np.zeros(len(self.mean))
        if wishes.maximize:
            total += wishes.maximize * self._improvement(noise)
        if wishes.explore and self.overview is not None:
            total += wishes.explore * self._learnt(self.overview, noise)
        return self._liked(total / self.unit)

    def _liked(self, gain: Vector) -> Vector:
        return gain + self.liking * float(gain.max())

    def _improvement(self, noise: float) -> Vector:
        """Expected rise of the largest believed value (knowledge gradient of a single place).

        The value of a place is its smooth part plus its scatter; noise makes less of it known.
        """
        value_std = np.hypot(self.std, self.scatter)
        shown = value_std**2 / np.hypot(value_std, noise)
        z = (self.mean - self.best) / shown
        return shown * (z * norm.cdf(z) + norm.pdf(z))

    def _learnt(self, overview: Overview, noise: float) -> Vector:
        """Fall of the standard deviation of the smooth part, on average over all places."""
        own = self.std**2
        there = np.maximum(own[overview.rows], 1e-300)
        told = overview.shared**2 / (own + noise**2 + self.scatter**2)[:, None]
        left = np.sqrt(np.clip(1.0 - told / there, 0.0, 1.0))
        return np.mean(np.sqrt(there) * (1.0 - left), axis=1)

    def given(self, row: int, covariance: Vector, noise: float) -> LocalValue:
        """After a measurement that will show what is believed there.

        ``covariance`` (N,) is that of the place with all others before any of these measurements.
        """
        column = covariance - sum(
            (c * c[row] / known for c, known in self.earlier), start=np.zeros(len(covariance))
        )
        own = max(float(column[row]), 1e-300)
        known = own + noise**2 + self.scatter**2
        shared = np.clip(column**2 / (own * np.maximum(self.std**2, 1e-300)), 0.0, 1.0)
        std = self.std * np.sqrt(np.maximum(1.0 - shared * own / known, 1e-6))
        overview = None if self.overview is None else self.overview.after(column, known)
        earlier = (*self.earlier, (column, known))
        return replace(self, std=std, overview=overview, earlier=earlier)
