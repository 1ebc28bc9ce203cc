"""Inside a site: which positions tell most about its mean.

Local structure around every possible position is given as features (from an image). The property
is one Gaussian process on these features together with the place itself, each with a length scale
of its own, so that whichever of the two tells nothing fades out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from ..workflow import Estimate, State, Step, Table, Target, Workflow
from ._gp import Matrix, Process, Vector, default_kernel
from ._kernel_fit import fit_kernel
from ._session_visit import Position


@dataclass(frozen=True)
class Measured:
    """Positions (n, 2) with values (n,) and standard deviations (n,)."""

    positions: tuple[Position, ...]
    values: Vector
    std: Vector


@final
class PositionBelief:
    """A property over the positions of one site.

    Parameters
    ----------
    features
        Table of all positions with columns ``f0, f1, ...`` of local structure.
    measured
        What was measured so far.
    noise_std
        Standard deviation of one measurement where none is given.
    """

    def __init__(
        self,
        features: Table,
        measured: Measured,
        noise_std: float = 0.0,
    ) -> None:
        self.positions = features.positions
        place = np.array(features.positions, dtype=np.float64)
        span = np.maximum(place.max(0) - place.min(0), 1.0)
        place = (place - place.min(0)) / span
        names = sorted(c for c in features.columns if c[0] == "f" and c[1:].isdigit())
        inputs = place
        if names:
            local = np.array([features.columns[c] for c in names]).T
            local = (local - local.mean(0)) / np.maximum(local.std(0).max(), 1e-12)
            inputs = np.column_stack([local / 4.0, place * 0.5])
        self._inputs = inputs
        index = {p: i for i, p in enumerate(self.positions)}
        known = [i for i, p in enumerate(measured.positions) if p in index]
        self.rows = np.array([index[measured.positions[i]] for i in known], dtype=np.int64)
        values = measured.values[known]
        self._location = float(values.mean()) if len(values) else 0.0
        self._scale = (float(values.std()) if len(values) > 1 else 0.0) or 1.0
        y = (values - self._location) / self._scale
        std = np.maximum(measured.std[known], noise_std) / self._scale
        noise = np.maximum(std**2, 1e-4)
        due = len(y) if len(y) < 12 else len(y) - len(y) % 5
        kernel = (
            fit_kernel(inputs[self.rows[:due]], y[:due], noise[:due])
            if due >= 6
            else default_kernel(inputs.shape[1])
        )
        self._process = Process(kernel, inputs[self.rows], noise)
        self._noise = float(np.median(noise)) if len(noise) else max(noise_std, 0.3) ** 2
        self._y = y

    def mean(self) -> Vector:
        """Posterior mean at every position, in the property's unit."""
        return self._location + self._scale * self._process.mean(self._inputs, self._y)

    def std(self) -> Vector:
        """Posterior standard deviation at every position, in the property's unit."""
        return self._scale * np.sqrt(np.maximum(self._variance(), 0.0))

    def _variance(self) -> Vector:
        prior = np.full(len(self._inputs), self._process.kernel.variance)
        if not len(self.rows):
            return prior
        cross = self._process.kernel(self._inputs, self._process.x)
        return prior - np.sum(cross * self._process.solve(cross.T).T, axis=1)

    def covariance(self) -> Matrix:
        return self._process.covariance(self._inputs)

    def for_mean(self, count: int, taken: Sequence[Position]) -> tuple[Position, ...]:
        """``count`` new positions that tell most about the mean over all positions, greedily."""
        return self._greedy(count, taken, self.covariance())

    def _greedy(
        self, count: int, taken: Sequence[Position], covariance: Matrix
    ) -> tuple[Position, ...]:
        done = set(taken)
        allowed = np.array([p not in done for p in self.positions])
        chosen: list[Position] = []
        for _ in range(min(count, int(allowed.sum()))):
            variance = np.maximum(np.diag(covariance), 0.0) + self._noise
            score = np.where(allowed, covariance.mean(0) ** 2 / variance, -1.0)
            best = int(np.argmax(score))
            chosen.append(self.positions[best])
            allowed[best] = False
            column = covariance[:, best]
            covariance = covariance - np.outer(column, column) / variance[best]
        return tuple(chosen)


def features_of(state: State, target: Target) -> Table | None:
    """The table of local structure for a site, whichever step gave it."""
    for step in state.workflow.steps:
        table = state.inventory.table(step.name, target)
        if table is not None and "f0" in table.columns:
            return table
    return None


def measured_of(state: State, target: Target, quantity: str) -> Measured:
    """Good values of ``quantity`` at positions."""
    table = state.inventory.table(state.workflow.producer(quantity).name, target)
    if table is None or quantity not in table.columns:
        return Measured((), np.zeros(0), np.zeros(0))
    count = len(table.positions)
    good = np.array(table.columns.get("good", (1.0,) * count)) > 0.5
    values = np.array(table.columns[quantity])
    std = np.array(table.columns.get(f"{quantity}_std", (0.0,) * count))
    return Measured(
        tuple(p for p, g in zip(table.positions, good, strict=True) if g), values[good], std[good]
    )


def values_at(table: Table, row: int) -> dict[str, Estimate]:
    """The numbers of one row of a table, with the standard deviations that stand beside them."""
    columns = table.columns
    return {
        name: Estimate(value=values[row], std=columns.get(f"{name}_std", values)[row])
        if f"{name}_std" in columns
        else Estimate(value=values[row], std=0.0)
        for name, values in columns.items()
        if not name.endswith("_std")
    }


def scalar_behind(workflow: Workflow, step_name: str) -> str | None:
    """The scalar that is reduced from what a positions step records."""
    records = {p.name for p in workflow.step(step_name).records}
    for step in workflow.steps:
        if step.produces and records & {p.name for p in step.consumes}:
            return step.produces[0].name
    return None


def positions_for(state: State, step: Step, target: Target) -> tuple[Position, ...]:
    """Where on a site the next batch of a positions step tells most about the site's mean.

    Positions whose measurement was judged bad may be taken again; forbidden ones never.
    """
    features = features_of(state, target)
    quantity = scalar_behind(state.workflow, step.name)
    if features is None or quantity is None:
        return ()
    measured = measured_of(state, target, quantity)
    probed = state.inventory.status((target.sample or "", target.site, ())).probed
    reduced = state.inventory.table(state.workflow.producer(quantity).name, target)
    bad = set() if reduced is None else set(reduced.positions) - set(measured.positions)
    taken = [p for p in probed if p not in bad]
    taken += [p for p in features.positions if not state.wishes.allows(*p)]
    return PositionBelief(features, measured).for_mean(step.batch, taken)
