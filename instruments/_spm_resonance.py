"""The contact resonance of a lever: its sweep, and tracking it with two drives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_GAIN = 0.9


def amplitude(frequency_kHz: Floats | float, resonance_kHz: float, quality: float) -> Floats:
    """Amplitude of a damped oscillator over the one at low frequency."""
    f, f0 = np.asarray(frequency_kHz, dtype=np.float64), resonance_kHz
    return f0**2 / np.sqrt((f0**2 - f**2) ** 2 + (f0 * f / quality) ** 2)


@dataclass(frozen=True)
class Tracking:
    """What dual AC resonance tracking did: middle frequencies (steps,) in kHz, and the amplitudes
    (steps,) below and above them, in pm."""

    middle_kHz: Floats
    below_pm: Floats
    above_pm: Floats

    @property
    def resonance_kHz(self) -> float:
        return float(self.middle_kHz[-1])


def track(
    start_kHz: float,
    resonance_kHz: float,
    quality: float,
    apart_kHz: float,
    response_pm: float,
    noise_pm: float,
    steps: int,
    rng: np.random.Generator,
) -> Tracking:
    """Bring the middle of two drives onto the resonance.

    Drives ``apart_kHz`` apart see amplitudes that are equal when the resonance lies in their
    middle; the difference is fed back onto the middle frequency (Rodriguez, Callahan, Kalinin and
    Proksch, Nanotechnology 18, 475504 (2007)). ``response_pm`` is the amplitude at low frequency.
    """
    middle = start_kHz
    seen: list[tuple[float, float, float]] = []
    for _ in range(steps):
        below, above = (
            response_pm * float(amplitude(middle + side, resonance_kHz, quality))
            + float(rng.normal(0.0, noise_pm))
            for side in (-apart_kHz / 2.0, apart_kHz / 2.0)
        )
        seen.append((middle, below, above))
        total = max(abs(below) + abs(above), 1e-12)
        middle += _GAIN * 0.5 * apart_kHz * (above - below) / total
    return Tracking(*np.array(seen).T)
