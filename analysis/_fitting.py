"""Least squares with errors: one fit for all curves and patches of this room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares, nnls

Floats = NDArray[np.float64]
Model = Callable[[Floats], Floats]

_ROUNDS = 3
"""How often the variances are computed anew from the fitted model."""
_LEAST_GROUP = 12
"""Fewest channels of like level from which a variance is estimated."""
_BIAS_OF_MAD = 1.08
"""By how much the squared scaled median absolute deviation of some 24 second differences exceeds
their variance."""


@dataclass(frozen=True)
class Noise:
    """Variance of a channel as a function of its noise-free level: ``gain * level + floor``.

    ``gain`` is the number of counts that one electron (or one photon) makes, 1 for a counting
    detector; ``floor`` the variance without any signal (read-out), in counts squared.
    """

    gain: float = 1.0
    floor: float = 0.0

    def variance(self, level: Floats) -> Floats:
        """Variance at these levels, in counts squared; never less than that of one electron."""
        shot = self.gain * np.maximum(level, self.gain)
        return np.maximum(shot + self.floor, 1e-300)


@dataclass(frozen=True)
class Fit:
    """Fitted parameters (p,), their covariance (p, p), and how well they fit.

    ``misfit`` is chi squared over the degrees of freedom; the covariance has been multiplied by it
    where it is larger than 1, or the fit was asked to rescale. ``bic`` is Schwarz's criterion: chi
    squared + p ln n.
    """

    values: Floats
    covariance: Floats
    misfit: float
    bic: float
    model: Floats

    @property
    def std(self) -> Floats:
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    def derived(self, function: Callable[[Floats], float]) -> tuple[float, float]:
        """A function of the parameters and its standard deviation to first order."""
        center = float(function(self.values))
        most = 1e-3 * (1.0 + np.abs(self.values))
        steps = np.clip(1e-4 * self.std, 1e-9 * np.abs(self.values) + 1e-300, most)
        gradient = np.zeros(len(self.values))
        for k, step in enumerate(steps):
            moved = np.zeros(len(steps))
            moved[k] = step
            up, down = function(self.values + moved), function(self.values - moved)
            gradient[k] = (up - down) / (2.0 * step)
        return center, float(np.sqrt(max(gradient @ self.covariance @ gradient, 0.0)))


def estimate_noise(spectrum: Floats) -> Noise:
    """Gain and floor from a spectrum (m,) itself, m at least 24.

    Second differences of a smooth curve are noise of six times the variance of a channel. Channels
    of like level are put together, each group gives a robust variance, and the two numbers follow
    by non-negative least squares. Peaks of a few channels' width count as noise.
    """
    y = np.asarray(spectrum, dtype=np.float64)
    bend = y[:-2] - 2.0 * y[1:-1] + y[2:]
    level = np.maximum((y[:-2] + y[1:-1] + y[2:]) / 3.0, 0.0)
    groups = np.array_split(np.argsort(level, kind="stable"), max(2, len(bend) // 24))
    groups = [g for g in groups if len(g) >= min(_LEAST_GROUP, len(bend) // 2)]
    middle = np.array([np.median(level[g]) for g in groups])
    variance = np.array([_robust_variance(bend[g]) / 6.0 for g in groups])
    return noise_by_level(middle, variance, 1e-12 * max(float(np.ptp(y)), 1e-12) ** 2)


def noise_by_level(level: Floats, variance: Floats, least: float) -> Noise:
    """The noise that makes these variances at these levels (both (k,)), by non-negative least
    squares; a floor of ``least`` where no variance is above 0.

    A variance is as uncertain as it is large: the weights come from the fit, not from chance lows.
    """
    if not np.any(variance > 0.0) or level.max() <= 0.0:
        return Noise(0.0, max(float(variance.mean()), least))
    usual = float(np.median(variance[variance > 0.0]))
    table = np.column_stack([level / level.max(), np.ones_like(level)])
    found, expected = np.zeros(2), np.maximum(variance, usual)
    for _ in range(_ROUNDS):
        weight = 1.0 / np.maximum(expected, 0.01 * usual)
        found = nnls(table * weight[:, None], variance * weight)[0]
        expected = table @ found
    return Noise(float(found[0] / level.max()), float(found[1]))


def _robust_variance(values: Floats) -> float:
    return float((1.4826 * np.median(np.abs(values))) ** 2 / _BIAS_OF_MAD)


def fit_model(
    model: Model,
    data: Floats,
    noise: Noise | Floats | float,
    start: Sequence[float] | Floats,
    bounds: tuple[Sequence[float] | Floats, Sequence[float] | Floats] | None = None,
    rescale: bool = False,
) -> Fit:
    """Fit a model to data (n,) by weighted least squares.

    Parameters
    ----------
    model
        Gives the noise-free data (n,) from the parameters (p,).
    noise
        A standard deviation, common or for each datum; or a ``Noise``, whose variances are
        then computed from the fitted model, so that chance lows do not get more weight (the
        quasi-likelihood of R. W. M. Wedderburn, Biometrika 61, 439 (1974)).
    rescale
        The noise is known but for a factor: errors follow from the scatter about the fit, also
        where it is smaller than expected.

    Raises
    ------
    ValueError
        If there are not more data than parameters, or the start gives numbers that are not finite.
    """
    values = np.asarray(start, dtype=np.float64)
    if len(data) <= len(values):
        raise ValueError(f"{len(data)} data for {len(values)} parameters")
    low, high = bounds if bounds is not None else (-np.inf, np.inf)
    low, high = np.broadcast_to(low, values.shape), np.broadcast_to(high, values.shape)
    margin = 1e-9 * np.where(np.isfinite(high - low), high - low, 0.0)
    values = np.clip(values, low + margin, high - margin)

    def solve(begin: Floats, std: Floats) -> OptimizeResult:
        return least_squares(
            lambda q: (model(q) - data) / std,
            begin,
            bounds=(low, high),
            x_scale="jac",
            ftol=1e-7,
            xtol=1e-7,
            max_nfev=200,
        )

    if not isinstance(noise, Noise):
        result = solve(values, np.asarray(noise, dtype=np.float64))
    else:
        result = solve(values, np.sqrt(noise.variance(np.maximum(data, 0.0))))
        for _ in range(_ROUNDS):
            before = result.x
            result = solve(before, np.sqrt(noise.variance(model(before))))
            error = np.sqrt(np.maximum(np.diag(_inverse(result.jac)), 0.0))
            if np.all(np.abs(result.x - before) < 0.05 * error):
                break
    values = result.x
    freedom = len(data) - len(values)
    chi2 = 2.0 * float(result.cost)
    misfit = chi2 / freedom
    covariance = _inverse(result.jac)
    # Where the noise is known, a fit that is better than expected is luck.
    covariance = covariance * (misfit if rescale else max(misfit, 1.0))
    return Fit(values, covariance, misfit, chi2 + len(values) * np.log(len(data)), model(values))


def _inverse(jacobian: Floats) -> Floats:
    """The covariance of unit noise; scaled first, since parameters differ by many orders."""
    scale = np.maximum(np.linalg.norm(jacobian, axis=0), 1e-300)
    unit = jacobian / scale
    inverse = np.linalg.pinv(unit.T @ unit, rcond=1e-12, hermitian=True)
    return np.asarray(inverse / np.outer(scale, scale))
