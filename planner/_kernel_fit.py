"""Hyperparameters of Gaussian processes: maximum a posteriori with analytic slopes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky
from scipy.optimize import minimize

from ._gp import JITTER, Kernel, Matern52, Matrix, SquaredExponential, Vector, default_kernel

LENGTH_LOG_STD, VARIANCE_LOG_STD = 0.5, 0.75
"""Of the log-normal priors of a Matérn kernel's length scales and of every kernel's variance."""
_FEWEST = 4
_SMOOTH_STARTS = (0.3, 1.0)
"""Length scales from which a smooth kernel's are sought: under wide priors, one may miss them."""
_NOWHERE = 1e10
"""The height where the covariance has no factor."""
_SPAN = 12.0
"""Logarithms of hyperparameters are sought within this distance of where they start."""


def fit_kernel(x: Matrix, y: Vector, noise: Vector, variance: float = 1.0) -> Matern52:
    """Maximum a posteriori kernel for data (n, d), (n,) with noise variances (n,).

    Length scales have log-normal priors around :func:`default_kernel`, the variance one around
    ``variance``. Falls back to the prior's kernel for fewer than four data.
    """
    prior = default_kernel(x.shape[1], variance)
    if len(y) < _FEWEST or not x.shape[1]:
        return prior
    middle = np.log(prior.lengthscales)
    found = _Posterior(Matern52, x, y, noise, middle, LENGTH_LOG_STD, variance).climb([middle])
    return prior if found is None else Matern52(*found)


def fit_smooth_kernel(
    x: Matrix, y: Vector, noise: Vector, variance: float = 1.0
) -> SquaredExponential | None:
    """The same for a smooth function; None for fewer than four data.

    The length scales' wide priors, whose median grows with the root of the dimension, are those of
    Hvarfner et al. (2024), which are BoTorch's default.
    """
    dim = x.shape[1]
    if len(y) < _FEWEST or not dim:
        return None
    middle = np.full(dim, np.sqrt(2.0) + 0.5 * np.log(dim))
    wide = float(np.sqrt(3.0))
    posterior = _Posterior(SquaredExponential, x, y, noise, middle, wide, variance)
    found = posterior.climb([np.full(dim, np.log(length)) for length in _SMOOTH_STARTS])
    return None if found is None else SquaredExponential(*found)


@final
class _Posterior:
    """Negative log posterior of a kernel's length scales and variance, and its slope.

    Its parameters are the logarithms of the length scales (d,) and of the variance. ``middle`` (d,)
    and ``spread`` are mean and standard deviation of the logarithms of the length scales. The
    density is that of the hyperparameters themselves, not of their logarithms, as in GPyTorch. The
    jitter grows with the variance up to the prior's only: repeats that contradict each other would
    else be explained by a variance so large that its jitter is noise enough.
    """

    def __init__(
        self,
        family: type[Kernel],
        x: Matrix,
        y: Vector,
        noise: Vector,
        middle: Vector,
        spread: float,
        variance: float,
    ) -> None:
        self._family, self._y, self._noise = family, y, noise
        self._square = (x.T[:, :, None] - x.T[:, None, :]) ** 2
        self._middle = np.append(middle, np.log(variance))
        self._spread = np.append(np.full(len(middle), spread), VARIANCE_LOG_STD)
        self._ceiling = variance

    def climb(self, starts: Sequence[Vector]) -> tuple[Vector, float] | None:
        """Length scales (d,) and variance that are the most probable of those reached from each of
        ``starts``, logarithms of length scales; None where no covariance has a factor.
        """
        found = [self._reached(np.append(start, self._middle[-1])) for start in starts]
        height, theta = min(found, key=lambda f: f[0])
        if not height < _NOWHERE:
            return None
        return np.exp(theta[:-1]), float(np.exp(theta[-1]))

    def _reached(self, start: Vector) -> tuple[float, Vector]:
        """The optimum that is reached from logarithms of hyperparameters on, its height first."""
        limits = list(zip(start - _SPAN, start + _SPAN, strict=True))
        found = minimize(self, start, jac=True, method="L-BFGS-B", bounds=limits)
        return float(found.fun), found.x

    def __call__(self, theta: Vector) -> tuple[float, Vector]:
        variance = float(np.exp(theta[-1]))
        scaled = self._square * np.exp(-2.0 * theta[:-1])[:, None, None]
        value, bend = self._family.correlation(scaled.sum(0))
        own = variance * value
        jitter = JITTER * min(variance, self._ceiling)
        try:
            lower = cholesky(own + np.diag(self._noise + jitter), lower=True)
        except LinAlgError:
            return _NOWHERE, np.zeros_like(theta)
        weights = cho_solve((lower, True), self._y)
        gap = cho_solve((lower, True), np.eye(len(self._y))) - np.outer(weights, weights)
        z = (theta - self._middle) / self._spread
        height = 0.5 * float(self._y @ weights) + float(np.log(np.diag(lower)).sum())
        slope = 0.5 * np.append(
            np.einsum("ij,kij->k", variance * gap * bend, scaled),
            np.vdot(gap, own) + (jitter * np.trace(gap) if variance <= self._ceiling else 0.0),
        )
        prior = float(theta.sum() + 0.5 * z @ z)
        return height + prior, slope + 1.0 + z / self._spread
