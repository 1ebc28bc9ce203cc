"""Policies that stand by themselves, by name."""

from __future__ import annotations

from ..workflow import Goal, Maximize, Policy, SpecError, Tune, Workflow
from ._baselines import FixedWorkflow, RandomSearch, SingleSource
from ._cheap_first import CheapFirst
from ._goal_check import check_goal
from ._planner_for import planner_for
from ._position_search import PositionSearch
from ._settings import DEFAULT_SETTINGS, PlannerSettings
from ._tuning import Tuning

OVER_DESIGNS = ("planner", "fixed", "random", "single-source", "cheap-first", "cost-blind")
OVER_POSITIONS = ("planner", "xy-gp", "random")
OVER_TIME = ("planner", "static", "periodic", "random")


def base_names(goal: Goal) -> tuple[str, ...]:
    """The policies that can pursue a goal and need no other policy."""
    if isinstance(goal, Tune):
        return OVER_TIME
    over = goal.over if isinstance(goal, Maximize) else "designs"
    return OVER_DESIGNS if over == "designs" else OVER_POSITIONS


def base_policy(
    name: str, workflow: Workflow, goal: Goal, settings: PlannerSettings | None = None
) -> Policy:
    """A policy by its name, with other settings than the planner's own where they are given.

    Raises
    ------
    SpecError
        If the workflow cannot answer the goal, or no policy of that name pursues it.
    """
    check_goal(workflow, goal)
    if name not in base_names(goal):
        raise SpecError(
            "policy",
            repr(name),
            f"for this goal one of {list(base_names(goal))}",
            "correct the name",
        )
    if goal.quantity in workflow.formulas and name not in {"planner", "cost-blind"}:
        raise SpecError(
            f"policy {name!r}",
            f"the goal {goal.quantity!r}, a formula",
            "a goal that a step measures",
            "use the policy planner, or name a measured quantity",
        )
    if isinstance(goal, Maximize) and goal.over == "positions":
        uses = {"planner": "structure", "xy-gp": "place", "random": "random"}
        return PositionSearch(workflow, goal, uses[name])  # type: ignore[arg-type]
    if isinstance(goal, Tune):
        return Tuning(workflow, goal, "drift" if name == "planner" else name)  # type: ignore[arg-type]
    match name:
        case "fixed":
            return FixedWorkflow(workflow, goal, settings)
        case "random":
            return RandomSearch(workflow, goal, settings)
        case "single-source":
            return SingleSource(workflow, goal, settings)
        case "cheap-first":
            return CheapFirst(workflow, goal, settings)
        case "cost-blind":
            blind = (settings or DEFAULT_SETTINGS).model_copy(update={"cost_blind": True})
            return planner_for(workflow, goal, settings=blind)
        case _:
            return planner_for(workflow, goal, settings=settings)
