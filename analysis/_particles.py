"""Particles of an image: where they are and how large, by a fit of their shape."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter
from scipy.special import i0e
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops
from skimage.segmentation import watershed

from ._fitting import Fit, Noise, fit_model
from ._image_noise import image_noise
from ._patches import filled

Floats = NDArray[np.float64]
Profile = Literal["disc", "sphere"]

_LEAST_SIZE = 32
_MARGIN_px = 5


@dataclass(frozen=True)
class Particles:
    """Particles (k,): centres (k, 2) as (row, column) and diameters in pixels, with errors.

    ``heights`` are intensities above the background, in the middle. Particles that touch the
    border of the image are counted in ``at_border`` and not listed. ``misfit`` (k,) is chi squared
    over the degrees of freedom: far above 1, the particle is no disc or sphere, and its errors are
    widened accordingly.
    """

    centers_px: Floats
    centers_std_px: Floats
    diameters_px: Floats
    diameters_std_px: Floats
    heights: Floats
    heights_std: Floats
    misfit: Floats
    at_border: int

    def __len__(self) -> int:
        return len(self.centers_px)


def find_particles(
    image: Floats,
    *,
    profile: Profile = "sphere",
    least_diameter_px: float = 5.0,
    noise: Noise | None = None,
) -> Particles:
    """Find bright particles and fit each by a round shape with a blurred edge on a constant.

    Otsu's threshold and a watershed on the distance to the background find and part them; then
    centre, diameter, height, blur and background are fitted where no other particle is near.

    Parameters
    ----------
    profile
        ``sphere``: intensity follows the thickness of a ball (incoherent dark field); ``disc``: a
        flat plate or an image where contrast does not follow thickness.
    noise
        By default estimated from the image.

    Raises
    ------
    ValueError
        If the image is smaller than 32 x 32 pixels or nothing in it is finite.
    """
    if image.ndim != 2 or min(image.shape) < _LEAST_SIZE or not np.isfinite(image).any():
        raise ValueError(f"an image of shape {image.shape}: at least 32 x 32 finite pixels needed")
    whole = filled(image, limit=1e3)
    known = noise or image_noise(whole)
    labels, at_border = _parted(whole, least_diameter_px)
    rows = [
        row
        for region in regionprops(labels)
        if (row := _measure(whole, labels, region.label, known, profile, noise is None)) is not None
    ]
    table = np.array(rows).reshape(-1, 9)
    return Particles(
        centers_px=table[:, 0:2],
        centers_std_px=table[:, 2:4],
        diameters_px=table[:, 4],
        diameters_std_px=table[:, 5],
        heights=table[:, 6],
        heights_std=table[:, 7],
        misfit=table[:, 8],
        at_border=at_border,
    )


def _parted(image: Floats, least_diameter: float) -> tuple[NDArray[np.int64], int]:
    """Labels of particles off the border, and how many touch it.

    Two kinds of pixels are wanted: where Otsu's threshold parts noise alone, there is no particle.
    """
    smooth = gaussian_filter(image, 1.0)
    level = float(threshold_otsu(smooth)) if np.ptp(smooth) > 0.0 else np.inf
    mask = smooth > level
    if mask.any() and not mask.all():
        gap = float(smooth[mask].mean() - smooth[~mask].mean())
        if gap < 3.0 * float(smooth[~mask].std()):
            mask[:] = False
    distance = gaussian_filter(np.asarray(distance_transform_edt(mask)), 1.0)
    separation = max(2, int(0.5 * least_diameter))
    peaks = peak_local_max(
        distance, min_distance=separation, threshold_abs=0.25 * least_diameter, labels=label(mask)
    )
    seeds = np.zeros(image.shape, dtype=np.int64)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = watershed(-distance, seeds, mask=mask)
    frame = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    outer = np.setdiff1d(np.unique(frame), [0])
    small = [r.label for r in regionprops(labels) if r.equivalent_diameter_area < least_diameter]
    labels[np.isin(labels, np.concatenate([outer, small]))] = 0
    return labels, len(outer)


def _measure(
    image: Floats,
    labels: NDArray[np.int64],
    number: int,
    noise: Noise,
    profile: Profile,
    rescale: bool,
) -> list[float] | None:
    """Centre and errors, diameter and error, height and error, misfit."""
    own = labels == number
    where = np.argwhere(own)
    low = np.maximum(where.min(axis=0) - _MARGIN_px, 0)
    high = np.minimum(where.max(axis=0) + _MARGIN_px + 1, image.shape)
    box = (slice(low[0], high[0]), slice(low[1], high[1]))
    foreign = (labels[box] != number) & (labels[box] > 0)
    use = ~np.asarray(binary_dilation(foreign, iterations=3), dtype=bool)
    y = image[box]
    middle = where.mean(axis=0) - low
    radius = float(np.sqrt(len(where) / np.pi))
    background = float(np.median(y[~own[box]])) if (~own[box]).any() else float(y.min())
    start = [*middle, radius * 1.05, 1.0, float(y[own[box]].max()) - background, background]

    def model(q: Floats) -> Floats:
        return (q[5] + q[4] * _shape(profile, y.shape, q[0], q[1], q[2], q[3]))[use]

    bounds = (
        [0.0, 0.0, 1.0, 0.4, 0.0, -np.inf],
        [y.shape[0], y.shape[1], 2.0 * radius + 5.0, 6.0, np.inf, np.inf],
    )
    if int(use.sum()) < 20:
        return None
    fit: Fit = fit_model(model, y[use], noise, start, bounds, rescale=rescale)
    center, std = fit.values[:2] + low, fit.std
    if fit.values[4] < 4.0 * std[4]:
        return None
    return [
        *center,
        *std[:2],
        2.0 * fit.values[2],
        2.0 * std[2],
        fit.values[4],
        std[4],
        fit.misfit,
    ]


def _shape(
    profile: Profile, size: tuple[int, ...], row: float, col: float, radius: float, blur: float
) -> Floats:
    """A particle of height 1 on pixels of an image of this size, blurred by a Gaussian.

    The blurred profile is an integral over rings with the modified Bessel function I0, done by
    Gauss-Legendre quadrature over the polar angle; it is smooth in all parameters.
    """
    rows, cols = np.ogrid[: size[0], : size[1]]
    distance = np.hypot(rows - row, cols - col)
    nodes, weights = _quadrature(int(np.clip(4.0 * radius / blur, 32, 256)) // 16 * 16)
    angle, weights = 0.25 * np.pi * (nodes + 1.0), 0.25 * np.pi * weights
    rings = radius * np.sin(angle)
    height = np.cos(angle) if profile == "sphere" else np.ones_like(angle)
    mass = weights * height * rings * radius * np.cos(angle) / blur**2
    at = np.linspace(0.0, radius + 6.0 * blur, max(20, int(2.0 * (radius / blur + 6.0))))
    kernel = np.exp(-0.5 * ((at[:, None] - rings) / blur) ** 2) * i0e(at[:, None] * rings / blur**2)
    profile_at = CubicSpline(at, kernel @ mass, bc_type="natural")
    return np.where(distance < at[-1], profile_at(np.minimum(distance, at[-1])), 0.0)


@cache
def _quadrature(n: int) -> tuple[Floats, Floats]:
    return np.polynomial.legendre.leggauss(n)
