"""Plasmon peaks of low-loss spectra: energies, widths and areas above the zero-loss tail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..workflow import Estimate
from ._fitting import Fit, Noise, estimate_noise, fit_model

Floats = NDArray[np.float64]
Shape = Literal["lorentz", "drude"]

_MOST_PEAKS = 4
_LEAST_CHANNELS = 32
_TAIL_FROM = 2.5
"""Half widths of the zero-loss peak at which its tail begins."""
_CLEAR = 12.0
"""Fall of Schwarz's criterion that more peaks must bring."""
_GOOD_MISFIT = 1.5
"""A worse fit may be one that a single peak more does not help, but two do."""


@dataclass(frozen=True)
class Peak:
    """One plasmon peak: energy and full width in eV, area in counts eV (see ``fit_plasmon``)."""

    energy_eV: Estimate
    width_eV: Estimate
    area_counts_eV: Estimate


@dataclass(frozen=True)
class PlasmonFit:
    """Peaks by ascending energy; where the zero loss lies and how wide it is; how well it fits.

    Energies of peaks are losses: counted from the zero-loss peak. ``loss_eV`` and ``curve`` are the
    fitted window and model, ``tail`` the model without peaks.
    """

    peaks: tuple[Peak, ...]
    zero_loss_eV: Estimate
    zero_loss_width_eV: float
    misfit: float
    loss_eV: Floats
    curve: Floats
    tail: Floats

    @property
    def strongest(self) -> Peak | None:
        """The peak whose area is known best: largest over its error. A broad background that was
        fitted as a peak is not it."""
        return max(self.peaks, key=_significance, default=None)


def _significance(peak: Peak) -> float:
    return peak.area_counts_eV.value / max(peak.area_counts_eV.std, 1e-300)


def lorentz(loss: Floats, energy: float, width: float) -> Floats:
    """Lorentzian of height 1 and full width at half maximum ``width``; its area is pi width / 2."""
    return 1.0 / (1.0 + ((loss - energy) / (0.5 * width)) ** 2)


def drude(loss: Floats, energy: float, width: float) -> Floats:
    """Energy-loss function Im(-1/eps) of free electrons, with maximum energy / width.

    R. F. Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope, 3rd ed. (2011),
    eq. 3.43; ``energy`` is the plasma energy, ``width`` the damping.
    """
    return loss * width * energy**2 / ((loss**2 - energy**2) ** 2 + (loss * width) ** 2)


def drude_area(energy: float, width: float) -> float:
    """Integral of ``drude`` over all positive losses, width below twice the energy."""
    depth = width * np.sqrt(max(energy**2 - 0.25 * width**2, 1e-12 * energy**2))
    lean = (energy**2 - 0.5 * width**2) / depth
    return float(0.5 * width * energy**2 / depth * (0.5 * np.pi + np.arctan(lean)))


def zero_loss(energy_eV: Floats, counts: Floats, noise: Noise | None = None) -> tuple[Fit, float]:
    """Position and full width of the zero-loss peak, by a Gaussian fit of its upper half.

    Returns the fit of (height, position, standard deviation in eV) and the full width at half
    maximum, measured directly.

    Raises
    ------
    ValueError
        If there is no peak with at least five channels above half of its height.
    """
    top = int(np.argmax(counts))
    floor = float(np.percentile(counts, 5))
    half = floor + 0.5 * (float(counts[top]) - floor)
    left = top - int(np.argmax(counts[top::-1] < half))
    right = top + int(np.argmax(counts[top:] < half))
    if right - left < 4 or left == top or right == top:
        raise ValueError("no zero-loss peak of at least five channels above half its height")
    width = float(energy_eV[right] - energy_eV[left])
    x, y = energy_eV[left : right + 1], counts[left : right + 1]
    fit = fit_model(
        lambda q: q[0] * np.exp(-0.5 * ((x - q[1]) / q[2]) ** 2),
        y,
        noise or Noise(),
        [float(counts[top]), float(energy_eV[top]), width / 2.355],
        ([0.0, x[0], 0.1 * width], [np.inf, x[-1], 10.0 * width]),
    )
    return fit, width


def fit_plasmon(
    energy_eV: Floats,
    counts: Floats,
    *,
    peaks: int | None = None,
    shape: Shape = "lorentz",
    window_eV: tuple[float, float] | None = None,
    noise: Noise | None = None,
) -> PlasmonFit:
    """Fit the tail of the zero-loss peak and the plasmon peaks together.

    The tail is a power law of the loss. Peaks are added one at a time, each where the residual
    speaks for it most, as long as Schwarz's criterion falls clearly or until there are ``peaks`` of
    them. Errors come from the curvature of the fit and contain that of the tail and of the zero
    of the scale. The area of a Lorentzian is pi/2 height width, that of a Drude peak its integral
    over all losses. Plural scattering is not removed, nor the resolution: widths contain it.

    Parameters
    ----------
    energy_eV, counts
        Spectrum (m,) on a uniform ascending scale that includes the zero loss.
    peaks
        How many; by default as many as the data speak for, at most four.
    window_eV
        Losses to be fitted; by default from 2.5 full widths of the zero loss to the end.
    noise
        By default estimated from the spectrum.

    Raises
    ------
    ValueError
        If there is no zero-loss peak, or the window holds fewer than 32 channels.
    """
    start, width = zero_loss(energy_eV, counts, noise)
    origin, origin_std = float(start.values[1]), float(start.std[1])
    low, high = window_eV or (_TAIL_FROM * width, float(energy_eV[-1]) - origin)
    inside = (energy_eV - origin >= max(low, 1e-3)) & (energy_eV - origin <= high)
    if int(inside.sum()) < _LEAST_CHANNELS:
        raise ValueError(f"{int(inside.sum())} channels between {low:.3g} and {high:.3g} eV loss")
    loss, y = energy_eV[inside] - origin, counts[inside]
    fit = _grow(_Curve(loss, shape), y, noise, peaks)
    found = sorted(
        (_peak(fit, k, shape, origin_std) for k in range((len(fit.values) - 2) // 3)),
        key=lambda p: p.energy_eV.value,
    )
    return PlasmonFit(
        peaks=tuple(found),
        zero_loss_eV=Estimate(value=origin, std=origin_std),
        zero_loss_width_eV=width,
        misfit=fit.misfit,
        loss_eV=loss,
        curve=fit.model,
        tail=_Curve(loss, shape)(fit.values[:2]),
    )


@dataclass(frozen=True)
class _Curve:
    """Tail and peaks. Parameters: ln amplitude and exponent of the tail at the window's begin, then
    height (for Drude the factor), energy, ln width of each peak."""

    loss: Floats
    shape: Shape

    def __call__(self, q: Floats) -> Floats:
        total = np.exp(q[0] - q[1] * np.log(self.loss / self.loss[0]))
        for height, energy, log_width in q[2:].reshape(-1, 3):
            total = total + height * self.single(energy, float(np.exp(log_width)))
        return total

    def single(self, energy: float, width: float) -> Floats:
        return (lorentz if self.shape == "lorentz" else drude)(self.loss, energy, width)


def _grow(curve: _Curve, y: Floats, noise: Noise | None, peaks: int | None) -> Fit:
    """Add peaks while they are worth it. Without a noise, it is estimated and then rescaled."""
    rescale = noise is None
    noise = noise or estimate_noise(y)
    best = _refit(curve, y, noise, _tail_start(curve.loss, y), rescale)
    last = best
    for _ in range(_MOST_PEAKS if peaks is None else peaks):
        seed = _likeliest(curve, y - last.model, noise.variance(last.model))
        last = _refit(curve, y, noise, np.concatenate([last.values, seed]), rescale)
        if peaks is not None or last.bic < best.bic - _CLEAR:
            best = last
        elif best.misfit < _GOOD_MISFIT:
            break
    return best


def _tail_start(loss: Floats, y: Floats) -> Floats:
    """The power law through the lower envelope at both ends of the window."""
    first = max(float(np.mean(y[:3])), 1.0)
    last = max(float(np.percentile(y, 5)), 1e-3 * first)
    exponent = np.log(first / last) / np.log(loss[-1] / loss[0])
    return np.array([np.log(first), float(np.clip(exponent, 0.0, 20.0))])


def _likeliest(curve: _Curve, residual: Floats, variance: Floats) -> Floats:
    """The peak that a matched filter finds most significant: height, energy, ln width."""
    loss = curve.loss
    span, step = float(loss[-1] - loss[0]), float(loss[1] - loss[0])
    best, found = -np.inf, np.array([1.0, float(loss[len(loss) // 2]), np.log(0.1 * span)])
    for width in np.geomspace(max(4.0 * step, 0.02 * span), 0.4 * span, 6):
        for energy in loss[2 : -2 : max(1, int(width / (6.0 * step)))]:
            form = curve.single(float(energy), float(width))
            weight = form / variance
            power = float(weight @ form)
            score = float(weight @ residual) / np.sqrt(power)
            if score > best:
                best, found = score, np.array([score / np.sqrt(power), energy, np.log(width)])
    return found


def _refit(curve: _Curve, y: Floats, noise: Noise, start: Floats, rescale: bool) -> Fit:
    loss = curve.loss
    span, step = float(loss[-1] - loss[0]), float(loss[1] - loss[0])
    count = (len(start) - 2) // 3
    low = np.array([-20.0, 0.0] + [0.0, loss[0] - 0.2 * span, np.log(step)] * count)
    high = np.array([40.0, 30.0] + [np.inf, loss[-1] + 0.2 * span, np.log(2.0 * span)] * count)
    return fit_model(curve, y, noise, start, (low, high), rescale)


def _peak(fit: Fit, k: int, shape: Shape, origin_std: float) -> Peak:
    at = 2 + 3 * k
    area: Callable[[Floats], float] = (
        (lambda q: 0.5 * np.pi * q[at] * np.exp(q[at + 2]))
        if shape == "lorentz"
        else (lambda q: q[at] * drude_area(q[at + 1], float(np.exp(q[at + 2]))))
    )
    value, std = fit.derived(area)
    width = float(np.exp(fit.values[at + 2]))
    energy_std = float(np.hypot(fit.std[at + 1], origin_std))
    return Peak(
        energy_eV=Estimate(value=float(fit.values[at + 1]), std=energy_std),
        width_eV=Estimate(value=width, std=width * float(fit.std[at + 2])),
        area_counts_eV=Estimate(value=value, std=std),
    )
