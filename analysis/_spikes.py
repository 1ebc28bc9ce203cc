"""Spikes of spectra: found along the spectrum, replaced, and counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

Floats = NDArray[np.float64]

_LIMIT = 6.0
_WINDOWS = (5, 7, 9)
_SIGMA_OF_MAD = 1.4826
_STANDS_OUT = 0.7
"""Of its departure from the median, what a spike must have left beyond a parabola."""
_MOST_REPLACED = 1.0 / 3.0


@dataclass(frozen=True)
class Despiked:
    """Spectra without spikes.

    Attributes
    ----------
    clean
        The spectra (n, m); spikes and gaps are replaced by a line between their neighbours.
    std
        Standard deviation of each value (n, m): the noise of its spectrum, and for what was
        replaced the error of the line.
    spikes
        Which values were replaced (n, m).
    noise
        Standard deviation of the noise of each spectrum (n,).
    """

    clean: Floats
    std: Floats
    spikes: NDArray[np.bool_]
    noise: Floats

    @property
    def share(self) -> float:
        """Share of the values that were replaced."""
        return float(self.spikes.mean())

    @property
    def lost(self) -> NDArray[np.bool_]:
        """Which spectra (n,) had more than a third of their values replaced: not to be used."""
        return np.atleast_1d(self.spikes.mean(axis=1) > _MOST_REPLACED)

    @property
    def hit(self) -> NDArray[np.bool_]:
        """Which spectra (n,) had a spike or a gap."""
        return np.asarray(self.spikes.any(axis=1), dtype=np.bool_)


def reject_spikes(
    spectra: Floats,
    limit: float = _LIMIT,
    cyclic: bool = False,
    ensemble: float | None = None,
) -> Despiked:
    """Find and replace spikes up to four channels wide in spectra (n, m), m at least 12.

    A value is a spike if it departs from a running median by more than ``limit`` times a local
    scale, in the sense of F. R. Hampel's identifier (J. Am. Stat. Assoc. 69, 383 (1974)). The scale
    is the larger of the noise of the spectrum and the usual departure around the channel, so that
    steps and steep flanks are kept; a stretch that a parabola through its surroundings foretells is
    a peak and no spike. Windows of 5, 7 and 9 channels follow each other, each on what the one
    before has left. NaN and infinity count as spikes.

    Parameters
    ----------
    cyclic
        The last channel precedes the first, as in a loop of hysteresis.
    ensemble
        Also reject, before anything else, what departs from the median of its own spectrum by more
        than this many times the usual span of a spectrum (10th to 90th percentile, median over all
        spectra). For spectra of like size that have spikes in long runs, such as loops.

    Raises
    ------
    ValueError
        If the array is not two-dimensional or has fewer than 12 channels.
    """
    data = np.asarray(spectra, dtype=np.float64)
    if data.ndim != 2 or data.shape[1] < 12:
        raise ValueError(f"spectra of shape {data.shape}, not (n, at least 12)")
    mode = "wrap" if cyclic else "mirror"
    bad = ~np.isfinite(data)
    if ensemble is not None:
        bad |= _beyond(data, bad, ensemble)
    clean = _bridged(data, bad, cyclic)
    for window in _WINDOWS:
        smooth = median_filter(clean, size=(1, window), mode=mode)
        departure = np.abs(clean - smooth)
        usual = median_filter(departure, size=(1, 2 * window + 1), mode=mode)
        scale = np.maximum(_SIGMA_OF_MAD * usual, _noise(clean)[:, None])
        span = np.ptp(smooth, axis=1, keepdims=True)
        found = departure > limit * np.maximum(scale, 1e-3 * span)
        bad |= _confirmed(clean, found & ~bad, departure)
        clean = _bridged(data, bad, cyclic)
    noise = _noise(clean)
    return Despiked(clean, _errors(bad, noise, cyclic), bad, noise)


def _beyond(data: Floats, bad: NDArray[np.bool_], times: float) -> NDArray[np.bool_]:
    """Values too far from the median of their spectrum, by the span of the others."""
    known = np.ma.masked_array(data, bad)
    middle = np.ma.median(known, axis=1).filled(0.0)
    low, high = np.nanpercentile(np.where(bad, np.nan, data)[~bad.all(axis=1)], [10, 90], axis=1)
    span = float(np.median(high - low)) if len(low) else 0.0
    return ~bad & (np.abs(data - middle[:, None]) > times * span) if span > 0.0 else bad


def _confirmed(spectra: Floats, found: NDArray[np.bool_], departure: Floats) -> NDArray[np.bool_]:
    """Those stretches of ``found`` that stick out of a parabola through three channels on either
    side by nearly as much as out of the median."""
    kept = found.copy()
    m = spectra.shape[1]
    for row in np.flatnonzero(found.any(axis=1)):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], found[row].astype(int), [0]])))
        for begin, end in edges.reshape(-1, 2):
            around = np.r_[begin - 3 : begin, end : end + 3]
            if around[0] < 0 or around[-1] >= m:
                continue
            x = around - 0.5 * (begin + end - 1)
            foretold = np.polynomial.Polynomial.fit(x, spectra[row, around], 2)
            inner = np.arange(begin, end)
            left = np.abs(spectra[row, inner] - foretold(inner - 0.5 * (begin + end - 1)))
            if left.max() < _STANDS_OUT * departure[row, inner].max():
                kept[row, begin:end] = False
    return kept


def _noise(spectra: Floats) -> Floats:
    """Standard deviation of white noise (n,) from second differences."""
    bend = spectra[:, :-2] - 2.0 * spectra[:, 1:-1] + spectra[:, 2:]
    return _SIGMA_OF_MAD * np.median(np.abs(bend), axis=1) / np.sqrt(6.0)


def _bridged(data: Floats, bad: NDArray[np.bool_], cyclic: bool) -> Floats:
    """The spectra with a straight line over every bad stretch; 0 where nothing is good."""
    filled = np.where(bad, 0.0, data)
    channels = np.arange(data.shape[1])
    for row in np.flatnonzero(bad.any(axis=1)):
        good = np.flatnonzero(~bad[row])
        if good.size:
            period = data.shape[1] if cyclic else None
            filled[row] = np.interp(channels, good, data[row, good], period=period)
    return filled


def _errors(bad: NDArray[np.bool_], noise: Floats, cyclic: bool) -> Floats:
    """Errors of values: the noise; of a line between two values: that of the line.

    The ends of the line are two noisy values with weights 1 - f and f; infinite where there
    is no good value at all.
    """
    errors = np.broadcast_to(noise[:, None], bad.shape).copy()
    n = bad.shape[1]
    for row in np.flatnonzero(bad.any(axis=1)):
        good = np.flatnonzero(~bad[row])
        if not good.size:
            errors[row] = np.inf
            continue
        if cyclic:
            good = np.concatenate([[good[-1] - n], good, [good[0] + n]])
        for channel in np.flatnonzero(bad[row]):
            right = int(np.searchsorted(good, channel))
            if right in (0, len(good)):
                continue
            a, b = good[right - 1], good[right]
            f = (channel - a) / (b - a)
            errors[row, channel] = noise[row] * np.hypot(1.0 - f, f)
    return errors
