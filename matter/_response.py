"""How a place of a film answers to an alternating voltage on the tip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._domains import smooth_noise
from ._pad import PIXELS, Pad
from ._seeds import rng_of

Floats = NDArray[np.float64]

_RESONANCE_kHz = 352.0
_QUALITY = 120.0
_MOBILE = 0.012
"""Cubic response of a place that is all wall over the linear one of a saturated domain, in V^-2."""


@dataclass(frozen=True)
class Response:
    """Maps (row, column) of the coefficients of the response A V + B V^2 + C V^3.

    Attributes
    ----------
    linear_pm_per_V
        A: piezoelectric, the local polarization times the sensitivity.
    quadratic_pm_per_V2
        B: electrostriction, which goes with the permittivity and so is large where polar and
        antipolar order are close in energy, and an electrostatic part, the same everywhere.
    cubic_pm_per_V3
        C: domain walls that move along with the field and give odd harmonics (Damjanovic, Rep.
        Prog. Phys. 61, 1267 (1998)): it goes with the density of walls.
    """

    linear_pm_per_V: Floats
    quadratic_pm_per_V2: Floats
    cubic_pm_per_V3: Floats

    def at(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
        """Coefficients A, B, C (n, 3) at pixels; outside, the pad repeats."""
        r, c = rows % PIXELS, columns % PIXELS
        maps = (self.linear_pm_per_V, self.quadratic_pm_per_V2, self.cubic_pm_per_V3)
        return np.stack([m[r, c] for m in maps], axis=1)


def response_of(pad: Pad) -> Response:
    """The response of a pad. Shapes and strengths are assumptions; see docs/twins.md."""
    world = pad.world
    rng = rng_of(world.seed, "response")
    electrostatic = rng.uniform(0.15, 0.35)
    electrostriction = rng.uniform(1.2, 2.0)
    width = rng.uniform(0.03, 0.05)
    softness = np.exp(-(((pad.composition - world.boundary_x) / width) ** 2))
    saturated = world.sensitivity_pm_cm2_per_uC * world.saturation_uC_per_cm2
    return Response(
        linear_pm_per_V=world.sensitivity_pm_cm2_per_uC * pad.pattern,
        quadratic_pm_per_V2=electrostatic + electrostriction * softness,
        cubic_pm_per_V3=_MOBILE * saturated * pad.wall,
    )


def contact_of(pad: Pad) -> tuple[Floats, float]:
    """Contact resonance (row, column) in kHz, which follows the surface, and its quality factor."""
    rng = rng_of(pad.world.seed, pad.sample, pad.site, "contact")
    surface = smooth_noise(rng, PIXELS, 5.0)
    return _RESONANCE_kHz + 1.5 * surface + float(rng.normal(0.0, 3.0)), _QUALITY
