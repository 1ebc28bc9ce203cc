"""What growth makes of a film: crystallinity, lost bismuth, vacancies, foreign oxide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from ._world import World

Floats = NDArray[np.float64]

_STEEPNESS = 6.0
"""Sharpness of the edges of the growth window, in its half widths."""


@dataclass(frozen=True)
class Film:
    """A grown film, element by element of the designs.

    ``composition`` is the samarium fraction of the perovskite itself, ``quality`` the share of well
    crystallized perovskite; ``disorder``, from 0 up, scales random fields and bonds; ``leak`` is
    the voltage lost over that on the film; ``imprint_kV_per_cm`` is the mean built-in field and
    ``imprint_spread_kV_per_cm`` its spread over regions; ``pinning`` multiplies barriers.
    """

    composition: Floats
    quality: Floats
    disorder: Floats
    leak: Floats
    imprint_kV_per_cm: Floats
    imprint_spread_kV_per_cm: Floats
    pinning: Floats


def grow(world: World, x: ArrayLike, temperature_C: ArrayLike, pressure_mTorr: ArrayLike) -> Film:
    """The film that a design gives; arrays broadcast.

    Pulsed laser deposition gives pure BiFeO3 only in a window of temperature and oxygen pressure
    (Bea et al., Appl. Phys. Lett. 87, 072508 (2005)): too cold, the film is poorly crystallized;
    too hot, bismuth evaporates; too little oxygen leaves vacancies and iron oxides, too much leaves
    bismuth oxide. All four are logistic in the distance from the edges of the window; these shapes
    and the size of their effects are assumptions.
    """
    x, t_C, p = np.broadcast_arrays(
        np.asarray(x, float), np.asarray(temperature_C, float), np.asarray(pressure_mTorr, float)
    )
    x = np.clip(x, 0.0, 1.0)
    v = (np.log10(np.maximum(p, 1e-3)) - world.optimum_log10_mTorr) / world.halfwidth_log10
    shift = world.tilt_C_per_decade * world.halfwidth_log10 * v
    u = (t_C - world.optimum_C - shift) / world.halfwidth_C
    amorphous = expit(-_STEEPNESS * (u + 1.0))
    bismuth_loss = expit(_STEEPNESS * (u - 1.0))
    vacancies = expit(-_STEEPNESS * (v + 1.0))
    oxide = expit(_STEEPNESS * (v - 1.0))
    disorder = 0.6 * amorphous + 0.7 * bismuth_loss + 0.5 * vacancies + 0.5 * oxide
    pure = np.clip(1.0 - x / 0.15, 0.0, 1.0)
    return Film(
        composition=x / (1.0 - world.bismuth_shift * bismuth_loss),
        quality=(1 - 0.65 * amorphous)
        * (1 - 0.6 * oxide)
        * (1 - 0.5 * bismuth_loss)
        * (1 - 0.2 * vacancies),
        disorder=disorder,
        leak=world.leak_pure * pure
        + world.leak_vacancy * vacancies
        + world.leak_bismuth * bismuth_loss,
        imprint_kV_per_cm=0.1 * world.imprint_kV_per_cm * (1.0 + 3.0 * vacancies),
        imprint_spread_kV_per_cm=world.imprint_kV_per_cm * (0.25 + disorder),
        pinning=1.0 + 0.35 * disorder,
    )
