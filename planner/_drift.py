"""What is believed of a quality that drifts: a Gaussian process over controls and time.

The kernel is Matérn 5/2 in the controls times Matérn 3/2 in time: what was measured fades at the
rate at which the optimum is seen to move. Bogunovic, Scarlett & Cevher 2016 let it fade as
exp(-|t - t'| / memory), the path of a random walk; an instrument that warms or relaxes drifts
smoothly, and the smoother kernel follows it better (docs/goals.md has both).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import norm

from ..workflow import State
from ._gp import Matern52, Matrix, Vector, default_kernel
from ._hypervolume import normal_draws

_LEAST_NOISE = 1e-3
_QUANTILES, _PLAN_DRAWS = 21, 128


@dataclass(frozen=True)
class Timed:
    """Measurements of a quality: unit controls (n, d), hours (n,), values (n,), noise std (n,)."""

    x: Matrix
    hours: Vector
    y: Vector
    noise: Vector


def timed_data(state: State, quantity: str, since_h: float = -np.inf) -> Timed:
    """All measurements of a quantity that ended after ``since_h``."""
    rows = [
        (state.actions[o.action_id].target.design, o.end_h, o.values[quantity])
        for o in state.observations
        if o.failure is None and quantity in o.values and o.end_h > since_h
    ]
    designs = [design for design, _, _ in rows]
    space = state.workflow.space
    x = space.encode(designs) if designs else np.zeros((0, space.dim))
    return Timed(
        x,
        np.array([hour for _, hour, _ in rows], dtype=np.float64),
        np.array([e.value for _, _, e in rows], dtype=np.float64),
        np.array([e.std for _, _, e in rows], dtype=np.float64),
    )


@final
@dataclass(frozen=True, eq=False)
class Drift:
    """The quality after data, in its own unit; ``memory_h`` is infinite where nothing drifts."""

    data: Timed
    location: float
    scale: float
    kernel: Matern52
    memory_h: float

    def _covariance(self, x: Matrix, t: Vector, z: Matrix, s: Vector) -> Matrix:
        lag = np.sqrt(3.0) * np.abs(t[:, None] - s[None, :]) / self.memory_h
        return self.kernel(x, z) * (1.0 + lag) * np.exp(-lag)

    @cached_property
    def _factor(self) -> tuple[Matrix, bool]:
        d = self.data
        noise = np.maximum(d.noise / self.scale, _LEAST_NOISE) ** 2
        return cho_factor(self._covariance(d.x, d.hours, d.x, d.hours) + np.diag(noise), lower=True)

    def at(self, x: Matrix, hour: float) -> tuple[Vector, Matrix]:
        """Mean (n,) and covariance (n, n) at unit controls (n, d) at one time."""
        now = np.full(len(x), hour)
        prior = self.kernel(x, x)
        d = self.data
        if not len(d.y):
            return np.full(len(x), self.location), self.scale**2 * prior
        cross = self._covariance(x, now, d.x, d.hours)
        weights = cho_solve(self._factor, cross.T)
        mean = weights.T @ ((d.y - self.location) / self.scale)
        return self.location + self.scale * mean, self.scale**2 * (prior - cross @ weights)


def fit_drift(
    data: Timed, dim: int, memory_h: float, scale: tuple[float, float] | None, fit: bool = True
) -> Drift:
    """Maximum a posteriori length scales and memory; the prior's for fewer than five data.

    ``scale`` is the prior's mean and spread of the quality, the data's where there is none. An
    infinite ``memory_h`` stays so.
    """
    if scale is None:
        spread = float(data.y.std()) if len(data.y) > 1 else 0.0
        scale = (float(data.y.mean()) if len(data.y) else 0.0, spread or 1.0)
    location, width = scale
    kernel = default_kernel(dim)
    if fit and len(data.y) >= 5:
        kernel, memory_h = _fitted(data, (data.y - location) / width, width, kernel, memory_h)
    return Drift(data, location, width, kernel, memory_h)


def _fitted(
    data: Timed, y: Vector, width: float, prior: Matern52, memory_h: float
) -> tuple[Matern52, float]:
    import torch
    from botorch.exceptions import ModelFittingError
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from gpytorch.kernels import Kernel, MaternKernel, ScaleKernel
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from gpytorch.priors import LogNormalPrior

    torch.set_num_threads(1)
    dim = data.x.shape[1]
    drifts = bool(np.isfinite(memory_h))
    place = MaternKernel(
        2.5,
        ard_num_dims=dim,
        active_dims=tuple(range(dim)),
        lengthscale_prior=LogNormalPrior(float(np.log(prior.lengthscales[0])), 0.5),
    )
    place.lengthscale = torch.tensor(prior.lengthscales)
    inner: Kernel = place
    time = MaternKernel(1.5, active_dims=(dim,), lengthscale_prior=LogNormalPrior(0.0, 0.75))
    if drifts:
        time.lengthscale = torch.tensor(1.0)
        inner = place * time
    scaled = ScaleKernel(inner, outputscale_prior=LogNormalPrior(0.0, 0.75))
    scaled.outputscale = 1.0
    hours = data.hours / (memory_h if drifts else 1.0)
    model = SingleTaskGP(
        torch.tensor(np.column_stack([data.x, hours])),
        torch.tensor(y)[:, None],
        torch.tensor(np.maximum(data.noise / width, _LEAST_NOISE) ** 2)[:, None],
        covar_module=scaled.double(),
        outcome_transform=None,
    )
    try:
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    except ModelFittingError:
        return prior, memory_h
    lengths = place.lengthscale.detach().numpy().ravel().copy()
    variance = float(torch.as_tensor(scaled.outputscale).detach())
    factor = float(torch.as_tensor(time.lengthscale).detach().item()) if drifts else 1.0
    return Matern52(lengths, variance), memory_h * factor


def knowledge_gradients(mean: Vector, covariance: Matrix, noise: float) -> Vector:
    """Expected rise (N,) of the largest mean after one measurement at each of N points (Frazier,
    Powell & Dayanik 2009), over quantiles of its outcome.
    """
    z = norm.ppf((np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    z *= 1.0 / np.sqrt(np.mean(z**2))
    slopes = covariance / np.sqrt(_outcome_variance(covariance, noise))
    best = np.mean([np.max(mean[:, None] + slopes * value, axis=0) for value in z], axis=0)
    return np.maximum(best - mean.max(), 0.0)


def plan_gains(
    mean: Vector, covariance: Matrix, noise: float, most: int
) -> tuple[list[int], Vector]:
    """Points measured one after the other, each the best while the ones before show what is
    expected, and the expected rise (K,) of the largest mean after the first k of them.
    """
    draws = normal_draws(_PLAN_DRAWS, most).T
    moves = np.zeros((len(mean), _PLAN_DRAWS))
    rows, gains = [], []
    for k in range(most):
        row = int(np.argmax(knowledge_gradients(mean, covariance, noise)))
        slope = covariance[:, row] / np.sqrt(_outcome_variance(covariance, noise)[row])
        moves = moves + slope[:, None] * draws[k]
        covariance = covariance - np.outer(slope, slope)
        rows.append(row)
        gains.append(float(np.max(mean[:, None] + moves, axis=0).mean()) - float(mean.max()))
    return rows, np.array(gains)


def _outcome_variance(covariance: Matrix, noise: float) -> Vector:
    return np.maximum(np.maximum(np.diag(covariance), 0.0) + noise**2, 1e-300)
