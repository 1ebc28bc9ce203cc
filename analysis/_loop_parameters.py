"""Parameters of a switching loop: areas, coercive fields, imprint, nucleation biases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..workflow import Estimate
from ._fitting import Fit, fit_model
from ._pfm_loops import fit_loop
from ._pfm_spectra import LEAST_BRANCH, branches
from ._spikes import reject_spikes

Floats = NDArray[np.float64]

_OPEN = 4.0
"""Remanence over its error from which a loop counts as open."""
_TENTH = float(np.arctanh(0.8))
"""Where tanh has gone a tenth of its way, in units of its width, before the middle."""


@dataclass(frozen=True)
class Switching:
    """What the switching of an open loop says, all in V but ``remanence``, in the response's unit.

    ``coercive_up_V`` is the bias at which half of the response has switched while the bias rises,
    ``coercive_down_V`` while it falls; ``imprint_V`` is their mean, ``window_V`` half of their
    difference. ``nucleation_up_V`` and ``nucleation_down_V`` are where a tenth has switched.
    """

    remanence: Estimate
    coercive_up_V: Estimate
    coercive_down_V: Estimate
    imprint_V: Estimate
    window_V: Estimate
    nucleation_up_V: Estimate
    nucleation_down_V: Estimate


@dataclass(frozen=True)
class LoopParameters:
    """Area of a loop in response times V, and its switching, None where the loop is closed.

    ``replaced`` is the share of spikes and gaps, ``noise`` the standard deviation of one value.
    """

    area: Estimate
    switching: Switching | None
    noise: float
    replaced: float


def loop_parameters(bias_V: Floats, response: Floats) -> LoopParameters | None:
    """Parameters of one closed loop (m,), in the order of the sweep; None if it is not usable.

    The area is that of the polygon, positive where the falling branch lies higher; its error
    follows from the noise, since the area is linear in the response; the noise is the scatter about
    the fit. Switching comes from a fit of an offset, a slope (the linear and the electrostatic
    response), and a step tanh((V - Vc) / w) for each branch: the quantities of S. Jesse, A. P.
    Baddorf, S. V. Kalinin, Appl. Phys. Lett. 88, 062908 (2006), whose nucleation bias is where the
    branch leaves its saturation. Spikes and gaps follow the model for the area and are left out of
    the fit.

    Apply it to the on-field and to the off-field loop alike.
    """
    if len(bias_V) != len(response) or len(bias_V) < 2 * LEAST_BRANCH:
        return None
    whole = reject_spikes(response[None, :], cyclic=True)
    keep = ~whole.spikes[0]
    rising, falling = branches(bias_V)
    if whole.lost[0] or min(keep[rising].sum(), keep[falling].sum()) < LEAST_BRANCH:
        return None
    clean = whole.clean[0]
    noise = max(float(whole.noise[0]), 1e-9 * float(np.ptp(clean)), 1e-300)
    up = bias_V > np.roll(bias_V, 1)
    fit = _fit_switching(bias_V, clean, up, keep, noise)
    noise = noise * float(np.sqrt(fit.misfit))
    model = _branches_at(fit.values, bias_V, up)
    return LoopParameters(
        area=_area(bias_V, clean, model, noise, keep),
        switching=_switching(fit, bias_V),
        noise=noise,
        replaced=float(1.0 - keep.mean()),
    )


def _area(
    bias_V: Floats, response: Floats, model: Floats, noise: float, keep: NDArray[np.bool_]
) -> Estimate:
    """Polygon area; what was replaced follows the fitted model, and counts as one noisy value."""
    weights = 0.5 * (np.roll(bias_V, 1) - np.roll(bias_V, -1))
    value = float(weights @ np.where(keep, response, model))
    return Estimate(value=value, std=noise * float(np.linalg.norm(weights)))


def _branches_at(q: Floats, bias_V: Floats, up: NDArray[np.bool_]) -> Floats:
    """The model: offset, slope, half height, the two switching biases, ln of their widths."""
    where, width = np.where(up, q[3], q[4]), np.exp(np.where(up, q[5], q[6]))
    return q[0] + q[1] * bias_V + q[2] * np.tanh((bias_V - where) / width)


def _fit_switching(
    bias_V: Floats, response: Floats, up: NDArray[np.bool_], keep: NDArray[np.bool_], noise: float
) -> Fit:
    """Fit the model to the points to keep; ``up`` tells which were reached by a rise of the bias.

    The turning points belong to both branches; there they count for the one that ends.
    """
    v, y, rising = bias_V[keep], response[keep], up[keep]
    largest, step = float(np.abs(v).max()), float(np.median(np.abs(np.diff(bias_V))))
    rough = fit_loop(bias_V, response)
    middle, half = (
        (rough.imprint_V, rough.coercive_V)
        if rough is not None and rough.is_open
        else (0.0, 0.4 * largest)
    )
    low, high = np.percentile(y, [5, 95])
    sign = -1.0 if rough is not None and rough.remanence_pm < 0.0 else 1.0
    wide, narrow = np.log(0.5 * largest), np.log(0.2 * max(step, 1e-6 * largest))
    start = [
        0.5 * (low + high),
        0.0,
        0.5 * (high - low) * np.sign(np.sum(v * y) or 1.0),
        middle + sign * half,
        middle - sign * half,
        np.log(2.0 * step),
        np.log(2.0 * step),
    ]
    bounds = (
        [-np.inf] * 3 + [-largest] * 2 + [narrow] * 2,
        [np.inf] * 3 + [largest] * 2 + [wide] * 2,
    )
    return fit_model(lambda q: _branches_at(q, v, rising), y, noise, start, bounds, rescale=True)


def _switching(fit: Fit, bias_V: Floats) -> Switching | None:
    """None where the loop is closed or a branch does not switch within the sweep."""

    def opening(q: Floats) -> float:
        up = np.tanh(-q[3] * np.exp(-q[5]))
        down = np.tanh(-q[4] * np.exp(-q[6]))
        return float(0.5 * q[2] * (down - up))

    remanence, error = fit.derived(opening)
    largest = 0.98 * float(np.abs(bias_V).max())
    if abs(remanence) < _OPEN * error or np.any(np.abs(fit.values[3:5]) > largest):
        return None

    def of(weights: list[float], widths: list[float] | None = None) -> Estimate:
        a, b = np.array(weights), np.array(widths or [0.0, 0.0])
        value, std = fit.derived(lambda q: float(a @ q[3:5] + b @ np.exp(q[5:7])))
        return Estimate(value=value, std=std)

    return Switching(
        remanence=Estimate(value=remanence, std=error),
        coercive_up_V=of([1.0, 0.0]),
        coercive_down_V=of([0.0, 1.0]),
        imprint_V=of([0.5, 0.5]),
        window_V=of([0.5, -0.5]),
        nucleation_up_V=of([1.0, 0.0], [-_TENTH, 0.0]),
        nucleation_down_V=of([0.0, 1.0], [0.0, _TENTH]),
    )
