"""The noise of an image, from the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve, uniform_filter

from ._fitting import Noise, noise_by_level

Floats = NDArray[np.float64]

_KERNEL = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])
"""The difference of two Laplacians: blind to constants, slopes, curvature along either axis."""
_GROUPS = 12
_SIGMA_OF_MAD = 1.4826


def image_noise(image: Floats) -> Noise:
    """Gain and floor of the noise of an image (n, m), white from pixel to pixel.

    J. Immerkær's operator (Comput. Vis. Image Underst. 64, 300 (1996)) leaves noise of 36 times the
    variance; pixels of like level are put together, and variance against level is fitted by
    non-negative least squares. Detail as fine as a pixel counts as noise.
    """
    whole = np.where(np.isfinite(image), image, np.nanmedian(image))
    left = convolve(whole, _KERNEL, mode="mirror")[1:-1, 1:-1].ravel()
    level = np.maximum(uniform_filter(whole, 3)[1:-1, 1:-1].ravel(), 0.0)
    groups = np.array_split(np.argsort(level, kind="stable"), _GROUPS)
    middle = np.array([level[g].mean() for g in groups])
    variance = np.array([(_SIGMA_OF_MAD * np.median(np.abs(left[g]))) ** 2 for g in groups]) / 36.0
    return noise_by_level(middle, variance, 1e-12 * max(float(np.ptp(whole)), 1e-12) ** 2)
