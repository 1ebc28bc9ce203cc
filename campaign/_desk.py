"""The desk: where people's orders are heeded, and approvals are waited for.

An order is in the journal, with what became of it, before anything acts on it; an order that is
delivered twice is obeyed once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import final

from ..agents import Health, Runtime
from ..workflow import (
    Abort,
    Alerted,
    Answer,
    Approve,
    Awaiting,
    Change,
    Clock,
    Commanded,
    Continue,
    Deny,
    Event,
    Fate,
    Issued,
    Message,
    ProbewiseError,
    Refused,
    Secured,
    Set,
    State,
    Step,
    Stop,
)
from ._alerts import alerts_of
from ._change import resolve_change
from ._inbox import Inbox
from ._spec import CampaignSpec
from ._status import status_of

Record = Callable[..., Iterator[Event]]
"""Writes events, takes them into the state, and gives them back."""

_BEAT_S = 1.0
_log = logging.getLogger(__name__)


@final
class Desk:
    """Heeds orders for one campaign.

    Parameters
    ----------
    spec
        The campaign's, as it was started.
    inbox
        Where orders come from.
    state, runtime, clock, record
        The loop's.
    answered
        What follows from an answer about an action: its id, its fate, who says so, and a note.
    """

    def __init__(
        self,
        spec: CampaignSpec,
        inbox: Inbox,
        state: State,
        runtime: Runtime,
        clock: Clock,
        record: Record,
        answered: Callable[[str, Fate, str, str], Sequence[Event]],
    ) -> None:
        self._spec, self._inbox, self._state = spec, inbox, state
        self._runtime, self._clock, self._record = runtime, clock, record
        self._answered = answered
        self._last_beat_s = float("-inf")

    def heed(self) -> Generator[Event, None, bool]:
        """Obey what was ordered and end waits that are over; whether there was anything."""
        before = len(self._state.heard), len(self._state.awaiting)
        for message in self._inbox.messages():
            if message.id in self._state.heard:  # noted, and then the process was killed
                self._inbox.answer(message, True, "it was heeded before; see the journal")
                continue
            yield from self._obey(message)
        for waiting in [w for w in self._state.awaiting.values() if _overdue(w)]:
            yield from self._expire(waiting)
        alerts = alerts_of(self._state, self.beat())
        if alerts:
            yield from self._record(*alerts)
        return before != (len(self._state.heard), len(self._state.awaiting))

    def beat(self, now: bool = False) -> Mapping[str, Health]:
        """Tell how the campaign is, if that is due; how the workers are, if they were asked."""
        if not now and time.monotonic() - self._last_beat_s < _BEAT_S:
            return {}
        self._last_beat_s = time.monotonic()
        health = self._runtime.health()
        self._inbox.tell(status_of(self._spec, self._state, health))
        return health

    # -- orders -----------------------------------------------------------------------------------

    def _obey(self, message: Message) -> Iterator[Event]:
        change: Change | None = None
        follows: Sequence[Event] = ()
        accepted = True
        try:
            answer, follows, change = self._judge(message)
        except ProbewiseError as error:
            accepted, answer = False, str(error)
        except _NotNow as error:
            accepted, answer = False, error.args[0]
        except Exception as error:  # whatever somebody says, the campaign goes on
            _log.exception("order %s", message.id)
            accepted, answer = False, f"it cannot be obeyed ({type(error).__name__}: {error})"
        noted = Commanded(
            hour=self._clock.now_h(),
            message=message,
            accepted=accepted,
            answer=answer,
            change=change,
        )
        yield from self._record(noted, *follows)
        self._hand_over(follows)
        self._inbox.answer(message, accepted, answer)

    def _judge(self, message: Message) -> tuple[str, Sequence[Event], Change | None]:
        """What is answered, what follows at once, and what is changed."""
        state, who = self._state, message.who
        match message.order:
            case Set(changes=changes):
                change = resolve_change(self._spec, state, changes)
                return _changed_text(change), [], change
            case Approve(actions=ids):
                events = [self._approved(w, who) for w in self._named(ids)]
                return _approved_text(events), events, None
            case Deny(actions=ids, reason=reason):
                named = self._named(ids)
                events = [self._refused(w, who, reason or "denied") for w in named]
                return f"denied: {', '.join(w.action.id for w in named)}", events, None
            case Answer(action=action, fate=fate, reason=reason):
                if action not in state.questions:
                    known = ", ".join(state.questions) or "none"
                    raise _NotNow(f"{action}: nobody asks what became of it (asked: {known})")
                return f"{action}: {fate.value}", self._answered(action, fate, who, reason), None
            case Stop() | Abort():
                waiting = list(state.awaiting.values())
                events = [self._refused(w, who, "the campaign is to end") for w in waiting]
                return f"the campaign ends; {len(state.at_work)} at work", events, None
            case Continue():
                if state.paused is None:
                    raise _NotNow("the campaign is not paused")
                return "the campaign goes on", [], None
            case _:
                return f"nothing more is given out; {len(state.at_work)} at work", [], None

    def _named(self, ids: tuple[str, ...]) -> list[Awaiting]:
        waiting = self._state.awaiting
        if ids == ("all",):
            return list(waiting.values())
        stray = [i for i in ids if i not in waiting]
        if stray:
            known = ", ".join(waiting) or "none"
            raise _NotNow(f"{', '.join(stray)}: does not wait for approval (waiting: {known})")
        return [waiting[i] for i in dict.fromkeys(ids)]

    # -- approvals --------------------------------------------------------------------------------

    def awaiting(self, item: Issued, reason: str) -> Awaiting:
        """The event that an action waits for approval from now on."""
        until = datetime.now(UTC) + timedelta(seconds=self._state.autonomy.timeout_s)
        return Awaiting(
            hour=item.hour,
            action=item.action,
            worker=item.worker,
            commitment=item.commitment,
            reason=reason,
            deadline=until.isoformat(timespec="seconds"),
        )

    def _approved(self, waiting: Awaiting, by: str = "") -> Issued | Refused:
        """The action is given out, unless a limit was reached while it waited.

        ``by`` is the person who approved it and so vouches for it; a time-out vouches for nothing.
        """
        action, state = waiting.action, self._state
        without = state.ahead()
        without.release(action.id)
        without.now_h = max(state.now_h, self._clock.now_h())
        if not without.affordable(waiting.commitment, action.session):
            reason = "it no longer keeps the hard limits of the budget"
            return self._refused(waiting, "budget", reason)
        return Issued(
            hour=self._clock.now_h(),
            action=action,
            worker=waiting.worker,
            commitment=waiting.commitment,
            approved_by=by,
        )

    def _refused(self, waiting: Awaiting, by: str, reason: str) -> Refused:
        hour = self._clock.now_h()
        return Refused(hour=hour, action_id=waiting.action.id, by=by, reason=reason)

    def _expire(self, waiting: Awaiting) -> Iterator[Event]:
        """Nobody said a word in time."""
        told = f"nobody answered by {waiting.deadline}"
        if self._state.autonomy.at_timeout == "deny":
            yield from self._record(self._refused(waiting, "time-out", told))
            return
        about, text = f"approved-by-timeout/{waiting.action.id}", f"{told}: approved by time-out"
        event = self._approved(waiting)
        yield from self._record(Alerted(hour=event.hour, about=about, message=text), event)
        self._hand_over([event])

    def _hand_over(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Issued):
                self._runtime.submit(event, self._step(event))

    def _step(self, issued: Issued) -> Step:
        return self._state.workflow.step(issued.action.step)

    # -- safety -----------------------------------------------------------------------------------

    def secure(self) -> Iterator[Event]:
        """Ask the instruments to be safe and note what they answer."""
        answers = self._runtime.secure()
        yield from self._record(Secured(hour=self._clock.now_h(), answers=answers))


class _NotNow(Exception):
    """An order that cannot be obeyed as things are; the text says why."""


def _overdue(waiting: Awaiting) -> bool:
    return datetime.now(UTC) >= datetime.fromisoformat(waiting.deadline)


def _approved_text(events: list[Issued | Refused]) -> str:
    given = [e.action.id for e in events if isinstance(e, Issued)]
    late = [f"{e.action_id} ({e.reason})" for e in events if isinstance(e, Refused)]
    parts = [f"approved: {', '.join(given) or 'none'}"]
    return "; ".join(parts + [f"refused: {', '.join(late)}"] * bool(late))


def _changed_text(change: Change) -> str:
    new = change.model_dump(mode="json", exclude_none=True)
    return f"changed: {', '.join(new)}" if new else "nothing changed: it was so already"
