"""Fits the theory to measurements, knowing that it is a simplified theory.

Measurements are ``y = P(theta) + delta + noise`` for capacitors and ``y = s P(theta, f) + o +
delta + delta' + noise`` for local loops: a tip has another field f than a capacitor, another scale
s and an offset o. The model discrepancies delta and delta' are smooth Gaussian processes of one
unknown size (M. C. Kennedy, A. O'Hagan, J. R. Stat. Soc. B 63, 425 (2001)). Neighbouring data
therefore share an error that no number of repetitions averages away, and the ensemble does not
shrink beyond what a wrong model deserves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._landau import boundary_sm, polarization
from ._parameters import PARAMETERS, from_normal
from ._sampler import sample_posterior

Floats = NDArray[np.float64]

NOISE_FLOOR = 1.0
"""Least standard deviation of a datum in uC/cm**2: films of one design differ by as much."""
DISCREPANCY_RANGE = 0.3
"""Correlation length of the discrepancy, as a share of each variable's range."""
_NUISANCES = 4
"""Scale, offset and field of the loops, size of the discrepancy."""


@dataclass(frozen=True)
class Measurements:
    """Data as columns of length n.

    ``design`` has shape (n, 3): composition_sm, temperature_C, pressure_mTorr; ``unit`` the same
    in the unit cube. ``is_loop`` marks the biased source. Values and standard deviations in
    uC/cm**2.
    """

    design: Floats
    unit: Floats
    value: Floats
    std: Floats
    is_loop: NDArray[np.bool_]


@dataclass(frozen=True)
class Posterior:
    """An ensemble (members, parameters) and what was learnt on the way.

    ``reduced_chi2`` compares the posterior mean with the noise alone, the discrepancy left out:
    much above one says that the model is wrong. ``discrepancy`` in uC/cm**2, ``loop_scale`` and
    ``tip_field`` are posterior medians. ``pinned`` is the number of parameters the data
    fixed.
    """

    theta: Floats
    boundary_mean: float
    boundary_std: float
    reduced_chi2: float
    discrepancy: float
    loop_scale: float
    tip_field: float
    pinned: float
    log_evidence: float


def loop_scale(z: Floats) -> Floats:
    """Scale of the loops; prior: log-normal about 1 with 25 % spread."""
    return np.exp(0.25 * z)


def loop_offset(z: Floats) -> Floats:
    """Offset of the loops in uC/cm**2; prior: 0 +- 3."""
    return 3.0 * z


def tip_field(z: Floats) -> Floats:
    """Field under the tip over that of a capacitor test; prior: log-normal about 1 with 35 %."""
    return np.exp(0.35 * z)


def discrepancy_std(z: Floats) -> Floats:
    """Size of the discrepancy in uC/cm**2; prior: at least 2, median 4 (about a tenth of a
    film's)."""
    return 2.0 + 2.0 * np.exp(0.7 * np.clip(z, -20.0, 20.0))


class _Likelihood:
    """Gaussian log-likelihood with a correlated discrepancy, for many parameters at once."""

    def __init__(self, data: Measurements) -> None:
        self.data = data
        self.noise = np.hypot(data.std, NOISE_FLOOR)
        gap = (data.unit[:, None, :] - data.unit[None, :, :]) / DISCREPANCY_RANGE
        both = 1.0 + np.outer(data.is_loop, data.is_loop)
        kernel = both * np.exp(-0.5 * np.sum(gap**2, axis=2)) / np.outer(self.noise, self.noise)
        eigenvalues, self.basis = np.linalg.eigh(kernel)
        self.eigenvalues = np.maximum(eigenvalues, 0.0)

    def predict(self, z: Floats) -> Floats:
        """Expected measurements, shape (particles, n)."""
        k = len(PARAMETERS)
        field = np.where(self.data.is_loop, tip_field(z[:, [k + 2]]), 1.0)
        film = polarization(from_normal(z[:, :k]), *self.data.design.T, field=field)
        seen = loop_scale(z[:, [k]]) * film + loop_offset(z[:, [k + 1]])
        return np.where(self.data.is_loop, seen, film)

    def __call__(self, z: Floats) -> Floats:
        residual = (self.data.value - self.predict(z)) / self.noise @ self.basis
        variance = 1.0 + discrepancy_std(z[:, [-1]]) ** 2 * self.eigenvalues
        constant = -np.sum(np.log(self.noise)) - 0.5 * len(self.noise) * np.log(2 * np.pi)
        return constant - 0.5 * np.sum(residual**2 / variance + np.log(variance), axis=1)


def refit(data: Measurements, members: int, seed: int | tuple[int, ...]) -> Posterior:
    """Posterior ensemble of the theory's parameters; needs at least one datum."""
    rng = np.random.default_rng(seed)
    k = len(PARAMETERS)
    likelihood = _Likelihood(data)
    samples = sample_posterior(likelihood, k + _NUISANCES, rng)
    z = samples.points
    theta = from_normal(z[:, :k])
    boundary = boundary_sm(theta)
    pinned = float(np.sum(np.clip(1.0 - z[:, :k].var(axis=0), 0.0, 1.0)))
    misfit = (data.value - likelihood.predict(z).mean(axis=0)) / likelihood.noise
    return Posterior(
        theta=theta[representatives(z[:, :k], members, rng)],
        boundary_mean=float(boundary.mean()),
        boundary_std=float(boundary.std()),
        reduced_chi2=float(misfit @ misfit / max(len(misfit) - pinned, 1.0)),
        discrepancy=float(np.median(discrepancy_std(z[:, -1]))),
        loop_scale=float(np.median(loop_scale(z[:, k]))),
        tip_field=float(np.median(tip_field(z[:, k + 2]))),
        pinned=pinned,
        log_evidence=samples.log_evidence,
    )


def representatives(
    points: Floats, count: int, rng: np.random.Generator, tries: int = 200
) -> NDArray[np.intp]:
    """The subset of ``count`` points, out of ``tries`` random ones, closest in mean and spread.

    A small ensemble drawn blindly would often misstate both.
    """
    center, spread = points.mean(axis=0), points.std(axis=0) + 1e-12
    best, least = np.arange(min(count, len(points))), np.inf
    for _ in range(tries if count > 1 else 1):
        chosen = rng.choice(len(points), size=count, replace=count > len(points))
        part = (points[chosen] - center) / spread
        misfit = float(np.sum(part.mean(0) ** 2))
        if count > 1:
            misfit += float(np.sum(np.log(part.std(0, ddof=1) + 1e-6) ** 2))
        if misfit < least:
            best, least = chosen, misfit
    return best
