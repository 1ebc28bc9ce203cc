"""The hidden world: every constant that the twins share and nobody else may know."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..workflow import Continuous, Space, SpecError

SPACE = Space(
    variables=(
        Continuous(name="composition_sm", low=0.0, high=0.25),
        Continuous(name="temperature_C", low=550, high=750, unit="degC"),
        Continuous(name="pressure_mTorr", low=1, high=200, unit="mTorr", scale="log"),
    )
)
"""The designs for which the model is meant, in the order of its variables."""

TEST_FIELD_kV_per_cm = 400.0
"""Peak field of a capacitor test; 8 V on the film of 200 nm."""

FILM_THICKNESS_nm = 200.0


@dataclass(frozen=True)
class World:
    """Parameters of one world, drawn from its seed.

    Attributes
    ----------
    boundary_x, polar_limit_x, antipolar_peak_x, antipolar_width_x
        Samarium fraction at which polar and antipolar order have the same energy; at which the
        polar instability vanishes; at which the antipolar one is strongest, and how far from there
        it ends.
    saturation_uC_per_cm2, stiffness_kV_cm_per_uC
        Spontaneous polarization P_s of the end member and the coefficient -a_P of its Landau
        energy, in kV/cm per uC/cm^2.
    coupling
        Ratio eta / b of the P^2 A^2 term; above 1 the two orders exclude each other.
    barrier_fraction, barrier_spread
        Median ratio of a region's switching field to the intrinsic one, and the standard deviation
        of its logarithm over regions: reversal starts at defects.
    composition_spread
        Standard deviation of the local samarium fraction.
    optimum_C, optimum_log10_mTorr, halfwidth_C, halfwidth_log10, tilt_C_per_decade
        Centre and half widths of the growth window; the best temperature rises with pressure.
    bismuth_shift, leak_pure, leak_vacancy, leak_bismuth, imprint_kV_per_cm
        How strongly defects act; leaks are ratios of the voltage lost to that on the film.
    tip_gain, sensitivity_pm_cm2_per_uC
        Field under the tip over that of a plate capacitor; nominal piezoresponse per polarization.
    """

    seed: int
    boundary_x: float
    polar_limit_x: float
    antipolar_peak_x: float
    antipolar_width_x: float
    saturation_uC_per_cm2: float
    stiffness_kV_cm_per_uC: float
    coupling: float
    barrier_fraction: float
    barrier_spread: float
    composition_spread: float
    optimum_C: float
    optimum_log10_mTorr: float
    halfwidth_C: float
    halfwidth_log10: float
    tilt_C_per_decade: float
    bismuth_shift: float
    leak_pure: float
    leak_vacancy: float
    leak_bismuth: float
    imprint_kV_per_cm: float
    tip_gain: float
    sensitivity_pm_cm2_per_uC: float


@lru_cache(maxsize=64)
def make_world(world_seed: int) -> World:
    """The world of a seed.

    Raises
    ------
    SpecError
        If the seed is not a non-negative integer.
    """
    if isinstance(world_seed, bool) or not isinstance(world_seed, int) or world_seed < 0:
        raise SpecError(
            "twin", f"world_seed={world_seed!r}", "an integer from 0 on", "give such a seed"
        )
    rng = np.random.default_rng([world_seed, 0x5B]).uniform
    boundary = rng(0.125, 0.155)
    return World(
        seed=world_seed,
        boundary_x=boundary,
        polar_limit_x=boundary + rng(0.10, 0.13),
        antipolar_peak_x=boundary + rng(0.035, 0.05),
        antipolar_width_x=rng(0.10, 0.12),
        saturation_uC_per_cm2=rng(85.0, 105.0),
        stiffness_kV_cm_per_uC=rng(72.0, 84.0),
        coupling=rng(1.15, 1.3),
        barrier_fraction=rng(0.135, 0.16),
        barrier_spread=rng(0.36, 0.44),
        composition_spread=rng(0.016, 0.022),
        optimum_C=rng(620.0, 680.0),
        optimum_log10_mTorr=rng(1.1, 1.7),
        halfwidth_C=rng(65.0, 80.0),
        halfwidth_log10=rng(0.7, 0.85),
        tilt_C_per_decade=rng(15.0, 40.0),
        bismuth_shift=rng(0.06, 0.12),
        leak_pure=rng(0.15, 0.3),
        leak_vacancy=rng(0.3, 0.55),
        leak_bismuth=rng(0.25, 0.45),
        imprint_kV_per_cm=rng(45.0, 75.0),
        tip_gain=rng(0.92, 1.06),
        sensitivity_pm_cm2_per_uC=rng(0.42, 0.52),
    )
