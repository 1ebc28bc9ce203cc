"""Training of the rotation-invariant autoencoder. The one module of this room that needs torch."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Floats = NDArray[np.float64]

_BATCH = 128
_HIDDEN = 64


def train(
    polar: Floats, features: Floats, area: Floats, latent: int, steps: int, seed: int
) -> tuple[dict[str, Floats], float]:
    """Weights of encoder and decoder, and the standard deviation of the noise.

    Parameters
    ----------
    polar
        Patches (n, rings, spokes), standardized.
    features
        What the encoder sees of each (n, k); unchanged by rotation.
    area
        How many pixels a polar sample stands for, (rings,).

    The loss is the negative evidence bound, in which the angle is summed over all spokes exactly:
    the likelihood of a patch is the mean over rotations of the decoded one.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = nn.Sequential(
            nn.Linear(features.shape[1], _HIDDEN), nn.Tanh(), nn.Linear(_HIDDEN, 2 * latent)
        )
        decoder = nn.Sequential(
            nn.Linear(latent, _HIDDEN),
            nn.Tanh(),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.Tanh(),
            nn.Linear(_HIDDEN, polar.shape[1] * polar.shape[2]),
        )
    log_noise = nn.Parameter(torch.zeros(()))
    shown, seen = torch.from_numpy(polar).float(), torch.from_numpy(features).float()
    weight = torch.from_numpy(area).float()[:, None]
    parameters = [*encoder.parameters(), *decoder.parameters(), log_noise]
    optimizer = torch.optim.Adam(parameters, lr=4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    pixels = float(area.sum()) * polar.shape[2]
    for _ in range(steps):
        chosen = torch.randint(len(shown), (min(_BATCH, len(shown)),), generator=generator)
        mean, log_std = encoder(seen[chosen]).chunk(2, dim=1)
        noise = torch.randn(mean.shape, generator=generator)
        z = mean + log_std.exp() * noise
        template = decoder(z).reshape(-1, *shown.shape[1:])
        fit = _log_likelihood(shown[chosen], template, weight, log_noise, pixels)
        divergence = 0.5 * (mean**2 + (2 * log_std).exp() - 2 * log_std - 1).sum(dim=1)
        loss = (divergence - fit).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    weights = {
        f"{name}.{k}": v.detach().double().numpy()
        for name, part in (("encoder", encoder), ("decoder", decoder))
        for k, v in part.state_dict().items()
    }
    return weights, float(log_noise.detach().exp())


def _log_likelihood(
    shown: torch.Tensor,
    template: torch.Tensor,
    weight: torch.Tensor,
    log_noise: torch.Tensor,
    pixels: float,
) -> torch.Tensor:
    """Log mean likelihood (n,) over all rotations by whole spokes."""
    spokes = shown.shape[2]
    spectrum = torch.fft.rfft(weight * shown, dim=2) * torch.fft.rfft(template, dim=2).conj()
    overlap = torch.fft.irfft(spectrum.sum(dim=1), n=spokes, dim=1)
    square = (weight * (shown**2 + template**2)).sum(dim=(1, 2))
    distance = square[:, None] - 2 * overlap
    each = -0.5 * distance * (-2 * log_noise).exp() - pixels * log_noise
    return torch.logsumexp(each, dim=1) - math.log(spokes)
