"""A small U-Net that says for every pixel how likely an atomic column stands there.

Inference is plain numpy: workers stay light. ``python -m benchmarks.train_atoms`` trains it on
simulated images and writes the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]
Weights = Mapping[str, Float32]

WEIGHTS = Path(__file__).with_name("weights") / "atoms_unet.npz"
LAYERS = {
    "down1a": (1, 8),
    "down1b": (8, 8),
    "down2a": (8, 16),
    "down2b": (16, 16),
    "deepa": (16, 32),
    "deepb": (32, 32),
    "up2a": (48, 16),
    "up2b": (16, 16),
    "up1a": (24, 8),
    "up1b": (8, 8),
}
"""3 x 3 convolutions, each followed by a rectifier: channels in and out."""
_TILE = 256
_MARGIN = 24


@cache
def trained() -> Weights:
    """The weights that come with the package (no pickle is read)."""
    with np.load(WEIGHTS, allow_pickle=False) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}


def normalized(image: Floats) -> Floats:
    """What the network is shown: the image less its surroundings, over its own contrast."""
    smooth = gaussian_filter(image, 12.0)
    flat = image - smooth
    spread = float(np.percentile(flat, 95) - np.percentile(flat, 5))
    return np.asarray(2.0 * flat / max(spread, 1e-12))


def column_map(image: Floats, weights: Weights | None = None) -> Floats:
    """Probability (n, m) of an atomic column at every pixel of an image (n, m), all finite.

    O. Ronneberger, P. Fischer, T. Brox, MICCAI 2015 (U-Net); M. Ziatdinov et al., ACS Nano 11,
    12742 (2017) (atoms in images by a network trained on simulations). Spacings of columns from 7
    to 14 pixels are what it has seen. Large images go through in tiles that overlap.
    """
    weights = weights or trained()
    shown = normalized(image).astype(np.float32)
    rows, cols = shown.shape
    out = np.zeros((rows, cols))
    for top in range(0, rows, _TILE):
        for left in range(0, cols, _TILE):
            r0, c0 = max(0, top - _MARGIN), max(0, left - _MARGIN)
            r1, c1 = min(rows, top + _TILE + _MARGIN), min(cols, left + _TILE + _MARGIN)
            part = _forward(shown[r0:r1, c0:c1], weights)
            r2, c2 = min(rows, top + _TILE), min(cols, left + _TILE)
            out[top:r2, left:c2] = part[top - r0 : r2 - r0, left - c0 : c2 - c0]
    return out


def _forward(image: Float32, weights: Weights) -> Float32:
    """Probability for one tile of any size."""
    rows, cols = image.shape
    padded = np.pad(image, ((0, -rows % 4), (0, -cols % 4)), mode="edge")[None]
    one = _twice(padded, "down1", weights)
    two = _twice(_halved(one), "down2", weights)
    deep = _twice(_halved(two), "deep", weights)
    up = _twice(np.concatenate([_doubled(deep), two]), "up2", weights)
    up = _twice(np.concatenate([_doubled(up), one]), "up1", weights)
    logit = np.tensordot(weights["out.weight"][:, :, 0, 0], up, axes=1) + weights["out.bias"][0]
    return (1.0 / (1.0 + np.exp(-logit)))[0, :rows, :cols]


def _twice(x: Float32, name: str, weights: Weights) -> Float32:
    for part in "ab":
        x = _convolved(x, weights[f"{name}{part}.weight"], weights[f"{name}{part}.bias"])
    return x


def _convolved(x: Float32, kernel: Float32, bias: Float32) -> Float32:
    """3 x 3 convolution with zeros around, and a rectifier: (c, n, m) to (o, n, m)."""
    windows = sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1))), (3, 3), axis=(1, 2))
    total = np.einsum("cnmij,ocij->onm", windows, kernel, optimize=True)
    return np.maximum(total + bias[:, None, None], 0.0)


def _halved(x: Float32) -> Float32:
    c, n, m = x.shape
    return x.reshape(c, n // 2, 2, m // 2, 2).max(axis=(2, 4))


def _doubled(x: Float32) -> Float32:
    return x.repeat(2, axis=1).repeat(2, axis=2)
