"""What has come of one command so far."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from ..workflow import Array, Axis, Chunk, Frame, Reading, assembled, is_whole
from ._driver import DriverFault


@dataclass
class Intake:
    """Chunks as they came, with the sums of their times and electrons."""

    parts: dict[str, list[Chunk]] = field(default_factory=dict)
    frames: dict[str, Frame] = field(default_factory=dict)
    seconds: float = 0.0
    electrons: float = 0.0
    signals: dict[str, float] = field(default_factory=dict)

    def take(self, chunk: Chunk, elapsed_s: float) -> None:
        """Keep a chunk.

        Raises
        ------
        DriverFault
            If it does not fit its frame, or its time or electrons are none.
        """
        for name, value in (("seconds", chunk.seconds or 0.0), ("electrons", chunk.electrons)):
            if not 0.0 <= value < math.inf:
                raise DriverFault("bad_data", f"a part with {name}={value!r}", "mend the driver")
        self.seconds += elapsed_s if chunk.seconds is None else chunk.seconds
        self.electrons += chunk.electrons
        self.signals.update(chunk.signals)
        if chunk.frame is None or chunk.data is None:
            return
        fault = _misfit(chunk, self.frames.get(chunk.frame.name))
        if fault:
            raise DriverFault("bad_data", fault, "mend the driver, or look at its server")
        self.frames.setdefault(chunk.frame.name, chunk.frame)
        self.parts.setdefault(chunk.frame.name, []).append(chunk)

    @property
    def lacking(self) -> list[str]:
        """Frames of which not everything has come."""
        return [n for n, f in self.frames.items() if not is_whole(f, self.parts[n])]

    def reading(self, cut: bool) -> Reading:
        """What came; with ``cut``, arrays end where their data do and hold no gaps."""
        lacking = self.lacking
        arrays = {n: assembled(self._told(f), self.parts[n]) for n, f in self.frames.items()}
        if cut:
            short = {n: _cut(a) if n in lacking else a for n, a in arrays.items()}
            arrays = {n: a for n, a in short.items() if a is not None}
        return Reading(
            arrays, dict(self.frames), self.seconds, self.electrons, not lacking, self.signals
        )

    def _told(self, frame: Frame) -> Frame:
        """The frame, with the exposure that the driver said was reached."""
        if "exposure_s" not in frame.metadata or "exposure_s" not in self.signals:
            return frame
        reached = {"exposure_s": self.signals["exposure_s"]}
        return replace(frame, metadata={**frame.metadata, **reached})


def _misfit(chunk: Chunk, known: Frame | None) -> str:
    """How a chunk does not fit, or nothing."""
    frame, data = chunk.frame, np.asarray(chunk.data)
    assert frame is not None
    if known is not None and known.shape != frame.shape:
        return f"{frame.name} changes its shape from {known.shape} to {frame.shape}"
    if data.dtype.kind not in "biuf":
        return f"{frame.name} holds {data.dtype}, no real numbers"
    inside = chunk.start >= 0 and chunk.start + len(data) <= frame.shape[0] if data.ndim else False
    if not inside or data.shape[1:] != frame.shape[1:]:
        return (
            f"{frame.name}: a part of shape {data.shape} from {chunk.start} on does not fit"
            f" {frame.shape}"
        )
    return ""


def _cut(array: Array) -> Array | None:
    """The array up to its first gap along the first axis; None if nothing is left."""
    rows = np.asarray(np.isfinite(array.data.reshape(len(array.data), -1)).all(axis=1))
    count = len(rows) if rows.all() else int(np.argmin(rows))
    if count == 0:
        return None
    first, *others = array.axes
    axes = (Axis(first.name, first.unit, first.values[:count], first.kind), *others)
    return Array(array.data[:count], array.unit, axes, array.quantity, array.kind, array.metadata)
