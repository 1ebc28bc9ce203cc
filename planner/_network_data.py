"""What was measured of a network's quantities, and at which designs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from ..workflow import Action, Estimate, State, Workflow
from ._network_graph import Network
from ._network_kernel import Levels, Matrix, Vector

Key = bytes

_GRID = 1e9


def keys_of(x: Matrix, columns: tuple[int, ...]) -> list[Key]:
    """What tells designs (n, dim) apart in some columns."""
    if not columns:
        return [b""] * len(x)
    rows = np.ascontiguousarray(np.rint(x[:, columns] * _GRID).astype(np.int64))
    return rows.view(np.dtype((np.void, rows.itemsize * len(columns)))).ravel().tolist()


def whole_keys(x: Matrix) -> list[Key]:
    """What tells designs (n, dim) apart in all columns."""
    return keys_of(x, tuple(range(x.shape[1])))


def set_inputs(action: Action, workflow: Workflow) -> dict[str, float]:
    """What a settable step was asked to take for its parents; empty where it follows them."""
    step = workflow.step(action.step)
    if not step.settable:
        return {}
    names = {p.name for p in step.consumes}
    return {k: float(v) for k, v in action.parameters.items() if k in names}


def with_scatter(x: Matrix, levels: Levels, y: Vector, noise: Vector) -> Vector:
    """Noise variances (n,), raised where repeated measurements scatter more than they say.

    What the repetitions of a level at the same inputs (n, d) scatter in excess, pooled, is added to
    all of the level.
    """
    rows = np.column_stack([levels, x])
    _, place, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    if (counts == 1).all():
        return noise
    place = place.reshape(-1)
    excess = (y - (np.bincount(place, y) / counts)[place]) ** 2
    raised = noise.copy()
    for level in np.unique(levels):
        own = (levels == level) & (counts[place] > 1)
        degrees = own.sum() - len(np.unique(place[own]))
        if degrees > 0:
            raised[levels == level] += max(excess[own].sum() / degrees - noise[own].mean(), 0.0)
    return raised


@final
@dataclass
class Table:
    """Measurements of one quantity, in the order in which they came."""

    rows: list[int] = field(default_factory=list)
    x: list[Vector] = field(default_factory=list)
    given: list[dict[str, float]] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    noise: list[float] = field(default_factory=list)


@final
class Measured:
    """The good measurements of a state.

    Attributes
    ----------
    designs
        Unit designs (n, dim) of all that was measured, repeated where it was so.
    tables
        For each quantity, its measurements in the order in which they came.
    known
        For each quantity, sum and number of what was measured of it, by the columns that it
        depends on.
    done
        For each step, the designs at which it was done, by all columns.
    """

    def __init__(self, network: Network, state: State) -> None:
        self.tables = {n.quantity: Table() for n in network.learned}
        self.known: dict[str, dict[Key, tuple[float, float]]] = {q: {} for q in self.tables}
        self.done: dict[str, set[Key]] = {}
        good = [o for o in state.observations if o.failure is None]
        actions = [state.actions[o.action_id] for o in good]
        on_design = [i for i, a in enumerate(actions) if a.target.design]
        x = state.workflow.space.encode([actions[i].target.design for i in on_design])
        whole = whole_keys(x)
        columns = {n.quantity: keys_of(x, n.columns) for n in network.learned}
        for row, i in enumerate(on_design):
            given = set_inputs(actions[i], state.workflow)
            if not given:
                self.done.setdefault(actions[i].step, set()).add(whole[row])
            for quantity, estimate in good[i].values.items():
                if quantity in self.tables:
                    key = None if given else columns[quantity][row]
                    self._note(quantity, row, x[row], key, estimate, given)
        self.designs = x

    def _note(
        self,
        quantity: str,
        row: int,
        x: Vector,
        key: Key | None,
        estimate: Estimate,
        given: dict[str, float],
    ) -> None:
        value, std = estimate.value, estimate.std
        table = self.tables[quantity]
        table.rows.append(row)
        table.x.append(x)
        table.given.append(given)
        table.y.append(value)
        table.noise.append(std**2)
        if key is None:  # told at inputs that belong to no design
            return
        total, weight = self.known[quantity].get(key, (0.0, 0.0))
        self.known[quantity][key] = (total + value, weight + 1.0)
