"""Low-loss spectra of the STEM twin: zero loss, plasmons, a background, counting noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._stem_specimen import Specimen

Floats = NDArray[np.float64]

CHANNELS = 1024
ENERGY_eV: Floats = np.linspace(-0.5, 4.615, CHANNELS)
"""Energy loss of the channels: 5 meV each."""
STEP_eV = float(ENERGY_eV[1] - ENERGY_eV[0])
FULL_COUNTS = 4e6
"""Counts of one channel at which the spectrometer's detector is full."""

_RESOLUTION_eV = 0.09
"""Full width at half maximum of the zero-loss peak."""
_COLLECTED = 0.5
_TAIL = 4e-4
"""Loss probability per eV at 1 eV of the tail of the zero-loss peak, which falls with its
square."""
_FILM_LOSS = 1.5e-4
"""Loss probability per eV of the bare film; of carbon, per nanometre, a thirtieth of it."""
_MEAN_FREE_PATH_nm = 80.0


def _zero_loss() -> Floats:
    sigma = _RESOLUTION_eV / 2.3548
    peak = np.exp(-(ENERGY_eV**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
    tail = np.where(ENERGY_eV > 0.0, _TAIL / (ENERGY_eV**2 + _RESOLUTION_eV**2), 0.0)
    return peak + tail


_ZERO_LOSS = _zero_loss()
_FILM_SHAPE: Floats = np.clip(ENERGY_eV, 0.0, None) / 4.0


def loss_of(specimen: Specimen, places_nm: Floats, voltage_kV: float) -> Floats:
    """Probability per eV (places, channels) that an electron is counted with a loss; no noise.

    Thick metal and carbon scatter electrons away from the spectrometer; carbon adds a featureless
    loss that grows with energy.
    """
    y, x = places_nm.T
    plasmons = specimen.plasmons.loss(y, x, ENERGY_eV, voltage_kV)
    carbon = specimen.carbon_at(y, x)
    metal = _metal_nm(specimen, y, x)
    through = np.exp(-(metal + 0.3 * carbon) / _MEAN_FREE_PATH_nm)[:, None]
    film = _FILM_LOSS * (1.0 + carbon / 30.0)[:, None] * _FILM_SHAPE
    return through * (_ZERO_LOSS + film + plasmons)


def counts_of(
    specimen: Specimen,
    places_nm: Floats,
    electrons: float,
    voltage_kV: float,
    probe_nm: float,
    rng: np.random.Generator,
) -> Floats:
    """Counted spectra (places, channels) of a probe parked at places (n, 2) of the stage.

    The probe's width is averaged over by five places: its middle and four at its standard deviation
    times the square root of two, which have its second moments.
    """
    sigma = probe_nm / 4.0
    steps = np.array([[0.0, 0.0], [1, 0], [-1, 0], [0, 1], [0, -1]]) * sigma * np.sqrt(2.0)
    if sigma < 1.0:
        mean = loss_of(specimen, places_nm, voltage_kV)
    else:
        spread = (places_nm[:, None, :] + steps).reshape(-1, 2)
        seen = loss_of(specimen, spread, voltage_kV).reshape(len(places_nm), 5, CHANNELS)
        mean = seen.mean(axis=1)
    counted = rng.poisson(mean * (_COLLECTED * electrons * STEP_eV))
    return np.minimum(counted, FULL_COUNTS).astype(np.float64)


def _metal_nm(specimen: Specimen, y: Floats, x: Floats) -> Floats:
    """Metal thickness at scattered places."""
    p = specimen.particles
    dy, dx = y[:, None] - p.y_nm, x[:, None] - p.x_nm
    cos, sin = np.cos(p.angle), np.sin(p.angle)
    u = (dx * cos + dy * sin) / p.long_nm
    v = (dy * cos - dx * sin) / p.short_nm
    return (2.0 * p.short_nm * np.sqrt(np.maximum(0.0, 1.0 - u * u - v * v))).sum(axis=1)
