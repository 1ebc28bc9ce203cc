"""The cubic response of a V_AC sweep: how the response grows with the driving amplitude."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..workflow import Estimate

Floats = NDArray[np.float64]

_LEAST_POINTS = 6
_SIGMA_OF_MAD = 1.4826
_CLEAR = 5.0
"""B over its error from which A/B is given: below, what remains was chosen by chance."""


@dataclass(frozen=True)
class Sweep:
    """Response = offset + A V + B V**2 + C V**3; units are those of the response over V, V**2,
    V**3.

    ``ratio`` is A/B in V, None where B does not differ from 0 by more than five errors: then the
    ratio has no finite error (E. C. Fieller, J. R. Stat. Soc. B 16, 175 (1954)). ``noise`` is the
    standard deviation of one value; ``left_out`` the number of values that were spikes or gaps.
    """

    A: Estimate
    B: Estimate
    C: Estimate
    ratio: Estimate | None
    offset: Estimate
    noise: float
    left_out: int


def fit_sweep(amplitude_V: Floats, response: Floats, *, offset: bool = False) -> Sweep:
    """Fit a cubic to response (m,) against driving amplitude (m,), by least squares.

    A is the linear piezoresponse; B and C say how domain walls and other nonlinear contributions
    add to it (a Rayleigh-like law has B above 0: D. Damjanovic, Rep. Prog. Phys. 61, 1267 (1998)).
    The use of such sweeps as targets of automated experiments: Y. Liu et al., arXiv:2206.15110.

    The noise comes from the scatter about the fit, so every error is that of Student's t with
    m - p degrees of freedom, widened to the standard deviation of the same t. Values further than
    five robust standard deviations from a first fit are left out.

    Parameters
    ----------
    offset
        Also fit a constant, for an instrument with a background at zero amplitude.

    Raises
    ------
    ValueError
        If fewer than six finite values at different amplitudes are given.
    """
    known = np.isfinite(amplitude_V) & np.isfinite(response)
    v, y = amplitude_V[known], response[known]
    if len(np.unique(v)) < _LEAST_POINTS:
        raise ValueError(f"{len(np.unique(v))} different amplitudes; {_LEAST_POINTS} are needed")
    scale = float(np.abs(v).max())
    powers = [0, 1, 2, 3] if offset else [1, 2, 3]
    table = np.column_stack([(v / scale) ** k for k in powers])
    keep = _kept(table, y)
    q, covariance, noise = _least_squares(table[keep], y[keep])
    units = np.array([scale**k for k in powers])
    q, covariance = q / units, covariance / np.outer(units, units)
    a = powers.index(1)
    std = np.sqrt(np.diag(covariance))
    value = [Estimate(value=float(x), std=float(e)) for x, e in zip(q, std, strict=True)]
    return Sweep(
        A=value[a],
        B=value[a + 1],
        C=value[a + 2],
        ratio=_ratio(q[a : a + 2], covariance[a : a + 2, a : a + 2]),
        offset=value[0] if offset else Estimate(value=0.0),
        noise=noise,
        left_out=len(response) - int(keep.sum()),
    )


def _kept(table: Floats, y: Floats) -> NDArray[np.bool_]:
    """Values that a first, robust fit does not call spikes; at least as many as the fit needs."""
    keep = np.ones(len(y), dtype=bool)
    for _ in range(5):
        q = np.linalg.lstsq(table[keep], y[keep], rcond=None)[0]
        left = np.abs(y - table @ q)
        limit = 5.0 * _SIGMA_OF_MAD * float(np.median(left[keep]))
        again = left <= max(limit, 1e-12 * float(np.ptp(y)))
        if int(again.sum()) < table.shape[1] + 2 or np.array_equal(again, keep):
            break
        keep = again
    return keep


def _least_squares(table: Floats, y: Floats) -> tuple[Floats, Floats, float]:
    freedom = len(y) - table.shape[1]
    inverse = np.asarray(np.linalg.pinv(table.T @ table, hermitian=True), dtype=np.float64)
    q = inverse @ (table.T @ y)
    noise = float(np.sqrt(np.sum((y - table @ q) ** 2) / freedom))
    student = freedom / (freedom - 2.0) if freedom > 2 else 3.0
    return q, np.asarray(inverse * noise**2 * student), noise


def _ratio(q: Floats, covariance: Floats) -> Estimate | None:
    """First over second; half of Fieller's 68 % interval is the error."""
    a, b = float(q[0]), float(q[1])
    if abs(b) <= _CLEAR * np.sqrt(covariance[1, 1]):
        return None
    # Roots r of (a - r b)**2 = var(a - r b): where the difference is one standard deviation.
    square = b * b - covariance[1, 1]
    linear = a * b - covariance[0, 1]
    constant = a * a - covariance[0, 0]
    half = np.sqrt(max(linear**2 - square * constant, 0.0)) / square
    return Estimate(value=a / b, std=float(half))
