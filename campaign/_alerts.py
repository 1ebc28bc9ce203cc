"""Alerts: what people should know of without looking. Each is said once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import takewhile

from ..agents import SILENT_S, Health
from ..workflow import Alerted, Asked, Awaiting, Event, Observed, Secured, State
from ._wording import overrun_text

_FAILURES = 3
_SHARE = 0.9
_AILING = {
    "silent": f"is idle and has not answered for {SILENT_S:g} s: it hangs, or its machine is away",
    "dead": "is idle and its process is gone; its next action starts another",
}


def alerts_after(state: State, event: Event) -> list[Alerted]:
    """Alerts that follow from an event, with the state after it; none that was given before."""
    return [
        Alerted(hour=state.now_h, about=about, message=message)
        for about, message in _alerts(state, event)
        if about not in state.alerts
    ]


def alerts_of(state: State, health: Mapping[str, Health]) -> list[Alerted]:
    """Alerts about idle workers that do not answer, or whose process is gone; each once."""
    return [
        Alerted(hour=state.now_h, about=about, message=message)
        for about, message in _ailing(health)
        if about not in state.alerts
    ]


def _ailing(health: Mapping[str, Health]) -> Iterator[tuple[str, str]]:
    for worker, found in health.items():
        if found.busy or found.condition not in _AILING:
            continue
        last = found.last_answer or "never"
        yield f"{found.condition}/{worker}/{last}", f"{worker} {_AILING[found.condition]}"


def _alerts(state: State, event: Event) -> Iterator[tuple[str, str]]:
    match event:
        case Awaiting():
            told = f"{event.action.step} on {event.action.target.label} waits for approval"
            about = f"awaiting/{event.action.id}"
            yield about, f"{told} until {event.deadline}: {event.reason}"
        case Asked():
            yield f"question/{event.action_id}", event.question
        case Observed():
            yield from _after_result(state, event)
        case Secured():
            for worker, answer in event.answers.items():
                if answer.startswith("FAILED"):
                    about = f"not-safe/{worker}/{event.hour:g}"
                    yield about, f"{worker} is not known to be safe: {answer}"
        case _:
            pass


def _after_result(state: State, event: Observed) -> Iterator[tuple[str, str]]:
    found = event.observation
    if found.failure is not None and found.failure.kind == "uncertain":
        about = f"uncertain/{found.action_id}"
        yield about, f"nobody knows what became of {found.action_id}: {found.failure.message}"
    if found.overrun:
        told = f"{found.worker} used more than was committed for {found.action_id}"
        yield f"overrun/{found.action_id}", f"{told}: {overrun_text(found.overrun)} beyond it"
    streak = _streak(state, found.worker)
    if len(streak) >= _FAILURES and found.failure is not None:
        told = f"{found.worker} failed {_FAILURES} times in a row, the last"
        yield f"failing/{found.worker}/{streak[-1]}", f"{told}: {found.failure.message}"
    for unit, spent, limit in (
        ("credits", state.spent_credits, state.budget.credits),
        ("hours", state.now_h, state.budget.hours),
    ):
        if limit and spent >= _SHARE * limit:
            yield f"budget-{unit}/{limit:g}", f"{spent:.4g} of {limit:g} {unit} are spent"


def _streak(state: State, worker: str) -> list[str]:
    """Ids of the actions in which a worker failed since it last did not, newest first."""
    own = (o for o in reversed(state.observations) if o.worker == worker)
    return [o.action_id for o in takewhile(lambda o: o.failure is not None, own)]
