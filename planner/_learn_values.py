"""Step values from rehearsals that took a detour, each against the same world without it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from ..workflow import SpecError, State
from ._network_graph import is_network
from ._playthrough import Playthrough
from ._rehearsal import Contender, RehearsalTask, tasks_for, utility
from ._settings import PlannerSettings
from ._step_values import Crossroads, StepValues, columns, goal_label

DETOURS = 4
"""Rehearsals with a detour in every world."""
_SEEN = 8
"""How often a pair of steps must have been tried."""


def detour_tasks(state: State, worlds: int, detours: int = DETOURS) -> list[RehearsalTask]:
    """The planner in each world, once as it is and then with detours.

    Raises
    ------
    SpecError
        If the goal cannot be rehearsed, or the workflow needs no samples, sessions or theory: its
        planner has no tiers that step values could correct.
    """
    if is_network(state.workflow, state.goal):
        raise SpecError(
            "step values",
            "a workflow whose quantities are all measured at designs",
            "one with samples or theory",
            "leave them out; the planner for function networks looks along its chains itself",
        )
    light = PlannerSettings().light()
    tasks = tasks_for(state, [Contender(label="planner", policy="planner", settings=light)], worlds)
    return [
        RehearsalTask(t.state, t.contender, t.world, t.place, detour)
        for t in tasks
        for detour in range(detours + 1)
    ]


def learn_step_values(played: Iterable[Playthrough], state: State) -> StepValues:
    """A regression of advantages over the crossroads of :func:`detour_tasks`.

    Raises
    ------
    SpecError
        If too few rehearsals took a detour.
    """
    from sklearn.linear_model import BayesianRidge

    found = list(_trials(played, state))
    counts = Counter(at.pair for at, _ in found)
    pairs = tuple(sorted(p for p, n in counts.items() if n >= _SEEN))
    kept = [(at, gain) for at, gain in found if at.pair in pairs]
    if not kept:
        raise SpecError(
            "step values",
            f"{len(found)} rehearsals with a detour, none of its kinds {_SEEN} times",
            f"at least {_SEEN} of one kind",
            "rehearse in more worlds (--worlds)",
        )
    x = np.array([columns(at, pairs) for at, _ in kept])
    centre, scale = x.mean(0), x.std(0)
    scale[scale < 1e-9] = 1.0
    fit = BayesianRidge().fit((x - centre) / scale, np.array([gain for _, gain in kept]))
    return StepValues(
        steps=tuple(s.name for s in state.workflow.steps),
        goal=goal_label(state.goal),
        unit="of the gain" if state.goal.worth_credits is None else "credits",
        trials=len(kept),
        pairs=pairs,
        centre=tuple(map(float, centre)),
        scale=tuple(map(float, scale)),
        intercept=float(fit.intercept_),
        weights=tuple(map(float, fit.coef_)),
        covariance=tuple(tuple(map(float, row)) for row in fit.sigma_),
    )


def _trials(played: Iterable[Playthrough], state: State) -> Iterable[tuple[Crossroads, float]]:
    """Crossroads with what departing there gained, in the order of worlds and detours."""
    rehearsed = sorted(played, key=lambda p: (p.world, p.detour))
    straight = {p.world: utility(p, state) for p in rehearsed if p.detour == 0}
    for p in rehearsed:
        if p.crossroads is not None and p.world in straight:
            yield p.crossroads, utility(p, state) - straight[p.world]
