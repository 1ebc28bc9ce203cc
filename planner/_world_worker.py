"""Answers actions out of a possible world: values, prices, hours and failures, all drawn from it.

Draws belong to a place and to how often a step was done there, not to the order in which a policy
asks: policies that are rehearsed in one world meet the same luck (common random numbers).
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass
from typing import final

import numpy as np

from ..workflow import (
    Action,
    Amount,
    ArrayRef,
    Estimate,
    Extent,
    Failure,
    Grid,
    Issued,
    Observation,
    Place,
    State,
    Step,
    place_of,
)
from ._evidence import measurement_noise
from ._gp import Matrix, default_kernel
from ._possible_world import PossibleWorld, draw_path
from ._prices import Prices

_MEMBERS = 8
_GRID_POINTS = 1000
_DISAGREEMENT = 0.4
"""Spread of a theory's ensemble that nobody has seen, as a share of its prior's."""

_FAILURE_PRIOR = 2.0
"""How many runs without failure a step is taken to have behind it."""


@final
@dataclass(frozen=True)
class _Habit:
    """What is learned of a step: logs of charged over declared, and how often it fails."""

    cost: float
    hours: float
    doubt: float
    failure_rate: float


@final
class WorldWorker:
    """All workers of a campaign at once, in one possible world.

    Parameters
    ----------
    world
        What is true.
    state
        The state from which the rehearsal starts: prices, failure rates and noise come from there.

    Arrays are references to nothing; positions are numbered, not chosen.
    """

    def __init__(self, world: PossibleWorld, state: State) -> None:
        self._world = world
        self._workflow = state.workflow
        self._habits = _habits(state)
        self._times: Counter[tuple[str, Place]] = Counter()
        self._fits = 0

    def perform(self, issued: Issued, state: State) -> Observation:
        """The observation of an issued action; it ends after ``state.now_h`` at the earliest."""
        action = issued.action
        step = self._workflow.step(action.step)
        place = place_of(action.target, step.acts_on)
        self._times[(step.name, place)] += 1
        rng = self._rng(step.name, place, self._times[(step.name, place)])
        habit = self._habits[step.name]
        size = step.extent(action)
        doubt = np.random.default_rng([self._world.seed, zlib.crc32(step.name.encode())])
        shift = habit.doubt * doubt.standard_normal(2)
        cost = _draw(step.cost_credits, size, habit.cost + shift[0], rng)
        hours = _draw(step.latency_h, size, habit.hours + shift[1], rng)
        dose = _draw(step.dose_e_per_A2, size, 0.0, rng) if step.exposes else 0.0
        failed = rng.random() < habit.failure_rate
        failure = Failure(kind="instrument", message="rehearsed failure") if failed else None
        end = max(issued.hour + hours, min(state.now_h, issued.hour + issued.commitment.hours))
        return Observation(
            action_id=action.id,
            worker=issued.worker,
            values={} if failed else self._values(step, action, state),
            grids={} if failed else self._grids(step),
            arrays={} if failed else _stubs(step, action),
            cost_credits=min(cost, issued.commitment.credits),
            dose_e_per_A2=min(dose, issued.commitment.dose_e_per_A2),
            queued_h=issued.hour,
            start_h=issued.hour,
            end_h=end,
            failure=failure,
        )

    def _rng(self, what: str, place: Place, number: int) -> np.random.Generator:
        key = zlib.crc32(f"{what}|{place}".encode())
        return np.random.default_rng([self._world.seed, key, number])

    # -- values -----------------------------------------------------------------------------------

    def _values(self, step: Step, action: Action, state: State) -> dict[str, Estimate]:
        return {p.name: self._value(p.name, step, action, state) for p in step.produces}

    def _value(self, quantity: str, step: Step, action: Action, state: State) -> Estimate:
        """The world's value with noise; cumulative estimates average what they include."""
        place = place_of(action.target, step.acts_on)
        times = self._times[(step.name, place)]
        if step.cumulative:
            times = max((len(state.inventory.status(place).arrays.get(p.name, ()))
                         for p in step.consumes), default=1) or 1  # fmt: skip
        if quantity not in self._world.belief.quantities or not action.target.design:
            prior = self._workflow.priors.get(quantity)
            middle, spread = (0.0, 1.0) if prior is None else (prior.mean, prior.std)
            draw = self._rng(quantity, place, 1).standard_normal()
            return Estimate(value=middle + spread * float(draw), std=step.noise.get(quantity, 0.0))
        noise = measurement_noise(self._world.belief, quantity)
        true = float(
            self._world.at(quantity, self._workflow.space.encode([action.target.design]))[0]
        )
        errors = [self._rng(quantity, place, k + 1).standard_normal() for k in range(times)]
        error = float(np.mean(errors)) if step.cumulative else float(errors[-1])
        std = noise / np.sqrt(times) if step.cumulative else noise
        return Estimate(value=true + noise * error, std=std)

    # -- theory -----------------------------------------------------------------------------------

    def _grids(self, step: Step) -> dict[str, Grid]:
        if step.acts_on == "space" and not step.predicts:
            self._fits += 1
        return {p.name: self._grid(p.name) for p in step.predicts}

    def _grid(self, quantity: str) -> Grid:
        """A theory's ensemble: what it believed before, drawn together by half with every fit."""
        belief, world = self._world.belief, self._world
        share = 0.5**self._fits
        if quantity in belief.grids:
            known = belief.grids[quantity]
            members = known.array().reshape(len(known.values), -1)
            right = members[world.member % len(members)]
            return known.model_copy(update={"values": _rows(right + share * (members - right))})
        space = self._workflow.space
        per_axis = max(2, min(9, int(_GRID_POINTS ** (1.0 / max(space.dim, 1)))))
        axes = [v.from_unit(np.linspace(0.0, 1.0, per_axis)) for v in space.variables]
        axes = [np.unique(a) for a in axes]
        points = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=1)
        x = np.stack([v.to_unit(points[:, i]) for i, v in enumerate(space.variables)], axis=1)
        values = world.at(quantity, x)
        _, scale = belief.scale_of(quantity)
        kernel = default_kernel(space.dim, (_DISAGREEMENT * scale) ** 2)
        none = np.zeros(0)
        errors = np.stack(
            [
                draw_path(kernel, x[:0], none, none, np.random.default_rng([world.seed, 80, k]))(x)
                for k in range(_MEMBERS)
            ]
        )
        ticks = {v.name: tuple(map(float, a)) for v, a in zip(space.variables, axes, strict=True)}
        return Grid(ticks=ticks, values=_rows(values + share * errors))


def _rows(members: Matrix) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(map(float, row)) for row in members)


def _habits(state: State) -> dict[str, _Habit]:
    """Prices and failure rates of every step, as seen so far."""
    prices = Prices(state)
    runs: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    for seen in state.observations:
        kind = None if seen.failure is None else seen.failure.kind
        if kind not in {"refused", "missing"}:
            name = state.actions[seen.action_id].step
            runs[name] += 1
            failures[name] += kind is not None
    found = {}
    for step in state.workflow.steps:
        price, usual = prices.of(step), state.workflow.usual_extent(step)
        spread = max(step.cost_credits.log_std, step.latency_h.log_std)
        found[step.name] = _Habit(
            _log_ratio(price.credits, step.cost_credits.expected(*usual)),
            _log_ratio(price.hours, step.latency_h.expected(*usual)),
            spread / float(np.sqrt(runs[step.name] - failures[step.name] + 2.0)),
            failures[step.name] / (runs[step.name] + _FAILURE_PRIOR),
        )
    return found


def _log_ratio(learned: float, declared: float) -> float:
    return float(np.log(learned / declared)) if learned > 0 and declared > 0 else 0.0


def _draw(amount: Amount, size: Extent, shift: float, rng: np.random.Generator) -> float:
    """A capped log-normal draw around the learned median."""
    factor = float(np.exp(shift + amount.log_std * rng.standard_normal()))
    return min(amount.typical(*size) * factor, amount.cap(*size))


def _stubs(step: Step, action: Action) -> dict[str, ArrayRef]:
    return {
        p.name: ArrayRef(file=action.id, dataset=p.name, sha256="", shape=(), unit=p.unit or "1")
        for p in step.records
    }
