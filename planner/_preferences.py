"""What may change the campaign tier's choice: learned step values, or a rehearsal's detour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, final

import numpy as np

from ..workflow import State
from ._evidence import measured_ends
from ._options import Option
from ._step_values import Crossroads, StepValues

_CHANCE = 0.2
"""Of departing at a crossroads, once in a rehearsal: early ones are tried most."""


class Preference(Protocol):
    """Chooses between the planner's choice and the best options of other steps."""

    def __call__(self, state: State, first: Option, others: Sequence[Option]) -> tuple[Option, str]:
        """What is taken, and why if it is not ``first``."""
        ...


def crossroads(state: State, first: Option, other: Option) -> Crossroads:
    """The features of a choice between two options."""
    budget, ends = state.budget, measured_ends(state.workflow, state.goal)
    left = max(state.free_credits, 1e-9)
    ratio = np.log(max(other.index, 1e-300)) - np.log(max(first.index, 1e-300))
    hours = 1.0 if budget.hours is None else 1.0 - state.now_h / budget.hours
    known = sum(q in o.values for o in state.observations if o.failure is None for q in ends)
    return Crossroads(
        pair=f"{first.step.name} > {other.step.name}",
        credits_left=1.0 if budget.credits is None else min(left / budget.credits, 1.0),
        hours_left=min(max(hours, 0.0), 1.0),
        known=float(np.log1p(known)),
        ratio=float(np.clip(ratio, -6.0, 6.0)),
        price=min(other.cost / left, 2.0),
        first_price=min(first.cost / left, 2.0),
    )


@final
class ByStepValues:
    """Departs where rehearsals say that it pays."""

    def __init__(self, values: StepValues) -> None:
        self._values = values

    def __call__(self, state: State, first: Option, others: Sequence[Option]) -> tuple[Option, str]:
        found = [(self._values.departs(crossroads(state, first, o)), o) for o in others]
        paying = [(gain, o) for gain, o in found if gain is not None]
        if not paying:
            return first, ""
        gain, other = max(paying, key=lambda pair: pair[0])
        return other, (
            f"; taken before {first.label}, because departing so gained {gain:.2g} "
            f"{self._values.unit} in {self._values.trials} rehearsals"
        )


@final
class Detour:
    """Departs once, by chance, to the best option of another step; ``taken`` tells where."""

    def __init__(self, seed: Sequence[int]) -> None:
        self._rng = np.random.default_rng([*seed, 61])
        self.taken: Crossroads | None = None

    def __call__(self, state: State, first: Option, others: Sequence[Option]) -> tuple[Option, str]:
        if self.taken is not None or not others or self._rng.random() > _CHANCE:
            return first, ""
        other = others[int(self._rng.integers(len(others)))]
        self.taken = crossroads(state, first, other)
        return other, "; a rehearsal's detour"
