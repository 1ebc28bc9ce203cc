"""What a probe position looks like: local structure of a piezoresponse image, as a few numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal.windows import gaussian
from sklearn.decomposition import PCA

from ._pfm_image import Domains

Floats = NDArray[np.float64]

PATCH = 17
"""Side of a patch in pixels."""
STRIDE = 8
"""Distance of probe positions in pixels."""
COMPONENTS = 6
_TIP_px = 2.0
_WALL_REACH_px = 4.0


def probe_lattice(shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Probe positions (n, 2), row and column, whose patches lie inside an image of that shape."""
    rows, columns = (np.arange(PATCH // 2, n - PATCH // 2, STRIDE) for n in shape)
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def describe(domains: Domains, positions: NDArray[np.intp]) -> dict[str, Floats]:
    """Columns ``f0`` .. ``f5`` and ``wall`` at probe positions (n, 2); each of length n.

    ``f0`` .. are principal components of the magnitude of the response around each position: poling
    a place erases the sign that its domain had. Patches are standardized by the image's mean and
    spread and weighted by a Gaussian of 2 pixels, as a tip feels its surroundings; scores are
    divided by the spread of the first, and are 0 where an image has no structure. ``wall`` falls
    from 1 on a wall to 0 far from any, exponentially over 4 pixels.
    """
    magnitude = np.abs(domains.smooth)
    size = (PATCH, PATCH)
    windows = np.lib.stride_tricks.sliding_window_view(magnitude, size)
    corner = positions - PATCH // 2
    patches = windows[corner[:, 0], corner[:, 1]].reshape(len(positions), -1)
    tip = gaussian(PATCH, _TIP_px)
    standardized = (patches - magnitude.mean()) / max(float(magnitude.std()), 1e-12)
    scores = _scores(standardized * np.outer(tip, tip).ravel())
    columns = {f"f{k}": scores[:, k] for k in range(COMPONENTS)}
    distance = domains.wall_distance_px[positions[:, 0], positions[:, 1]]
    columns["wall"] = np.exp(-distance / _WALL_REACH_px)
    return columns


def _scores(patches: Floats) -> Floats:
    """Scores (n, COMPONENTS); the sign of a component is that of its largest loading."""
    scores = np.zeros((len(patches), COMPONENTS))
    kept = min(COMPONENTS, *patches.shape)
    pca = PCA(kept, svd_solver="full").fit(patches)
    loadings = np.asarray(pca.components_)
    signs = np.sign(loadings[np.arange(kept), np.abs(loadings).argmax(axis=1)])
    raw = pca.transform(patches) * signs
    spread = float(raw[:, 0].std())
    if spread > 1e-9:
        scores[:, :kept] = raw / spread
    return scores
