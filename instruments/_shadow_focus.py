"""Focus from shadow images (ronchigrams) of a specimen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.float64]

_SOFT_px = 4.0


def shadow_slope(ronchigram: Floats) -> float:
    """Mean squared slope of a shadow image, counting noise taken off, in 1/px^2.

    The shadow of a specimen is magnified without bound as the defocus goes to zero (J. M. Cowley,
    J. Electron Microsc. Tech. 3, 25 (1986)), so it grows flat there, alike from both sides.
    """
    middle = [slice(n // 4, n - n // 4) for n in ronchigram.shape]
    mean = float(ronchigram[tuple(middle)].mean())
    if mean <= 0:
        return 0.0
    soft = gaussian_filter(ronchigram / mean, _SOFT_px)[tuple(middle)]
    slopes = np.gradient(soft)
    noise = 1.0 / (4.0 * np.pi * _SOFT_px**4 * mean)
    return float(np.mean(slopes[0] ** 2 + slopes[1] ** 2)) - noise


def focus_of(at: Floats, slopes: Floats) -> tuple[float, bool]:
    """The defocus to take from a series of shadow images, and whether they pass through focus.

    Around focus the slopes are even and rise to both sides: the place of symmetry is taken. Where
    they do not, the flatter end of the series is, or its middle if neither end is flatter.
    """
    rise = float(np.ptp(slopes))
    ends = min(slopes[0], slopes[-1]) - float(slopes.min())
    if rise > 0 and ends > 0.1 * rise:
        return symmetry(at, slopes), True
    trend = float(np.corrcoef(at, slopes)[0, 1]) if rise > 0 else 0.0
    middle = float(at[0] + at[-1]) / 2
    return (middle if abs(trend) < 0.8 else float(at[0] if trend > 0 else at[-1])), False


def symmetry(at: Floats, height: Floats) -> float:
    """The place around which a function of equally spaced places is most nearly even.

    At least half of the places have a mirror image among them.
    """
    centres = np.linspace(at[0], at[-1], 20 * len(at) + 1)
    least = 0.5 * (at[-1] - at[0])
    misfits = np.full(len(centres), np.inf)
    for k, centre in enumerate(centres):
        mirrored = 2.0 * centre - at
        both = (mirrored >= at[0]) & (mirrored <= at[-1])
        if both.any() and np.ptp(at[both]) >= least:
            other = np.interp(mirrored[both], at, height)
            misfits[k] = float(np.mean((height[both] - other) ** 2))
    return float(centres[np.argmin(misfits)])
