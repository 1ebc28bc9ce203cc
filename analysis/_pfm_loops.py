"""Remanent polarization, coercive bias and imprint of one hysteresis loop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from sklearn.isotonic import IsotonicRegression

from ._pfm_spectra import LEAST_BRANCH, branches, noise_of, spikes_of

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_WINDOW = 0.25
"""Half width of the fit about zero bias, as a share of the largest bias."""
_OPEN = 3.0
"""Remanence over its error from which a loop counts as open."""


@dataclass(frozen=True)
class LoopFit:
    """What one loop says; ``coercive`` and ``imprint`` are NaN where the loop is closed.

    ``remanence_pm`` is half the difference of the branches at zero bias, positive if the response
    of the falling branch is higher. ``coercive_V`` is half the distance of the two switching
    biases, ``imprint_V`` their mean.
    """

    remanence_pm: float
    remanence_std_pm: float
    coercive_V: float = float("nan")
    coercive_std_V: float = float("nan")
    imprint_V: float = float("nan")

    @property
    def is_open(self) -> bool:
        return bool(np.isfinite(self.coercive_V))


def fit_loop(bias_V: Floats, response_pm: Floats) -> LoopFit | None:
    """Fit one loop, both of shape (m,) in the order of the sweep.

    None where a branch has too few usable points. Definitions as in S. Jesse, A. P. Baddorf,
    S. V. Kalinin, Appl. Phys. Lett. 88, 062908 (2006), about the loop's own midline.
    """
    usable = ~spikes_of(response_pm)
    rising, falling = (b[usable[b]] for b in branches(bias_V))
    if min(len(rising), len(falling)) < LEAST_BRANCH:
        return None
    noise = noise_of(response_pm)
    switching = [_switching(bias_V[b], response_pm[b], noise) for b in (rising, falling)]
    reach = _reach(bias_V, [v for v, _ in switching])
    up, down = (_at_zero(bias_V[b], response_pm[b], noise, reach) for b in (rising, falling))
    remanence = 0.5 * (down[0] - up[0])
    error = 0.5 * float(np.hypot(up[1], down[1]))
    (v_up, e_up), (v_down, e_down) = switching
    if abs(remanence) < _OPEN * error or not np.isfinite(v_up + v_down):
        return LoopFit(remanence, error)
    return LoopFit(
        remanence,
        error,
        coercive_V=0.5 * abs(v_up - v_down),
        coercive_std_V=0.5 * float(np.hypot(e_up, e_down)),
        imprint_V=0.5 * (v_up + v_down),
    )


def _reach(bias_V: Floats, switching: list[float]) -> float:
    """Half width of the fit about zero: not beyond half of the nearer switching bias."""
    reach = _WINDOW * float(np.abs(bias_V).max())
    known = [abs(v) for v in switching if np.isfinite(v)]
    return min([reach, *(0.5 * v for v in known)])


def _at_zero(bias: Floats, response: Floats, noise: float, reach: float) -> tuple[float, float]:
    """Response at zero bias and its standard deviation, from a robust line through near points.

    A parabola takes the line's place where the points bend by more than twice the error.
    """
    order = np.argsort(np.abs(bias), kind="stable")
    count = max(LEAST_BRANCH, int(np.sum(np.abs(bias) <= reach)))
    near = order[:count]
    v, y = bias[near] / max(float(np.abs(bias[near]).max()), 1e-12), response[near]
    scale = max(noise, 1e-9 * max(float(np.ptp(y)), 1e-12))
    parabola, bent = _polynomial(v, y, scale, 2)
    if abs(parabola[2]) > 2.0 * bent[2]:
        return float(parabola[0]), float(bent[0])
    line, error = _polynomial(v, y, scale, 1)
    return float(line[0]), float(error[0])


def _polynomial(v: Floats, y: Floats, scale: float, degree: int) -> tuple[Floats, Floats]:
    """Coefficients and their errors; the errors are widened where the points scatter more."""
    matrix = np.vander(v, degree + 1, increasing=True)
    fit = least_squares(
        lambda q: (matrix @ q - y) / scale,
        x0=np.linalg.lstsq(matrix, y, rcond=None)[0],
        jac=lambda q: matrix / scale,  # pyright: ignore[reportArgumentType]
        loss="soft_l1",
        f_scale=2.0,
    )
    variance = np.diag(np.linalg.pinv(matrix.T @ matrix)) * scale**2
    freedom = max(len(v) - degree - 1, 1)
    left = float(np.sum((matrix @ fit.x - y) ** 2)) / scale**2 / freedom
    return fit.x, np.sqrt(variance * np.clip(left, 1.0, 25.0))


def _switching(bias: Floats, response: Floats, noise: float) -> tuple[float, float]:
    """Bias where a branch crosses its midline, and its standard deviation; NaN if it does not.

    The branch is taken as monotone (isotonic regression), which no single point can upset.
    """
    order = np.argsort(bias, kind="stable")
    v, y = bias[order], response[order]
    edge = max(2, len(v) // 5)
    low, high = float(np.median(y[:edge])), float(np.median(y[-edge:]))
    if abs(high - low) < 4.0 * noise or high == low:
        return float("nan"), float("nan")
    fitted = IsotonicRegression(increasing=bool(high > low)).fit_transform(v, y)
    rise = np.sign(high - low) * (np.asarray(fitted) - 0.5 * (low + high))
    above = np.flatnonzero(rise > 0.0)
    if above.size == 0 or above[0] == 0:
        return float("nan"), float("nan")
    i = int(above[0])
    crossing = v[i - 1] + (v[i] - v[i - 1]) * -rise[i - 1] / (rise[i] - rise[i - 1])
    near = slice(max(0, i - 3), i + 3)
    slope = abs(float(np.polyfit(v[near], y[near], 1)[0]))
    step = float(v[i] - v[i - 1])
    blur = noise / (max(slope, 1e-12) * np.sqrt(len(v[near])))
    spread = min(float(np.hypot(blur, step / np.sqrt(12.0))), float(np.ptp(v)) / np.sqrt(12.0))
    return float(crossing), spread
