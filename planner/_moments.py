"""Mean and covariance of all quantities at pool points: the belief as one joint Gaussian.

Where no step consumes what another measures, a belief is a chain of linear-Gaussian sources, and
its moments have a closed form (Rasmussen & Williams 2006, eq. 2.42; Kennedy & O'Hagan 2000). Else
they are those of the sampled worlds, with correlations that are no larger than luck put to zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from ._belief import Belief
from ._gp import Matrix, Vector
from ._worlds import Indices, Probe, Worlds

Rows = NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False)
class Moments:
    """``mean[q]`` has shape (M,); ``blocks[a, b]`` is the covariance (M, M) of a with b, absent
    where it is zero.
    """

    mean: dict[str, Vector]
    blocks: dict[tuple[str, str], Matrix]

    def covariance(self, a: str, at: Rows, b: str, of: Rows) -> Matrix:
        """Covariance (len(at), len(of)) of quantity ``a`` at points with ``b`` at others."""
        if (a, b) in self.blocks:
            return self.blocks[a, b][np.ix_(at, of)]
        if (b, a) in self.blocks:
            return self.blocks[b, a][np.ix_(of, at)].T
        return np.zeros((len(at), len(of)))

    def variance(self, quantity: str, at: Rows) -> Vector:
        return np.maximum(self.blocks[quantity, quantity][at, at], 0.0)

    def pairwise(self, a: str, b: str, at: Rows) -> Vector:
        """Covariance (N,) of two quantities at the same points."""
        block = self.blocks.get((a, b), self.blocks.get((b, a)))
        return np.zeros(len(at)) if block is None else block[at, at]

    def with_probes(self, quantity: str, at: Rows, probes: Sequence[Probe]) -> Matrix:
        """Covariance (len(at), k) of a quantity with what the probes would show."""
        columns = [self.covariance(quantity, at, p.quantity, np.array([p.point])) for p in probes]
        return np.concatenate(columns, axis=1)

    def among_probes(self, probes: Sequence[Probe]) -> Matrix:
        """Covariance (k, k) of what the probes would show, noise included."""
        rows = [
            [
                self.covariance(p.quantity, np.array([p.point]), q.quantity, np.array([q.point]))[
                    0, 0
                ]
                for q in probes
            ]
            for p in probes
        ]
        found = np.array(rows)
        floor = 1e-9 * float(np.max(np.diag(found), initial=0.0)) + 1e-300
        return found + np.diag([p.noise_std**2 + floor for p in probes])

    def given(self, probes: Sequence[Probe]) -> Moments:
        """The moments after the probes, should they show what is expected of them."""
        probes = [p for p in probes if p.quantity in self.mean]
        if not probes:
            return self
        every = np.arange(len(next(iter(self.mean.values()))))
        factor = np.linalg.cholesky(self.among_probes(probes))
        shown = {
            q: np.linalg.solve(factor, self.with_probes(q, every, probes).T) for q in self.mean
        }
        names = list(self.mean)
        blocks = {
            (a, b): self.covariance(a, every, b, every) - shown[a].T @ shown[b]
            for i, a in enumerate(names)
            for b in names[: i + 1]
        }
        return Moments(self.mean, blocks)


def has_closed_form(belief: Belief) -> bool:
    """Whether no modelled quantity is a function of another measured one."""
    return not any(belief.workflow.parents(q) for q in belief.quantities)


def moments_of(belief: Belief, worlds: Worlds) -> Moments:
    """The moments of a belief over the pool of its worlds."""
    if has_closed_form(belief):
        return gaussian_moments(belief, worlds.pool)
    return sampled_moments(worlds)


def sampled_moments(worlds: Worlds) -> Moments:
    """Moments of the worlds; each squared correlation is reduced by what luck gives (Fisher's
    adjusted R squared with one regressor and as many data as there are mirrored pairs).
    """
    pairs = worlds.count // 2
    names = list(worlds.values)
    centred = {q: v[:pairs] - v.mean(0) for q, v in worlds.values.items()}
    std = {q: np.sqrt(np.mean(v**2, axis=0)) for q, v in centred.items()}
    blocks = {}
    for i, a in enumerate(names):
        for b in names[: i + 1]:
            scale = np.maximum(std[a][:, None] * std[b][None, :], 1e-300)
            r = np.clip(centred[a].T @ centred[b] / pairs / scale, -1.0, 1.0)
            share = np.maximum(1.0 - (1.0 - r**2) * (pairs - 1) / max(pairs - 2, 1), 0.0)
            blocks[a, b] = np.sign(r) * np.sqrt(share) * scale
    return Moments({q: v.mean(0) for q, v in worlds.values.items()}, blocks)


def gaussian_moments(belief: Belief, pool: Matrix) -> Moments:
    """Closed-form moments over pool points (M, dim) of a belief without consumed quantities."""
    sizes = {q: len(belief.data[q].y) for q in belief.quantities if q in belief.data}
    everywhere = np.concatenate([pool, *[belief.data[q].x for q in sizes]])
    rows: dict[str, Indices] = {}
    start = len(pool)
    for q, n in sizes.items():
        rows[q] = np.arange(start, start + n)
        start += n
    found = _Chain(belief, everywhere)
    for quantity in belief.quantities:
        if belief.is_theory(quantity) and quantity in belief.grids:
            found.add_theory(quantity)
        else:
            found.add(quantity, rows.get(quantity, np.zeros(0, dtype=np.int64)))
    m = len(pool)
    mean = {q: v[:m] for q, v in found.mean.items()}
    return Moments(mean, {k: v[:m, :m] for k, v in found.blocks.items()})


class _Chain:
    """Moments over pool and data, one quantity after the other, cheaper sources first."""

    def __init__(self, belief: Belief, everywhere: Matrix) -> None:
        self._belief, self._x = belief, everywhere
        self.mean: dict[str, Vector] = {}
        self.blocks: dict[tuple[str, str], Matrix] = {}
        self._members: dict[str, Matrix] = {}

    def add_theory(self, quantity: str) -> None:
        """An ensemble; ensembles of equal size are of the same theory, member by member."""
        members = self._belief.theory_members(quantity, self._x)
        self.mean[quantity] = members.mean(0)
        self._members[quantity] = members - members.mean(0)
        for other, centred in self._members.items():
            if len(centred) == len(members):
                mine = self._members[quantity]
                self.blocks[quantity, other] = mine.T @ centred / len(members)

    def add(self, quantity: str, rows: Rows) -> None:
        node = self._belief.node(quantity)
        z = self._x[:, node.controls]
        kernel = node.process.kernel
        cross = kernel(node.process.x, z)
        weights = node.process.solve(cross).T if len(rows) else np.zeros((len(z), 0))
        own = kernel(z, z) - weights @ cross
        regressors = [1.0 - weights.sum(1)]
        source = node.regressors[0] if node.regressors else None
        if source is not None:
            location, scale = self._belief.scale_of(source)
            standard = (self.mean[source] - location) / scale
            regressors.append(standard - weights @ standard[rows])
        basis = np.stack(regressors, axis=1)
        mean = basis @ node.beta + weights @ node.y
        own = own + basis @ node.beta_cov @ basis.T
        if source is not None:
            _, scale = self._belief.scale_of(source)
            factor = float(node.beta[1])
            for other in list(self.mean):
                block = self.blocks.get((source, other))
                if block is None and (other, source) in self.blocks:
                    block = self.blocks[other, source].T
                if block is not None:
                    passed = (block - weights @ block[rows]) / scale
                    self.blocks[quantity, other] = node.scale * factor * passed
            passed = self.blocks[source, source] / scale**2
            passed = passed - weights @ passed[rows]
            passed = passed - (weights @ passed[:, rows].T).T
            own = own + (factor**2 + float(node.beta_cov[1, 1])) * passed
        self.mean[quantity] = node.location + node.scale * mean
        self.blocks[quantity, quantity] = node.scale**2 * own
