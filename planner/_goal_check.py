"""Whether a workflow can answer a goal at all."""

from __future__ import annotations

import numpy as np

from ..workflow import (
    Discriminate,
    Goal,
    Hypothesis,
    LocateBoundary,
    Maximize,
    SpecError,
    Tune,
    Workflow,
)
from ._evidence import measured_ends


def check_goal(workflow: Workflow, goal: Goal) -> None:
    """Refuse a goal that the workflow cannot answer.

    Raises
    ------
    SpecError
        If a quantity is unknown or an array, a formula stands where none may, a boundary's variable
        is not in the space, a hypothesis has no prediction or an undefined one, or an instrument
        cannot be tuned because its quality is measured on samples.
    """
    who = f"goal {goal.kind!r}"
    guards = goal.subject_to if isinstance(goal, Maximize) else ()
    for guard in guards:
        workflow.check_names(f"{who}: subject_to", guard)
    over_designs = isinstance(goal, Maximize) and goal.over == "designs"
    if not over_designs and (guards or any(q in workflow.formulas for q in goal.quantities)):
        raise SpecError(
            who,
            "a formula or a condition",
            "maximize over designs",
            "let an analysis step produce the quantity",
        )
    for quantity in measured_ends(workflow, goal):
        if quantity not in workflow.scalars or workflow.producer(quantity).acts_on == "space":
            measured = [q for q in workflow.scalars if workflow.producer(q).acts_on != "space"]
            raise SpecError(
                who,
                f"quantity {quantity!r}",
                f"one of {measured}",
                "name a scalar quantity that a step measures",
            )
    match goal:
        case LocateBoundary() if goal.variable not in workflow.space.names:
            raise SpecError(
                who,
                f"a boundary along {goal.variable!r}",
                f"one of the variables {list(workflow.space.names)}",
                "correct goal.variable",
            )
        case Discriminate():
            for hypothesis in goal.hypotheses:
                _check_hypothesis(workflow, hypothesis)
        case Tune():
            _check_tune(workflow, goal)
        case _:
            pass


def _check_hypothesis(workflow: Workflow, hypothesis: Hypothesis) -> None:
    who = f"hypothesis {hypothesis.name!r}"
    if hypothesis.formula is None:
        predicted = [p.name for s in workflow.steps for p in s.predicts]
        if hypothesis.predicts not in predicted:
            raise SpecError(
                who,
                f"predicts {hypothesis.predicts!r}",
                f"one of {predicted}, which theory steps predict",
                "add a theory step with that prediction, or give a formula",
            )
        return
    formula, space = hypothesis.formula, workflow.space
    known = {*space.names, *hypothesis.parameters}
    stray = [n for n in formula.names if n not in known]
    if stray:
        raise SpecError(
            who,
            f"the names {stray} in {formula.expression!r}",
            f"variables {list(space.names)} and parameters {list(hypothesis.parameters)}",
            "correct the names, or list them under parameters",
        )
    x = space.sobol(64, seed=0)
    columns = {v.name: v.from_unit(x[:, i]) for i, v in enumerate(space.variables)}
    middle = {name: p.mean for name, p in hypothesis.parameters.items()}
    if not np.isfinite(formula(columns | middle)).all():
        raise SpecError(
            who,
            f"{formula.expression!r}, which is not a finite number everywhere in the space",
            "a formula that is defined in the whole space at its parameters' means",
            "restrict the space, or write the formula so that it is defined",
        )


def _check_tune(workflow: Workflow, goal: Tune) -> None:
    who = "goal 'tune'"
    if workflow.producer(goal.quantity).acts_on != "design" or not workflow.space.dim:
        raise SpecError(
            who,
            f"quantity {goal.quantity!r}, which is not measured at a setting of controls",
            "a quality that a step with acts_on: design measures, over a space of controls",
            "let the controls be the variables of the space",
        )
    if goal.working is None:
        return
    step = workflow.step(goal.working)
    if step.acts_on != "design" or step.makes is not None:
        raise SpecError(
            who,
            f"working step {goal.working!r}, which acts on a {step.acts_on}",
            "a step with acts_on: design that makes no sample",
            "name the step that uses the instrument at a setting",
        )
