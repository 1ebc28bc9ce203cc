"""Textbook peers of goals other than the largest value, by BoTorch, and a referee model."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from botorch.acquisition.active_learning import qNegIntegratedPosteriorVariance
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.optim import optimize_acqf
from botorch.sampling import SobolQMCNormalSampler
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray
from scipy.stats import qmc

Array = NDArray[np.float64]
torch.set_num_threads(1)


def start(dim: int, seed: int) -> Array:
    """2 (dim + 1) scrambled Sobol points, as BoTorch's tutorials begin."""
    return qmc.Sobol(dim, seed=seed).random(2 * (dim + 1))  # pyright: ignore


def fitted(x: Array, y: Array, noise: float = 0.0) -> ModelListGP:
    """BoTorch's default models, one for each column of y (n, m), with known noise."""
    models = []
    for column in y.T:
        known = max(noise**2, 1e-6 * float(np.var(column)) + 1e-12)
        variance = torch.full((len(x), 1), known, dtype=torch.float64)
        model = SingleTaskGP(
            torch.tensor(x), torch.tensor(column)[:, None], variance,
            outcome_transform=Standardize(1),
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        models.append(model)
    return ModelListGP(*models)


def believed(model: ModelListGP, x: Array) -> tuple[Array, Array]:
    """Means and standard deviations (n, m)."""
    with torch.no_grad():
        found = [m.posterior(torch.tensor(x)) for m in model.models]  # pyright: ignore
        mean = torch.cat([p.mean for p in found], dim=-1).numpy()
        std = torch.cat([p.variance for p in found], dim=-1).clamp_min(0).sqrt().numpy()
    return mean, std


def _best(acquisition: Any, dim: int, seed: int) -> Array:
    bounds = torch.tensor([[0.0] * dim, [1.0] * dim], dtype=torch.float64)
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x, _ = optimize_acqf(
            acquisition, bounds, q=1, num_restarts=5, raw_samples=128, options={"maxiter": 100}
        )
    return x.detach().numpy()[0]


def next_for_hypervolume(x: Array, y: Array, reference: Array, seed: int) -> Array:
    """qLogNEHVI (Ament et al. 2023) for aims (n, m) that are all maximized."""
    model = fitted(x, y)
    acquisition = qLogNoisyExpectedHypervolumeImprovement(
        model,
        torch.tensor(reference),
        torch.tensor(x),
        sampler=SobolQMCNormalSampler(torch.Size([64]), seed=seed),
        prune_baseline=True,
    )
    return _best(acquisition, x.shape[1], seed)


def next_for_variance(x: Array, y: Array, seed: int) -> Array:
    """qNegIntegratedPosteriorVariance (Seo et al. 2000; Gramacy & Lee 2009)."""
    model = fitted(x, y).models[0]
    places = torch.tensor(qmc.Sobol(x.shape[1], seed=seed + 7).random(512))  # pyright: ignore
    return _best(qNegIntegratedPosteriorVariance(model, mc_points=places), x.shape[1], seed)  # pyright: ignore


def next_for_region(x: Array, y: Array, limits: Any, seed: int) -> Array:
    """Straddle (Bryan et al. 2005): 1.96 std - |mean - limit|, the largest over limits, each in
    units of the spread of its data, on 4,096 candidates.
    """
    places = qmc.Sobol(x.shape[1], seed=seed + 11).random(4096)  # pyright: ignore
    mean, std = believed(fitted(x, y), places)
    level = np.array([low if low is not None else high for low, high in limits])
    score = (1.96 * std - np.abs(mean - level)) / np.maximum(y.std(0), 1e-12)
    return places[int(np.argmax(score.max(1)))]


def next_drifting(x: Array, hours: Array, y: Array, noise: float, now: float, seed: int) -> Array:
    """TV-GP-UCB (Bogunovic et al. 2016): Matérn 5/2 times (1 - eps)^(lag / 2), eps by maximum
    likelihood over a grid, upper bound 0.8 ln(4 t) as in their experiments.
    """
    dim = x.shape[1]
    places = qmc.Sobol(dim, seed=seed).random(1024)  # pyright: ignore
    best: tuple[float, Any] = (-np.inf, None)
    mean, spread = 0.3, 0.6
    z = (y - mean) / spread
    for length in (0.2, 0.35, 0.6):
        for memory in (3.0, 6.0, 12.0, 25.0, 50.0):
            fade = np.exp(-np.abs(hours[:, None] - hours[None]) / memory)
            k = _matern(x, x, length) * fade + (noise / spread) ** 2 * np.eye(len(x))
            factor = np.linalg.cholesky(k)
            white = np.linalg.solve(factor, z)
            log = -0.5 * float(white @ white) - float(np.log(np.diag(factor)).sum())
            if log > best[0]:
                best = (log, (factor, white, length, memory))
    factor, white, length, memory = best[1]
    cross = _matern(places, x, length) * np.exp(-np.abs(now - hours) / memory)
    shown = np.linalg.solve(factor, cross.T)
    std = np.sqrt(np.maximum(1.0 - np.sum(shown**2, axis=0), 0.0))
    beta = 0.8 * np.log(4.0 * max(len(y), 1))
    return places[int(np.argmax(shown.T @ white + np.sqrt(beta) * std))]


def _matern(a: Array, b: Array, length: float) -> Array:
    r = np.sqrt(5.0) * np.linalg.norm(a[:, None] - b[None], axis=-1) / length
    return (1.0 + r + r**2 / 3.0) * np.exp(-r)
