"""High-field current of a current-field spectrum, with its error and a check of the curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

HIGH_FIELD_CHANNELS = 5
"""Channels at the highest field whose mean is the result."""

WINDOW_CHANNELS = 10
"""Channels at the highest field that must be whole and free of spikes."""

SPIKE_LIMIT = 0.5
"""Departure from the running median of five channels, in decades, that counts as a spike.

Wrong channels side by side (two at the end, three elsewhere) look like a step of the current and
are not seen; a lower limit or a longer median would throw away the steepest real curves.
"""

STD_FLOOR = 1e-3
"""Smallest standard deviation of one spectrum, in decades: drift and calibration are never zero."""


@dataclass(frozen=True)
class HighField:
    """Per spectrum (n,): log10 current at high field, its standard deviation, whether to use it.

    Where ``good`` is false the value is the median of what is finite, or 0: not to be used.
    """

    value: NDArray[np.float64]
    std: NDArray[np.float64]
    good: NDArray[np.bool_]


def high_field(spectra: NDArray[np.float64]) -> HighField:
    """Reduce spectra (n, fields), given in log10 current.

    The noise of one channel comes from second differences over the upper half of the fields, which
    a smooth curve hardly has: their median absolute value is 0.6745 * sqrt(6) standard deviations.
    """
    finite = np.isfinite(spectra)
    safe = np.where(finite, spectra, 0.0)
    smooth = median_filter(safe, size=(1, 5), mode="mirror")
    spike = np.abs(safe - smooth)[:, -WINDOW_CHANNELS:].max(axis=1)
    good = finite[:, -WINDOW_CHANNELS:].all(axis=1) & (spike < SPIKE_LIMIT)
    bend = np.median(np.abs(np.diff(safe[:, spectra.shape[1] // 2 :], n=2, axis=1)), axis=1)
    noise = bend / (0.6745 * np.sqrt(6.0)) / np.sqrt(HIGH_FIELD_CHANNELS)
    value = np.where(
        good,
        safe[:, -HIGH_FIELD_CHANNELS:].mean(axis=1),
        _median(spectra[:, -HIGH_FIELD_CHANNELS:]),
    )
    return HighField(value, np.maximum(noise, STD_FLOOR), good)


def _median(channels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of the finite values of each row; 0 where there is none."""
    masked = np.ma.masked_invalid(channels)
    return np.ma.median(masked, axis=1).filled(0.0)
