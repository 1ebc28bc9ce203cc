"""What is wrong with spectra that have just arrived: spikes, saturation, gaps, noise, no signal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from ._fitting import Noise

Floats = NDArray[np.float64]

_SIGMA_OF_MAD = 1.4826
_SPIKE = 8.0
_SILENT = 0.05


@dataclass(frozen=True)
class Limits:
    """From where on a spectrum is bad.

    Shares are of its channels. ``saturation_counts`` is the detector's largest value; without it,
    four or more channels side by side at the spectrum's maximum count as clipped. ``noise_times``
    is the noise over what is usual at such counts.
    """

    spikes: float = 0.02
    gaps: float = 0.02
    saturation_counts: float | None = None
    noise_times: float = 1.6


@dataclass(frozen=True)
class Screened:
    """Spectra as they can be analysed, and what is wrong with each.

    ``clean`` (n, m) has spikes and gaps filled in, ``scores`` (n,) are the shares of good channels
    and 0 for bad spectra, ``faults`` (n,) are empty where nothing is wrong.
    """

    clean: Floats
    scores: Floats
    faults: tuple[str, ...]


def screen(spectra: Floats, noise: Noise, usual_total: float | None, limits: Limits) -> Screened:
    """Screen spectra (n, m): each by itself, against the usual noise and the usual total counts."""
    gaps = ~np.isfinite(spectra)
    clean = np.where(gaps, 0.0, spectra)
    if gaps.any():
        level = np.ma.median(np.ma.masked_array(clean, gaps), axis=1).filled(0.0)
        clean = np.where(gaps, level[:, None], clean)
    smooth = median_filter(clean, size=(1, 5), mode="mirror")
    expected = np.sqrt(noise.variance(smooth))
    departure = np.abs(clean - smooth)
    # Where a peak is sharp, its own flanks depart from the median: as far as in most spectra.
    usual = np.median(departure, axis=0) if len(spectra) >= 5 else 0.0
    spikes = (departure > _SPIKE * (expected + usual)) & ~gaps & ~_on_a_peak(smooth)
    clean = np.where(spikes | gaps, smooth, clean)
    bend = clean[:, :-2] - 2.0 * clean[:, 1:-1] + clean[:, 2:]
    noisy = _SIGMA_OF_MAD * np.median(np.abs(bend) / expected[:, 1:-1], axis=1) / np.sqrt(6.0)
    flat = _saturated(np.where(gaps, -np.inf, spectra), limits.saturation_counts)
    faults = [
        _fault(row, float(g), float(s), float(n), int(f), usual_total, limits)
        for row, g, s, n, f in zip(
            clean, gaps.mean(axis=1), spikes.mean(axis=1), noisy, flat, strict=True
        )
    ]
    good = np.array([0.0 if fault else 1.0 for fault in faults])
    return Screened(clean, good * (1.0 - (gaps | spikes).mean(axis=1)), tuple(faults))


def _on_a_peak(smooth: Floats) -> NDArray[np.bool_]:
    """The channels next to the highest one, where a peak may be narrower than the median."""
    top = np.argmax(smooth, axis=1)
    return np.abs(np.arange(smooth.shape[1]) - top[:, None]) <= 4


def _saturated(spectra: Floats, ceiling: float | None) -> NDArray[np.int64]:
    """Channels at the detector's largest value (n,); where it is not known, four or more channels
    side by side that all have the spectrum's largest value."""
    if ceiling is not None:
        return np.sum(spectra >= ceiling, axis=1)
    at_top = spectra == spectra.max(axis=1, keepdims=True)
    runs = at_top[:, :-3] & at_top[:, 1:-2] & at_top[:, 2:-1] & at_top[:, 3:]
    return np.where(runs.any(axis=1), at_top.sum(axis=1), 0)


def _fault(
    row: Floats,
    gaps: float,
    spikes: float,
    noisy: float,
    saturated: int,
    usual_total: float | None,
    limits: Limits,
) -> str:
    if gaps > limits.gaps:
        return f"{gaps:.0%} of the channels are missing"
    if np.ptp(row) == 0.0:
        return "the same value in every channel"
    if saturated:
        return f"{saturated} channels saturated"
    if noisy > limits.noise_times:
        return f"noise {noisy:.2g} times the usual"
    if spikes > limits.spikes:
        return f"{spikes:.0%} of the channels are spikes"
    if usual_total is not None and float(row.sum()) < _SILENT * usual_total:
        return f"{float(row.sum()) / usual_total:.0%} of the usual counts: is the beam blanked?"
    return ""
