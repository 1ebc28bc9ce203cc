"""ophyd-async's own simulation as one device: two motors and a counter that sees where they are.

This module needs the extra ``bluesky`` when it is imported; only its entry point imports it.
"""

from __future__ import annotations

from ophyd_async.core import Device
from ophyd_async.sim import PatternGenerator, SimPointDetector, SimStage


class SimulatedPoint(Device):
    """``axes.y`` and ``axes.x`` move, ``counter`` counts; its pattern is that of ophyd-async."""

    def __init__(self, name: str = "sim") -> None:
        pattern = PatternGenerator()
        self.axes = SimStage(pattern)
        self.counter = SimPointDetector(pattern)
        super().__init__(name=name)

    async def connect(self, *args: object, **kwargs: object) -> None:  # type: ignore[override]
        """Connect, and let the pattern follow the motors from then on."""
        await super().connect(*args, **kwargs)  # type: ignore[arg-type]
        await self.axes.stage()
        for motor in (self.axes.y, self.axes.x):
            await motor.velocity.set(0)  # there at once


def simulated_point() -> SimulatedPoint:
    """The device, for its entry point."""
    return SimulatedPoint()
