"""Data as they arrive from an instrument, and what they make together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ._array import Array, Axis
from ._command import AnyCommand
from ._model import NonNegative, Record
from ._places import Point


@dataclass(frozen=True)
class Frame:
    """What an array will be when it is whole: its axes, unit and meaning, known before the data.

    ``saturation`` is the value at which the detector is full; None where there is no such value.
    """

    name: str
    unit: str
    axes: tuple[Axis, ...]
    quantity: str = ""
    kind: str = "UNKNOWN"
    metadata: Mapping[str, float | str] = field(default_factory=dict)
    saturation: float | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(axis.values) for axis in self.axes)


@dataclass(frozen=True)
class Chunk:
    """A part of what a command gives, as it arrives.

    Attributes
    ----------
    frame
        What the part belongs to; None where time passes and no data come.
    start
        Where the part begins along the first axis of the frame.
    data : array (n, ...)
        ``n`` entries along the first axis.
    seconds
        How long this part took: simulated by a twin, measured where None.
    electrons
        Electrons that went into the specimen meanwhile.
    signals
        What else the instrument says of itself, such as ``feedback_error_nm``; ``exposure_s`` is
        how long the entry that was read last has been exposed so far.
    """

    frame: Frame | None = None
    start: int = 0
    data: NDArray[Any] | None = None
    seconds: float | None = None
    electrons: float = 0.0
    signals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """What one command gave. ``arrays`` of a command that was stopped hold NaN where no data came.

    ``complete`` says whether everything came; ``signals`` are the last of each kind.
    """

    arrays: Mapping[str, Array] = field(default_factory=dict)
    frames: Mapping[str, Frame] = field(default_factory=dict)
    seconds: float = 0.0
    electrons: float = 0.0
    complete: bool = True
    signals: Mapping[str, float] = field(default_factory=dict)


class Entry(Record):
    """One line of an instrument's log: a command, who gave it, what was said to it, what came.

    ``verdict`` is the guardian's: ``allowed``, ``confirmed`` (a person vouched for it) or
    ``refused``; ``limits`` names the limits that it judged by. ``start_s`` counts from the start of
    the program, by the instrument's clock. Doses are those of :class:`Forecast`: all electrons over
    the field of view, and where most fell.
    """

    number: int
    who: str
    command: AnyCommand
    sentence: str
    verdict: Literal["allowed", "confirmed", "refused"]
    outcome: Literal["done", "stopped", "failed", "refused"]
    reason: str = ""
    limits: str = ""
    start_s: NonNegative = 0.0
    duration_s: NonNegative = 0.0
    electrons: NonNegative = 0.0
    dose_e_per_A2: NonNegative = 0.0
    local_dose_e_per_A2: NonNegative = 0.0
    gave: tuple[str, ...] = ()
    found: tuple[Point, ...] = ()


def assembled(frame: Frame, parts: Sequence[Chunk]) -> Array:
    """The array of a frame from its parts; NaN where nothing came."""
    data = np.full(frame.shape, np.nan)
    for part in parts:
        if part.data is not None:
            data[part.start : part.start + len(part.data)] = part.data
    return Array(data, frame.unit, frame.axes, frame.quantity, frame.kind, dict(frame.metadata))


def is_whole(frame: Frame, parts: Sequence[Chunk]) -> bool:
    """Whether the parts cover all of the frame's first axis."""
    covered = np.zeros(frame.shape[0], dtype=bool)
    for part in parts:
        if part.data is not None:
            covered[part.start : part.start + len(part.data)] = True
    return bool(covered.all())
