"""What steps cost and how long they last: log-normal priors, learned from what was charged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from ..workflow import Extent, State, Step
from ._network_kernel import Matrix

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

    def of(
        self,
        step: Step,
        positions: int | None = None,
        dwell_s: float | None = None,
        design: Mapping[str, float] | None = None,
    ) -> Price:
        """Expected price of one run, without waiting; as usual (:meth:`Workflow.usual_extent`) in
        what is not given."""
        if self._blind:
            return Price(1.0, 0.0)
        usual = self._state.workflow.usual_extent(step)
        size = Extent(
            usual.positions if positions is None else positions,
            usual.dwell_s if dwell_s is None else dwell_s,
            design or usual.design,
        )
        return Price(
            step.cost_credits.expected(*size) * self._cost.get(step.name, 1.0),
            step.latency_h.expected(*size) * self._hour.get(step.name, 1.0),
        )

    def at(self, step: Step, x: Matrix) -> Matrix:
        """Expected credits and hours (n, 2) of one run at unit designs (n, dim)."""
        if self._blind:
            return np.tile([1.0, 0.0], (len(x), 1))
        learned = (self._cost.get(step.name, 1.0), self._hour.get(step.name, 1.0))
        means = [a.mean_factor for a in (step.cost_credits, step.latency_h)]
        return self._typical(step, x) * means * learned

    def caps(self, step: Step, x: Matrix) -> Matrix:
        """The most credits and hours (n, 2) that one run may take at unit designs (n, dim)."""
        return self._typical(step, x) * [a.cap_factor for a in (step.cost_credits, step.latency_h)]

    def _typical(self, step: Step, x: Matrix) -> Matrix:
        workflow = self._state.workflow
        amounts, usual = (step.cost_credits, step.latency_h), workflow.usual_extent(step)
        found = np.tile([a.typical(*usual) for a in amounts], (len(x), 1))
        if step.varies:
            variables = workflow.space.variables
            designs = {v.name: v.from_unit(x[:, i]) for i, v in enumerate(variables)}
            for column, amount in enumerate(amounts):
                if amount.per_unit:
                    found[:, column] = amount.typical_at(designs)
        return found

    def chain(self, steps: tuple[Step, ...], design: Mapping[str, float] | None = None) -> Price:
        """Expected price of several steps, at one design."""
        total = Price()
        for step in steps:
            total = total + self.of(step, design=design)
        return total

    def wait_h(self, step: Step) -> float:
        """Expected hours until a worker for this step is free."""
        if self._state.free_worker(step) is not None:
            return 0.0
        step_of = self._state.workflow.step
        ends = [
            i.hour + self.of(step_of(i.action.step), design=i.action.target.design).hours
            for i in self._state.running.values()
            if i.worker in self._state.offers.get(step.needs, ())
        ]
        return max(min(ends, default=self._state.now_h) - self._state.now_h, 0.0)


def _note(store: list[float], charged: float, declared: float) -> None:
    if charged > 0 and declared > 0:
        store.append(float(np.log(charged / declared)))


def _factor(logs: list[float]) -> float:
    return float(np.exp(np.sum(logs) / (len(logs) + _PRIOR_WEIGHT))) if logs else 1.0
