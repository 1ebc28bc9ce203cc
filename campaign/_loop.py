"""The one decision cycle.

An event is written to the journal before anything acts on it. The policy looks at the state, which
is a fold over the journal; the guardian looks at every action; what is allowed goes to its worker;
what comes back is an event again. Nothing else happens here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import final

from ..agents import Runtime
from ..workflow import Clock, Decided, Decision, Event, Policy, State, Stopped
from ._decider import Decider, Watch, policy_of
from ._desk import Desk
from ._inbox import Inbox, MemoryInbox
from ._intake import Intake
from ._issuing import Issuing
from ._reconcile import Reconciler
from ._recorder import Recorder, Write
from ._spec import CampaignSpec

STOPS = "the campaign stops"
"""Reason of the closings that go with a stop."""


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
        self._watch = watch
        self._recorder = recorder = Recorder(state, write, clock)
        record, patience_h = recorder.record, spec.answer_within_h
        self._decider = Decider(policy, recorder, watch, make)
        self._reconciler = Reconciler(state, runtime, clock, record, patience_h)
        answered = self._reconciler.answered
        inbox = inbox or MemoryInbox()
        self._desk = Desk(spec, inbox, state, runtime, clock, record, answered)
        self._issuing = Issuing(recorder, self._decider, runtime, self._desk)
        self._intake = Intake(recorder, self._decider, runtime, clock, self._reconciler, self._desk)

    def take_up(self, last: Event | None) -> Iterator[Event]:
        """Begin, or after a crash make up for what it cut off; ``last`` was written before it."""
        if self.state.aborting is not None:
            return
        if last is not None:
            yield from self._decider.assess_after(last)
        yield from self._reconciler.after_a_crash()

    def events(self) -> Iterator[Event]:
        """Run, and yield each event after it is safe and taken in."""
        while self.state.stopped is None:
            yield from self._desk.heed()
            if self.state.aborting is not None:
                yield from self._abort(self.state.aborting)
                continue
            if self.state.questions:
                yield from self._reconciler.end_questions()
            if self.state.paused is not None and self.state.stopping is None:
                yield from self._rest()
                continue
            yield from self._decider.renew()
            yield from self._decide()
        self._desk.beat(now=True)

    def _decide(self) -> Iterator[Event]:
        """Ask what is to be done next, and do it."""
        began = time.monotonic()
        decision = self._decider.decide()
        match decision.kind:
            case "act" | "close":
                yield from self._issuing.carry_out(decision)
                self._watch("dispatch", time.monotonic() - began)
            case "wait" | "stop" if self.state.running:
                yield from self._intake.wait()
            case "wait":
                raise RuntimeError(f"policy {self._decider.name!r} waits for nothing: {decision}")
            case "stop":
                yield from self._stop(decision)

    def _rest(self) -> Iterator[Event]:
        """Paused: take in what still runs, then be safe, then wait for a word."""
        if self.state.at_work.keys() - self.state.questions.keys():
            yield from self._intake.wait()
        elif not self.state.secured:
            yield from self._desk.secure()
        else:
            self._intake.idle()

    def _abort(self, reason: str) -> Iterator[Event]:
        """End what runs, be safe, stop."""
        yield from self._intake.cut_off(reason)
        if not self.state.secured:
            yield from self._desk.secure()
        yield from self._stop(self._decider.decide())

    def _stop(self, decision: Decision) -> Iterator[Event]:
        """Close what is open and stop, written at once: a campaign is over or it is not."""
        hour = self._recorder.hour()
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
        recommendation = self._decider.recommend()
        yield from self._recorder.record(
            *events,
            Decided(hour=hour, decision=last),
            Stopped(hour=hour, reason=decision.reason, recommendation=recommendation),
        )
