"""A Gaussian process fitted by BoTorch, evaluated by numpy: fast at many points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.spatial.distance import cdist

Array = NDArray[np.float64]
_JITTER = 1e-6
"""Noise variance, in units of the data's, where measurements have no noise."""


@dataclass(frozen=True, eq=False)
class NodeGP:
    """Posterior of a process with Matérn 5/2 kernel; inputs (n, d) as they come."""

    x: Array
    low: Array
    lengths: Array
    variance: float
    shift: float
    center: float
    scale: float
    factor: Array
    weights: Array

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Mean and standard deviation (n,) at points (n, d)."""
        cross = _kernel(points, self.x, self)
        mean = self.shift + cross @ self.weights
        shrunk = solve_triangular(self.factor, cross.T, lower=True)
        variance = np.maximum(self.variance - np.einsum("ij,ij->j", shrunk, shrunk), 0.0)
        return self.center + self.scale * mean, self.scale * np.sqrt(variance)

    def mean(self, points: Array) -> Array:
        """Posterior mean (n,) at points (n, d)."""
        cross = _kernel(points, self.x, self)
        return self.center + self.scale * (self.shift + cross @ self.weights)


def fit_node(x: Array, y: Array, noise: float | None) -> NodeGP:
    """Fit to inputs (n, d) and outputs (n,), by maximum a posteriori under BoTorch's Gamma priors.

    ``noise`` is the measurements' standard deviation, None where it is to be learned.
    """
    import torch
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Normalize
    from botorch.models.utils.gpytorch_modules import (
        get_gaussian_likelihood_with_gamma_prior,
        get_matern_kernel_with_gamma_prior,
    )
    from gpytorch.mlls import ExactMarginalLogLikelihood

    center, scale = _standard(y)
    targets = torch.tensor((y - center) / scale)[:, None]
    floor = None if noise is None else max((noise / scale) ** 2, _JITTER)
    model: Any = SingleTaskGP(
        torch.tensor(x),
        targets,
        train_Yvar=None if floor is None else torch.full_like(targets, floor),
        likelihood=get_gaussian_likelihood_with_gamma_prior() if floor is None else None,
        covar_module=get_matern_kernel_with_gamma_prior(x.shape[1]),
        input_transform=Normalize(x.shape[1]),
        outcome_transform=None,
    )
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    covariance = model.covar_module
    return node_with(
        x,
        y,
        lengths=covariance.base_kernel.lengthscale.detach().numpy()[0],
        variance=covariance.outputscale.item(),
        ridge=model.likelihood.noise.mean().item(),
        shift=model.mean_module.constant.item(),
    )


def node_with(
    x: Array,
    y: Array,
    *,
    lengths: ArrayLike,
    variance: float,
    ridge: float,
    shift: float,
) -> NodeGP:
    """The posterior of inputs (n, d) and outputs (n,) under given hyperparameters.

    Length scales (d,) are in units of each input's range, ``variance`` and the noise variance
    ``ridge`` in units of the outputs' variance, the mean ``shift`` in units of their spread.
    """
    center, scale = _standard(y)
    low, span = x.min(0), np.ptp(x, axis=0)
    scales = np.asarray(lengths) * np.where(span > 0, span, 1.0)
    gram = _matern(x, x, low, scales, variance) + ridge * np.eye(len(y))
    factor, _ = cho_factor(gram, lower=True)
    weights = cho_solve((factor, True), (y - center) / scale - shift)
    return NodeGP(x, low, scales, variance, shift, center, scale, np.tril(factor), weights)


def _standard(y: Array) -> tuple[float, float]:
    scale = float(y.std(ddof=1)) if len(y) > 1 else 1.0
    return float(y.mean()), scale if scale > 0.0 else 1.0


def _kernel(a: Array, b: Array, gp: NodeGP) -> Array:
    return _matern(a, b, gp.low, gp.lengths, gp.variance)


def _matern(a: Array, b: Array, low: Array, lengths: Array, variance: float) -> Array:
    r = np.sqrt(5.0) * cdist((a - low) / lengths, (b - low) / lengths)
    return variance * (1.0 + r + r**2 / 3.0) * np.exp(-r)
