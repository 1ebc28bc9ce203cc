"""What a visit to a place costs in a campaign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from ..workflow import Estimate, State, Step, Target
from ._gp import Vector
from ._prices import Price, Prices
from ._session_visit import Position


@final
@dataclass(frozen=True)
class StepPrices:
    """Credits of a measurement with all steps that follow it, by the dwell; hours at their value.

    No step of a campaign tells what the way between two positions takes, so it costs nothing.

    Attributes
    ----------
    at_all
        Of one position, without any dwell.
    second
        Of a second of dwell.
    credits_per_hour
        The value of an hour.
    dwells_s
        Dwells to choose from; (1,) where the step has none.
    first_dwell_s
        Dwell at the first places: the usual one, as far as it may be chosen.
    noise_at_1s
        Standard deviation of one measurement with a dwell of a second.
    """

    at_all: Price
    second: Price
    credits_per_hour: float
    dwells_s: tuple[float, ...]
    first_dwell_s: float
    noise_at_1s: float

    @classmethod
    def of(
        cls, state: State, chain: tuple[Step, ...], dwells_s: tuple[float, ...], noise_at_1s: float
    ) -> StepPrices:
        """Of a chain of steps, the first of them at positions."""
        prices, (step, *after) = Prices(state), chain
        n = step.batch
        bare, second = prices.of(step, n, 0.0), prices.of(step, n, 1.0)
        rest = prices.chain(tuple(after))
        per_s = Price(second.credits - bare.credits, second.hours - bare.hours)
        rate = state.budget.credits_per_hour
        usual = step.dwell_of() or 1.0
        first = min(dwells_s, key=lambda dwell_s: abs(dwell_s - usual))
        each = ((bare + rest).times(1 / n), per_s.times(1 / n))
        return cls(*each, rate, dwells_s, first, noise_at_1s)

    def noise(self, dwell_s: float) -> float:
        """Standard deviation of one measurement."""
        return self.noise_at_1s / float(np.sqrt(dwell_s))

    def price(self, pixels: Vector | float, dwell_s: float) -> Vector:
        """Credits, with the hours at their value."""
        whole = self.at_all + self.second.times(dwell_s)
        return np.maximum(whole.at(self.credits_per_hour), 1e-9) * np.ones_like(pixels)

    def minutes(self, pixels: Vector | float, dwell_s: float) -> Vector:
        """Hours of the campaign, in minutes."""
        return 60.0 * (self.at_all + self.second.times(dwell_s)).hours * np.ones_like(pixels)

    @property
    def credits_per_s(self) -> float:
        return self.second.at(self.credits_per_hour)


def noise_at_1s(
    state: State, step: Step, target: Target, known: dict[Position, Estimate], prior: float
) -> float:
    """Standard deviation of the reward after a second, as the median of what was measured tells.

    Parameters
    ----------
    known
        The reward at the places measured so far.
    prior
        That of one measurement with the usual dwell, before any.
    """
    usual = step.dwell_of() or 1.0
    seconds: dict[Position, float] = {}
    for observation in state.observations:
        action = state.actions[observation.action_id]
        if action.step == step.name and observation.failure is None:
            for p in action.target.positions:
                dwell = step.dwell_of(action.parameters) or 1.0
                seconds[p] = seconds.get(p, 0.0) + dwell
    told = [e.std * np.sqrt(seconds.get(p, usual)) for p, e in known.items()]
    return float(np.median(told)) if told else prior * float(np.sqrt(usual))
