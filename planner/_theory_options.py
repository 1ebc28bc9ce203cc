"""Options of theory: simulate, or fit again to what was measured since."""

from __future__ import annotations

import numpy as np

from ..workflow import State, Step, Target
from ._options import Option, failed_too_often, option_cost, refused_before
from ._view import View

_NOVELTY = 0.1


def theory_options(view: View) -> list[Option]:
    """Simulate, or fit the theory again to what was measured since."""
    state = view.state
    options: list[Option] = []
    for step in state.workflow.steps:
        if step.acts_on != "space" or state.free_worker(step) is None:
            continue
        if failed_too_often(state, [step], Target()) or _in_flight(state):
            continue
        if refused_before(state, step, Target()):
            continue
        value = _theory_value(view, step)
        if value > 0.0:
            price = view.prices.of(step)
            cost = option_cost(view, price, step)
            options.append(Option(step.name, "theory", step, Target(), value, price, cost))
    return options


def _in_flight(state: State) -> bool:
    """Whether theory is at work already."""
    return any(
        state.workflow.step(i.action.step).acts_on == "space" for i in state.running.values()
    )


def _theory_value(view: View, step: Step) -> float:
    """What a theory step is expected to gain: a share of the gain of perfect theory.

    The first simulation is trusted for a quarter of the gain of knowing everything (a prior). A new
    fit resolves as much of the ensemble's disagreement as its data are new. A simulation with newly
    fitted parameters delivers what the fit promised.
    """
    state = view.state
    if step.predicts:
        if all(p.name in view.belief.grids for p in step.predicts):
            fresh = any(state.inventory.is_fresh(p.name, step, Target()) for p in step.optional)
            return max(view.objective.theory(), 1e-6) if fresh else 0.0
        known = any(p.name in view.belief.quantities for p in step.predicts)
        return view.settings.theory_trust * view.objective.ceiling() if known else 0.0
    used = state.inventory.status(("", None, ())).done.get(step.name, 0)
    wanted = {p.name for p in step.consumes}
    data = [
        number > used
        for number, o in enumerate(state.observations, start=1)
        if o.failure is None and wanted & set(o.values)
    ]
    novelty = float(np.mean(data)) if data else 0.0
    return novelty * view.objective.theory() if novelty >= _NOVELTY else 0.0
