"""What baselines believe of a network of functions: one Gaussian process a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from probewise.workflow import Design

from ._node_gp import NodeGP, fit_node
from ._problem import Node, Problem, Query

Array = NDArray[np.float64]
WORLDS = 32
POOL = 1024
ROUNDS = (0.1, 0.03, 0.01, 0.003)
"""Widths, in units of the space, of the search around the best points so far."""
LEADERS, SPREAD = 8, 32


@dataclass
class Measured:
    """Inputs and outputs of one node."""

    inputs: list[list[float]] = field(default_factory=list)
    outputs: list[float] = field(default_factory=list)


class NetworkBelief:
    """Data of every node, the processes fitted to them, and the best believed design."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self.problem = problem
        self.designs: list[Design] = []
        self._data = {n.quantity: Measured() for n in problem.measured}
        self._known: list[dict[str, float]] = []
        self._fits: dict[str, NodeGP] = {}
        self._rng = np.random.default_rng([seed, 31])
        normal = np.random.default_rng([seed, 37])
        half = {n.quantity: normal.standard_normal(WORLDS // 2) for n in problem.measured}
        self._worlds = {k: np.concatenate([z, -z]) for k, z in half.items()}

    def add(self, query: Query, values: Mapping[str, float]) -> None:
        """Take in what a query brought; outputs of parents are looked up at the same design."""
        known = self.known(query.design) | dict(query.parents)
        for node in (n for step in query.steps for n in self.problem.steps[step]):
            known[node.quantity] = values[node.quantity]
            row = [query.design[c] for c in node.controls] + [known[p] for p in node.parents]
            self._data[node.quantity].inputs.append(row)
            self._data[node.quantity].outputs.append(values[node.quantity])
            self._fits.pop(node.quantity, None)
        if query.parents:
            return
        if query.design in self.designs:
            self._known[self.designs.index(query.design)] = known
        else:
            self.designs.append(query.design)
            self._known.append(known)

    def known(self, design: Design) -> dict[str, float]:
        """Quantities measured at a design."""
        return dict(self._known[self.designs.index(design)]) if design in self.designs else {}

    def fit(self, node: Node) -> NodeGP:
        """The node's process, fitted again only where there are new data."""
        if node.quantity not in self._fits:
            data = self._data[node.quantity]
            x, y = np.array(data.inputs, dtype=np.float64), np.array(data.outputs)
            self._fits[node.quantity] = fit_node(x, y, node.noise)
        return self._fits[node.quantity]

    def goal_mean(self, points: Array, known: Mapping[str, Array] | None = None) -> Array:
        """Posterior mean (n,) of the goal at points (n, dim), by worlds pushed through the nodes.

        ``known`` are outputs (n,) that are certain at these points.
        """
        columns = dict(zip(self.problem.space.names, points.T, strict=True))
        n = len(points)
        values: dict[str, Array] = {
            q: np.broadcast_to(v[:, None], (n, WORLDS)) for q, v in (known or {}).items()
        }
        wanted = self.problem.chain()
        for node in self.problem.nodes:
            if node.quantity in values or (node.formula is None and node.step not in wanted):
                continue
            inputs = [np.broadcast_to(columns[c][:, None], (n, WORLDS)) for c in node.controls]
            inputs += [values[p] for p in node.parents]
            flat = np.stack(inputs, axis=-1).reshape(n * WORLDS, -1)
            if node.formula is not None:
                values[node.quantity] = node.function(flat).reshape(n, WORLDS)
            elif node.parents:
                mean, std = (a.reshape(n, WORLDS) for a in self.fit(node).predict(flat))
                values[node.quantity] = mean + std * self._worlds[node.quantity]
            else:
                mean, std = self.fit(node).predict(flat[::WORLDS])
                worlds = self._worlds[node.quantity]
                values[node.quantity] = mean[:, None] + std[:, None] * worlds
        return values[self.problem.goal.quantity].mean(axis=1)

    def recommend(self) -> Design:
        """The design with the largest posterior mean, found by a local search.

        Of a pool, the design with the best measured goal.
        """
        space = self.problem.space
        if self.problem.pool is not None:
            goal = self.problem.goal.quantity
            measured = [(k[goal], i) for i, k in enumerate(self._known) if goal in k]
            return self.designs[max(measured)[1]]
        points = [self._rng.random((POOL, space.dim))]
        if self.designs:
            points.append(space.encode(self.designs))
        unit = np.concatenate(points)
        means = self.goal_mean(self._in_units(unit))
        for width in ROUNDS:
            leaders = unit[np.argsort(-means)[:LEADERS]]
            steps = width * self._rng.standard_normal((LEADERS, SPREAD, space.dim))
            near = np.clip(leaders[:, None] + steps, 0.0, 1.0).reshape(-1, space.dim)
            unit = np.concatenate([leaders, near])
            means = self.goal_mean(self._in_units(unit))
        return space.decode(unit[means.argmax()])[0]

    def _in_units(self, unit: Array) -> Array:
        return np.array([list(d.values()) for d in self.problem.space.decode(unit)])
