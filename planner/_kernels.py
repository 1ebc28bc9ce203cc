"""Kernels weighed by data: of two families, or drawn from their prior for a quick fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._gp import Kernel, Matern52, Matrix, Vector, default_kernel
from ._kernel_fit import LENGTH_LOG_STD, VARIANCE_LOG_STD, fit_kernel, fit_smooth_kernel


def kernel_draws(dim: int, variance: float, count: int, seed: int = 0) -> list[Matern52]:
    """The prior's kernel and ``count - 1`` draws around it."""
    middle = default_kernel(dim, variance)
    rng = np.random.default_rng([seed, dim])
    z = rng.standard_normal((count, dim + 1))
    z[0] = 0.0
    return [
        Matern52(
            middle.lengthscales * np.exp(LENGTH_LOG_STD * row[:-1]),
            variance * float(np.exp(VARIANCE_LOG_STD * row[-1])),
        )
        for row in z
    ]


def evidence(kernels: Sequence[Kernel], x: Matrix, y: Vector, noise: Vector) -> Vector:
    """Log marginal likelihood (k,) of data (n, d), (n,) with noise variances (n,) under each kernel
    (Rasmussen & Williams 2006, eq. 2.30), without its constant.
    """
    covariance = np.stack([k(x, x) for k in kernels]) + np.diag(noise + 1e-8)
    root = np.linalg.cholesky(covariance)
    white = np.linalg.solve(root, np.broadcast_to(y[:, None], (len(kernels), len(y), 1)))[..., 0]
    return -0.5 * np.sum(white**2, 1) - np.sum(np.log(np.diagonal(root, axis1=1, axis2=2)), 1)


def likelier_kernel(x: Matrix, y: Vector, noise: Vector, variance: float = 1.0) -> Kernel:
    """A Matérn kernel, or that of a smooth function where the data are likelier under it; both as
    they fit best.
    """
    rough, smooth = fit_kernel(x, y, noise, variance), fit_smooth_kernel(x, y, noise, variance)
    if smooth is None:
        return rough
    under_rough, under_smooth = evidence([rough, smooth], x, y, noise)
    return smooth if under_smooth > under_rough else rough


def quick_kernel(x: Matrix, y: Vector, noise: Vector, variance: float = 1.0) -> Matern52:
    """The most probable of a few kernels: cheap, deterministic, good enough to rehearse with."""
    kernels = kernel_draws(x.shape[1], variance, 48)
    if len(y) < 4 or x.shape[1] == 0:
        return kernels[0]
    middle = kernels[0]
    prior = [
        -0.5 * float(np.sum((np.log(k.lengthscales / middle.lengthscales) / LENGTH_LOG_STD) ** 2))
        - 0.5 * (np.log(k.variance / variance) / VARIANCE_LOG_STD) ** 2
        for k in kernels
    ]
    return kernels[int(np.argmax(evidence(kernels, x, y, noise) + prior))]


def plausible_kernel(
    fitted: Kernel, x: Matrix, y: Vector, noise: Vector, variance: float, rng: np.random.Generator
) -> Kernel:
    """A draw of the kernel's posterior: prior draws, and the fitted one, by their likelihood."""
    if x.shape[1] == 0:
        return fitted
    kernels: list[Kernel] = [
        *kernel_draws(x.shape[1], variance, 64, seed=int(rng.integers(2**31))),
        *([fitted] if len(y) else []),
    ]
    if not len(y):
        return kernels[int(rng.integers(len(kernels)))]
    weights = evidence(kernels, x, y, noise)
    weights = np.exp(weights - weights.max())
    return kernels[int(rng.choice(len(kernels), p=weights / weights.sum()))]
