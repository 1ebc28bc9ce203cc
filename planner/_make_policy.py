"""Policies by name, the one that rehearses the others included."""

from __future__ import annotations

from ..workflow import Goal, Policy, SpecError, Workflow
from ._policies import base_names, base_policy
from ._possible_world import rehearsable
from ._rehearsed import Rehearsed
from ._settings import PlannerSettings


def policy_names(goal: Goal) -> tuple[str, ...]:
    """The policies that can pursue a goal."""
    names = base_names(goal)
    return (*names, Rehearsed.name) if rehearsable(goal) else names


def make_policy(
    name: str, workflow: Workflow, goal: Goal, settings: PlannerSettings | None = None
) -> Policy:
    """A policy by its name, with other settings than the planner's own where they are given.

    Raises
    ------
    SpecError
        If the workflow cannot answer the goal, or no policy of that name pursues it.
    """
    if name not in policy_names(goal):
        raise SpecError(
            "policy",
            repr(name),
            f"for this goal one of {list(policy_names(goal))}",
            "correct the name",
        )
    if name == Rehearsed.name:
        base_policy("planner", workflow, goal)  # refuses what no planner can pursue
        return Rehearsed(workflow, goal, settings)
    return base_policy(name, workflow, goal, settings)
