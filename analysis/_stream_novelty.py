"""Novelty and change: what the running decomposition does not explain, against what is usual."""

from __future__ import annotations

from collections import deque
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import root_scalar
from scipy.special import chdtrc, chdtri, ndtri

from ._fitting import Noise

Floats = NDArray[np.float64]

_WIDTHS = (1.0, 3.0, 10.0)
"""Standard deviations in channels of the bumps that are looked for in residuals."""
_MEMORY = 150
_LEAST_KNOWN = 24
_SIGMA_OF_MAD = 1.4826


def residual_statistics(spectra: Floats, rebuilt: Floats, noise: Noise) -> Floats:
    """Two numbers (n, 2) for each spectrum: its whole residual, and the highest bump in it.

    The first is the mean of the squared residuals over their variances, the second the largest
    matched-filter score over all channels and three widths.
    """
    scaled = (spectra - rebuilt) / np.sqrt(noise.variance(rebuilt))
    whole = np.mean(np.minimum(scaled, 1e4) ** 2, axis=1)
    bumps = np.zeros(len(spectra))
    impulse = np.zeros(max(64, int(12 * _WIDTHS[-1])))
    impulse[len(impulse) // 2] = 1.0
    for width in _WIDTHS:
        size = float(np.sqrt(np.sum(gaussian_filter1d(impulse, width) ** 2)))
        score = np.abs(gaussian_filter1d(scaled, width, axis=1)) / size
        bumps = np.maximum(bumps, score.max(axis=1))
    return np.column_stack([whole, bumps])


@final
class NoveltyScale:
    """Turns residual statistics into standard normal scores, by what was usual so far.

    The whole residual is compared with a scaled chi-square distribution of the same center and
    spread (G. E. P. Box, Ann. Math. Stat. 25, 290 (1954); the limit of squared prediction errors in
    process control: P. Nomikos, J. F. MacGregor, Technometrics 37, 41 (1995)), the highest bump
    with a Gumbel distribution. Center and spread are the median and the median absolute deviation
    of the last 150 spectra that were not novel themselves. Both tests share the false alarms.
    """

    def __init__(self) -> None:
        self._usual: deque[Floats] = deque(maxlen=_MEMORY)

    @property
    def ready(self) -> bool:
        return len(self._usual) >= _LEAST_KNOWN

    def learn(self, statistics: Floats) -> None:
        """Take in statistics (n, 2) of spectra that are not novel, not yet learnt by what made the
        residuals."""
        self._usual.extend(statistics)

    def scores(self, statistics: Floats) -> Floats:
        """Scores (n,), standard normal for usual spectra, large for novel ones; 0 until ready."""
        if not self.ready:
            return np.zeros(len(statistics))
        known = np.array(self._usual)
        center = np.median(known, axis=0)
        spread = _SIGMA_OF_MAD * np.median(np.abs(known - center), axis=0)
        spread = np.maximum(spread, 1e-3 * np.abs(center) + 1e-12)
        tail = np.minimum(
            _chi_square_tail(statistics[:, 0], center[0], spread[0]),
            _gumbel_tail(statistics[:, 1], center[1], spread[1]),
        )
        # The smaller of two tails: at least one of two independent ones.
        either = tail * (2.0 - tail)
        return np.clip(-ndtri(np.clip(either, 1e-300, 1.0 - 1e-15)), -8.0, 38.0)


def _chi_square_tail(x: Floats, center: float, spread: float) -> Floats:
    freedom = 2.0 * (center / spread) ** 2
    scale = center / chdtri(freedom, 0.5)
    return np.asarray(chdtrc(freedom, x / scale))


def _gumbel_tail(x: Floats, center: float, spread: float) -> Floats:
    """Gumbel with this median and (scaled) median absolute deviation, 0.767 of its scale
    unscaled."""
    scale = spread / (_SIGMA_OF_MAD * 0.767)
    mode = center + scale * np.log(np.log(2.0))
    return -np.expm1(-np.exp(-np.clip((x - mode) / scale, -30.0, 700.0)))


@final
class Cusum:
    """Page's cumulative sum for a lasting rise of standard normal scores.

    E. S. Page, Biometrika 41, 100 (1954). After an alarm it begins anew. The limit is
    chosen for a mean number of scores between false alarms, by D. Siegmund's approximation
    (Sequential Analysis (1985), eq. 2.57).

    Parameters
    ----------
    rise
        The rise of the mean, in standard deviations, that is to be found soonest.
    between_false_alarms
        Mean number of scores from one false alarm to the next.
    """

    def __init__(self, rise: float = 1.0, between_false_alarms: float = 5000.0) -> None:
        if rise <= 0.0 or between_false_alarms <= 10.0:
            raise ValueError(f"rise {rise} above 0, {between_false_alarms} scores above 10")
        self._half = 0.5 * rise
        self.limit = _siegmund_limit(self._half, between_false_alarms)
        self.height = 0.0

    def update(self, scores: Floats) -> int | None:
        """Take in scores (n,); the index of the first alarm among them, or None."""
        for k, score in enumerate(scores):
            # One wild score is novelty, not change: it counts as four standard deviations.
            self.height = max(0.0, self.height + min(float(score), 4.0) - self._half)
            if self.height > self.limit:
                self.height = 0.0
                return k
        return None


def _siegmund_limit(half: float, length: float) -> float:
    def excess(limit: float) -> float:
        b = 2.0 * half * (limit + 1.166)
        return float(np.log((np.exp(b) - b - 1.0) / (2.0 * half**2)) - np.log(length))

    return float(root_scalar(excess, bracket=(1e-6, 350.0 / half)).root)
