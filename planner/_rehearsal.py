"""Rehearsal: policies played to the end of the budget in possible worlds, on a virtual clock.

Rollouts of whole policies (Bertsekas, Tsitsiklis & Wu 1997). All policies meet the same worlds
with the same luck, so that their difference is known much better than each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from ..workflow import (
    Goal,
    Inventory,
    Maximize,
    Name,
    Record,
    SpecError,
    State,
    Status,
)
from ._evidence import belief_from
from ._hierarchy import HierarchicalPlanner
from ._network_graph import closure
from ._playthrough import Playthrough
from ._policies import base_names, base_policy
from ._possible_world import PossibleWorld, not_rehearsable, rehearsable
from ._preferences import Detour
from ._settings import PlannerSettings
from ._stage import Stage


class Contender(Record):
    """A policy, with settings, that may be rehearsed. ``label`` is how people call it."""

    label: str
    policy: Name
    settings: PlannerSettings = PlannerSettings()


@final
@dataclass(frozen=True)
class RehearsalTask:
    """One contender in one world; pickles, so that it can be sent to another process.

    ``place`` is the contender's among those that are compared. With a ``detour`` above 0 the
    planner departs once from its own choice, where chance wants it.
    """

    state: State
    contender: Contender
    world: int
    place: int = 0
    detour: int = 0


def contenders(goal: Goal, names: Sequence[str] | None = None) -> tuple[Contender, ...]:
    """Policies that can pursue a goal, by name, as light to compute as rehearsals need.

    Raises
    ------
    SpecError
        If the goal cannot be rehearsed, or a name is none of a policy that can.
    """
    if not rehearsable(goal):
        raise not_rehearsable(goal)
    known = base_names(goal)
    for name in names or ():
        if name not in known:
            raise SpecError(
                "rehearsal", f"policy {name!r}", f"of {list(known)}", "correct the name"
            )
    light = PlannerSettings().light()
    return tuple(Contender(label=n, policy=n, settings=light) for n in names or known)


def possible_worlds(state: State, seeds: Iterable[int]) -> list[PossibleWorld]:
    """Worlds, by number, that are possible after all that a state has seen.

    Raises
    ------
    SpecError
        If the goal cannot be rehearsed, such as one about probe positions: what lies between them
        is no function of a design.
    """
    goal = state.goal
    if not rehearsable(goal):
        raise not_rehearsable(goal)
    guards = goal.subject_to if isinstance(goal, Maximize) else ()
    names = (goal.quantity, *(n for g in guards for n in g.names))
    quantities = [q for q in closure(state.workflow, names) if q not in state.workflow.formulas]
    belief = belief_from(state, quantities, quick=True)
    return [PossibleWorld(belief, goal, seed) for seed in seeds]


def rehearse(task: RehearsalTask) -> Playthrough:
    """Play one contender to its end in one world. Pure: the task's state is left as it was.

    Every world has its own seed for what the policy draws. With the campaign's, the lighter planner
    of a rehearsal would make the same first choice in all worlds, and where it is a close one, such
    as whether to stop, all would share its luck.
    """
    (world,) = possible_worlds(task.state, [task.world])
    workflow, goal, settings = task.state.workflow, task.state.goal, task.contender.settings
    detour = Detour([task.world, task.detour]) if task.detour else None
    policy = (
        base_policy(task.contender.policy, workflow, goal, settings)
        if detour is None
        else HierarchicalPlanner(workflow, goal, settings=settings, prefer=detour)
    )
    luck = int(np.random.SeedSequence([task.state.seed, 37, task.world]).generate_state(1)[0])
    state = replace(branched(task.state), seed=luck)
    played = Stage(state, policy, world, task.contender.label).play()
    where = None if detour is None else detour.taken
    return played.model_copy(
        update={"place": task.place, "detour": task.detour, "crossroads": where}
    )


def utility(played: Playthrough, state: State) -> float:
    """What a rehearsal from ``state`` came to.

    In credits where the goal says what it is worth: that, less what was spent. Otherwise the share
    of the gain at the end, with a tenth of weight on having it early.
    """
    worth = state.goal.worth_credits
    if worth is not None:
        spent = played.credits + state.budget.credits_per_hour * played.hours
        return -worth * played.regret - spent
    early = played.mean_gain(state.spent_credits, state.budget.credits)
    return 0.9 * played.gain + 0.1 * early


def tasks_for(
    state: State, among: Sequence[Contender], worlds: int, seed: int | None = None
) -> list[RehearsalTask]:
    """Every contender in each of ``worlds`` worlds, world by world."""
    first = 1_000_003 * ((state.seed if seed is None else seed) % 997)
    return [
        RehearsalTask(state, c, first + w, i) for w in range(worlds) for i, c in enumerate(among)
    ]


def branched(state: State) -> State:
    """A copy that may go its own way; records are shared, for they never change.

    Tables of positions are left behind: a rehearsal numbers positions and does not choose them.
    What waits for a human's approval is taken as approved.
    """
    places = {
        place: Status(
            done=dict(s.done),
            used=dict(s.used),
            failures=dict(s.failures),
            arrays={k: list(v) for k, v in s.arrays.items()},
            values=dict(s.values),
            probed=list(s.probed),
            dose_e_per_A2=s.dose_e_per_A2,
            alive=s.alive,
        )
        for place, s in state.inventory.places.items()
    }
    samples = {k: replace(s) for k, s in state.inventory.samples.items()}
    sessions = {k: replace(s) for k, s in state.sessions.items()}
    return replace(
        state,
        actions=dict(state.actions),
        states=dict(state.states),
        running=dict(state.running),
        load=dict(state.load),
        questions=dict(state.questions),
        awaiting={},
        refused=dict(state.refused),
        observations=list(state.observations),
        inventory=Inventory(samples, places, state.inventory.count),
        sessions=sessions,
        open={k: sessions[k] for k in state.open},
    )
