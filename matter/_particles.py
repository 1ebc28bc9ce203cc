"""A scene of metal nanoparticles on a thin carbon film, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ._seeds import rng_of

Floats = NDArray[np.float64]

SCENE_nm = 400.0
"""Side of the square that holds particles; beyond lies bare film."""
SCENE_START_nm = -100.0
"""Top and left edge of that square, in nanometres of the stage."""

_MOST = 70
_TRIES = 4000
_MIN_GAP = 0.45
"""Least gap between two particles, in units of the mean of their longer semi-axes."""
_Z_OF = {"silver": 47.0, "gold": 79.0}


@dataclass(frozen=True, eq=False)
class Particles:
    """Prolate spheroids that lie on the film; arrays (n,), angles in radians from the x axis.

    Attributes
    ----------
    y_nm, x_nm
        Centres, in nanometres of the stage.
    long_nm, short_nm
        Semi-axes; the third one is ``short_nm`` too.
    angle
        Of the long axis.
    bulk_eV
        Energy of the bulk plasmon, which spreads a little from particle to particle.
    atomic_number
        For the contrast of high-angle scattering.
    """

    y_nm: Floats
    x_nm: Floats
    long_nm: Floats
    short_nm: Floats
    angle: Floats
    bulk_eV: Floats
    atomic_number: Floats

    def __len__(self) -> int:
        return len(self.y_nm)

    def thickness_nm(self, y_nm: Floats, x_nm: Floats) -> Floats:
        """Projected metal thickness at stage coordinates ``y_nm`` (rows,), ``x_nm`` (columns,)."""
        return self._painted(y_nm, x_nm, np.ones(len(self)))

    def scattering(self, y_nm: Floats, x_nm: Floats) -> Floats:
        """Thickness weighted by (Z/79)^1.7, as annular dark-field contrast goes (rows, columns).

        Rutherford scattering alone would give Z^2; screening lowers the exponent (Pennycook and
        Jesson, Ultramicroscopy 37, 14 (1991)).
        """
        return self._painted(y_nm, x_nm, (self.atomic_number / 79.0) ** 1.7)

    def _painted(self, y_nm: Floats, x_nm: Floats, weight: Floats) -> Floats:
        image = np.zeros((len(y_nm), len(x_nm)))
        for i in range(len(self)):
            reach = self.long_nm[i]
            rows = np.flatnonzero(np.abs(y_nm - self.y_nm[i]) < reach)
            columns = np.flatnonzero(np.abs(x_nm - self.x_nm[i]) < reach)
            if not rows.size or not columns.size:
                continue
            dy = (y_nm[rows] - self.y_nm[i])[:, None]
            dx = (x_nm[columns] - self.x_nm[i])[None, :]
            cos, sin = np.cos(self.angle[i]), np.sin(self.angle[i])
            u = (dx * cos + dy * sin) / self.long_nm[i]
            v = (dy * cos - dx * sin) / self.short_nm[i]
            depth = 2.0 * self.short_nm[i] * np.sqrt(np.maximum(0.0, 1.0 - u * u - v * v))
            image[np.ix_(rows, columns)] += weight[i] * depth
        return image


@lru_cache(maxsize=16)
def make_particles(world_seed: int, sample: str, site: int) -> Particles:
    """The particles of a site of a sample in the world of a seed.

    Their density varies over the scene, so that some are alone and some have close neighbours.
    """
    rng = rng_of(world_seed, sample, site, "particles")
    metal = "silver" if rng.random() < 0.5 else "gold"
    bulk_eV = rng.uniform(3.6, 4.6)
    centres = rng.uniform(0.1, 0.9, (5, 2)) * SCENE_nm + SCENE_START_nm
    kept: list[tuple[float, ...]] = []
    for _ in range(_TRIES):
        if len(kept) == _MOST:
            break
        if rng.random() < 0.6:
            y, x = centres[rng.integers(len(centres))] + rng.normal(0.0, 35.0, 2)
        else:
            y, x = rng.uniform(SCENE_START_nm, SCENE_START_nm + SCENE_nm, 2)
        short = rng.uniform(4.0, 8.0)
        long = short * rng.uniform(1.0, 1.7)
        inside = SCENE_START_nm + long < min(y, x) and max(y, x) < SCENE_START_nm + SCENE_nm - long
        apart = all(
            np.hypot(y - p[0], x - p[1]) > (long + p[2]) * (1.0 + 0.5 * _MIN_GAP) for p in kept
        )
        if inside and apart:
            own_eV = bulk_eV * (1.0 + 0.02 * rng.standard_normal())
            kept.append((float(y), float(x), long, short, rng.uniform(0, np.pi), own_eV))
    columns = np.array(kept).T
    return Particles(*columns, atomic_number=np.full(len(kept), _Z_OF[metal]))
