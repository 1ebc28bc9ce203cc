"""What is believed of a network of functions: data, scales, processes, and what is already known.

What runs counts as measured at its believed value, so that nothing is proposed twice for the same
information (Ginsbourger, Le Riche & Carraro 2010, "kriging believer").
"""

from __future__ import annotations

from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..workflow import State
from ._network_data import Key, Measured, keys_of, set_inputs, whole_keys, with_scatter
from ._network_fit import Fit, Told, fit_group
from ._network_graph import Learned, Network
from ._network_kernel import Levels, Matrix, Vector
from ._network_process import GroupProcess
from ._network_sparse import EXACT, support_of

_NOISE_FLOOR = 1e-10
_FITTED = 400
"""So many data at most decide on hyperparameters."""
_EXACT = 1e-3
"""A noise below this share of a quantity's scale counts as none."""


@final
class Memory:
    """Fits and factors of earlier decisions: they save time and change nothing."""

    def __init__(self) -> None:
        self.fits: dict[tuple[int, bytes], Fit] = {}
        self.processes: dict[int, tuple[Fit, GroupProcess]] = {}


def due_fit(n: int) -> int:
    """The number of data at the last scheduled fit: each up to 20, then every eighth more."""
    due = min(n, 20)
    while due >= 20 and int(due * 1.125) + 1 <= n:
        due = int(due * 1.125) + 1
    return due


@final
class NetworkBelief:
    """The joint belief of a network after the observations of a state.

    Attributes
    ----------
    known
        For each quantity, what was measured of it, by the columns that it depends on.
    done, running
        For each step, the designs at which it was done or runs, by all columns.
    """

    def __init__(self, network: Network, state: State, memory: Memory) -> None:
        self.network = network
        self.state = state
        measured = Measured(network, state)
        self._designs, self._tables = measured.designs, measured.tables
        self.known, self.done = measured.known, measured.done
        self.running: dict[str, set[Key]] = {}
        self.scales = {n.quantity: self._scale(n.quantity) for n in network.learned}
        self.fits: list[Fit] = []
        self.groups: list[GroupProcess] = []
        for number, chain in enumerate(network.groups):
            self._add_group(number, chain, memory)
        self._pending()

    def _scale(self, quantity: str) -> tuple[float, float]:
        """Location and scale for standardizing: the prior's, or the data's where there is none."""
        prior = self.network.workflow.priors.get(quantity)
        y = np.array(self._tables[quantity].y)
        y = y[: due_fit(len(y))]  # as stable as the fit
        if prior is not None:
            return prior.mean, prior.std
        if not len(y):
            return 0.0, 1.0
        spread = float(y.std())
        center = float(y.mean())
        return center, spread if spread > 1e-12 * max(abs(center), 1e-290) else max(
            abs(center), 1.0
        )

    # -- processes --------------------------------------------------------------------------------

    def inputs(self, node: Learned, x: Matrix, parents: dict[str, Vector]) -> Matrix:
        """Inputs (n, d) of a node's process: controls, then standardized parents."""
        columns = [x[:, node.controls]]
        for name in node.parents:
            columns.append(self.standard(name, parents[name])[:, None])
        return np.concatenate(columns, axis=1)

    def standard(self, quantity: str, values: Vector) -> Vector:
        location, scale = self.scales.get(quantity, (0.0, 1.0))
        return (values - location) / scale

    def noise(self, quantity: str) -> float:
        """Standard deviation of the next measurement: what past ones said, else the step's own."""
        told = self._tables[quantity].noise
        if told:
            return float(np.sqrt(np.median(told)))
        return float(self.network.learn(quantity).step.noise.get(quantity, 0.0))

    def exact(self, quantity: str) -> bool:
        """Whether a measurement leaves no doubt worth another one at the same place."""
        return self.noise(quantity) <= _EXACT * self.scales[quantity][1]

    def count(self, quantity: str) -> int:
        return len(self._tables[quantity].y)

    @cached_property
    def floor(self) -> float:
        """The smallest value seen of the goal: what a design counts that must not be taken."""
        goal = self.network.goal
        seen = self._goal_values
        if goal in self._tables and len(seen) < 2:
            location, scale = self.scales[goal]
            return location - 2.0 * scale
        return float(seen.min()) if len(seen) else 0.0

    @cached_property
    def height(self) -> float:
        """How far the best value seen of the goal is above the middle of all.

        Unlike their standard deviation it does not grow with how bad the worst ones are.
        """
        seen = self._goal_values
        return float(seen.max() - np.median(seen)) if len(seen) else 0.0

    @cached_property
    def _goal_values(self) -> Vector:
        """What was measured of the goal (n,), or follows from measurements where it is computed."""
        goal = self.network.goal
        if goal in self._tables:
            return np.array(self._tables[goal].y)
        values = self._formula_values(goal, self._designs)
        return values[np.isfinite(values)]

    def _add_group(self, number: int, chain: tuple[str, ...], memory: Memory) -> None:
        order: list[tuple[int, int]] = []
        x: list[Matrix] = []
        y: list[Vector] = []
        noise: list[Vector] = []
        for level, quantity in enumerate(chain):
            node, table = self.network.learn(quantity), self._tables[quantity]
            if not table.y:
                continue
            designs = np.array(table.x)
            parents = {p: self._parent_values(p, designs) for p in node.parents}
            for row, given in enumerate(table.given):
                for name, value in given.items():
                    parents[name][row] = value
            scale = self.scales[quantity][1]
            x.append(self.inputs(node, designs, parents))
            y.append(self.standard(quantity, np.array(table.y)))
            noise.append(np.maximum(np.array(table.noise) / scale**2, _NOISE_FLOOR))
            order += [(row, level) for row in table.rows]
        if not order:
            self._add_prior(number, chain)
            return
        rank = np.array(sorted(range(len(order)), key=lambda i: order[i]))
        levels = np.array([level for _, level in order])[rank]
        inputs, values = np.concatenate(x)[rank], np.concatenate(y)[rank]
        variances = with_scatter(inputs, levels, values, np.concatenate(noise)[rank])
        fit = self._fit(memory, number, inputs, levels, values, variances)
        self.fits.append(fit)
        earlier = memory.processes.get(number)
        if earlier is not None and earlier[0] is fit:
            process = earlier[1]
            if process.continues(inputs, levels, variances):
                n = len(process.x)
                process = process.with_data(inputs[n:], levels[n:], values, variances[n:])
                memory.processes[number] = (fit, process)
                self.groups.append(process)
                return
        support = None
        if len(values) > EXACT:
            standing = self._standing(np.array([row for row, _ in order])[rank])
            support = support_of(fit.kernel, inputs, levels, standing)
        process = GroupProcess(fit.kernel, inputs, levels, values, variances, fit.nugget, support)
        memory.processes[number] = (fit, process)
        self.groups.append(process)

    def _standing(self, rows: NDArray[np.int64]) -> Vector:
        """How good the end was at designs measured (n,): 1 at the best, 0 in the middle or below.

        Where it is not known it counts as in the middle.
        """
        goal = self.network.goal
        if goal in self.known:
            end = self.lookup(self._designs[rows])[goal]
        else:
            end = self._formula_values(goal, self._designs[rows])
        seen = end[np.isfinite(end)]
        if not len(seen):
            return np.zeros(len(rows))
        middle, best = float(np.median(seen)), float(seen.max())
        above = np.where(np.isfinite(end), end, middle) - middle
        return np.clip(above / max(best - middle, 1e-290), 0.0, 1.0)

    def _fit(
        self,
        memory: Memory,
        number: int,
        x: Matrix,
        levels: Levels,
        y: Vector,
        noise: Vector,
    ) -> Fit:
        """The scheduled fit, on a few hundred of the data at most."""
        due = due_fit(len(y))
        rows = np.arange(due)
        if due > _FITTED:
            best = np.argsort(-y[:due], kind="stable")[: _FITTED // 4]
            spread = np.linspace(0, due - 1, _FITTED - len(best)).astype(int)
            rows = np.unique(np.concatenate([best, spread]))
        given = (x[rows], levels[rows], y[rows], noise[rows])
        key = (number, b"".join(a.tobytes() for a in given))
        if key not in memory.fits:
            width = self._width(number, x[:due])
            count = len(self.network.groups[number])
            listed = bool(self.network.workflow.space.candidates)
            memory.fits[key] = fit_group(*given, width, count, listed, self._told(number))
        return memory.fits[key]

    def _told(self, number: int) -> tuple[Told, ...]:
        """What the workflow tells of how a group's sources correlate with what they are sources of.

        Where that is no part of the group: with the last of it, which is another source then.
        """
        workflow, chain = self.network.workflow, self.network.groups[number]
        found: list[Told] = []
        for level, source in enumerate(chain[:-1]):
            target = workflow.target_of(source)
            other = target if target in chain else chain[-1]
            told = workflow.correlation(source, other)
            if told is not None:
                found.append(Told.of(level, chain.index(other), told.r, told.std))
        return tuple(found)

    def _add_prior(self, number: int, chain: tuple[str, ...]) -> None:
        """A group of which nothing is measured."""
        node = self.network.learn(chain[0])
        x = np.zeros((0, len(node.controls) + len(node.parents)))
        levels, none = np.zeros(0, dtype=np.int64), np.zeros(0)
        width, told = self._width(number, x), self._told(number)
        fit = fit_group(x, levels, none, none, width, len(chain), told=told)
        self.fits.append(fit)
        self.groups.append(GroupProcess(fit.kernel, x, levels, none, none, fit.nugget))

    def _width(self, number: int, x: Matrix) -> Vector:
        """Spans of a group's inputs (n, d): one for a control, what was seen for a parent."""
        controls = len(self.network.learn(self.network.groups[number][0]).controls)
        width = np.ones(x.shape[1])
        parents = x[:, controls:]
        width[controls:] = np.maximum(np.ptp(parents, axis=0), 1.0) if len(x) else 3.0
        return width

    def _parent_values(self, parent: str, x: Matrix) -> Vector:
        """Measured values of a parent at designs; its mean where there is none."""
        if parent not in self.known:
            return self._formula_values(parent, x)
        found = self.known[parent]
        keys = keys_of(x, self.network.nodes[parent].columns)
        return np.array(
            [found[k][0] / found[k][1] if k in found else self.scales[parent][0] for k in keys]
        )

    def _formula_values(self, name: str, x: Matrix) -> Vector:
        node = self.network.nodes[name]
        assert not isinstance(node, Learned)
        given = {p: self._parent_values(p, x) for p in node.parents}
        return np.broadcast_to(node.formula(given | self.variables(x)), (len(x),)).copy()

    def variables(self, x: Matrix) -> dict[str, Vector]:
        """Variables of the space in their units, by name, at unit designs (n, dim)."""
        space = self.network.workflow.space
        return {v.name: v.from_unit(x[:, i]) for i, v in enumerate(space.variables)}

    # -- running ----------------------------------------------------------------------------------

    def _pending(self) -> None:
        """Condition on what runs as if its believed values had been measured, and on what follows.

        A chain that was begun will be gone on with if it promises enough: beginning another one
        beside it would tell the same.
        """
        space = self.network.workflow.space
        issued = [i for i in self.state.running.values() if i.action.target.design]
        for item in issued:
            x = space.encode([item.action.target.design])
            key = whole_keys(x)[0]
            self.running.setdefault(item.action.step, set()).add(key)
            produced = {p.name for p in self.network.workflow.step(item.action.step).produces}
            given = set_inputs(item.action, self.network.workflow)
            for name in produced & set(self.known) if given else ():
                at = {q: np.array([v]) for q, v in given.items()}
                self._believed(self.network.learn(name), x, at, True)
            if not given:
                self._believe(produced, x)

    def _believe(self, produced: set[str], x: Matrix) -> None:
        known = self.lookup(x)
        values: dict[str, Vector] = {}
        touched: set[str] = set()
        for name, node in self.network.nodes.items():
            moved = name in produced or any(p in touched for p in node.parents)
            if not isinstance(node, Learned):
                found = node.formula({p: values[p] for p in node.parents} | self.variables(x))
                values[name] = np.broadcast_to(found, (1,))
            elif not np.isnan(known[name][0]) and not moved:
                values[name] = known[name]
            else:
                values[name] = self._believed(node, x, values, moved)
            if moved:
                touched.add(name)

    def _believed(
        self, node: Learned, x: Matrix, values: dict[str, Vector], condition: bool
    ) -> Vector:
        """The mean of a node at one design, given its parents; conditioned on if asked."""
        inputs = self.inputs(node, x, {p: values[p] for p in node.parents})
        group = self.groups[node.group]
        location, scale = self.scales[node.quantity]
        mean = group.moments(inputs, node.level).mean
        if condition:
            noise = max((self.noise(node.quantity) / scale) ** 2, _NOISE_FLOOR)
            told = np.concatenate([group.y, mean])
            levels: Levels = np.array([node.level])
            self.groups[node.group] = group.with_data(inputs, levels, told, np.array([noise]))
        return location + scale * mean

    def doubting(self) -> NetworkBelief | None:
        """The same belief with length scales as short as the data allow; None if that is no
        different.
        """
        if all(f.doubt > 0.9 for f in self.fits):
            return None
        return self.with_groups(
            [
                g.under(f.kernel.shorter(f.doubt))
                for f, g in zip(self.fits, self.groups, strict=True)
            ]
        )

    def inflated(self, factor: float) -> NetworkBelief:
        """The same belief with all standard deviations times ``factor``."""
        return self.with_groups([g.inflated(factor) for g in self.groups])

    def with_groups(self, groups: list[GroupProcess]) -> NetworkBelief:
        """The same belief with other processes."""
        other = object.__new__(NetworkBelief)
        other.__dict__.update(self.__dict__)
        other.groups = groups
        return other

    # -- what is known at points ------------------------------------------------------------------

    def lookup(self, x: Matrix) -> dict[str, Vector]:
        """For each quantity its measured value at unit designs (n, dim), NaN where unknown."""
        values: dict[str, Vector] = {}
        for node in self.network.learned:
            found = self.known[node.quantity]
            values[node.quantity] = np.full(len(x), np.nan)
            keys = keys_of(x, node.columns) if found else []
            for i, key in enumerate(keys):
                if key in found:
                    total, weight = found[key]
                    values[node.quantity][i] = total / weight
        return values

    def begun(self, x: Matrix) -> NDArray[np.int64]:
        """Rows of unit designs (n, dim) at which something was measured, the last few hundred."""
        seen = set(whole_keys(self._designs[-256:]))
        return np.array([i for i, k in enumerate(whole_keys(x)) if k in seen], dtype=int)

    def measured_designs(self) -> NDArray[np.float64]:
        """Unit designs (n, dim) of all that was measured, repeated where it was so."""
        return self._designs
