"""Domains and walls of a piezoresponse image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, maximum_filter, median_filter, minimum_filter
from skimage.filters import gaussian
from skimage.segmentation import find_boundaries

from ._patches import robust_std

Floats = NDArray[np.float64]

LEAST_SIZE = 32
"""Smallest side of an image in pixels."""
MOST_GAPS = 0.1
"""Largest share of missing pixels that is filled in."""
_SMOOTHING_px = 1.5
_REACH = 9
_SIGNIFICANT = 3.0
_BLOCKS = 4
_COMMON_ERROR = 0.03
"""Error of the lever's calibration and of the continuation to distance zero, as a share."""
_LEAST_DENSITY_STD = 0.001


@dataclass(frozen=True)
class Domains:
    """What an image says of the domains.

    Attributes
    ----------
    contrast_pm, contrast_std_pm
        Root mean square of the noise-free response about its offset, with its standard deviation.
    wall_density, wall_density_std
        Share of pixels on a line between domains of different sign.
    offset_pm, noise_pm
        Response midway between the domains; standard deviation of one pixel.
    smooth
        The cleaned and smoothed response less its offset, (rows, columns), in pm.
    wall_distance_px
        Distance of every pixel to the nearest wall; infinite where there is none.
    """

    contrast_pm: float
    contrast_std_pm: float
    wall_density: float
    wall_density_std: float
    offset_pm: float
    noise_pm: float
    smooth: Floats
    wall_distance_px: Floats


def fault(image: Floats) -> str:
    """Why an image cannot be analysed; empty if it can."""
    if image.ndim != 2 or min(image.shape) < LEAST_SIZE:
        return f"shape {image.shape}, not at least {LEAST_SIZE} x {LEAST_SIZE} pixels"
    gaps = 1.0 - float(np.isfinite(image).mean())
    if gaps > MOST_GAPS:
        return f"{gaps:.0%} of the pixels are missing"
    if np.ptp(image[np.isfinite(image)]) == 0.0:
        return "every pixel has the same value: the signal path is dead"
    return ""


def find_domains(image: Floats) -> Domains:
    """Domains of a signed vertical piezoresponse image (rows, columns) in pm.

    The amplitude comes from the covariance of neighbouring rows, which white noise and offsets of
    whole rows do not enter (the nugget of a variogram: G. Matheron, Econ. Geol. 58, 1246 (1963)).
    So it does not need a segmentation, and an image without domains gives about 0 and not the
    noise. Its error comes from how much sixteen blocks of the image differ.

    Raises
    ------
    ValueError
        If ``fault`` finds one.
    """
    if complaint := fault(image):
        raise ValueError(f"image: {complaint}")
    clean = _cleaned(image)
    offset = _offset(clean)
    response = clean - offset
    power, power_std = _with_error(_power(response), [_power(b) for b in _blocks(response)])
    contrast = np.sqrt(max(power, 0.0))
    scatter = power_std / (2.0 * np.sqrt(max(power, power_std, 1e-12)))
    noise = np.sqrt(max(float(np.mean(response**2)) - max(power, 0.0), 0.0))
    smooth = gaussian(response, _SMOOTHING_px, preserve_range=True)
    walls = _walls(smooth, noise, float(contrast))
    density, density_std = _with_error(
        0.5 * float(walls.mean()), [0.5 * float(block.mean()) for block in _blocks(walls)]
    )
    distance = distance_transform_edt(~walls) if walls.any() else np.full(walls.shape, np.inf)
    return Domains(
        contrast_pm=float(contrast),
        contrast_std_pm=float(np.hypot(scatter, _COMMON_ERROR * contrast)),
        wall_density=density,
        wall_density_std=max(density_std, _LEAST_DENSITY_STD),
        offset_pm=offset,
        noise_pm=float(noise),
        smooth=np.asarray(smooth, dtype=np.float64),
        wall_distance_px=np.asarray(distance, dtype=np.float64),
    )


def _cleaned(image: Floats) -> Floats:
    """Missing pixels and spikes replaced by the median of their surroundings."""
    known = np.isfinite(image)
    whole = np.where(known, image, np.nanmedian(image))
    local = median_filter(whole, size=5)
    residual = whole - local
    spikes = np.abs(residual) > 6.0 * max(robust_std(residual), 1e-12 * np.ptp(whole))
    return np.where(spikes | ~known, local, whole)


def _offset(image: Floats) -> float:
    """Midway between the domains of both signs, or 0 if there seems to be one sign only."""
    low, high = np.percentile(gaussian(image, _SMOOTHING_px, preserve_range=True), [2, 98])
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    return float(middle) if abs(middle) < 0.5 * half else 0.0


def _power(response: Floats) -> float:
    """Noise-free mean square: covariance of rows one and two apart, continued to distance zero."""
    one = float(np.mean(response[:-1] * response[1:]))
    two = float(np.mean(response[:-2] * response[2:]))
    return (4.0 * one - two) / 3.0


def _walls(smooth: Floats, noise: float, contrast: float) -> NDArray[np.bool_]:
    """Pixels on either side of a change of sign between places that are both clearly not zero."""
    left = noise / (2.0 * np.sqrt(np.pi) * _SMOOTHING_px)
    clear = max(_SIGNIFICANT * left, 0.25 * contrast)
    crossing = find_boundaries(smooth > 0.0, mode="thick")
    up = maximum_filter(smooth, size=_REACH) > clear
    down = minimum_filter(smooth, size=_REACH) < -clear
    return crossing & up & down


def _blocks(image: NDArray[np.float64] | NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    bands = np.array_split(np.asarray(image, dtype=np.float64), _BLOCKS, axis=0)
    return [block for band in bands for block in np.array_split(band, _BLOCKS, axis=1)]


def _with_error(whole: float, parts: list[float]) -> tuple[float, float]:
    return whole, float(np.std(parts, ddof=1) / np.sqrt(len(parts)))
