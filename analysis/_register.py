"""The shift between two images, or two rows of images, with its error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.ndimage import shift as moved
from skimage.registration import phase_cross_correlation

from ..workflow import Estimate
from ._patches import filled

Floats = NDArray[np.float64]

_SMOOTHING_px = 1.0
_ROUNDS = 12
_LEAST_SIZE = 8
_LEAST_LIKENESS = 0.5
"""Correlation of the aligned images below which they do not show the same place."""


@dataclass(frozen=True)
class Shift:
    """How far an image lies from its reference along each axis, in pixels; positive is down, right.

    ``likeness`` is the correlation of the two after alignment, smoothed.
    """

    pixels: tuple[Estimate, ...]
    likeness: float

    @property
    def trusted(self) -> bool:
        """Whether the two show the same place at all."""
        return self.likeness >= _LEAST_LIKENESS


def register(reference: Floats, image: Floats) -> Shift:
    """Where the content of ``image`` lies relative to ``reference``, both of one shape (1-D or
    2-D).

    Whole pixels come from the cross-correlation in Fourier space (M. Guizar-Sicairos, S. T.
    Thurman, J. R. Fienup, Opt. Lett. 33, 156 (2008)), fractions from least squares on the overlap.
    Both images are smoothed by one pixel first; the error takes into account that smoothing makes
    neighbouring noise alike, and contains whatever else differs between the two. Gaps are filled.

    Raises
    ------
    ValueError
        If the shapes differ, a side is shorter than eight pixels, or nothing is finite.
    """
    a, b = np.asarray(reference, dtype=np.float64), np.asarray(image, dtype=np.float64)
    if a.shape != b.shape or a.ndim not in (1, 2) or min(a.shape, default=0) < _LEAST_SIZE:
        raise ValueError(f"shapes {a.shape} and {b.shape}: not two alike of 8 or more pixels")
    if not (np.isfinite(a).any() and np.isfinite(b).any()):
        raise ValueError("an image without any finite pixel")
    a, b = (gaussian_filter(filled(x, limit=50.0), _SMOOTHING_px) for x in (a, b))
    a, b = a - a.mean(), b - b.mean()
    whole, _, _ = phase_cross_correlation(a, b, normalization=None)  # pyright: ignore[reportArgumentType]
    back, covariance, likeness = _refine(a, b, np.asarray(whole, dtype=np.float64))
    std = np.sqrt(np.diag(covariance))
    return Shift(
        tuple(Estimate(value=float(-s), std=float(e)) for s, e in zip(back, std, strict=True)),
        likeness,
    )


def _refine(a: Floats, b: Floats, back: Floats) -> tuple[Floats, Floats, float]:
    """Gauss-Newton for the shift that brings b onto a; its covariance; the likeness."""
    limit = np.array(a.shape) - _LEAST_SIZE
    back = np.clip(back, -limit, limit)
    begin = back.copy()
    for _ in range(_ROUNDS):
        _, left, table = _compared(a, b, back)
        step = np.linalg.lstsq(table, left.ravel(), rcond=None)[0][: a.ndim]
        back = np.clip(back + np.clip(step, -1.0, 1.0), begin - 2.0, begin + 2.0)
        back = np.clip(back, -limit, limit)
        if np.all(np.abs(step) < 1e-4):
            break
    ours, left, table = _compared(a, b, back)
    rest = left.ravel() - left.mean()
    return back, _covariance(table, rest, left.shape, a.ndim), _correlation(ours, ours - left)


def _compared(a: Floats, b: Floats, back: Floats) -> tuple[Floats, Floats, Floats]:
    """On the overlap: a, what differs when b is moved back, and how that changes with the shift
    along each axis and with a constant, one column each."""
    inner = _overlap(a.shape, back)
    placed = np.asarray(moved(b, back, order=3, mode="nearest"))
    slopes = [-np.gradient(placed, axis=k)[inner].ravel() for k in range(a.ndim)]
    table = np.column_stack([*slopes, np.ones(slopes[0].size)])
    return a[inner], (a - placed)[inner], table


def _overlap(shape: tuple[int, ...], back: Floats) -> tuple[slice, ...]:
    """Where both images are known, less a margin of three pixels for smoothing, at least 4 wide."""
    parts = []
    for n, s in zip(shape, back, strict=True):
        low, high = max(0.0, np.ceil(s)), min(0.0, np.floor(s))
        margin = 3 if n - abs(s) > 16 else 0
        parts.append(slice(int(low) + margin, n + int(high) - margin))
    return tuple(parts)


def _covariance(table: Floats, left: Floats, shape: tuple[int, ...], axes: int) -> Floats:
    """Of the shift, where the noise is white before smoothing: a sandwich of both matrices.

    The slopes of a noisy image are too steep on average; what noise adds to their squares is
    taken off again, at most three quarters.
    """
    kernel = np.zeros(shape)
    kernel[tuple(n // 2 for n in shape)] = 1.0
    kernel = gaussian_filter(kernel, _SMOOTHING_px)
    freedom = max(len(left) - axes - 1, 1)
    variance = float(np.sum(left**2)) / freedom / float(np.sum(kernel**2))
    steep = float(np.sum(np.gradient(kernel, axis=0) ** 2))
    square = table.T @ table
    for k in range(axes):
        square[k, k] -= min(0.5 * variance * steep * len(left), 0.75 * square[k, k])
    inverse = np.linalg.pinv(square, hermitian=True)
    columns = [gaussian_filter(c.reshape(shape), _SMOOTHING_px).ravel() for c in table.T]
    smooth = np.column_stack(columns)
    return (inverse @ (smooth.T @ smooth) @ inverse * variance)[:axes, :axes]


def _correlation(first: Floats, second: Floats) -> float:
    spread = float(first.std() * second.std())
    if spread <= 0.0:
        return 0.0
    return float(np.mean((first - first.mean()) * (second - second.mean())) / spread)
