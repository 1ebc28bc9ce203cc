"""Hysteresis loops: Landau-Khalatnikov dynamics of the regions that answer together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from ._landau import Landau

Floats = NDArray[np.float64]

_STEP = 0.5
_LEAST_BARRIER = 0.01


@dataclass(frozen=True)
class Regions:
    """Regions of a film, in arrays (n, m): m regions answer together at each of n places.

    ``composition`` is the local samarium fraction, ``barrier`` the switching field over the
    intrinsic one, ``built_in_kV_per_cm`` the imprint, ``gain`` the local field over the applied.
    """

    composition: Floats
    barrier: Floats
    built_in_kV_per_cm: Floats
    gain: Floats


def triangle(points: int, amplitude: float) -> Floats:
    """One closed cycle of a triangular wave: 0, up, down through 0, back to 0."""
    phase = np.arange(1, points + 1) / points
    return amplitude * 2.0 / np.pi * np.arcsin(np.sin(2.0 * np.pi * phase))


def loops(
    landau: Landau,
    regions: Regions,
    field_kV_per_cm: Floats,
    *,
    at_rest: bool = False,
    substeps: int = 20,
) -> Floats:
    """Polarization (n, points) in uC/cm^2 along a cyclic field (points,), averaged over regions.

    dP/dt = -G (k dF/dP - E - h), with A relaxed at every instant. The rate G of a region is taken
    inversely proportional to its barrier k, so that all relax equally fast against the sweep;
    ``substeps`` is the time given to each field value. With ``at_rest`` each value is a pulse and P
    is read after as long a rest at zero field. The cycle must end with its negative half; it starts
    from the state that a pulse of its lowest field leaves, so that it is closed.
    """
    motion = _Motion(landau, regions)
    kept = np.empty((len(regions.composition), len(field_kV_per_cm)))
    p = motion.relaxed(motion.negative, float(np.min(field_kV_per_cm)), substeps)
    p = motion.relaxed(p, 0.0, substeps)
    for i, field in enumerate(field_kV_per_cm):
        p = motion.relaxed(p, float(field), substeps)
        if at_rest:
            p = motion.relaxed(p, 0.0, substeps)
        kept[:, i] = p.mean(axis=1)
    return kept * landau.world.saturation_uC_per_cm2


@final
class _Motion:
    """Reduced equation of motion: P in units of P_s, time in units of 1 / (G k |a_P(0)|)."""

    def __init__(self, landau: Landau, regions: Regions) -> None:
        w = landau.world
        alpha = landau.a_polar(regions.composition) / w.stiffness_kV_cm_per_uC
        unit = w.stiffness_kV_cm_per_uC * w.saturation_uC_per_cm2
        unit = unit * np.maximum(regions.barrier, _LEAST_BARRIER)
        self._coupling = w.coupling
        self._antipolar = landau.a_antipolar(regions.composition) / w.stiffness_kV_cm_per_uC
        self._built_in, self._gain = regions.built_in_kV_per_cm / unit, regions.gain / unit
        self._growth, self._damping = np.maximum(-alpha, 0.0), np.maximum(alpha, 0.0)
        self.negative = -np.sqrt(self._growth)

    def relaxed(self, p: Floats, field_kV_per_cm: float, steps: int) -> Floats:
        """P after ``steps`` steps at a field; growth is explicit and damping implicit, so that any
        step is stable and a state of rest is exact."""
        drive = self._gain * field_kV_per_cm + self._built_in
        for _ in range(steps):
            p2 = p * p
            a2 = np.maximum(0.0, -(self._antipolar + self._coupling * p2))
            held = 1.0 + _STEP * (self._damping + p2 + self._coupling * a2)
            p = (p + _STEP * (drive + self._growth * p)) / held
        return p
