"""Observations: what came back. Values carry standard deviations, arrays stay references."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from ._action import ArrayRef
from ._model import NonNegative, Record
from ._reading import Entry


class Estimate(Record):
    """A number and its standard deviation, in the unit of its quantity."""

    value: float
    std: NonNegative = 0.0


class Grid(Record):
    """A theory's prediction: an ensemble of ``members`` over a regular grid of design variables.

    ``ticks`` maps each variable to its ascending grid values; ``values[k]`` is member k, flattened
    in C order over the variables as they stand in ``ticks``.
    """

    ticks: dict[str, tuple[float, ...]]
    values: tuple[tuple[float, ...], ...]

    @model_validator(mode="after")
    def _shapes(self) -> Grid:
        size = int(np.prod([len(t) for t in self.ticks.values()]))
        if not self.values or any(len(member) != size for member in self.values):
            raise ValueError(f"every member of a grid must have {size} values")
        return self

    def array(self) -> NDArray[np.float64]:
        """Shape (members, *ticks)."""
        shape = [len(t) for t in self.ticks.values()]
        return np.asarray(self.values, dtype=np.float64).reshape(len(self.values), *shape)


class Table(Record):
    """Numbers at probe positions (row, column): ``columns[k][i]`` belongs to ``positions[i]``."""

    positions: tuple[tuple[int, int], ...]
    columns: dict[str, tuple[float, ...]]

    @model_validator(mode="after")
    def _lengths(self) -> Table:
        for name, column in self.columns.items():
            if len(column) != len(self.positions):
                raise ValueError(f"column {name!r} must have {len(self.positions)} entries")
        return self


class Quality(Record):
    """What the real-time analysis says of a stream.

    ``keep`` it; ``retake`` what was bad, or too noisy for what it promises, if that is worth its
    price; or ``stop``: the instrument must be prepared again (tuned) before the next measurement on
    the sample. A retake names the positions and, where their worth was weighed, the dwell at each.
    """

    verdict: Literal["keep", "retake", "stop"]
    score: float
    reason: str = ""
    again: tuple[tuple[int, int], ...] = ()
    dwell_s: NonNegative | None = None


class Failure(Record):
    """A fault of an instrument or worker, as a value: the campaign goes on.

    ``uncertain``: nobody knows whether it was done. ``not_done``: it is known that it was not.
    ``not_kept``: it was done and the disk refused its arrays; a campaign breaks off there.
    """

    kind: Literal[
        "bad_data",
        "instrument",
        "crashed",
        "timeout",
        "refused",
        "invalid",
        "uncertain",
        "missing",
        "not_done",
        "not_kept",
    ]
    message: str
    remedy: str = ""


OVERRUN_UNITS = ("credits", "hours", "dose_e_per_A2")


def overrun_note(unit: str) -> str:
    """The note of an observation that says how much more was used than was committed."""
    return f"overrun_{unit}"


class Observation(Record):
    """What one action brought. Hours are campaign time; ``queued_h <= start_h <= end_h``.

    ``dose_e_per_A2`` is the electron dose that the target was exposed to. ``commands`` are those
    that the instrument was given, in their order. ``arrays`` of a failure are what came before it:
    they are kept and verified like all others, and no step, belief or figure takes them.
    """

    action_id: str
    worker: str
    values: dict[str, Estimate] = {}
    grids: dict[str, Grid] = {}
    tables: dict[str, Table] = {}
    arrays: dict[str, ArrayRef] = {}
    cost_credits: NonNegative = 0.0
    dose_e_per_A2: NonNegative = 0.0
    queued_h: float = 0.0
    start_h: float = 0.0
    end_h: float = 0.0
    quality: Quality | None = None
    failure: Failure | None = None
    notes: dict[str, float | str] = {}
    commands: tuple[Entry, ...] = ()

    @property
    def duration_h(self) -> float:
        return self.end_h - self.start_h

    @property
    def overrun(self) -> dict[str, float]:
        """What was used beyond the commitment: of credits, dose_e_per_A2 and hours those that were.

        Credits and dose are in ``cost_credits`` and ``dose_e_per_A2`` besides, hours are not in
        ``end_h``: the action counts as ended when its time was up.
        """
        noted = {unit: self.notes.get(overrun_note(unit)) for unit in OVERRUN_UNITS}
        return {unit: over for unit, over in noted.items() if isinstance(over, float) and over > 0}
