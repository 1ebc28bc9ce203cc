"""The planner: session tier first, then the campaign tier, on one view of one belief."""

from __future__ import annotations

from functools import partial
from typing import final

from ..workflow import Decision, Goal, Recommendation, State, Workflow
from ._campaign_tier import CampaignTier
from ._evidence import looked_at, relevant_quantities
from ._preferences import ByStepValues, Preference
from ._session_tier import SessionTier
from ._settings import PlannerSettings
from ._view import View, make_view, recommend_from


@final
class HierarchicalPlanner:
    """The policy ``planner`` for goals over designs.

    ``quantities`` restricts the belief (the single-source baseline sees the dear test alone).
    ``prefer`` may change the campaign tier's choice; if None, the settings' step values do.

    Raises
    ------
    SpecError
        If the step values were learned for other steps or another goal.
    """

    def __init__(
        self,
        workflow: Workflow,
        goal: Goal,
        quantities: tuple[str, ...] | None = None,
        settings: PlannerSettings | None = None,
        prefer: Preference | None = None,
    ) -> None:
        self.name = "cost-blind" if settings is not None and settings.cost_blind else "planner"
        self._settings = settings
        self._goal = goal
        self._quantities = quantities or relevant_quantities(workflow, *looked_at(workflow, goal))
        values = None if settings is None else settings.step_values
        if values is not None:
            values.check(workflow, goal)
            prefer = prefer or ByStepValues(values)
        self._campaign = CampaignTier(goal, prefer)
        self._session = SessionTier(goal)
        self._cached: tuple[object, View] | None = None

    def view(self, state: State) -> View:
        """Belief, worlds and prices for a state; kept while nothing that matters changes."""
        growing = tuple(
            i.action.id
            for i in state.running.values()
            if state.workflow.step(i.action.step).makes is not None
            or state.workflow.step(i.action.step).acts_on == "design"
        )
        refused = len(state.refused)
        key = (id(state), len(state.observations), tuple(state.inventory.samples), growing, refused)
        if self._cached is None or self._cached[0] != key:
            self._cached = (key, make_view(state, self._goal, self._quantities, self._settings))
        return self._cached[1]

    def decide(self, state: State) -> Decision:
        view = self.view(state)
        for session_id in state.open_sessions():
            decision = self._session.decide(state, session_id, view, partial(self._elsewhere, view))
            if decision is not None:
                return decision
        return self._campaign.decide(state, view)

    def _elsewhere(self, view: View, sample: str) -> float:
        return self._campaign.rate_elsewhere(view, sample)

    def recommend(self, state: State) -> Recommendation:
        return recommend_from(self.view(state), self._goal)
