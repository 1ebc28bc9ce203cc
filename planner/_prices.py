"""What steps cost and how long they last: log-normal priors, learned from what was charged."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import final

import numpy as np

from ..workflow import State, Step

_PRIOR_WEIGHT = 2.0
"""How many observations the declared median is worth."""


@dataclass(frozen=True)
class Price:
    """Expected credits and hours."""

    credits: float = 0.0
    hours: float = 0.0

    def __add__(self, other: Price) -> Price:
        return Price(self.credits + other.credits, self.hours + other.hours)

    def times(self, factor: float) -> Price:
        return Price(self.credits * factor, self.hours * factor)

    def at(self, credits_per_hour: float) -> float:
        """One number: credits plus hours at the value of an hour."""
        return self.credits + credits_per_hour * self.hours


@final
class Prices:
    """Expected prices after the observations of a state.

    The log of (charged / declared) of every step has a normal prior at zero that is worth two
    observations; its mean is updated by each observation. Failures are left out: they break off.
    With ``blind`` every step costs one credit and no time.
    """

    def __init__(self, state: State, blind: bool = False) -> None:
        self._blind = blind
        self._state = state
        costs: dict[str, list[float]] = defaultdict(list)
        hours: dict[str, list[float]] = defaultdict(list)
        for observation in state.observations:
            if observation.failure is not None:
                continue
            action = state.actions[observation.action_id]
            step = state.workflow.step(action.step)
            size = step.extent(action)
            _note(costs[step.name], observation.cost_credits, step.cost_credits.typical(*size))
            _note(hours[step.name], observation.duration_h, step.latency_h.typical(*size))
        self._cost = {k: _factor(v) for k, v in costs.items()}
        self._hour = {k: _factor(v) for k, v in hours.items()}

    def of(self, step: Step, positions: int | None = None, dwell_s: float | None = None) -> Price:
        """Expected price of one run, without waiting; on the usual positions with the usual dwell
        where these are not given."""
        if self._blind:
            return Price(1.0, 0.0)
        size = (
            step.positions_per_run if positions is None else positions,
            step.dwell_of() if dwell_s is None else dwell_s,
        )
        return Price(
            step.cost_credits.expected(*size) * self._cost.get(step.name, 1.0),
            step.latency_h.expected(*size) * self._hour.get(step.name, 1.0),
        )

    def chain(self, steps: tuple[Step, ...]) -> Price:
        total = Price()
        for step in steps:
            total = total + self.of(step)
        return total

    def wait_h(self, step: Step) -> float:
        """Expected hours until a worker for this step is free."""
        if self._state.free_worker(step) is not None:
            return 0.0
        ends = [
            i.hour + self.of(self._state.workflow.step(i.action.step)).hours
            for i in self._state.running.values()
            if i.worker in self._state.offers.get(step.needs, ())
        ]
        return max(min(ends, default=self._state.now_h) - self._state.now_h, 0.0)


def _note(store: list[float], charged: float, declared: float) -> None:
    if charged > 0 and declared > 0:
        store.append(float(np.log(charged / declared)))


def _factor(logs: list[float]) -> float:
    return float(np.exp(np.sum(logs) / (len(logs) + _PRIOR_WEIGHT))) if logs else 1.0
