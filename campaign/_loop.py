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
from ..planner import make_policy
from ..workflow import (
    Action,
    Assessed,
    Clock,
    Commanded,
    Commitment,
    Decided,
    Decision,
    DiskError,
    Event,
    Failure,
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
from ._desk import Desk, forced_decision
from ._inbox import Inbox, MemoryInbox
from ._reconcile import Reconciler
from ._spec import CampaignSpec

Watch = Callable[[str, float], None]
"""Is told how many seconds something took: ``decision``, or ``dispatch`` (which includes it)."""

Write = Callable[..., object]
"""Makes events durable: ``write(*events)`` returns when they are on the disk."""

STOPS = "the campaign stops"
"""Reason of the closings that go with a stop."""
_POLL_S = 0.25
_QUICK_S, _AT_ONCE = 0.005, 64
"""Decisions made in less time are written together, with so many actions at most."""
_DEAD_END = 25
"""So many refusals, or failures, one after the other, and going on is pointless."""


def policy_of(state: State) -> Policy:
    """The policy that a state asks for."""
    return make_policy(state.policy, state.workflow, state.goal)


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
    spec
        What may be changed while it runs is checked against it; it also says how long a question to
        a human waits for an answer.
    inbox
        Where people's orders come from.
    watch
        Is told how long things take.
    make
        Makes the policy that a state asks for, after a change.
    """

    def __init__(
        self,
        state: State,
        policy: Policy,
        runtime: Runtime,
        clock: Clock,
        write: Write,
        spec: CampaignSpec,
        inbox: Inbox | None = None,
        watch: Watch = lambda what, seconds: None,
        make: Callable[[State], Policy] = policy_of,
    ) -> None:
        self.state = state
        self._policy = policy
        self._made_for = (state.policy, state.goal)
        self._watch = watch
        self._make = make
        self._runtime = runtime
        self._clock = clock
        self._write = write
        self._due: list[Observation] = []
        self._decision_s = 0.0
        self._taken_in = 0
        self._made: tuple[int, Decision] | None = None
        self.reconciler = Reconciler(state, runtime, clock, self._record, spec.answer_within_h)
        self._desk = Desk(
            spec,
            inbox or MemoryInbox(),
            state,
            runtime,
            clock,
            self._record,
            self.reconciler.answered,
        )

    def events(self) -> Iterator[Event]:
        """Run, and yield each event after it is safe and taken in."""
        while self.state.stopped is None:
            yield from self._desk.heed()
            if self.state.aborting is not None:
                yield from self._abort(self.state.aborting)
                continue
            if self.state.questions:
                yield from self.reconciler.end_questions()
            if self.state.paused is not None and self.state.stopping is None:
                yield from self._rest()
                continue
            yield from self._renew_policy()
            began = time.monotonic()
            decision = self._decide()
            match decision.kind:
                case "act" | "close":
                    yield from self._carry_out(decision)
                    self._watch("dispatch", time.monotonic() - began)
                case "wait" | "stop" if self.state.running:
                    yield from self._await_results()
                case "wait":
                    raise RuntimeError(
                        f"policy {self._policy.name!r} waits for nothing: {decision}"
                    )
                case "stop":
                    yield from self._stop(decision)
        self._desk.beat(now=True)

    def _decide(self) -> Decision:
        """What people or a dead end force, else what the policy says."""
        made, self._made = self._made, None
        if made is not None and made[0] == self._taken_in:
            return made[1]  # nothing has happened since
        forced = decided_without_policy(self.state)
        if forced is not None:
            return forced
        began = time.monotonic()
        decision = without_excess_grant(self.state, self._policy.decide(self.state))
        self._decision_s = time.monotonic() - began
        self._watch("decision", self._decision_s)
        return decision

    def _renew_policy(self) -> Iterator[Event]:
        """After a change of policy or goal: another policy, and what it makes of the state."""
        if self._made_for == (self.state.policy, self.state.goal):
            return
        self._made_for = (self.state.policy, self.state.goal)
        self._policy = self._make(self.state)
        yield from self._assess()

    def _rest(self) -> Iterator[Event]:
        """Paused: take in what still runs, then be safe, then wait for a word."""
        if self.state.at_work.keys() - self.state.questions.keys():
            yield from self._await_results()
        elif not self.state.secured:
            yield from self._desk.secure()
        else:
            time.sleep(_POLL_S)

    def _abort(self, reason: str) -> Iterator[Event]:
        """End what runs, note that nobody knows what became of it, be safe, stop."""
        self._runtime.halt()
        self._due = []
        hour = self._hour()
        lost = [
            Observed(hour=hour, observation=_cut_off(i, hour, reason))
            for i in self.state.at_work.values()
        ]
        yield from self._record(*lost)
        if not self.state.secured:
            yield from self._desk.secure()
        yield from self._stop(self._decide())

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
            mode, why = self.state.autonomy.mode(step, commitment, decision.expected)
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

    def _await_results(self) -> Iterator[Event]:
        """Wait until there is a result, or a word from people; take it in."""
        while not (found := self._next_results()):
            before = len(self.state.questions)
            if before:
                yield from self.reconciler.end_questions()
            if (yield from self._desk.heed()) or len(self.state.questions) != before:
                return
        yield from self._take_in(found)

    def _take_in(self, found: list[Observation]) -> Iterator[Event]:
        """Journal results; of what a worker died over, find out first what became of it."""
        ready: list[Observation] = []
        for observation in found:
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
        known = self.reconciler.found()
        at_work = self.state.at_work.keys()
        if not known and not at_work - self.state.questions.keys():
            time.sleep(_POLL_S)  # only people are waited for
            return []
        if not self._clock.virtual:
            timeout_s = 0.0 if known else _POLL_S
            return known + self._runtime.collect(everything=False, timeout_s=timeout_s)
        self._due += known + self._runtime.collect(everything=True, timeout_s=_POLL_S)
        if not at_work <= {o.action_id for o in self._due}:
            return []
        self._due.sort(key=lambda o: (o.end_h, o.action_id))
        ready, self._due = self._due[:1], self._due[1:]
        return ready

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
        observed = isinstance(last, Observed) and _is_informative(last.observation)
        if observed or (isinstance(last, Commanded) and last.change is not None):
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
                reason=STOPS,
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


def _too_much(state: State, commitment: Commitment) -> str:
    """Which hard limit a commitment would break, in words."""
    place, dose = commitment.exposed, commitment.dose_e_per_A2
    if place is not None and not state.bears_dose(place, dose):
        return (
            f"commitment of {dose:.4g} e/Å² breaks the limit of {state.budget.dose_e_per_A2:.4g}: "
            f"{state.dose_at(place):.4g} were given before"
        )
    return f"commitment of {commitment.credits:.4g} credits breaks a hard limit"


def decided_without_policy(state: State) -> Decision | None:
    """What is decided without asking the policy: by people, or at a dead end."""
    told = forced_decision(state)
    reason = dead_end(state) if told is None else None
    if reason is not None:
        return Decision(number=state.decisions, kind="stop", reason=reason)
    return told


def _cut_off(issued: Issued, hour: float, reason: str) -> Observation:
    """What is known of an action that was ended in the middle: that it may be charged in full."""
    return Observation(
        action_id=issued.action.id,
        worker=issued.worker,
        cost_credits=issued.commitment.credits,
        dose_e_per_A2=issued.commitment.dose_e_per_A2,
        queued_h=issued.hour,
        start_h=issued.hour,
        end_h=max(hour, issued.hour),
        failure=Failure(
            kind="uncertain",
            message=reason,
            remedy="look at the instrument; the action is charged at its cap",
        ),
    )


def without_excess_grant(state: State, decision: Decision) -> Decision:
    """The decision, less a grant of more credits than there are; then its actions are refused."""
    grant = decision.grant
    if grant is None or grant.credits <= state.ungranted_credits + 1e-9:
        return decision
    return decision.model_copy(update={"grant": None})


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
