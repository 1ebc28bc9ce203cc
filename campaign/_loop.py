"""The one decision cycle.

An event is written to the journal before anything acts on it. The policy looks at the state, which
is a fold over the journal; the guardian looks at every action; what is allowed goes to its worker;
what comes back is an event again. Nothing else happens here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import final

from ..agents import Runtime
from ..workflow import (
    Action,
    Assessed,
    Clock,
    Commitment,
    Decided,
    Decision,
    DiskError,
    Event,
    Issued,
    Observation,
    Observed,
    Policy,
    Refused,
    SpecError,
    State,
    Step,
    Stopped,
)
from ._reconcile import Reconciler

Write = Callable[..., object]
"""Makes events durable: ``write(*events)`` returns when they are on the disk."""

_POLL_S = 0.5
_QUICK_S, _AT_ONCE = 0.005, 64
"""Decisions made in less time are written together, with so many actions at most."""
_DEAD_END = 25
"""So many refusals, or failures, one after the other, and going on is pointless."""


@final
class Loop:
    """Runs one campaign from a state on, until it stops.

    Parameters
    ----------
    state
        The fold over the journal so far; updated in place.
    policy, runtime, clock
        Who decides, who does it, and whose time it is.
    write
        The journal.
    patience_h
        How long a question to a human waits for an answer; never asked on a virtual clock.
    """

    def __init__(
        self,
        state: State,
        policy: Policy,
        runtime: Runtime,
        clock: Clock,
        write: Write,
        patience_h: float = 0.0,
    ) -> None:
        self.state = state
        self._policy = policy
        self._runtime = runtime
        self._clock = clock
        self._write = write
        self._due: list[Observation] = []
        self._decision_s = 0.0
        self._taken_in = 0
        self._made: tuple[int, Decision] | None = None
        self.reconciler = Reconciler(state, runtime, clock, self._record, patience_h)

    def events(self) -> Iterator[Event]:
        """Run, and yield each event after it is safe and taken in."""
        while self.state.stopped is None:
            if self.state.questions:
                yield from self.reconciler.take_answers()
            decision = self._decide()
            match decision.kind:
                case "act" | "close":
                    yield from self._carry_out(decision)
                case "wait" | "stop" if self.state.running:
                    yield from self._await_results()
                case "wait":
                    raise RuntimeError(
                        f"policy {self._policy.name!r} waits for nothing: {decision}"
                    )
                case "stop":
                    yield from self._stop(decision)

    def _decide(self) -> Decision:
        """What the policy says, unless all that was tried lately came to nothing."""
        made, self._made = self._made, None
        if made is not None and made[0] == self._taken_in:
            return made[1]  # nothing has happened since
        reason = dead_end(self.state)
        if reason is None:
            began = time.monotonic()
            decision = self._policy.decide(self.state)
            self._decision_s = time.monotonic() - began
            return decision
        return Decision(number=self.state.decisions, kind="stop", reason=reason)

    def _record(self, *events: Event) -> Iterator[Event]:
        """All of them are on the disk and in the state before the first is shown to anybody."""
        if events:
            self._write(*events)
        for event in events:
            self.state.apply(event)
        self._taken_in += len(events)
        yield from events

    def _carry_out(self, decision: Decision) -> Iterator[Event]:
        """Journal the decision with what became of its actions, then hand these over.

        Decisions that follow at once and are quickly made share one write to the disk.
        """
        written: list[Event] = []
        handed: list[tuple[Issued, Step]] = []
        while decision.kind in {"act", "close"}:
            events, issued = self._outcome(decision)
            for event in events:
                self.state.apply(event)
            written += events
            handed += issued
            self._taken_in += len(events)
            if self._decision_s > _QUICK_S or len(handed) >= _AT_ONCE:
                break
            decision = self._decide()
            self._made = (self._taken_in, decision)
        self._write(*written)
        yield from written
        for item, step in handed:
            self._runtime.submit(item, step)

    def _outcome(self, decision: Decision) -> tuple[list[Event], list[tuple[Issued, Step]]]:
        """The decision as events, with what became of its actions; what is to be handed over."""
        hour = self._hour()
        grant = decision.grant
        if grant is not None and grant.credits > self.state.ungranted_credits + 1e-9:
            decision = decision.model_copy(update={"grant": None})  # its actions are refused below
        events: list[Event] = [Decided(hour=hour, decision=decision)]
        issued: list[tuple[Issued, Step]] = []
        ahead = self.state.ahead(decision.grant)
        for action in decision.actions:
            step = self.state.workflow.step(action.step)
            commitment = self.state.commitment(action)
            refusal = self._refusal(ahead, action, step, commitment, hour)
            if refusal is not None:
                events.append(refusal)
                continue
            worker = ahead.free_worker(step, action.target)
            if worker is None:
                raise RuntimeError(
                    f"policy {self._policy.name!r} gave {action.step} to a busy worker"
                )
            item = Issued(hour=hour, action=action, worker=worker, commitment=commitment)
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
            reason = f"commitment of {commitment.credits:.4g} credits breaks a hard limit"
            return Refused(hour=hour, action_id=action.id, by="budget", reason=reason)
        verdict = self._runtime.review(action, step, commitment)
        if verdict.allowed:
            return None
        return Refused(hour=hour, action_id=action.id, by="guardian", reason=verdict.reason)

    def _await_results(self) -> Iterator[Event]:
        """Take in the next result, or whatever is there."""
        ready: list[Observation] = []
        for observation in self._next_results():
            if self.reconciler.is_lost(observation):
                yield from self.reconciler.after_a_loss(observation)
            else:
                ready.append(observation)
                self._clock.advance_to(observation.end_h)
        hour = max([self._hour(), *(o.end_h for o in ready)])
        yield from self._record(*(Observed(hour=hour, observation=o) for o in ready))
        for observation in ready:
            _check_kept(observation)
        if any(map(_is_informative, ready)):
            yield from self._assess()

    def _next_results(self) -> list[Observation]:
        """The next in the order of campaign time (virtual), or all that are finished (real)."""
        if self._clock.virtual:
            self._due += self.reconciler.found()
            self._due += self._runtime.collect(everything=True, timeout_s=None)
            self._due.sort(key=lambda o: (o.end_h, o.action_id))
            ready, self._due = self._due[:1], self._due[1:]
            return ready
        known = self.reconciler.found()
        only_questions = len(self.state.questions) == len(self.state.running)
        if only_questions and not known:
            time.sleep(_POLL_S)
        timeout_s = 0.0 if known or only_questions else _POLL_S
        return known + self._runtime.collect(everything=False, timeout_s=timeout_s)

    def _hour(self) -> float:
        """Now; never before what was written last."""
        return max(self._clock.now_h(), self.state.now_h)

    def _assess(self) -> Iterator[Event]:
        recommendation = self._policy.recommend(self.state)
        if recommendation is None or recommendation == self.state.recommendation:
            return
        spent = self.state.spent_credits
        hour = self.state.now_h
        yield from self._record(Assessed(hour=hour, credits=spent, recommendation=recommendation))

    def assess_after(self, last: Event) -> Iterator[Event]:
        """After a crash: the assessment that should have followed the last event, if one should."""
        if isinstance(last, Observed) and _is_informative(last.observation):
            yield from self._assess()

    def _stop(self, decision: Decision) -> Iterator[Event]:
        """Close what is open and stop, written at once: a campaign is over or it is not."""
        hour = self._hour()
        events: list[Event] = []
        for session in self.state.open_sessions():
            closing = Decision(
                number=self.state.decisions + len(events),
                kind="close",
                tier="session",
                session=session,
                reason="the campaign stops",
            )
            events.append(Decided(hour=hour, decision=closing))
        number = self.state.decisions + len(events)
        last = decision.model_copy(
            update={"number": number, "kind": "stop", "actions": (), "grant": None}
        )
        recommendation = self._policy.recommend(self.state)
        yield from self._record(
            *events,
            Decided(hour=hour, decision=last),
            Stopped(hour=hour, reason=decision.reason, recommendation=recommendation),
        )


def dead_end(state: State) -> str | None:
    """Why going on is pointless, if so: only refusals, or only failures, for a while."""
    tried = list(islice(reversed(state.actions), _DEAD_END))
    if len(tried) == _DEAD_END and all(i in state.refused for i in tried):
        last = state.refused[tried[0]]
        return f"{_DEAD_END} proposals in a row were refused, the last by {last.by}: {last.reason}"
    failures = [o.failure for o in state.observations[-_DEAD_END:] if o.failure is not None]
    if len(failures) == _DEAD_END:
        return f"{_DEAD_END} actions in a row failed, the last: {failures[-1].message}"
    return None


def _check_kept(observation: Observation) -> None:
    """Measuring on while nothing can be kept would only spend.

    Raises
    ------
    DiskError
        If the disk refused what was measured.
    """
    failure = observation.failure
    if failure is not None and failure.kind == "not_kept":
        raise DiskError(
            f"action {observation.action_id!r} on {observation.worker!r}",
            failure.message,
            "a disk that takes what is measured",
            failure.remedy or "make room or mend the disk, then resume the run",
        )


def _is_informative(observation: Observation) -> bool:
    """Whether it carries numbers that a belief takes in."""
    return observation.failure is None and bool(observation.values or observation.grids)


def offers_by_capability(
    offers: dict[str, tuple[str, ...]], workflow_steps: tuple[Step, ...]
) -> dict[str, tuple[str, ...]]:
    """Turn what each worker offers around: capability to workers.

    Raises
    ------
    SpecError
        If no worker offers what a step needs.
    """
    able: dict[str, tuple[str, ...]] = {}
    for step in workflow_steps:
        able[step.needs] = tuple(w for w, given in offers.items() if step.needs in given)
        if not able[step.needs]:
            raise SpecError(
                f"step {step.name!r}",
                f"needs {step.needs!r}, which no worker offers",
                ", ".join(f"{w}: {', '.join(g)}" for w, g in offers.items()),
                "add a worker that offers it, or correct the step's capability",
            )
    return able
