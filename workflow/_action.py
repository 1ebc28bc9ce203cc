"""Actions: a step on a target, and the arrays that travel between them by reference."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator

from ._model import Name, NonNegative, Record
from ._space import Design

Place = tuple[str, int | None, tuple[float, ...]]
"""Key of a place: (sample or "", site or None, design values for steps that need no sample)."""


class ActionState(StrEnum):
    """Where an action stands."""

    PROPOSED = "proposed"
    AWAITING_APPROVAL = "awaiting_approval"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    ABANDONED = "abandoned"
    UNCERTAIN = "uncertain"


def _inside(file: str) -> str:
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or not path.parts or set(file) & {"\\", "\0"}:
        raise ValueError(f"{file!r} is no path inside the run folder")
    return file


class ArrayRef(Record):
    """Where an array lies: a file inside the run folder, a dataset in it, its checksum."""

    file: Annotated[str, AfterValidator(_inside)]
    dataset: str
    sha256: str
    shape: tuple[int, ...]
    unit: str = "1"


class Target(Record):
    """What an action acts on.

    ``design`` is the point of the space (empty for steps on the whole space); ``sample`` and
    ``site`` name the specimen; ``positions`` are probe positions (row, column) in pixels of its
    overview.
    """

    design: Design = {}
    sample: str | None = None
    site: int | None = None
    positions: tuple[tuple[int, int], ...] = ()

    @property
    def label(self) -> str:
        parts = [self.sample or "", "" if self.site is None else f"pad {self.site}"]
        place = " ".join(p for p in parts if p)
        if not place and self.design:
            place = ", ".join(f"{k}={v:.4g}" for k, v in self.design.items())
        if self.positions:
            place += f" ({len(self.positions)} positions)"
        return place or "whole space"


class Stake(Record):
    """What measuring at positions is worth to the session that chose them.

    Attributes
    ----------
    quantity
        What is sought; larger is better.
    believed, believed_std
        Of it at each of the target's positions, before the measurement.
    rival
        The best value that is known elsewhere.
    credits_per_unit
        What an improvement by one unit is worth: what it would cost elsewhere.
    credits_per_s, overhead_credits
        Of a second at a position, and of coming back to one.
    longest_s
        The most that may be measured at a position in one go.
    """

    quantity: Name
    believed: tuple[float, ...]
    believed_std: tuple[NonNegative, ...]
    rival: float
    credits_per_unit: NonNegative
    credits_per_s: NonNegative
    overhead_credits: NonNegative = 0.0
    longest_s: NonNegative


class Action(Record):
    """A step on a target.

    The id makes a second delivery recognizable; the seed makes the action repeatable.

    ``hours`` are the times a twin needs to know: ``start`` of the action and, where there was one,
    ``tuned`` (the end of the last step this one requires on the instrument). ``data`` are the
    numbers that a theory step works on, as columns. ``stake`` tells whoever watches the measurement
    what it is worth.
    """

    id: str
    step: Name
    target: Target = Target()
    parameters: dict[str, Any] = {}
    inputs: dict[str, tuple[ArrayRef, ...]] = {}
    data: dict[str, tuple[float | str, ...]] = {}
    seed: int = 0
    session: str | None = None
    hours: dict[str, float] = {}
    stake: Stake | None = None


class Commitment(Record):
    """What an action may cost at most; held until it is settled.

    ``dose_e_per_A2`` is the electron dose that the place ``exposed`` may get.
    """

    credits: NonNegative
    hours: NonNegative
    samples: int = 0
    dose_e_per_A2: NonNegative = 0.0
    exposed: Place | None = None
