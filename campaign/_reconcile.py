"""What is made of an action that was issued and never observed.

| fate | after a resumption | after a worker died |
|---|---|---|
| done | its result is accepted | the same |
| done without result | charged, a failure; a step that gives nothing is done | the same |
| not done | repeated, with the same id | a failure ``not_done``, not charged |
| unknown, idempotent step | repeated, with the same id | a failure, charged in full |
| unknown, repeatable step | a failure, charged in full; the policy may try anew | the same |
| unknown, irreversible step | a human is asked; else a failure, charged in full | the same |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import final

from ..agents import Finding, Runtime
from ..workflow import (
    Answered,
    Asked,
    Clock,
    Event,
    Failure,
    Fate,
    Inquired,
    Issued,
    Observation,
    Observed,
    State,
    Step,
)

_FAILURES = {
    Fate.UNKNOWN: Failure(
        kind="uncertain",
        message="nobody knows whether it was done",
        remedy="look at the instrument; the action is charged and not repeated",
    ),
    Fate.DONE_WITHOUT_RESULT: Failure(
        kind="crashed", message="it was done, but its result is lost"
    ),
    Fate.NOT_DONE: Failure(kind="not_done", message="it was not done"),
}
_NOTES = {
    Fate.DONE: "its result is accepted",
    Fate.DONE_WITHOUT_RESULT: "it is charged",
    Fate.NOT_DONE: "it is not charged",
    Fate.UNKNOWN: "it is charged in full and not repeated",
}


@final
class Reconciler:
    """Finds out what became of actions of which nobody has heard again.

    Parameters
    ----------
    state, runtime, clock
        The loop's.
    record
        Writes events, takes them into the state and yields them.
    patience_h
        How long a question to a human waits for an answer; never asked on a virtual clock.
    """

    def __init__(
        self,
        state: State,
        runtime: Runtime,
        clock: Clock,
        record: Callable[..., Iterator[Event]],
        patience_h: float,
    ) -> None:
        self._state, self._runtime, self._clock = state, runtime, clock
        self._record, self._patience_h = record, patience_h
        self._found: list[Observation] = []
        self._inquired: set[str] = set()

    def is_lost(self, observation: Observation) -> bool:
        """Whether its worker died over it, and nobody was asked yet whether it was done."""
        uncertain = observation.failure is not None and observation.failure.kind == "uncertain"
        return uncertain and observation.action_id not in self._inquired

    def found(self) -> list[Observation]:
        """Results that were found, each returned once; they are to be observed like any other."""
        found, self._found = self._found, []
        return found

    def after_a_crash(self) -> Iterator[Event]:
        """Ask what became of everything that was running; repeat it, take it in, charge or ask."""
        for issued in list(self._state.at_work.values()):
            if issued.action.id in self._state.questions:
                continue
            step = self._state.workflow.step(issued.action.step)
            finding = self._runtime.inquire(issued, step)
            if may_repeat(finding, step):
                yield from self._record(inquired(issued, finding, self._hour(), "it is repeated"))
                self._runtime.submit(issued, step)
            else:
                yield from self._conclude(issued, step, finding)

    def after_a_loss(self, lost: Observation) -> Iterator[Event]:
        """A worker died over an action that may not be repeated: ask the one that follows it."""
        issued = self._state.running[lost.action_id]
        step = self._state.workflow.step(issued.action.step)
        yield from self._conclude(issued, step, self._runtime.inquire(issued, step))

    def _conclude(self, issued: Issued, step: Step, finding: Finding) -> Iterator[Event]:
        """Take in what is known; of the irreversible, ask a human first, if there is the time."""
        hour = self._hour()
        self._inquired.add(issued.action.id)
        asks = finding.fate is Fate.UNKNOWN and step.repeat == "irreversible"
        if asks and self._patience_h > 0 and not self._clock.virtual:
            question = asked(issued, hour, self._patience_h)
            yield from self._record(inquired(issued, finding, hour, "a human is asked"), question)
            return
        yield from self._record(inquired(issued, finding, hour))
        if finding.observation is not None:
            self._found.append(finding.observation)
            return
        observation = concluded(issued, step, finding.fate, hour)
        yield from self._record(Observed(hour=hour, observation=observation))

    def end_questions(self) -> Iterator[Event]:
        """A question whose time is over is answered with ignorance."""
        now = self._clock.now_h()
        for question in [q for q in self._state.questions.values() if q.until_h <= now]:
            silent = self.answered(question.action_id, Fate.UNKNOWN, "nobody", "no answer in time")
            yield from self._record(*silent)

    def answered(self, action_id: str, fate: Fate, by: str, note: str = "") -> tuple[Event, Event]:
        """The answer to an open question, and the observation that it comes to."""
        issued, hour = self._state.running[action_id], self._hour()
        step = self._state.workflow.step(issued.action.step)
        said = Answered(hour=hour, action_id=action_id, fate=fate, by=by, note=note)
        return said, Observed(hour=hour, observation=concluded(issued, step, fate, hour))

    def _hour(self) -> float:
        return max(self._clock.now_h(), self._state.now_h)


def may_repeat(finding: Finding, step: Step) -> bool:
    """Whether the action may be given out again under the same id after a resumption."""
    unknown = finding.fate is Fate.UNKNOWN
    return finding.fate is Fate.NOT_DONE or (unknown and step.repeat == "idempotent")


def inquired(issued: Issued, finding: Finding, hour: float, what: str = "") -> Inquired:
    """The finding as an event; ``what`` is done about it, if not the usual."""
    return Inquired(
        hour=hour,
        action_id=issued.action.id,
        fate=finding.fate,
        by=finding.by,
        note=what or _NOTES[finding.fate],
    )


def asked(issued: Issued, hour: float, patience_h: float) -> Asked:
    """The question to a human."""
    action = issued.action
    return Asked(
        hour=hour,
        action_id=action.id,
        question=(
            f"{issued.worker!r} was given {action.step} on {action.target.label} and cannot say"
            " whether it was done. What became of it?"
        ),
        until_h=hour + patience_h,
    )


def concluded(issued: Issued, step: Step, fate: Fate, hour: float) -> Observation:
    """The observation of an action of which nothing but its fate is known.

    Unknown is charged all that was committed, done the step's typical cost, not done nothing. The
    dose counts as all that was committed, unless it was not done.
    """
    done = fate in {Fate.DONE, Fate.DONE_WITHOUT_RESULT}
    gives = bool(step.produces or step.records or step.predicts)
    typical = step.cost_credits.typical(*step.extent(issued.action))
    whole, dose = issued.commitment.credits, issued.commitment.dose_e_per_A2
    cost = 0.0 if fate is Fate.NOT_DONE else min(typical, whole) if done else whole
    failure = _FAILURES[Fate.DONE_WITHOUT_RESULT if fate is Fate.DONE else fate]
    return Observation(
        action_id=issued.action.id,
        worker=issued.worker,
        cost_credits=cost,
        dose_e_per_A2=0.0 if fate is Fate.NOT_DONE else dose,
        queued_h=issued.hour,
        start_h=issued.hour,
        end_h=max(hour, issued.hour),
        failure=None if done and not gives else failure,
    )
