"""A part of many measurements carries what all of them say.

*FITC* (Snelson & Ghahramani 2006; Quiñonero-Candela & Rasmussen 2005, eq. 24): given the values at
some of the inputs, the support, all others are taken as independent. Every measurement counts; what
is lost is how two of them off the support go together beyond what the support tells. Time grows
linearly with measurements, memory too.

Half of the support lies about the inputs whose end was best, where a decision needs every digit;
the other half is spread over all inputs by the greedy k-centre rule (Gonzalez 1985), in length
scales. Quality and diversity both count (Moss, Ober & Picheny 2023).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.spatial.distance import cdist

from ._network_factor import factor, inverted
from ._network_kernel import LevelKernel, Levels, Matrix, Vector

EXACT = 1536
"""Up to so many measurements all of them are the support."""
_SUPPORT = 1280
_TOP = 16
"""Half of the support are the neighbours of so many of the best."""


def support_of(
    kernel: LevelKernel, x: Matrix, levels: Levels, standing: Vector
) -> NDArray[np.int64]:
    """Rows of the data (n, d) at levels (n,) that carry the rest, in ascending order.

    ``standing`` (n,) is 1 where the end was best and 0 where it was middling or is not known.
    """
    places = np.column_stack([x / kernel.lengthscales.min(0), levels])
    top = np.argsort(-standing, kind="stable")[:_TOP]
    near = cdist(places, places[top], "sqeuclidean").min(1)
    chosen = [int(i) for i in np.argsort(near, kind="stable")[: _SUPPORT // 2]]
    far = cdist(places, places[chosen], "sqeuclidean").min(1)
    for _ in range(_SUPPORT - len(chosen)):
        row = int(np.argmax(far))
        if far[row] <= 0.0:
            break
        chosen.append(row)
        gap = places - places[row]
        far = np.minimum(far, np.einsum("ij,ij->i", gap, gap))
    return np.array(sorted(chosen), dtype=np.int64)


def carried(
    kernel: LevelKernel,
    x: Matrix,
    levels: Levels,
    y: Vector,
    noise: Vector,
    support: NDArray[np.int64],
) -> tuple[Matrix, Vector]:
    """Posterior of data (n, d), (n,) with noise variances (n,) on m of their rows.

    Returns
    -------
    tuple
        A lower triangular R (m, m) and weights w (m,): with k the prior covariance (m,) of a point
        with the support, its mean is k·w and its variance falls by |R k|².
    """
    own = kernel(x[support], levels[support], x[support], levels[support])
    lower = factor(own + 1e-9 * float(np.diag(own).mean()) * np.eye(len(support)))
    seen = solve_triangular(
        lower, kernel(x[support], levels[support], x, levels), lower=True, check_finite=False
    )
    priors = np.array([kernel.prior_variance(i) for i in range(kernel.levels)])[levels]
    spread = np.sqrt(np.maximum(priors - np.einsum("ij,ij->j", seen, seen), 0.0) + noise)
    seen /= spread
    # orthogonal triangles, as the square of what is seen has no digits left where noise is small
    stacked = np.concatenate([seen.T, np.eye(len(support))])
    upper: Matrix = np.asarray(np.linalg.qr(stacked, mode="r"))
    half = solve_triangular(upper, seen @ (y / spread), lower=False, trans=1, check_finite=False)
    told = solve_triangular(upper, half, lower=False, check_finite=False)
    rest = inverted(upper.T)
    fallen = np.eye(len(support)) - rest.T @ rest
    turned = np.ascontiguousarray(factor(fallen[::-1, ::-1])[::-1, ::-1].T)
    inverse = inverted(lower)
    return np.tril(turned @ inverse), solve_triangular(
        lower, told, lower=True, trans=1, check_finite=False
    )
