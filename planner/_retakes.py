"""Positions that are to be measured again, and those that are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from ..workflow import Action, State, Step, Target
from ._build import build_action
from ._session_visit import Position

MOST_TIMES = 3
"""So often a position is measured, whatever the real-time analysis says."""


@dataclass(frozen=True)
class Retake:
    """What the real-time analysis wants again, for how long at each, and why."""

    positions: tuple[Position, ...]
    dwell_s: float
    reason: str


def dwell_parameters(step: Step, dwell_s: float) -> dict[str, Any]:
    """The parameters of an action that say so; none where the step has no dwell."""
    return {} if step.dwell is None else {step.dwell: dwell_s}


def bearable(state: State, session: str, step: Step, target: Target) -> tuple[float, ...]:
    """The dwells of a step that the grant and all limits bear on a usual batch; (1,), which stands
    for whatever it takes, where the step has none."""
    there = target.model_copy(update={"positions": ((0, 0),) * step.batch})
    dwells = step.dwells_s or (step.dwell_of() or 1.0,)

    def bears(dwell_s: float) -> bool:
        action = build_action(
            state, step, there, session=session, parameters=dwell_parameters(step, dwell_s)
        )
        return state.affordable(state.commitment(action), session)

    return tuple(d for d in dwells if bears(d))


def retake_due(state: State, step: Step, target: Target) -> Retake | None:
    """What the last verdict on this site wants again and was weighed as worth its price, as far as
    it was neither tried since nor measured too often, and may be measured."""
    for observation in reversed(state.observations):
        verdict = observation.quality
        judging = state.actions[observation.action_id]
        if verdict is None or _site(judging) != _site_of(target):
            continue
        if verdict.verdict != "retake" or verdict.dwell_s is None:
            return None
        since = {
            p
            for action in _after(state, judging)
            if action.step == step.name
            for p in action.target.positions
        }
        probed = state.inventory.status((target.sample or "", target.site, ())).probed
        positions = tuple(
            p
            for p in verdict.again
            if p not in since and probed.count(p) < MOST_TIMES and state.wishes.allows(*p)
        )
        return Retake(positions, verdict.dwell_s, verdict.reason) if positions else None
    return None


def to_avoid(state: State, target: Target) -> set[Position]:
    """Positions that were refused, or probed; but for those that the real-time analysis wants
    again, as long as they were not measured too often."""
    probed = state.inventory.status((target.sample or "", target.site, ())).probed
    refused = {p for i in state.refused for p in state.actions[i].target.positions}
    wanted: set[Position] = set()
    for observation in state.observations:
        if observation.quality is not None and observation.quality.verdict == "retake":
            wanted.update(observation.quality.again)
    return refused | {p for p in probed if p not in wanted or probed.count(p) >= MOST_TIMES}


def _after(state: State, action: Action) -> Iterator[Action]:
    """What was numbered after an action, the last first."""
    return takewhile(lambda later: later is not action, reversed(state.actions.values()))


def _site(action: Action) -> tuple[str | None, int | None]:
    return _site_of(action.target)


def _site_of(target: Target) -> tuple[str | None, int | None]:
    return target.sample, target.site
