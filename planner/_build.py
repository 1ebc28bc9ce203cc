"""From a step and a target to an action: number, seed, inputs, data."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..workflow import Action, ArrayRef, Stake, State, Step, Target


def next_sample_id(state: State) -> str:
    """The name of the next sample to be made; specimens given at the start keep theirs."""
    begun = [a for a in state.actions.values() if state.workflow.step(a.step).makes is not None]
    taken = {*state.inventory.samples, *(a.target.sample for a in begun)}
    number = len(begun) + 1
    while f"S{number:03d}" in taken:
        number += 1
    return f"S{number:03d}"


def build_action(
    state: State,
    step: Step,
    target: Target,
    *,
    session: str | None = None,
    parameters: dict[str, Any] | None = None,
    stake: Stake | None = None,
    offset: int = 0,
) -> Action:
    """The action number ``state.actions_numbered + offset``, with the arrays and numbers it
    needs.
    """
    number = state.actions_numbered + offset
    if step.makes is not None and target.sample is None:
        target = target.model_copy(update={"sample": next_sample_id(state)})
    if step.acts_on == "sample":
        sample = state.inventory.samples.get(target.sample or "")
        design = sample.design if sample else target.design
        target = Target(sample=target.sample, design=design)
    if step.acts_on == "space":
        target = Target()
    inputs: dict[str, tuple[ArrayRef, ...]] = {}
    for port in (*step.consumes, *step.optional):
        if not state.workflow.is_scalar(port.name):
            found = state.inventory.arrays(port.name, target)
            if found:
                inputs[port.name] = found
    seed = np.random.SeedSequence([state.seed, 11, number]).generate_state(1)[0]
    return Action(
        id=f"a{number:05d}",
        step=step.name,
        target=target,
        parameters=parameters or {},
        inputs=inputs,
        data=measured_columns(state, step) if step.acts_on == "space" else {},
        seed=int(seed),
        session=session,
        hours=_hours(state, target),
        stake=stake,
    )


def _hours(state: State, target: Target) -> dict[str, float]:
    """When the action starts, and when the instrument was last prepared for its sample."""
    hours = {"start": state.now_h}
    if target.sample is None:
        return hours
    done = state.inventory.status((target.sample, None, ())).done
    ends = [
        state.observations[done[name] - 1].end_h
        for name in state.workflow.unmount_undoes
        if name in done
    ]
    if ends:
        hours["tuned"] = max(ends)
    return hours


def measured_columns(state: State, step: Step) -> dict[str, tuple[float | str, ...]]:
    """All measurements of the scalars that a theory step consumes, as columns.

    One row per place and quantity: the variables of the space, ``quantity``, ``value``, ``std``.
    """
    wanted = [p.name for p in step.consumes if state.workflow.is_scalar(p.name)]
    if not wanted:
        return {}
    rows: dict[tuple[object, str], tuple[float | str, ...]] = {}
    names = state.workflow.space.names
    for number, observation in enumerate(state.observations):
        action = state.actions[observation.action_id]
        for quantity, estimate in observation.values.items():
            if quantity not in wanted or observation.failure is not None:
                continue
            source = state.workflow.producer(quantity)
            key = (action.target.sample, action.target.site) if source.cumulative else number
            design = tuple(action.target.design[n] for n in names)
            rows[(key, quantity)] = (*design, quantity, estimate.value, estimate.std)
    columns = (*names, "quantity", "value", "std")
    return {c: tuple(row[i] for row in rows.values()) for i, c in enumerate(columns)}
