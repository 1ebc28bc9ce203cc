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
    Action,
    Decided,
    Decision,
    Goal,
    Inventory,
    Issued,
    Maximize,
    Name,
    Observation,
    Observed,
    Policy,
    Record,
    Refused,
    Score,
    SpecError,
    State,
    Status,
    Step,
)
from ._evidence import belief_from
from ._hierarchy import HierarchicalPlanner
from ._network_graph import closure
from ._policies import base_names, base_policy
from ._possible_world import PossibleWorld, not_rehearsable, rehearsable
from ._preferences import Detour
from ._settings import PlannerSettings
from ._step_values import Crossroads
from ._world_worker import WorldWorker

TARGET = 0.95
"""Share of the achievable gain that counts as reached."""

_MOST_DECISIONS = 2_000
_DEAD_END = 25


class Contender(Record):
    """A policy, with settings, that may be rehearsed. ``label`` is how people call it."""

    label: str
    policy: Name
    settings: PlannerSettings = PlannerSettings()


class Moment(Record):
    """Where a rehearsal stood: spent credits, campaign hours, and the gain of the answer then."""

    credits: float
    hours: float
    gain: float


class Playthrough(Record):
    """What one contender came to in one world.

    ``gain`` is 1 at the world's best and 0 at a typical design; ``true_value`` is in the goal's
    unit. ``credits_to_target`` and ``hours_to_target`` are those from which on the answer kept
    :data:`TARGET` of the gain to the end, None if it never did. Credits and hours count from the
    campaign's beginning. ``regret`` is how far the answer is from the best, in the goal's unit.
    ``detour`` is the number of the detour that it was to take, 0 for none, and ``crossroads`` where
    it took it.
    """

    contender: str
    place: int
    world: int
    gain: float
    true_value: float
    best: float
    credits_to_target: float | None
    hours_to_target: float | None
    credits: float
    hours: float
    samples: int
    decisions: int
    stopped: str
    steps: dict[str, int]
    curve: tuple[Moment, ...]
    regret: float
    detour: int = 0
    crossroads: Crossroads | None = None

    def mean_gain(self, since: float, budget: float | None) -> float:
        """Gain averaged over the credits from ``since`` to the budget, or to what was spent."""
        end = max(self.credits if budget is None else budget, since + 1e-9)
        at = np.clip([since, *[m.credits for m in self.curve], end], since, end)
        return float(np.diff(at) @ [0.0, *[m.gain for m in self.curve]] / (end - since))


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
    played = _Stage(state, policy, world, task.contender.label).play()
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


@final
class _Stage:
    """The decision cycle without agents: what the campaign's loop does, on a world."""

    def __init__(self, state: State, policy: Policy, world: PossibleWorld, label: str) -> None:
        self.state, self._policy, self._world, self._label = state, policy, world, label
        self._worker = WorldWorker(world, state)
        self._before = len(state.observations)
        self._due: list[Observation] = [
            self._worker.perform(i, state) for i in state.running.values()
        ]
        self._curve: list[Moment] = []
        self._last: Score | None = None

    def play(self) -> Playthrough:
        """To the end of the budget, or to where the policy stops."""
        if self._before:
            self._assess()
        stopped = "too many decisions"
        for _ in range(_MOST_DECISIONS):
            decision = self._policy.decide(self.state)
            if decision.kind in {"act", "close"}:
                self._carry_out(decision)
            elif self._due:
                self._next_result()
            else:
                stopped = decision.reason
                break
            if self._hopeless():
                stopped = "only refusals"
                break
        while self._due:
            self._next_result()
        self._assess()
        return self._outcome(stopped)

    def _carry_out(self, decision: Decision) -> None:
        state = self.state
        actions = tuple(self._positioned(a) for a in decision.actions)
        state.apply(
            Decided(hour=state.now_h, decision=decision.model_copy(update={"actions": actions}))
        )
        for action in actions:
            step = state.workflow.step(action.step)
            commitment = state.commitment(action)
            worker = state.free_worker(step, action.target)
            if worker is None or not state.affordable(commitment, action.session):
                state.apply(
                    Refused(hour=state.now_h, action_id=action.id, by="budget", reason="too dear")
                )
                continue
            issued = Issued(hour=state.now_h, action=action, worker=worker, commitment=commitment)
            state.apply(issued)
            self._due.append(self._worker.perform(issued, state))

    def _positioned(self, action: Action) -> Action:
        """The next positions by number, where the step needs some and has nothing to choose by."""
        step: Step = self.state.workflow.step(action.step)
        if step.acts_on != "positions" or action.target.positions:
            return action
        place = (action.target.sample or "", action.target.site, ())
        first = len(self.state.inventory.status(place).probed)
        positions = tuple((first + i, 0) for i in range(step.batch))
        target = action.target.model_copy(update={"positions": positions})
        return action.model_copy(update={"target": target})

    def _next_result(self) -> None:
        self._due.sort(key=lambda o: (o.end_h, o.action_id))
        seen = self._due.pop(0)
        self.state.apply(Observed(hour=seen.end_h, observation=seen))
        if seen.failure is None and (seen.values or seen.grids):
            self._assess()

    def _assess(self) -> None:
        found = self._policy.recommend(self.state)
        if found is None:
            return
        self._last = self._world.score(found)
        moment = Moment(
            credits=self.state.spent_credits, hours=self.state.now_h, gain=self._last.gain
        )
        self._curve.append(moment)

    def _hopeless(self) -> bool:
        tried = list(self.state.actions)[-_DEAD_END:]
        return len(tried) == _DEAD_END and all(i in self.state.refused for i in tried)

    def _outcome(self, stopped: str) -> Playthrough:
        first = None
        for moment in reversed(self._curve):
            if moment.gain < TARGET:
                break
            first = moment
        state, score = self.state, self._last
        steps: dict[str, int] = {}
        for seen in state.observations[self._before :]:
            name = state.actions[seen.action_id].step
            steps[name] = steps.get(name, 0) + 1
        return Playthrough(
            contender=self._label,
            place=0,
            world=self._world.seed,
            gain=score.gain if score else 0.0,
            true_value=score.true_value if score else 0.0,
            best=score.best if score else 0.0,
            regret=score.regret if score else self._world.regret_of_nothing,
            credits_to_target=first and first.credits,
            hours_to_target=first and first.hours,
            credits=state.spent_credits,
            hours=state.now_h,
            samples=state.samples_begun,
            decisions=state.decisions,
            stopped=stopped,
            steps=steps,
            curve=tuple(self._curve),
        )
