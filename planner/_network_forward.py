"""Through the network: from designs and draws to the end, with slopes where climbing needs them.

Arrays have the axes (point, outcome, draw): ``outcome`` runs over what one measurement might give,
``draw`` over everything else that is uncertain. An axis on which nothing depends has length one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import qmc

from ._network_belief import NetworkBelief
from ._network_graph import Known, Learned
from ._network_kernel import Matrix, Vector

Block = NDArray[np.float64]

_STEP = 1e-5


@final
@dataclass(frozen=True)
class Reach:
    """What the end may be: mean and standard deviation, axes (point, outcome, draw).

    ``inputs`` are those of each process (point, outcome, draw, d); slopes have one more axis, the
    columns of the space.
    """

    mean: Block
    std: Block
    inputs: dict[str, Block]
    mean_slope: Block | None = None
    std_slope: Block | None = None


def balanced_draws(count: int, names: tuple[str, ...], seed: int) -> dict[str, Vector]:
    """Standard normal draws (count,) for each name: scrambled Sobol, with mean 0 and variance 1."""
    if count == 1 or not names:
        return {n: np.zeros(1) for n in names}
    uniform = qmc.Sobol(len(names), seed=seed).random(count)  # pyright: ignore[reportCallIssue]
    z = ndtri(np.clip(uniform, 1e-6, 1.0 - 1e-6))
    z -= z.mean(0)
    z /= np.maximum(z.std(0), 1e-9)
    return {n: z[:, i] for i, n in enumerate(names)}


@final
@dataclass(frozen=True)
class Sample:
    """Draws (1, 1, S) for each quantity and their weights (S,), which sum to one."""

    draws: dict[str, Block]
    weights: Vector

    def mean(self, values: Block) -> Block:
        """Weighted mean of values (N, 1, S, ...) over the draws."""
        wide = np.broadcast_to(values, (*values.shape[:2], len(self.weights), *values.shape[3:]))
        return np.tensordot(wide[:, 0], self.weights, axes=([1], [0]))


def wide_sample(count: int, names: tuple[str, ...], seed: int) -> Sample:
    """Draws that reach into the tails, weighted back to the standard normal.

    Importance sampling: improvements often lie where a plain sample of a few draws never goes.
    """
    if not names:
        return Sample({}, np.ones(1))
    plain = balanced_draws(count, names, seed)
    width = 1.0 + 0.7 / np.sqrt(len(names))
    z = np.stack([plain[n] for n in names]) * width
    weights = np.exp(-0.5 * (1.0 - width**-2) * (z**2).sum(0))
    weights /= weights.sum()
    return Sample({n: z[i][None, None, :] for i, n in enumerate(names)}, weights)


def forward(
    belief: NetworkBelief,
    x: Matrix,
    known: Mapping[str, Vector],
    draws: Mapping[str, Block],
    slopes: bool = False,
) -> Reach:
    """Push unit designs x (N, dim) through the network.

    ``draws[q]`` are standard normal numbers with shape (1 or N, T or 1, S or 1) for every learned
    quantity on the path but the end; a given end takes a value too. ``known[q]`` (N,) are measured
    values, NaN where there is none.
    """
    return _Pass(belief, x, known, draws, slopes).run()


@final
class _Pass:
    def __init__(
        self,
        belief: NetworkBelief,
        x: Matrix,
        known: Mapping[str, Vector],
        draws: Mapping[str, Block],
        slopes: bool,
    ) -> None:
        self.belief, self.x, self.known, self.draws, self.slopes = belief, x, known, draws, slopes
        self.values: dict[str, Block] = {}
        self.bends: dict[str, Block] = {}
        self.inputs: dict[str, Block] = {}

    def run(self) -> Reach:
        network = self.belief.network
        for name in network.path:
            node = network.nodes[name]
            if isinstance(node, Known):
                self._compute(node)
                continue
            mean, std, mean_bend, std_bend = self._predict(node)
            if name == network.end and name not in self.draws:
                return Reach(mean, std, self.inputs, mean_bend, std_bend)
            draw = self.draws[name]
            self.values[name] = mean + std * draw
            if self.slopes:
                assert mean_bend is not None and std_bend is not None
                self.bends[name] = mean_bend + std_bend * draw[..., None]
        end = self.values[network.end]
        bend = self.bends.get(network.end)
        still = None if bend is None else np.zeros_like(bend)
        return Reach(end, np.zeros_like(end), self.inputs, bend, still)

    def _predict(self, node: Learned) -> tuple[Block, Block, Block | None, Block | None]:
        """Moments of a node in its own unit; a measured value has no spread."""
        belief = self.belief
        given = self.known.get(node.quantity)
        end = node.quantity == belief.network.end
        if given is None or (end and not belief.exact(node.quantity)):
            given = np.full(len(self.x), np.nan)
        blank = np.isnan(given)
        if not blank.any() and not self.slopes:
            flat = given[:, None, None]
            return flat, np.zeros_like(flat), None, None
        shape = np.broadcast_shapes((1, 1), *[self.values[p].shape[1:] for p in node.parents])
        z = self._gather(node, shape)
        rows = np.arange(len(self.x)) if self.slopes else np.flatnonzero(blank)
        flat = z[rows].reshape(-1, z.shape[-1])
        found = belief.groups[node.group].moments(flat, node.level, self.slopes)
        location, scale = belief.scales[node.quantity]
        mean = np.broadcast_to(given[:, None, None], (len(self.x), *shape)).copy()
        std = np.zeros_like(mean)
        mean[rows] = location + scale * found.mean.reshape(len(rows), *shape)
        std[rows] = scale * found.std.reshape(len(rows), *shape)
        if not self.slopes:
            return mean, std, None, None
        wide = self._gather_bends(node, shape)
        size = (len(self.x), *shape, z.shape[-1])
        mean_bend = scale * np.einsum("ntsi,ntsid->ntsd", found.mean_slope.reshape(size), wide)
        std_bend = scale * np.einsum("ntsi,ntsid->ntsd", found.std_slope.reshape(size), wide)
        fixed = ~blank
        mean[fixed], std[fixed] = given[fixed, None, None], 0.0
        mean_bend[fixed], std_bend[fixed] = 0.0, 0.0
        return mean, std, mean_bend, std_bend

    def _gather(self, node: Learned, shape: tuple[int, ...]) -> Block:
        """Inputs (N, T, S, d) of a node."""
        size = (len(self.x), *shape)
        z = np.empty((*size, len(node.controls) + len(node.parents)))
        z[..., : len(node.controls)] = self.x[:, None, None, node.controls]
        for i, parent in enumerate(node.parents):
            z[..., len(node.controls) + i] = self.belief.standard(parent, self.values[parent])
        self.inputs[node.quantity] = z
        return z

    def _gather_bends(self, node: Learned, shape: tuple[int, ...]) -> Block:
        """Slopes of a node's inputs by the columns of the space (N, T, S, d, dim)."""
        size = (len(self.x), *shape)
        wide = np.zeros((*size, len(node.controls) + len(node.parents), self.x.shape[1]))
        for i, column in enumerate(node.controls):
            wide[..., i, column] = 1.0
        for i, parent in enumerate(node.parents):
            scale = self.belief.scales.get(parent, (0.0, 1.0))[1]
            wide[..., len(node.controls) + i, :] = self.bends[parent] / scale
        return wide

    def _compute(self, node: Known) -> None:
        variables = {
            k: v[:, None, None]
            for k, v in self.belief.variables(self.x).items()
            if k in {self.belief.network.workflow.space.names[c] for c in node.controls}
        }
        given = {p: self.values[p] for p in node.parents} | variables
        self.values[node.quantity] = self._formula(node, given)
        if not self.slopes:
            return
        shape = self.values[node.quantity].shape
        bend = np.zeros((*shape, self.x.shape[1]))
        for name in node.parents:
            bend += self._partial(node, given, name)[..., None] * self.bends[name]
        names = self.belief.network.workflow.space.names
        for column in node.controls:
            low, high = self.x.copy(), self.x.copy()
            low[:, column] -= _STEP
            high[:, column] += _STEP
            pair = [self.belief.variables(v)[names[column]][:, None, None] for v in (low, high)]
            ends = [self._formula(node, given | {names[column]: v}) for v in pair]
            bend[..., column] += (ends[1] - ends[0]) / (2.0 * _STEP)
        self.bends[node.quantity] = np.nan_to_num(bend, nan=0.0, posinf=0.0, neginf=0.0)

    def _formula(self, node: Known, given: dict[str, Block]) -> Block:
        """The formula where all guards hold and it is defined, the worst value seen elsewhere."""
        floor = self.belief.floor
        value = np.asarray(node.formula(given))
        value = np.broadcast_to(value, np.broadcast_shapes((1, 1, 1), value.shape))
        for guard in node.guards:
            value = np.where(guard(given) > 0.5, value, floor)
        return np.where(np.isfinite(value), value, floor)

    def _partial(self, node: Known, given: dict[str, Block], name: str) -> Block:
        step = 1e-5 * self.belief.scales.get(name, (0.0, 1.0))[1]
        up = self._formula(node, given | {name: given[name] + step})
        down = self._formula(node, given | {name: given[name] - step})
        return (up - down) / (2.0 * step)


def improvement(mean: Block, std: Block, best: float) -> Block:
    """Expected improvement over ``best`` of a normal quantity (Jones, Schonlau & Welch 1998)."""
    gap = mean - best
    safe = np.maximum(std, 1e-300)
    with np.errstate(over="ignore"):
        u = np.clip(gap / safe, -38.0, 38.0)
    value = gap * ndtr(u) + safe * np.exp(-0.5 * u**2) / np.sqrt(2.0 * np.pi)
    return np.where(std > 0.0, np.maximum(value, 0.0), np.maximum(gap, 0.0))
