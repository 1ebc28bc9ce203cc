"""Atomic columns: found by a network, placed by a fit of two-dimensional Gaussians."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom
from scipy.spatial import KDTree
from skimage.feature import peak_local_max

from ._fitting import Noise, fit_model
from ._image_noise import image_noise
from ._unet import column_map

Floats = NDArray[np.float64]
Method = Literal["network", "maxima"]

_SEEN_SPACING_px = 10.0
_LEAST_PROBABILITY = 0.3
_LEAST_DISTANCE_px = 3
_PASSES = 3
_SETTLED = 0.1
_LEAST_PIXELS = 12


@dataclass(frozen=True)
class Atoms:
    """Columns (k,): positions (k, 2) as (row, column) in pixels, heights and widths, with errors.

    ``good`` tells where the fit held: the column stayed where it was found and its height is more
    than three errors. The others keep the position at which they were found and infinite errors.
    """

    positions_px: Floats
    positions_std_px: Floats
    heights: Floats
    heights_std: Floats
    widths_px: Floats
    widths_std_px: Floats
    good: NDArray[np.bool_]


def find_columns(
    image: Floats, *, method: Method = "network", spacing_px: float | None = None
) -> Floats:
    """Positions (k, 2) of atomic columns, to about a pixel.

    Parameters
    ----------
    image
        (n, m), all finite, columns bright.
    method
        ``network``: maxima of the map of a U-Net; ``maxima``: local maxima of the smoothed image,
        enough where the noise is low.
    spacing_px
        Distance of neighbouring columns, if known: for the network the image is scaled to the 10
        pixels in the middle of what it was trained on.

    Raises
    ------
    ValueError
        If the image is smaller than 32 x 32 pixels, or has pixels that are not finite.
    """
    if image.ndim != 2 or min(image.shape) < 32 or not np.isfinite(image).all():
        raise ValueError(
            f"an image of shape {image.shape}: finite, at least 32 x 32 pixels, needed"
        )
    if method == "maxima":
        smooth = gaussian_filter(image, 1.5)
        floor = float(np.median(smooth) + 0.5 * (smooth.max() - np.median(smooth)) * 0.3)
        peaks = peak_local_max(smooth, min_distance=_LEAST_DISTANCE_px, threshold_abs=floor)
        return np.asarray(peaks, dtype=np.float64)
    scale = 1.0 if spacing_px is None else _SEEN_SPACING_px / spacing_px
    shown = image if abs(scale - 1.0) < 0.2 else np.asarray(zoom(image, scale, order=1))
    likely = gaussian_filter(column_map(shown), 0.7)
    peaks = peak_local_max(
        likely,
        min_distance=_LEAST_DISTANCE_px,
        threshold_abs=_LEAST_PROBABILITY,
        exclude_border=False,
    )
    ratio = (np.array(image.shape) - 1.0) / (np.array(shown.shape) - 1.0)
    return np.asarray(peaks, dtype=np.float64) * ratio


def fit_atoms(image: Floats, found: Floats, noise: Noise | None = None) -> Atoms:
    """Place columns (k, 2) by fits of a round Gaussian on a constant, each in its own surroundings.

    The surroundings reach 0.6 of the way to the nearest neighbour; what the neighbours' own
    Gaussians add there is taken off, up to three times over (as crowded fields of stars are
    reduced: P. B. Stetson, Publ. Astron. Soc. Pac. 99, 191 (1987)). Errors come from the curvature
    of each fit; ``noise`` is by default estimated from the image.
    """
    known = noise or image_noise(image)
    reach = _reaches(found, min(image.shape))
    fits = np.column_stack([np.zeros(len(found)), found, 0.45 * reach, np.zeros(len(found))])
    errors = np.full_like(fits, np.inf)
    for k, (row, col) in enumerate(found):
        fits[k, 0] = image[round(row), round(col)] - np.percentile(image, 10)
        fits[k, 4] = np.percentile(image, 10)
    good = np.zeros(len(found), dtype=bool)
    for _ in range(_PASSES):
        before = fits.copy()
        for k in range(len(found)):
            result = _fit_one(image, known, before, k, found[k], reach[k], noise is None)
            good[k] = result is not None
            if result is not None:
                fits[k], errors[k] = result
        if np.all(np.abs(fits - before)[good] < _SETTLED * errors[good]):
            break
    fits[~good, 1:3], errors[~good] = found[~good], np.inf
    return Atoms(
        positions_px=fits[:, 1:3],
        positions_std_px=errors[:, 1:3],
        heights=fits[:, 0],
        heights_std=errors[:, 0],
        widths_px=fits[:, 3],
        widths_std_px=errors[:, 3],
        good=good,
    )


def _reaches(found: Floats, size: int) -> Floats:
    """Radius of the surroundings of each column: 0.6 of the distance of its nearest neighbour."""
    if len(found) < 2:
        return np.full(len(found), min(8.0, 0.25 * size))
    nearest = KDTree(found).query(found, k=2)[0][:, 1]
    return np.clip(0.6 * nearest, 3.0, 12.0)


def _gaussian(fit: Floats, rows: Floats, cols: Floats) -> Floats:
    """Height, row, column, standard deviation."""
    square = (rows - fit[1]) ** 2 + (cols - fit[2]) ** 2
    return np.asarray(fit[0] * np.exp(-0.5 * square / fit[3] ** 2))


def _fit_one(
    image: Floats, noise: Noise, fits: Floats, k: int, at: Floats, reach: float, rescale: bool
) -> tuple[Floats, Floats] | None:
    low = np.maximum(np.floor(at - reach), 0).astype(int)
    high = np.minimum(np.ceil(at + reach) + 1, image.shape).astype(int)
    rows, cols = (g.astype(np.float64) for g in np.mgrid[low[0] : high[0], low[1] : high[1]])
    inside = (rows - at[0]) ** 2 + (cols - at[1]) ** 2 <= reach**2
    if int(inside.sum()) < _LEAST_PIXELS:
        return None
    rows, cols = rows[inside], cols[inside]
    y = image[low[0] : high[0], low[1] : high[1]][inside]
    near = np.linalg.norm(fits[:, 1:3] - at, axis=1) < 4.0 * reach
    near[k] = False
    others = sum((_gaussian(f, rows, cols) for f in fits[near]), np.zeros(len(y)))
    start = fits[k].copy()
    start[0] = max(start[0], 1e-6 * max(float(np.ptp(y)), 1e-12))
    fit = fit_model(
        lambda q: _gaussian(q, rows, cols) + q[4] + others,
        y,
        noise,
        start,
        (
            [0.0, at[0] - reach, at[1] - reach, 0.5, -np.inf],
            [np.inf, at[0] + reach, at[1] + reach, 1.5 * reach, np.inf],
        ),
        rescale=rescale,
    )
    moved = float(np.hypot(fit.values[1] - at[0], fit.values[2] - at[1]))
    if fit.values[0] < 3.0 * fit.std[0] or moved > 0.7 * reach:
        return None
    return fit.values, fit.std
