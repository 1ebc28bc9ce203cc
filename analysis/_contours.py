"""Domain walls and edges as curves: where they run, how long they are, how well that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d, map_coordinates
from skimage.filters import threshold_otsu
from skimage.measure import find_contours

from ..workflow import Estimate
from ._image_noise import image_noise
from ._patches import filled
from ._pfm_image import fault, find_domains

Floats = NDArray[np.float64]

BORDER_px = 4
"""Curves are followed up to this distance from the border, where smoothing bends them."""
_SMOOTHING_px = 1.5
_ALONG_px = 3.0
_KEPT = float(np.sqrt(_SMOOTHING_px / np.hypot(_SMOOTHING_px, _ALONG_px)))
"""What smoothing along a curve leaves of the errors of its points."""
_REACH_px = 5.0
_CLEAR = 4.0
_LEAST_LENGTH_px = 10.0


@dataclass(frozen=True)
class Curve:
    """A wall or edge: points (k, 2) as (row, column) in pixels and how far each may be off.

    ``std_px`` (k,) is the standard deviation of a point along the normal of the curve; neighbours
    within some five pixels err together. ``closed`` where it ends where it began.
    """

    points_px: Floats
    std_px: Floats
    closed: bool
    length_px: Estimate


def find_walls(image: Floats) -> tuple[Curve, ...]:
    """Walls between domains of either sign in a signed piezoresponse image (n, m), longest first.

    Raises
    ------
    ValueError
        If the image cannot be analysed (see ``find_domains``).
    """
    domains = find_domains(image)
    return _curves(image - domains.offset_pm, max(domains.noise_pm, 1e-12))


def find_edges(image: Floats, level: float | None = None) -> tuple[Curve, ...]:
    """Curves on which an image (n, m) crosses a level, longest first: edges of bright regions.

    The level is by default Otsu's threshold, half way between two kinds of pixels. Where intensity
    follows thickness, that is inside of the geometrical edge.

    Raises
    ------
    ValueError
        If the image is smaller than 32 x 32 pixels, mostly missing, or constant.
    """
    if complaint := fault(image):
        raise ValueError(f"image: {complaint}")
    smooth = gaussian_filter(filled(image, limit=50.0), _SMOOTHING_px)
    level = float(threshold_otsu(smooth)) if level is None else level
    noise = image_noise(image)
    at_level = float(np.sqrt(noise.variance(np.array([max(level, 0.0)]))[0]))
    return _curves(image - level, at_level)


def _curves(image: Floats, noise: float) -> tuple[Curve, ...]:
    """Contours at 0 of the smoothed image that separate places which clearly differ."""
    smooth = gaussian_filter(filled(image, limit=50.0), _SMOOTHING_px)
    slopes, inner = [np.gradient(smooth, axis=k) for k in (0, 1)], slice(BORDER_px, -BORDER_px)
    left = noise / (2.0 * np.sqrt(np.pi) * _SMOOTHING_px)
    found = [
        curve
        for points in find_contours(smooth[inner, inner], 0.0)
        if (curve := _curve(points + BORDER_px, smooth, slopes, left)) is not None
    ]
    return tuple(sorted(found, key=lambda c: -c.length_px.value))


def _curve(points: Floats, smooth: Floats, slopes: Sequence[Floats], left: float) -> Curve | None:
    if len(points) < _LEAST_LENGTH_px:
        return None
    closed = bool(np.allclose(points[0], points[-1]))
    normal = np.column_stack([map_coordinates(s, points.T, order=1) for s in slopes])
    slope = np.maximum(np.linalg.norm(normal, axis=1), 1e-300)
    normal = normal / slope[:, None]
    across = [
        map_coordinates(smooth, (points + side * _REACH_px * normal).T, order=1, mode="nearest")
        for side in (1.0, -1.0)
    ]
    if np.median(np.abs(across[0] - across[1])) < 2.0 * _CLEAR * left:
        return None
    std = left / np.maximum(slope, 0.25 * float(np.median(slope)))
    placed = _smoothed(points, closed)
    std = std * _KEPT
    length = _length(placed, std, closed)
    if length.value < _LEAST_LENGTH_px:
        return None
    return Curve(placed, std, closed, length)


def _smoothed(points: Floats, closed: bool) -> Floats:
    """The points, smoothed along the curve at steps of about a pixel; the ends stay."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    places = np.linspace(0.0, along[-1], max(int(along[-1]) + 1, 4))
    even = np.column_stack([np.interp(places, along, c) for c in points.T])
    if closed:
        even = gaussian_filter1d(even[:-1], _ALONG_px, axis=0, mode="wrap")
        even = np.concatenate([even, even[:1]])
    else:
        # Reflected about its ends as a point, a straight line stays one.
        even = _end_to_end(even)
    return np.column_stack([np.interp(along, places, c) for c in even.T])


def _end_to_end(even: Floats) -> Floats:
    n = min(len(even) - 1, int(4 * _ALONG_px))
    before = 2.0 * even[0] - even[n:0:-1]
    after = 2.0 * even[-1] - even[-2 : -n - 2 : -1]
    whole = np.concatenate([before, even, after])
    return gaussian_filter1d(whole, _ALONG_px, axis=0)[n : n + len(even)]


def _length(points: Floats, std: Floats, closed: bool) -> Estimate:
    """Length less what noise adds to it: half of the variance of the direction, in radians.

    Errors along the curve have a Gaussian correlation, so the variance of the direction is that of
    the position over twice the squared width of the smoothing; it fluctuates from stretch to
    stretch. Where an open curve leaves the image aslant, an error across it moves its end.
    """
    raw = float(np.sum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    width = float(np.hypot(_SMOOTHING_px, _ALONG_px))
    variance = float(np.mean(std**2))
    wiggle = 0.25 * variance / width**2
    stretches = max(raw / (2.0 * width), 1.0)
    error = 2.0 * (wiggle * raw) ** 2 / stretches
    for a, b in () if closed else ((0, 5), (-1, -6)):
        run = np.sort(np.abs(points[b] - points[a]))
        error += variance / _KEPT**2 * float(run[0] / max(run[1], 1e-12)) ** 2
    return Estimate(value=raw * (1.0 - min(wiggle, 0.5)), std=float(np.sqrt(error)))
