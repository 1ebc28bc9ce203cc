"""What came of a program, and what would come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from ..workflow import (
    Array,
    Entry,
    Failure,
    Forecast,
    InstrumentState,
    Point,
    Program,
    Reading,
)


@dataclass(frozen=True)
class Run:
    """What came of a program.

    Attributes
    ----------
    readings
        By the ``name`` of the command that gave them; a name that comes again gets ``_2``.
    found
        The places of every ``detect``, by its name.
    failure
        Why the program ended before its end; None if it did not.
    stopped
        Why whoever watched ended it early, satisfied, or that it was interrupted; else empty.
    spent
        Seconds by the instrument's clock, electrons, doses.
    state
        Of the instrument, afterwards; None if it does not say.
    """

    program: Program
    entries: tuple[Entry, ...]
    readings: Mapping[str, Reading] = field(default_factory=dict)
    found: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    failure: Failure | None = None
    stopped: str = ""
    spent: Forecast = field(default_factory=Forecast)
    state: InstrumentState | None = None

    @property
    def arrays(self) -> dict[str, Array]:
        """All arrays: ``overview``, or ``overview.haadf`` where a command gave several."""
        named: dict[str, Array] = {}
        for name, reading in self.readings.items():
            for inner, array in reading.arrays.items():
                named[name if len(reading.arrays) == 1 else f"{name}.{inner}"] = array
        return named


@final
class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a program, once the beam is blanked or the tip retracted.

    Attributes
    ----------
    run
        What came of the program until then.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(f"program {run.program.name!r} was interrupted")
        self.run = run


@dataclass(frozen=True)
class Foreseen:
    """One command of a dry run: what it says, what it would cost, what the guardian would say."""

    sentence: str
    verdict: str
    reason: str
    forecast: Forecast


@dataclass(frozen=True)
class DryRun:
    """What a program would do. ``total`` has its time and doses; nothing was touched."""

    program: Program
    steps: tuple[Foreseen, ...]
    total: Forecast
    limits: str

    @property
    def refusals(self) -> tuple[Foreseen, ...]:
        """Commands that would not be done as things stand."""
        return tuple(s for s in self.steps if s.verdict != "allowed")
