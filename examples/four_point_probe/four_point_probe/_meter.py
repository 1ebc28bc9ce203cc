"""A source meter: sends a current, reads a voltage."""

from __future__ import annotations

from typing import Protocol, final

import numpy as np


class Meter(Protocol):
    """What the station asks of its meter; the driver of a real one has this method."""

    def read_V(self, current_A: float) -> float:
        """Send ``current_A`` and return the voltage in V."""
        ...


@final
class SimulatedMeter:
    """Ohm's law with a thermal voltage and noise.

    Parameters
    ----------
    resistance_ohm
        Voltage over current, as the contacts see it.
    thermal_V
        A voltage that does not change its sign with the current.
    noise_V
        Standard deviation of one reading.
    rng
        Where the noise comes from.
    """

    def __init__(
        self, resistance_ohm: float, thermal_V: float, noise_V: float, rng: np.random.Generator
    ) -> None:
        self._resistance_ohm, self._thermal_V = resistance_ohm, thermal_V
        self._noise_V, self._rng = noise_V, rng

    def read_V(self, current_A: float) -> float:
        noise_V = self._noise_V * float(self._rng.standard_normal())
        return self._resistance_ohm * current_A + self._thermal_V + noise_V
