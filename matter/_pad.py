"""A pad of a grown strip: what the microscope and the tester find there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import qmc

from ..workflow import Design
from ._domains import Lattice, smooth_noise
from ._growth import Film, grow
from ._hysteresis import Regions, loops
from ._landau import Landau
from ._seeds import rng_of
from ._switching import switchable_polarization
from ._world import SPACE, FILM_THICKNESS_nm, World, make_world

Floats = NDArray[np.float64]

PIXELS = 128
PIXEL_nm = 10.0

_LONG_RANGE = 0.25
"""Share of the variance of local properties that is longer than the tip's volume."""
_REGIONS = 32
_TIP_SPREAD = 0.2
_STEPS = 180


@dataclass(frozen=True)
class Pad:
    """One pad. ``design`` is what was really grown, not what was asked for."""

    world: World
    sample: str
    site: int
    design: tuple[float, float, float]

    @cached_property
    def film(self) -> Film:
        return grow(self.world, *self.design)

    @cached_property
    def switchable_uC_per_cm2(self) -> float:
        """What a faultless capacitor test of this pad would read."""
        return float(switchable_polarization(self.world, *self.design))

    def _noise(self, name: str, length_px: float) -> Floats:
        rng = rng_of(self.world.seed, self.sample, self.site, name)
        return smooth_noise(rng, PIXELS, length_px)

    @cached_property
    def composition(self) -> Floats:
        """Local samarium fraction (row, column)."""
        spread = self.world.composition_spread * np.sqrt(_LONG_RANGE)
        return float(self.film.composition) + spread * self._noise("composition", 6.0)

    @cached_property
    def built_in_kV_per_cm(self) -> Floats:
        spread = float(self.film.imprint_spread_kV_per_cm) * np.sqrt(_LONG_RANGE)
        return float(self.film.imprint_kV_per_cm) + spread * self._noise("field", 4.0)

    @cached_property
    def log_barrier(self) -> Floats:
        median = np.log(self.world.barrier_fraction * float(self.film.pinning))
        spread = self.world.barrier_spread * np.sqrt(_LONG_RANGE)
        return median + spread * self._noise("barrier", 5.0)

    @cached_property
    def lattice(self) -> Lattice:
        """Coefficients of the domain pattern; wells are shallow while the film cools."""
        w, landau = self.world, Landau(self.world)
        disorder = float(self.film.disorder)
        well = 0.12 * w.stiffness_kV_cm_per_uC * w.saturation_uC_per_cm2 * w.barrier_fraction
        return Lattice(
            alpha_polar=landau.a_polar(self.composition) / w.stiffness_kV_cm_per_uC,
            alpha_antipolar=landau.a_antipolar(self.composition) / w.stiffness_kV_cm_per_uC,
            bond=np.clip(1.0 + (0.1 + 0.3 * disorder) * self._noise("bond", 3.0), 0.3, 2.0),
            field=self.built_in_kV_per_cm / well,
            coupling=w.coupling,
        )

    @cached_property
    def _orders(self) -> tuple[Floats, Floats]:
        rng = rng_of(self.world.seed, self.sample, self.site, "start")
        start = 0.05 * rng.standard_normal((2, PIXELS, PIXELS))
        return self.lattice.relaxed(start[0], start[1], _STEPS)

    @cached_property
    def pattern(self) -> Floats:
        """As-grown polarization (row, column) in uC/cm^2, averaged through the film."""
        return self._orders[0] * self.world.saturation_uC_per_cm2 * float(self.film.quality)

    @cached_property
    def wall(self) -> Floats:
        """How much of a wall each pixel is: 0 in a domain of either order, 1 where both vanish."""
        polar, antipolar = self._orders
        lattice = self.lattice
        full = np.maximum(-lattice.alpha_polar, -lattice.alpha_antipolar)
        order = (polar**2 + antipolar**2) / np.maximum(full, 0.05)
        return np.clip(1.0 - order, 0.0, 1.0)

    def local_loops(self, positions: NDArray[np.intp], bias_V: Floats) -> Floats:
        """Polarization (n, points) in uC/cm^2 under the tip at pixels (n, 2), after bias pulses.

        Every pulse is followed by a rest, as in switching spectroscopy (Jesse, Baddorf and Kalinin,
        Appl. Phys. Lett. 88, 062908 (2006)).

        The tip's volume holds many regions in an uneven field. A wall there halves their barriers,
        lets them reverse one by one and takes away part of the response.
        """
        r, c = positions[:, 0] % PIXELS, positions[:, 1] % PIXELS
        wall = self.wall[r, c][:, None]
        short = np.sqrt(1.0 - _LONG_RANGE)
        y, k, h, g = _normal_quantiles(_REGIONS, 4)
        w, film = self.world, self.film
        regions = Regions(
            composition=self.composition[r, c][:, None] + short * w.composition_spread * y,
            barrier=np.exp(
                self.log_barrier[r, c][:, None]
                + np.log(0.5) * wall
                + short * w.barrier_spread * (1.0 + 0.6 * wall) * k
            ),
            built_in_kV_per_cm=self.built_in_kV_per_cm[r, c][:, None]
            + short * float(film.imprint_spread_kV_per_cm) * h,
            gain=w.tip_gain * np.exp(_TIP_SPREAD * g) * np.ones_like(wall),
        )
        field = bias_V / FILM_THICKNESS_nm * 1e4
        mean = loops(Landau(w), regions, field, at_rest=True)
        return float(film.quality) * (1.0 - 0.3 * wall) * mean

    def capacitor_loop(self, field_kV_per_cm: Floats) -> Floats:
        """Polarization (points,) in uC/cm^2 of the whole pad; leakage opens it at high fields."""
        y, k, h = _normal_quantiles(4 * _REGIONS, 3)
        w, film = self.world, self.film
        leak = float(film.leak)
        regions = Regions(
            composition=float(film.composition) + w.composition_spread * y,
            barrier=w.barrier_fraction * float(film.pinning) * np.exp(w.barrier_spread * k),
            built_in_kV_per_cm=float(film.imprint_kV_per_cm)
            + float(film.imprint_spread_kV_per_cm) * h,
            gain=np.full_like(y, 1.0 / (1.0 + leak)),
        )
        switched = float(film.quality) * loops(Landau(w), regions, field_kV_per_cm)[0]
        peak = np.max(np.abs(field_kV_per_cm))
        direction = np.sign(np.gradient(field_kV_per_cm))
        conducted = direction * np.sqrt(np.maximum(0.0, 1.0 - (field_kV_per_cm / peak) ** 2))
        return switched - 8.0 * leak * conducted


@lru_cache(maxsize=8)
def _normal_quantiles(n: int, dim: int) -> tuple[Floats, ...]:
    """``dim`` standard normal columns (1, n) from a fixed low-discrepancy sequence."""
    points = qmc.Sobol(dim, scramble=False).fast_forward(2 * n).random(n)
    columns = ndtri(np.clip(points, 1e-6, 1 - 1e-6))
    columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    return tuple(columns[:, i][None, :] for i in range(dim))


def grown_design(world_seed: int, sample: str, design: Design) -> tuple[float, float, float]:
    """What a run of that name really gave: composition, temperature in C, pressure in mTorr.

    Runs stray by 0.002, 2.5 C and 2 % (standard deviations); all pads of a strip stray together.
    """
    rng = rng_of(world_seed, sample, "run")
    asked = SPACE.check(design, f"sample {sample!r}")
    x, t_C, p = (asked[name] for name in SPACE.names)
    stray = rng.standard_normal(3)
    return (
        max(0.0, x + 0.002 * float(stray[0])),
        t_C + 2.5 * float(stray[1]),
        p * float(np.exp(0.02 * stray[2])),
    )


def make_pad(world_seed: int, sample: str, site: int, design: Design) -> Pad:
    """The pad ``site`` of ``sample`` that was asked for with ``design``.

    Raises
    ------
    DesignSpaceError
        If the design lacks a variable or lies outside the space.
    """
    return _pad(world_seed, sample, site, grown_design(world_seed, sample, design))


@lru_cache(maxsize=32)
def _pad(world_seed: int, sample: str, site: int, grown: tuple[float, float, float]) -> Pad:
    return Pad(make_world(world_seed), sample, site, grown)
