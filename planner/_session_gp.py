"""Gaussian processes over the places of a specimen, with or without a network before the kernel.

Deep kernel learning (Wilson et al. 2016): a small network maps patches to a few numbers, on which
an exact Gaussian process lives; both are learned together by the marginal likelihood. Here the
network adds to principal components of the patches, so that with few data, and weights held near
zero by their prior, it is a plain process on these. Weights and length scales go on from where the
last training ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ._gp import Matern52, Matrix, Process, Vector

_GROWTH = 1.25
"""Training again is due when there are this many times the data of the last one."""
_FIRST_STEPS, _LATER_STEPS = 120, 30
_LARGEST_TRAINING = 160
_HIDDEN, _LATENT = 24, 4
_RATE = 0.03
_WEIGHT_STD = 0.3
_LENGTH, _SCATTER = 0.7, 0.5
"""Usual length scale over the root of the dimension, and scatter over the standard deviation."""


@dataclass(frozen=True)
class Readings:
    """Rewards measured at candidates: rows (n,), values (n,), standard deviations (n,)."""

    rows: NDArray[np.int64]
    values: Vector
    std: Vector


@dataclass(frozen=True)
class Prediction:
    """Of every candidate (N,): mean, standard deviation of the smooth part, and the scatter.

    The scatter is what the property varies by from pixel to pixel in a way no input tells.
    """

    mean: Vector
    std: Vector
    scatter: float

    @property
    def total_std(self) -> Vector:
        """Standard deviation of the value at each place."""
        return np.hypot(self.std, self.scatter)


@final
class LocalProcess:
    """A property over candidates, given inputs of each.

    Parameters
    ----------
    name
        For people.
    inputs
        What the kernel sees of all candidates, (N, d), of order one.
    patches
        What the network sees, (N, p), of order one; None without a network.
    seed
        Of the network's first weights.
    """

    def __init__(
        self, name: str, inputs: Matrix, patches: Matrix | None = None, seed: int = 0
    ) -> None:
        self.name = name
        self._inputs, self._patches, self._seed = inputs, patches, seed
        self._parameters: dict[str, Any] | None = None
        self._trained = 0
        self._readings = Readings(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))
        self._latent = self._with_latent(None)
        self._process: Process | None = None
        self._location, self._scale, self._scatter = 0.0, 1.0, _SCATTER
        self._cross: Matrix | None = None

    def learn(self, readings: Readings) -> None:
        """Take in all readings so far; trains where that is due."""
        self._readings = readings
        count = len(readings.rows)
        self._location = float(readings.values.mean())
        self._scale = float(readings.values.std()) or 1.0
        if count >= 5 and count >= _GROWTH * self._trained:
            self._train()
        kernel = self._kernel()
        noise = (readings.std / self._scale) ** 2 + self._scatter**2
        self._process = Process(kernel, self._latent[readings.rows], noise)
        self._cross = None

    def predict(self) -> Prediction:
        """The belief at all candidates."""
        if self._process is None:
            many = np.ones(len(self._inputs))
            return Prediction(0.0 * many, many, self._scatter)
        self._cross = self._process.kernel(self._latent, self._process.x)
        standard = (self._readings.values - self._location) / self._scale
        mean = self._cross @ self._process.solve(standard)
        explained = np.einsum("ij,ij->i", self._cross, self._process.solve(self._cross.T).T)
        variance = np.maximum(self._process.kernel.variance - explained, 1e-9)
        return Prediction(
            self._location + self._scale * mean,
            self._scale * np.sqrt(variance),
            self._scale * self._scatter,
        )

    def covariance(self, rows: NDArray[np.int64]) -> Matrix:
        """Posterior covariance (N, R) of the smooth part at all candidates with that at rows."""
        prior = self._kernel()(self._latent, self._latent[rows])
        if self._process is None or self._cross is None:
            return self._scale**2 * prior
        return self._scale**2 * (prior - self._cross @ self._process.solve(self._cross[rows].T))

    # -- training ---------------------------------------------------------------------------------

    def _kernel(self) -> Matern52:
        if self._parameters is None:
            dim = self._latent.shape[1]
            return Matern52(np.full(dim, _LENGTH * np.sqrt(dim)), 1.0)
        found = self._parameters
        lengths = np.exp(found["log_length"].detach().numpy()).astype(np.float64)
        return Matern52(lengths, float(np.exp(2.0 * found["log_std"].item())))

    def _with_latent(self, found: dict[str, Any] | None) -> Matrix:
        """What the kernel sees of all candidates."""
        if self._patches is None or found is None:
            return self._inputs
        import torch

        with torch.no_grad():
            added = _network(found, torch.as_tensor(self._patches)).numpy()
        latent = self._inputs.copy()
        latent[:, : added.shape[1]] += added
        return latent

    def _train(self) -> None:
        """Steps of Adam on the log posterior of network and kernel, from where they stand."""
        import torch

        torch.set_num_threads(1)
        count = len(self._readings.rows)
        chosen = np.arange(count)
        if count > _LARGEST_TRAINING:
            rng = np.random.default_rng([self._seed, count])
            chosen = np.sort(rng.choice(count, _LARGEST_TRAINING, replace=False))
        rows = self._readings.rows[chosen]
        y = torch.as_tensor((self._readings.values[chosen] - self._location) / self._scale)
        noise = torch.as_tensor((self._readings.std[chosen] / self._scale) ** 2)
        x = torch.as_tensor(self._inputs[rows])
        patches = None if self._patches is None else torch.as_tensor(self._patches[rows])
        steps = _FIRST_STEPS if self._parameters is None else _LATER_STEPS
        found = self._parameters or self._start()
        optimizer = torch.optim.Adam(list(found.values()), lr=_RATE)
        for _ in range(steps):
            optimizer.zero_grad()
            loss = _negative_log_posterior(found, x, patches, y, noise)
            loss.backward()
            optimizer.step()
        self._parameters, self._trained = found, count
        self._scatter = float(np.exp(found["log_scatter"].item()))
        self._latent = self._with_latent(found)

    def _start(self) -> dict[str, Any]:
        import torch

        generator = torch.Generator().manual_seed(self._seed)
        dim = self._inputs.shape[1]
        found = {
            "log_length": torch.full((dim,), float(np.log(_LENGTH * np.sqrt(dim)))).double(),
            "log_std": torch.zeros(()).double(),
            "log_scatter": torch.tensor(np.log(_SCATTER)).double(),
        }
        if self._patches is not None:
            width = self._patches.shape[1]
            first = torch.randn(width, _HIDDEN, generator=generator).double() / np.sqrt(width)
            last = torch.randn(_HIDDEN, _LATENT, generator=generator).double()
            found |= {
                "first": first,
                "bias": torch.zeros(_HIDDEN).double(),
                "last": 0.3 * _WEIGHT_STD * last / np.sqrt(_HIDDEN),
            }
        for parameter in found.values():
            parameter.requires_grad_(True)
        return found


def _network(found: dict[str, Any], patches: Any) -> Any:
    """Patches (n, p) to what is added to the first inputs, (n, latent)."""
    import torch

    return torch.tanh(patches @ found["first"] + found["bias"]) @ found["last"]


def _negative_log_posterior(found: dict[str, Any], x: Any, patches: Any, y: Any, noise: Any) -> Any:
    """Marginal likelihood of y (n,) with priors on scales and weights, of order n."""
    import torch

    prior = 0.0
    if patches is not None:
        added = _network(found, patches)
        x = torch.cat([x[:, : added.shape[1]] + added, x[:, added.shape[1] :]], dim=1)
        width = patches.shape[1]
        prior = 0.5 * (found["first"] ** 2).sum() * width
        prior = prior + 0.5 * (found["last"] ** 2).sum() * _HIDDEN / _WEIGHT_STD**2
    usual = np.log(_LENGTH * np.sqrt(x.shape[1]))
    prior = prior + 0.5 * (((found["log_length"] - usual) / 0.75) ** 2).sum()
    prior = prior + 0.5 * (found["log_std"] / 0.5) ** 2
    prior = prior + 0.5 * ((found["log_scatter"] - np.log(_SCATTER)) / 1.0) ** 2
    z = x / found["log_length"].exp()
    square = (z**2).sum(1)[:, None] + (z**2).sum(1) - 2.0 * z @ z.T
    r = torch.sqrt(5.0 * torch.clamp(square, min=1e-10))
    kernel = (2.0 * found["log_std"]).exp() * (1.0 + r + r**2 / 3.0) * torch.exp(-r)
    covariance = kernel + torch.diag(noise + (2.0 * found["log_scatter"]).exp() + 1e-6)
    factor = torch.linalg.cholesky(covariance)
    solved = torch.linalg.solve_triangular(factor, y[:, None], upper=False)[:, 0]
    return prior + 0.5 * (solved**2).sum() + torch.log(torch.diagonal(factor)).sum()
