"""The planner as a player: the one place where benchmarks touch probewise's façade."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from probewise.planner import Planner
from probewise.workflow import (
    Action,
    Budget,
    Commitment,
    Design,
    Estimate,
    Issued,
    Observation,
    Observed,
    Target,
)

from ._problem import Problem, Query, workflow_of


@final
class PlannerPlayer:
    """``probewise.planner.Planner`` on a problem.

    With ``may_stop`` it stops where its own rule says so, else it goes on to the end of the budget.
    """

    def __init__(self, problem: Problem, seed: int, *, may_stop: bool = False) -> None:
        self.problem = problem
        self.may_stop = may_stop
        self.stopped = ""
        self._given = 0
        self._action: Action | None = None
        self._planner = Planner(
            workflow_of(problem), problem.goal, Budget(credits=problem.budget), seed=seed
        )

    def learn(self, query: Query, values: Mapping[str, float]) -> None:
        state = self._planner.state
        for name in query.steps:
            node = self.problem.by_step[name]
            action = Action(id=f"g{self._given:05d}", step=name, target=Target(design=query.design))
            self._given += 1
            estimate = Estimate(value=values[node.quantity], std=node.noise)
            free = Commitment(credits=0.0, hours=0.0)
            state.apply(Issued(hour=0.0, action=action, worker=name, commitment=free))
            observation = Observation(
                action_id=action.id, worker=name, values={node.quantity: estimate}
            )
            state.apply(Observed(hour=0.0, observation=observation))

    def ask(self, free_credits: float) -> Query | None:
        actions = self._planner.suggest(1)
        if not actions:
            last = self._planner.last
            self.stopped = last.reason if last is not None else "no reason given"
            return None
        self._action = actions[0]
        return Query((self._action.step,), dict(self._action.target.design))

    def tell(self, query: Query, values: Mapping[str, float]) -> None:
        assert self._action is not None, "tell follows ask"
        self._planner.ingest(self._action, values)
        self._action = None

    def recommend(self) -> Design:
        recommendation = self._planner.recommend()
        assert recommendation is not None, "a planner always recommends"
        return recommendation.design
