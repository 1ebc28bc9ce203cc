"""Functions drawn from Gaussian-process priors, the same for ever by their seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

FEATURES = 512
DEGREES = 2.5
DEFAULT_SCALE = float(np.log(2.0))
"""GPyTorch's initial length scale and output variance: softplus of zero."""


def matern_draw(
    seed: int, lengths: float, dim: int, variance: float = DEFAULT_SCALE
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """A draw from a zero-mean process with Matérn 5/2 kernel, by random Fourier features.

    A Matérn kernel's spectral density is a multivariate Student t (Rahimi & Recht 2007): normal
    frequencies over the root of a Gamma variable. The random numbers are taken in BoTorch's order
    (frequencies, scales, phases, weights; scales in single precision), so that a seed gives the
    function that BoTorch 0.8's ``get_gp_samples`` gave to the published experiments.

    Parameters
    ----------
    seed : int
        Seed of torch's generator.
    lengths : float
        Length scale, the same for all inputs.
    dim : int
        Number of inputs.
    variance : float
        Prior variance.

    Returns
    -------
    callable
        Maps inputs (n, dim) to values (n,).
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        frequencies = torch.randn(dim, FEATURES, dtype=torch.double)
        gamma = torch.distributions.Gamma(
            torch.tensor(DEGREES, dtype=torch.float32), torch.tensor(DEGREES, dtype=torch.float32)
        )
        frequencies = frequencies * torch.rsqrt(gamma.sample(torch.Size([1, FEATURES])).double())
        phases = 2.0 * np.pi * torch.rand(FEATURES, dtype=torch.double)
        weights = torch.normal(torch.zeros(FEATURES).double(), torch.ones(FEATURES).double())
    omega, phi, w = frequencies.numpy() / lengths, phases.numpy(), weights.numpy()
    height = np.sqrt(2.0 * variance / FEATURES)
    return lambda x: height * np.cos(x @ omega + phi) @ w
