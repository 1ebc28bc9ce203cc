"""The planner as a player: the one place where benchmarks touch probewise's façade."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from probewise.planner import NetworkPlanner, NetworkSettings, Planner
from probewise.workflow import Action, Budget, Design

from ._problem import Problem, Query, workflow_of


@final
class PlannerPlayer:
    """``probewise.planner.Planner`` on a problem.

    ``policy`` is one of the planner's own: ``planner``, or ``single-source`` for the same belief
    and values on the goal's own measurement alone. With ``settable`` it may ask for a step at
    values of its parents that nobody has made. ``settings`` are for ablations: the planner of
    networks with a part of it left out.
    """

    def __init__(
        self,
        problem: Problem,
        seed: int,
        *,
        policy: str = "planner",
        settable: bool = False,
        settings: NetworkSettings | None = None,
    ) -> None:
        self.problem = problem
        self.stopped = ""
        self._action: Action | None = None
        workflow = workflow_of(problem, settable=settable)
        own = settings and NetworkPlanner(workflow, problem.goal, settings=settings)
        self._planner = Planner(
            workflow,
            problem.goal,
            Budget(credits=problem.budget),
            seed=seed,
            policy=own or policy,
        )

    def learn(self, query: Query, values: Mapping[str, float]) -> None:
        for name in query.steps:
            mine = {n.quantity: values[n.quantity] for n in self.problem.steps[name]}
            self._planner.learn(name, query.design, mine)

    def ask(self, free_credits: float) -> Query | None:
        actions = self._planner.suggest(1)
        if not actions:
            last = self._planner.last
            self.stopped = last.reason if last is not None else "no reason given"
            return None
        self._action = action = actions[0]
        parents = self.problem.steps[action.step][0].parents
        given = {p: float(action.parameters[p]) for p in parents if p in action.parameters}
        return Query((action.step,), self.problem.snapped(action.target.design), given)

    def tell(self, query: Query, values: Mapping[str, float]) -> None:
        assert self._action is not None, "tell follows ask"
        self._planner.ingest(self._action, values, cost_credits=self.problem.charge(query))
        self._action = None

    def recommend(self) -> Design:
        recommendation = self._planner.recommend()
        assert recommendation is not None, "a planner always recommends"
        return self.problem.snapped(recommendation.design)
