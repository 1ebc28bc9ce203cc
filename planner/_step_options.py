"""Options in workflows that need no samples, for goals whose gains have a closed form.

A step measures all it produces at once. Its gain over the price of the steps up to it, and the
gain of all the goal's quantities over the price of all their open steps, are compared; the larger
rate counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..workflow import State, Step, Target
from ._closed import Asked, Closed
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


def step_options(view: View, pending: Sequence[Probe]) -> list[Option]:
    """Run any measuring step at any design."""
    objective = view.objective
    if not isinstance(objective, Closed):
        return []
    objective = objective.given(pending)
    rows = view.free_rows
    finals = [q for q in objective.quantities if view.step_of(q).acts_on == "design"]
    ends = objective.several([(q, view.noise(q)) for q in finals], rows) if finals else None
    steps = {view.step_of(q).name: view.step_of(q) for q in view.belief.quantities}
    options: list[Option] = []
    for step in steps.values():
        if step.acts_on != "design" or step.makes is not None:
            continue
        asked = view.asked(step)
        gains = objective.several(asked, rows)
        whole = np.zeros(len(rows)) if ends is None else ends
        for row, gain, end in zip(rows, gains, whole, strict=True):
            found = _option(view, step, finals, int(row), float(gain), float(end), asked)
            if found is not None:
                options.append(found)
    return options


def _option(
    view: View,
    step: Step,
    finals: Sequence[str],
    row: int,
    gain: float,
    end: float,
    asked: Sequence[Asked],
) -> Option | None:
    state, target = view.state, Target(design=view.designs[row])
    chain = state.workflow.open_steps(step, target, state.inventory)
    if _hindered(state, chain, target):
        return None
    choices = [(gain, view.prices.chain(chain, target.design))]
    whole = open_to_all(view, finals, target)
    if chain[0] in whole:
        choices.append((end, view.prices.chain(whole, target.design)))
    value, price = best_rate(choices, view, chain[0])
    cost = option_cost(view, price, chain[0])
    label = f"{', '.join(q for q, _ in asked)} at {target.label}"
    probes = tuple(Probe(q, row, noise) for q, noise in asked)
    return Option(label, "design", chain[0], target, value, price, cost, probes)


def _hindered(state: State, chain: Sequence[Step], target: Target) -> bool:
    """Whether a step of the chain runs at the design already, was refused or keeps failing."""
    key = tuple(target.design.values())
    names = {s.name for s in chain}
    runs = any(
        i.action.step in names and tuple(i.action.target.design.values()) == key
        for i in state.running.values()
    )
    return runs or failed_too_often(state, chain, target) or refused_before(state, chain[0], target)
