"""Policies that stand by themselves, by name."""

from __future__ import annotations

from ..workflow import Goal, Maximize, Policy, SpecError, Workflow
from ._baselines import FixedWorkflow, RandomSearch, SingleSource
from ._network_graph import is_network
from ._planner_for import planner_for
from ._position_search import PositionSearch
from ._settings import PlannerSettings

OVER_DESIGNS = ("planner", "fixed", "random", "single-source")
OVER_POSITIONS = ("planner", "xy-gp", "random")


def base_names(goal: Goal) -> tuple[str, ...]:
    """The policies that can pursue a goal and need no other policy."""
    over = goal.over if isinstance(goal, Maximize) else "designs"
    return OVER_DESIGNS if over == "designs" else OVER_POSITIONS


def base_policy(
    name: str, workflow: Workflow, goal: Goal, settings: PlannerSettings | None = None
) -> Policy:
    """A policy by its name, with other settings than the planner's own where they are given.

    Raises
    ------
    SpecError
        If the goal's quantity is not given by any step, or no policy of that name pursues the goal.
    """
    _check_goal(workflow, goal)
    if name not in base_names(goal):
        raise SpecError(
            "policy",
            repr(name),
            f"for this goal one of {list(base_names(goal))}",
            "correct the name",
        )
    if isinstance(goal, Maximize) and goal.over == "positions":
        uses = {"planner": "structure", "xy-gp": "place", "random": "random"}
        return PositionSearch(workflow, goal, uses[name])  # type: ignore[arg-type]
    match name:
        case "fixed":
            return FixedWorkflow(workflow, goal, settings)
        case "random":
            return RandomSearch(workflow, goal, settings)
        case "single-source":
            return SingleSource(workflow, goal, settings)
        case _:
            return planner_for(workflow, goal, settings=settings)


def _check_goal(workflow: Workflow, goal: Goal) -> None:
    formula = goal.quantity in workflow.formulas
    if not formula and not workflow.is_scalar(goal.quantity):
        raise SpecError(
            f"goal {goal.kind!r}",
            f"quantity {goal.quantity!r}, an array",
            f"one of {[*workflow.scalars, *workflow.formulas]}",
            "name a quantity that a step produces",
        )
    guards = goal.subject_to if isinstance(goal, Maximize) else ()
    for guard in guards:
        workflow.check_names(f"goal {goal.kind!r}: subject_to", guard)
    if (formula or guards) and not is_network(workflow, goal):
        raise SpecError(
            f"goal {goal.kind!r}",
            "a formula or a condition in a workflow with samples or theory, or for another goal",
            "maximize, in a workflow whose quantities are all measured at designs",
            "let an analysis step produce the quantity",
        )
