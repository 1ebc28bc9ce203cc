"""Options in workflows that need no samples: measure a quantity at a design."""

from __future__ import annotations

from ..workflow import Target
from ._options import (
    Option,
    best_rate,
    failed_too_often,
    open_to_all,
    option_cost,
    refused_before,
)
from ._view import View
from ._worlds import Probe


def design_options(view: View) -> list[Option]:
    """Measure any quantity at any design, in workflows that need no samples."""
    state, workflow = view.state, view.state.workflow
    options: list[Option] = []
    ends = view.objective.single(view.worlds.goal, view.free_rows, 0.0)
    final = view.step_of(view.finals[0])
    running = {
        (i.action.step, tuple(i.action.target.design.values())) for i in state.running.values()
    }
    for quantity in view.belief.quantities:
        step = workflow.producer(quantity)
        if step.acts_on != "design" or step.makes is not None:
            continue
        noise = view.noise(quantity)
        gains = view.objective.single(quantity, view.free_rows, noise)
        for row, gain, end in zip(view.free_rows, gains, ends, strict=True):
            target = Target(design=view.designs[row])
            chain = workflow.open_steps(step, target, state.inventory)
            whole = workflow.open_steps(final, target, state.inventory)
            if view.compound:
                whole = open_to_all(view, view.finals, target)
            key = tuple(target.design.values())
            if any((s.name, key) in running for s in (*chain, *whole)) or failed_too_often(
                state, chain, target
            ):
                continue
            if refused_before(state, chain[0], target):
                continue
            choices = [(float(gain), view.prices.chain(chain, target.design))]
            if chain[0] in (whole if view.compound else whole[:1]):
                choices.append((float(end), view.prices.chain(whole, target.design)))
            value, price = best_rate(choices, view, chain[0])
            cost = option_cost(view, price, chain[0])
            probe = Probe(quantity, int(row), noise)
            label = f"{quantity} at {target.label}"
            options.append(Option(label, "design", chain[0], target, value, price, cost, (probe,)))
    return options
