"""Detectors: places in an image that are worth a closer look, by plain functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, sobel

from ..workflow import Array, Detect, Point, SpecError

Floats = NDArray[np.float64]
Detector = Callable[[Floats, float, int], Floats]
"""Image (rows, columns), least distance in pixels, most places -> (n, 2) rows and columns, the most
interesting first."""


def detect(command: Detect, image: Array) -> tuple[Point, ...]:
    """Places in an image, in nanometres, the most interesting first.

    Parameters
    ----------
    command
        Names the detector and says how many places, and how far apart.
    image
        Two axes in nm.

    Raises
    ------
    SpecError
        If there is no such detector, or the array is no image.
    """
    if command.find not in DETECTORS:
        raise SpecError(
            "detect", f"{command.find!r}", f"one of {sorted(DETECTORS)}", "correct the name"
        )
    if image.data.ndim != 2 or min(image.data.shape) < 3:
        raise SpecError(
            "detect",
            f"an array of shape {image.data.shape}",
            "an image of at least 3 x 3 pixels",
            "name an image that an overview or scan gave",
        )
    y, x = (np.asarray(axis.values, dtype=np.float64) for axis in image.axes)
    pixel_nm = max(abs(float(y[1] - y[0])), abs(float(x[1] - x[0])))
    data = np.nan_to_num(np.asarray(image.data, dtype=np.float64))
    found = DETECTORS[command.find](data, max(command.apart_nm / pixel_nm, 1.0), command.count)
    rows, columns = found[: command.count].astype(np.intp).T.reshape(2, -1)
    return tuple(
        Point(y_nm=float(y[r]), x_nm=float(x[c])) for r, c in zip(rows, columns, strict=True)
    )


def brightest(image: Floats, apart_px: float, count: int) -> Floats:
    """Local maxima of the smoothed image, the brightest first (scikit-image)."""
    return _peaks(gaussian_filter(image, 1.0), apart_px, count)


def edges(image: Floats, apart_px: float, count: int) -> Floats:
    """Places of the steepest gradient (Sobel after smoothing), the steepest first.

    Only slopes above Otsu's threshold (IEEE Trans. Syst. Man Cybern. 9, 62 (1979)) are edges.
    """
    from skimage.filters import threshold_otsu

    smooth = gaussian_filter(image, 1.5)
    slope = np.hypot(sobel(smooth, axis=0), sobel(smooth, axis=1))
    if np.ptp(slope) == 0:
        return np.empty((0, 2))
    return _peaks(slope, apart_px, count, float(threshold_otsu(slope)))


def particles(image: Floats, apart_px: float, count: int) -> Floats:
    """Centres of mass of what is brighter than Otsu's threshold, split by the watershed of the
    distance to the background; the largest first."""
    from skimage.filters import threshold_otsu
    from skimage.measure import regionprops
    from skimage.segmentation import watershed

    smooth = gaussian_filter(image, 1.0)
    if np.ptp(smooth) == 0:
        return np.empty((0, 2))
    mask = smooth > threshold_otsu(smooth)
    depth = np.asarray(distance_transform_edt(mask))
    seeds = np.zeros(image.shape, dtype=np.intp)
    for label, (row, column) in enumerate(_peaks(depth, apart_px, image.size), start=1):
        if depth[int(row), int(column)] > 0:
            seeds[int(row), int(column)] = label
    regions = sorted(
        regionprops(watershed(-depth, seeds, mask=mask)), key=lambda r: r.area, reverse=True
    )
    return np.array([r.centroid for r in regions[:count]], dtype=np.float64).reshape(-1, 2)


def grid(image: Floats, apart_px: float, count: int) -> Floats:
    """A regular grid of at most ``count`` places, whatever is there."""
    rows, columns = image.shape
    per_row = max(1, int(np.sqrt(count * columns / rows)))
    per_column = max(1, count // per_row)
    r = (np.arange(per_column) + 0.5) * rows / per_column
    c = (np.arange(per_row) + 0.5) * columns / per_row
    return np.stack(np.meshgrid(r, c, indexing="ij"), axis=-1).reshape(-1, 2)


def _peaks(image: Floats, apart_px: float, count: int, least: float | None = None) -> Floats:
    from skimage.feature import peak_local_max

    if np.ptp(image) == 0:
        return np.empty((0, 2))
    distance = max(1, round(apart_px))
    found = peak_local_max(
        image, min_distance=distance, num_peaks=count, threshold_abs=least, exclude_border=False
    )
    return np.asarray(found, dtype=np.float64)


DETECTORS: dict[str, Detector] = {
    "brightest": brightest,
    "edges": edges,
    "grid": grid,
    "particles": particles,
}
