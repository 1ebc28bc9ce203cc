"""Landau-Devonshire energy of competing polar and antipolar order (Kittel's antiferroelectric)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._world import World

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Landau:
    """F(P, A; x) = a_P P^2/2 + b P^4/4 + a_A A^2/2 + b A^4/4 + eta P^2 A^2/2 - E P.

    P and A, in uC/cm^2, are half the sum and half the difference of two sublattice polarizations
    (Kittel, Phys. Rev. 82, 729 (1951)); E is in kV/cm, so F is in mJ/cm^3. Kittel's sublattices
    alone would give eta = 3 b; here eta is free. a_P rises linearly with the samarium fraction x
    and changes sign at ``polar_limit_x``; a_A is a parabola whose height makes both energies equal
    at ``boundary_x``. A is always relaxed: A^2(P) = max(0, -(a_A + eta P^2) / b).
    """

    world: World

    @property
    def b(self) -> float:
        return self.world.stiffness_kV_cm_per_uC / self.world.saturation_uC_per_cm2**2

    @property
    def eta(self) -> float:
        return self.world.coupling * self.b

    def a_polar(self, x: ArrayLike) -> Floats:
        w = self.world
        return -w.stiffness_kV_cm_per_uC * (1.0 - np.asarray(x, float) / w.polar_limit_x)

    def a_antipolar(self, x: ArrayLike) -> Floats:
        w = self.world

        def shape(at: ArrayLike) -> Floats:
            d = (np.asarray(at, float) - w.antipolar_peak_x) / w.antipolar_width_x
            return 1.0 - d**2

        height = self.a_polar(w.boundary_x) / shape(w.boundary_x)
        return height * shape(x)

    def energy(self, P: ArrayLike, A: ArrayLike, x: ArrayLike, field: ArrayLike = 0.0) -> Floats:
        """Energy density in mJ/cm^3."""
        P, A = np.asarray(P, float), np.asarray(A, float)
        polar = 0.5 * self.a_polar(x) * P**2 + 0.25 * self.b * P**4
        antipolar = 0.5 * self.a_antipolar(x) * A**2 + 0.25 * self.b * A**4
        return polar + antipolar + 0.5 * self.eta * P**2 * A**2 - np.asarray(field, float) * P

    def antipolar_squared(self, P: ArrayLike, x: ArrayLike) -> Floats:
        """A^2 at the energy minimum for a given P."""
        P = np.asarray(P, float)
        return np.maximum(0.0, -(self.a_antipolar(x) + self.eta * P**2) / self.b)

    def restoring_field(self, P: ArrayLike, x: ArrayLike) -> Floats:
        """dF/dP at E = 0 with A relaxed, in kV/cm."""
        P = np.asarray(P, float)
        stiffness = self.a_polar(x) + self.eta * self.antipolar_squared(P, x)
        return P * (stiffness + self.b * P**2)

    def spontaneous(self, x: ArrayLike) -> Floats:
        """Polarization of the polar state, whether stable or not, in uC/cm^2."""
        return np.sqrt(np.maximum(0.0, -self.a_polar(x)) / self.b)


@dataclass(frozen=True)
class SwitchingFields:
    """Intrinsic fields over composition, tabulated once per world, in kV/cm.

    ``leaving`` destabilizes the polar state (zero where it is unstable by itself); ``holding``
    keeps it where it is unstable by itself (zero elsewhere); ``crossing``, at least as large as
    either, carries the polarization all the way to the opposite state, past an antipolar state in
    between.
    """

    x: Floats
    leaving_kV_per_cm: Floats
    holding_kV_per_cm: Floats
    crossing_kV_per_cm: Floats


@lru_cache(maxsize=16)
def switching_fields(world: World) -> SwitchingFields:
    """Spinodal fields of the relaxed energy, found on a grid of P between 0 and the polar state."""
    landau = Landau(world)
    x = np.linspace(-0.05, 0.40, 901)[:, None]
    share = np.linspace(0.0, 1.0, 401)[None, :]
    force = landau.restoring_field(share * landau.spontaneous(x), x)
    stable = landau.antipolar_squared(landau.spontaneous(x), x)[:, 0] <= 0.0
    leaving = np.where(stable, np.max(-force, axis=1), 0.0)
    edge = np.sqrt(np.maximum(0.0, -landau.a_antipolar(x) / landau.eta))
    holding = np.where(stable, 0.0, landau.restoring_field(edge, x)[:, 0])
    return SwitchingFields(x[:, 0], leaving, holding, np.max(np.abs(force), axis=1))
