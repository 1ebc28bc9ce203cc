"""The decision cycle without agents: what the campaign's loop does, on a possible world."""

from __future__ import annotations

from typing import final

from ..workflow import (
    Action,
    Decided,
    Decision,
    Issued,
    Observation,
    Observed,
    Policy,
    Refused,
    Score,
    State,
    Step,
)
from ._playthrough import TARGET, Moment, Playthrough
from ._possible_world import PossibleWorld
from ._world_worker import WorldWorker

_MOST_DECISIONS = 2_000
_DEAD_END = 25


@final
class Stage:
    """A policy that plays from a state on in one world; the state goes with it."""

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
