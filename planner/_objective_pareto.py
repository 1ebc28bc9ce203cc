"""Find a Pareto front: the expected rise of the hypervolume that it bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from ..workflow import Pareto
from ._closed import Asked, Closed, between
from ._gp import Matrix, Vector
from ._hypervolume import Cells, hypervolume, inferred_reference, normal_draws
from ._moments import Moments
from ._worlds import Indices, Probe, Worlds

_JOINT_DRAWS, _VOLUME_POINTS, _CEILING_WORLDS = 64, 512, 32


@final
class Hypervolume(Closed):
    """Gains are expected rises of the hypervolume of the front.

    After a measurement the mean of the aims at its point is normal, with the covariance that the
    measurement explains, and the point may join the front: the gain is the expected hypervolume
    improvement of that mean (Emmerich et al. 2011; for an exact measurement of all aims the usual
    one). A point joins once all aims were measured there. Before, a measurement of a part of them,
    or of a proxy, gains what its outcome adds to the improvement that is expected already.

    ``told`` (M, m) says at which pool points each aim was measured; ``known`` are the points that
    make the front: those with all aims, or, where there is none, with any.
    """

    def __init__(
        self, worlds: Worlds, moments: Moments, goal: Pareto, told: NDArray[np.bool_]
    ) -> None:
        super().__init__(worlds, goal.quantities)
        self.moments, self._goal, self._told = moments, goal, told
        known = known_rows(told)
        self.known = known
        self._signs = np.array(goal.signs)
        front = self.believed(known)
        self.reference = reference_of(goal, front, self.believed(np.arange(len(worlds.pool))))
        self.cells = Cells(front, self.reference)

    def believed(self, rows: Indices) -> Matrix:
        """Believed aims (N, m) at pool points, signed so that more is better."""
        return self._signs * np.stack([self.moments.mean[q][rows] for q in self.quantities], axis=1)

    def _moves(self, asked: Sequence[Asked], points: Indices) -> Matrix:
        """Covariance (N, m, m) of the aims' means after measuring ``asked`` at each point."""
        cross = np.stack(
            [
                np.stack([self.moments.pairwise(q, name, points) for name, _ in asked], axis=-1)
                for q in self.quantities
            ],
            axis=-2,
        )
        solved = np.linalg.solve(between(self.moments, asked, points), np.swapaxes(cross, -1, -2))
        return (cross @ solved) * np.outer(self._signs, self._signs)

    def several(self, asked: Sequence[Asked], points: Indices) -> Vector:
        mean, moves = self.believed(points), self._moves(asked, points)
        std = np.sqrt(np.maximum(np.einsum("nii->ni", moves), 0.0))
        off = moves - np.einsum("ni,ij->nij", std**2, np.eye(len(self.quantities)))
        scale = np.maximum(np.einsum("ni,nj->nij", std, std), 1e-300)
        apart = np.max(np.abs(off) / scale, initial=0.0) < 1e-3
        gain = (
            self.cells.expected_gain(mean, std) if apart else self.cells.sampled_gain(mean, moves)
        )
        joins = self._joins({name for name, _ in asked}, points)
        return np.where(joins, gain, np.maximum(gain - self.cells.gain(mean), 0.0))

    def _joins(self, asked: set[str], points: Indices) -> NDArray[np.bool_]:
        """Whether (N,) all aims are known at each point once ``asked`` are measured there."""
        new = np.array([q in asked for q in self.quantities])
        return np.asarray((self._told[points] | new).all(1))

    def joint(self, probes: Sequence[Probe]) -> float:
        """Measurements at one point in closed form; at several by quasi-Monte Carlo over the room
        that the front leaves free.
        """
        if not probes:
            return 0.0
        rows = np.array(sorted({p.point for p in probes}))
        alone = [self._at(row, [p for p in probes if p.point == row]) for row in rows]
        full = [r for r in rows if self._full(r, probes)]
        if len(rows) == 1 or not full:
            return max(alone)
        return max(self._sampled(np.array(full), probes), *alone)

    def _full(self, row: int, probes: Sequence[Probe]) -> bool:
        asked = {p.quantity for p in probes if p.point == row}
        return bool(self._joins(asked, np.array([row]))[0])

    def _at(self, row: int, probes: Sequence[Probe]) -> float:
        asked = {p.quantity: p.noise_std for p in probes}
        return float(self.several(list(asked.items()), np.array([row]))[0])

    def _sampled(self, rows: Indices, probes: Sequence[Probe]) -> float:
        cross = np.concatenate(
            [
                s * self.moments.with_probes(q, rows, probes)
                for q, s in zip(self.quantities, self._signs, strict=True)
            ]
        )
        factor = np.linalg.cholesky(self.moments.among_probes(probes))
        moves = np.linalg.solve(factor, cross.T).T @ normal_draws(_JOINT_DRAWS, len(probes)).T
        shape = (len(self.quantities), len(rows), _JOINT_DRAWS)
        means = self.believed(rows).T[:, :, None] + moves.reshape(shape)
        top = np.maximum(means.max((1, 2)), self.reference + 1e-300)
        if len(self.cells.front):
            top = np.maximum(top, self.cells.front.max(0))
        unit = qmc.Sobol(len(top), seed=11).random(_VOLUME_POINTS)  # pyright: ignore[reportCallIssue]
        places = self.reference + unit * (top - self.reference)
        if len(self.cells.front):
            taken = (self.cells.front[:, None, :] >= places[None]).all(-1).any(0)
            places = places[~taken]
        reached = (means[:, :, :, None] >= places.T[:, None, None, :]).all(0).any(0)
        share = float(reached.sum(-1).mean()) / _VOLUME_POINTS
        return share * float(np.prod(top - self.reference))

    def given(self, probes: Sequence[Probe]) -> Hypervolume:
        """Measured points join the front at their mean."""
        told = self._told.copy()
        for probe in probes:
            if probe.quantity in self.quantities:
                told[probe.point, self.quantities.index(probe.quantity)] = True
        return Hypervolume(self.worlds, self.moments.given(probes), self._goal, told)

    def ceiling(self) -> float:
        """Expected rise of the hypervolume if every open pool point were known."""
        rows = np.flatnonzero(self.worlds.open)
        values = [self.worlds.values[q][:_CEILING_WORLDS, rows] for q in self.quantities]
        worlds = np.moveaxis(np.stack(values) * self._signs[:, None, None], 0, -1)
        found = [hypervolume(world, self.reference) for world in worlds]
        return max(float(np.mean(found)) - self.cells.volume, 0.0)


def known_rows(told: NDArray[np.bool_]) -> Indices:
    """Points at which all aims were measured; where there is none, any."""
    whole = told.all(1)
    return np.flatnonzero(whole if whole.any() else told.any(1))


def reference_of(goal: Pareto, front: Matrix, believed: Matrix) -> Vector:
    """The goal's reference (m,), signed so that more is better; else one below the front, or below
    the believed front while nothing was measured.
    """
    if goal.reference:
        given = np.array([goal.reference[q] for q in goal.quantities])
        return given * np.array(goal.signs)
    return inferred_reference(front if len(front) else believed)
