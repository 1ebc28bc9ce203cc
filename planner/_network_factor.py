"""Triangles: factors of covariances, their inverses, and products with them."""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, cholesky
from scipy.linalg.blas import dtrmm  # pyright: ignore[reportAttributeAccessIssue]
from scipy.linalg.lapack import (
    dpotri,  # pyright: ignore[reportAttributeAccessIssue]
    dtrtri,  # pyright: ignore[reportAttributeAccessIssue]
)

from ._network_kernel import Matrix


def factor(covariance: Matrix) -> Matrix:
    """Lower Cholesky factor; the diagonal grows until the matrix is positive definite."""
    scale = float(np.mean(np.abs(np.diag(covariance))))
    for jitter in (0.0, *(scale * 10.0**k for k in range(-12, 1))):
        raised = covariance
        if jitter:
            raised = covariance + jitter * np.eye(len(covariance))
        try:
            return cholesky(raised, lower=True, check_finite=False)
        except LinAlgError:
            continue
    raise LinAlgError("the covariance of the measurements is not finite")


def inverted(lower: Matrix) -> Matrix:
    """The inverse (n, n), rows contiguous, of a lower triangle."""
    upper, _ = dtrtri(lower.T, lower=0)
    return np.ascontiguousarray(upper.T)


def inverse_by(lower: Matrix) -> Matrix:
    """Inverse (n, n) of a matrix by its lower Cholesky factor, which is used up."""
    half, _ = dpotri(lower, lower=1, overwrite_c=1)
    whole = half + half.T  # the other triangle is zero
    whole[np.diag_indices(len(whole))] *= 0.5
    return whole


def times_transposed(rows: Matrix, lower: Matrix) -> Matrix:
    """``rows @ lower.T`` (m, n) for rows (m, n), which are used up, and a lower triangle (n, n)."""
    return dtrmm(1.0, lower.T, rows.T, side=0, lower=0, trans_a=1, overwrite_b=1).T


def times(rows: Matrix, lower: Matrix) -> Matrix:
    """``rows @ lower`` (m, n) for rows (m, n), which are used up, and a lower triangle (n, n)."""
    return dtrmm(1.0, lower.T, rows.T, side=0, lower=0, overwrite_b=1).T
