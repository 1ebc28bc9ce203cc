"""Local structure around every pixel of an image: principal components of square patches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from ..workflow import Estimate

PATCH = 9
"""Side of a patch in pixels."""


def robust_std(values: NDArray[np.float64]) -> float:
    """Standard deviation of the bulk: the median absolute deviation, scaled for a Gaussian."""
    return 1.4826 * float(np.nanmedian(np.abs(values - np.nanmedian(values))))


def contrast(image: NDArray[np.float64]) -> Estimate:
    """Robust standard deviation of an image; its error from how much the four quarters differ.

    Neighbouring pixels are alike, so the number of pixels says nothing about the error.
    """
    half, middle = image.shape[0] // 2, image.shape[1] // 2
    quarters = [
        part
        for band in (image[:half], image[half:])
        for part in (band[:, :middle], band[:, middle:])
    ]
    spreads = [robust_std(q) for q in quarters if np.isfinite(q).any()]
    error = float(np.std(spreads, ddof=1) / np.sqrt(len(spreads))) if len(spreads) > 1 else 0.0
    return Estimate(value=robust_std(image), std=error)


def filled(image: NDArray[np.float64], limit: float = 5.0) -> NDArray[np.float64]:
    """An image without gaps and glitches.

    NaN becomes the median; values further than ``limit`` robust standard deviations from the median
    are clipped there, so that one dead pixel does not become a principal component.
    """
    center, spread = float(np.nanmedian(image)), robust_std(image)
    whole = np.where(np.isfinite(image), image, center)
    if spread == 0.0:
        return whole
    return np.clip(whole, center - limit * spread, center + limit * spread)


def patches(image: NDArray[np.float64], size: int = PATCH) -> NDArray[np.float64]:
    """The ``size`` x ``size`` surroundings of every pixel, (rows * columns, size**2), in C order.

    The image goes on beyond its edges as in a mirror. ``size`` is odd and no larger than the image.
    """
    padded = np.pad(image, size // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    return windows.reshape(image.size, size * size)


def principal_scores(rows: NDArray[np.float64], components: int) -> NDArray[np.float64]:
    """Scores of ``rows`` (n, m) on their first principal components, (n, components).

    The largest loading of each component is positive, so that equal rows give equal scores.
    """
    pca = PCA(components, svd_solver="covariance_eigh").fit(rows)
    loadings = np.asarray(pca.components_, dtype=np.float64)
    largest = np.abs(loadings).argmax(axis=1)
    signs = np.sign(loadings[np.arange(components), largest])
    return np.asarray(pca.transform(rows), dtype=np.float64) * signs


def patch_features(
    image: NDArray[np.float64], components: int = 8, size: int = PATCH
) -> NDArray[np.float64]:
    """Scores of the patches on their first principal components, (rows * columns, components).

    Each column has mean 0 and standard deviation 1, or is 0 where the image has no such structure.
    Patches as descriptors of local structure as in Liu et al., Nature Machine Intelligence 4, 341
    (2022), with principal components in place of a learned embedding.
    """
    flat = patches(filled(image), size)
    if np.ptp(flat) == 0.0:
        return np.zeros((image.size, components))
    scores = principal_scores(flat, components)
    spread = scores.std(axis=0)
    there = spread > 1e-9 * float(np.abs(flat).max())
    return np.where(there, (scores - scores.mean(axis=0)) / np.where(there, spread, 1.0), 0.0)
