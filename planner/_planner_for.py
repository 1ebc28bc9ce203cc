"""Which planner a workflow and a goal need."""

from __future__ import annotations

from ..workflow import Goal, Maximize, Workflow
from ._hierarchy import HierarchicalPlanner
from ._network_graph import is_network
from ._network_planner import NetworkPlanner, NetworkSettings
from ._settings import PlannerSettings


def planner_for(
    workflow: Workflow,
    goal: Goal,
    quantities: tuple[str, ...] | None = None,
    settings: PlannerSettings | None = None,
) -> HierarchicalPlanner | NetworkPlanner:
    """The policy ``planner``: a network of functions, or tiers over samples and sessions.

    ``quantities`` restricts what is measured and believed; ``settings`` are those of the tiers,
    of which a network heeds ``cost_blind``.
    """
    if isinstance(goal, Maximize) and is_network(workflow, goal):
        blind = settings is not None and settings.cost_blind
        return NetworkPlanner(workflow, goal, quantities, NetworkSettings(cost_blind=blind))
    return HierarchicalPlanner(workflow, goal, quantities, settings)
