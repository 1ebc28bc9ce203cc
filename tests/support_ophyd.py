"""A device of ophyd-async for tests: axes that are there at once, and a line that sees them."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from ophyd_async.core import (
    Array1D,
    AsyncStatus,
    Device,
    Reference,
    StandardReadable,
    soft_signal_rw,
)
from ophyd_async.core import StandardReadableFormat as Format

ENTRY_POINTS = """\
[probewise.ophyd_devices]
bench = support_ophyd:Bench
broken = support_ophyd:nothing
"""
CHANNELS = 16


class Line(StandardReadable):
    """Gives an array and its sum; misbehaves by order."""

    def __init__(self, bench: Bench) -> None:
        self._bench = Reference(bench)  # a device as an attribute would be a child
        self.acquire_time = soft_signal_rw(float, 0.1)
        with self.add_children_as_readables(Format.HINTED_SIGNAL):
            self.spectrum = soft_signal_rw(Array1D[np.float64], np.zeros(CHANNELS), units="counts")
            self.total = soft_signal_rw(float, 0.0)
        self.staged = 0
        super().__init__()

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        bench = self._bench()
        order = bench.orders.pop(0) if bench.orders else ""
        if order == "hang":
            await asyncio.sleep(60)
        if order == "raise":
            raise RuntimeError("the shutter is jammed")
        y, x = await bench.y.get_value(), await bench.x.get_value()
        size = CHANNELS + 1 if order == "shape" else CHANNELS
        values = 100 * y + x + np.arange(size, dtype=np.float64)
        if order == "nan":
            values[3] = np.nan
        await self.spectrum.set(values)
        await self.total.set(float(values.sum()))

    @AsyncStatus.wrap
    async def stage(self) -> None:
        self.staged += 1

    @AsyncStatus.wrap
    async def unstage(self) -> None:
        self.staged -= 1


class Bench(Device):
    """``y``, ``x``, ``shutter`` and ``line``; ``orders`` say what befalls the next triggers."""

    made: list[Bench] = []

    def __init__(self) -> None:
        self.y = soft_signal_rw(float, 0.0)
        self.x = soft_signal_rw(float, 0.0)
        self.shutter = soft_signal_rw(float, 0.0)
        self.line = Line(self)
        super().__init__(name="bench")
        self.orders: list[str] = []
        Bench.made.append(self)


def nothing() -> Any:
    """Is no device."""
    raise RuntimeError("no such crate")
