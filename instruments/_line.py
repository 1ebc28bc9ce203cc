"""A line of an instrument's log in the making."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..workflow import AnyCommand, Entry, InstrumentState
from ._intake import Intake


@dataclass
class Line:
    """What is known of a command before it is done; ``start_s`` counts from the program's start."""

    command: AnyCommand
    who: str
    number: int
    limits: str
    start_s: float
    verdict: Literal["allowed", "confirmed", "refused"] = "allowed"

    def entry(
        self,
        verdict: Literal["allowed", "confirmed", "refused"],
        outcome: Literal["done", "stopped", "failed", "refused"],
        reason: str = "",
        intake: Intake | None = None,
        electrons: float = 0.0,
        state: InstrumentState | None = None,
        **more: Any,
    ) -> Entry:
        area_A2 = 100.0 * state.frame.area_nm2 if state is not None else 1.0
        return Entry(
            number=self.number,
            who=self.who,
            command=self.command,
            sentence=self.command.sentence(),
            verdict=verdict,
            outcome=outcome,
            reason=reason[:500],
            limits=self.limits,
            start_s=self.start_s,
            duration_s=intake.seconds if intake is not None else 0.0,
            electrons=electrons,
            dose_e_per_A2=electrons / area_A2,
            **more,
        )
