"""From a decision to actions at work: limits, guardian, autonomy, journal, only then workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import final

from ..agents import Runtime
from ..workflow import (
    Action,
    Commitment,
    Decided,
    Decision,
    Event,
    Issued,
    Refused,
    State,
    Step,
)
from ._decider import Decider
from ._desk import Desk
from ._recorder import Recorder

_TOGETHER_S = 0.01
"""Decisions that are made within so much time are written together."""


@final
class Issuing:
    """Carries decisions out.

    Parameters
    ----------
    recorder, decider, runtime, desk
        The loop's.
    """

    def __init__(self, recorder: Recorder, decider: Decider, runtime: Runtime, desk: Desk) -> None:
        self._state = recorder.state
        self._recorder, self._decider = recorder, decider
        self._runtime, self._desk = runtime, desk

    def carry_out(self, decision: Decision) -> Iterator[Event]:
        """Journal the decision with what became of its actions, then hand these over.

        Decisions that follow at once and are quickly made share one write to the disk.
        """
        began = time.monotonic() - self._decider.took_s
        handed: list[tuple[Issued, Step]] = []
        while decision.kind in {"act", "close"}:
            events, issued = self._outcome(decision)
            self._recorder.hold(*events)
            handed += issued
            if time.monotonic() - began > _TOGETHER_S:
                break
            decision = self._decider.look_ahead()
        yield from self._recorder.show()
        for item, step in handed:
            self._runtime.submit(item, step)

    def _outcome(self, decision: Decision) -> tuple[list[Event], list[tuple[Issued, Step]]]:
        """The decision as events, with what became of its actions; what is to be handed over."""
        hour = self._recorder.hour()
        events: list[Event] = [Decided(hour=hour, decision=decision)]
        issued: list[tuple[Issued, Step]] = []
        ahead = self._state.ahead(decision.grant)
        for action in decision.actions:
            step = self._state.workflow.step(action.step)
            commitment = self._state.commitment(action)
            refusal = self._refusal(ahead, action, step, commitment, hour)
            if refusal is not None:
                events.append(refusal)
                continue
            worker = ahead.free_worker(step, action.target)
            if worker is None:
                raise RuntimeError(
                    f"policy {self._decider.name!r} gave {action.step} to a busy worker"
                )
            item = Issued(hour=hour, action=action, worker=worker, commitment=commitment)
            mode, why = self._state.autonomy.mode(step, commitment, decision.expected)
            if mode == "observe":
                reason = f"only proposed: {why}"
                events.append(Refused(hour=hour, action_id=action.id, by="autonomy", reason=reason))
                continue
            if mode == "approve":
                events.append(self._desk.awaiting(item, why))
            else:
                issued.append((item, step))
                events.append(item)
            ahead.hold(item)
        return events, issued

    def _refusal(
        self, ahead: State, action: Action, step: Step, commitment: Commitment, hour: float
    ) -> Refused | None:
        """Budgets are checked here once more, whoever decided; then the guardian is asked.

        ``ahead`` is the state with the grant and the earlier actions of the same decision in it.
        """
        session = action.session
        if session is not None and session not in ahead.sessions:
            reason = f"session {session!r} was not granted, or more than there is"
            return Refused(hour=hour, action_id=action.id, by="budget", reason=reason)
        if not ahead.affordable(commitment, session):
            reason = _too_much(ahead, commitment)
            return Refused(hour=hour, action_id=action.id, by="budget", reason=reason)
        verdict = self._runtime.review(action, step, commitment)
        if verdict.allowed:
            return None
        return Refused(hour=hour, action_id=action.id, by="guardian", reason=verdict.reason)


def _too_much(state: State, commitment: Commitment) -> str:
    """Which hard limit a commitment would break, in words."""
    place, dose = commitment.exposed, commitment.dose_e_per_A2
    if place is not None and not state.bears_dose(place, dose):
        return (
            f"commitment of {dose:.4g} e/Å² breaks the limit of {state.budget.dose_e_per_A2:.4g}: "
            f"{state.dose_at(place):.4g} were given before"
        )
    return f"commitment of {commitment.credits:.4g} credits breaks a hard limit"
