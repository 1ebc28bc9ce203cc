"""A possible world: one draw of the belief that is a function, the same wherever it is asked.

Matheron's rule on random Fourier features (Wilson et al. 2020), as in :meth:`Process.paths`, but
kept as functions instead of values on a pool: a rehearsed campaign may go to any design, and come
back to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from ..workflow import (
    Explore,
    Formula,
    Goal,
    LocateBoundary,
    Maximize,
    Recommendation,
    Score,
    SpecError,
)
from ._belief import Belief
from ._gp import Kernel, Matrix, Process, Vector, default_kernel
from ._kernels import plausible_kernel
from ._worlds import crossings

_FEATURES = 256
_BEST_THEORY = 0.9
_ALL_BUT_ONE = 0.999
"""The largest correlation of a theory of which something was told."""
_SEARCH = 512
_LINE = 201


def rehearsable(goal: Goal) -> bool:
    """Whether a possible world can tell how good an answer to the goal is."""
    if isinstance(goal, Maximize):
        return goal.over == "designs"
    return isinstance(goal, Explore | LocateBoundary)


def not_rehearsable(goal: Goal) -> SpecError:
    """The refusal of a goal that is not :func:`rehearsable`."""
    return SpecError(
        "rehearsal",
        f"goal {goal.kind!r} over {getattr(goal, 'over', 'designs')}",
        "goals over designs: maximize, explore, locate_boundary",
        "run the campaign without a forecast, and with another policy than 'rehearsed'",
    )


@final
@dataclass(frozen=True)
class Path:
    """One draw of a Gaussian process: ``waves`` from the prior, corrected at the data ``x``."""

    kernel: Kernel
    omega: Matrix
    phase: Vector
    weights: Vector
    x: Matrix
    update: Vector

    def __call__(self, z: Matrix) -> Vector:
        values = np.cos(z @ self.omega.T + self.phase) @ self.weights
        return values + self.kernel(z, self.x) @ self.update if len(self.x) else values


def draw_path(
    kernel: Kernel, x: Matrix, residuals: Vector, noise: Vector, rng: np.random.Generator
) -> Path:
    """A path through ``residuals`` (n,) at ``x`` (n, d), seen with noise variances (n,)."""
    omega = kernel.frequencies(_FEATURES, rng)
    phase = rng.uniform(0.0, 2.0 * np.pi, _FEATURES)
    weights = rng.standard_normal(_FEATURES) * np.sqrt(2.0 * kernel.variance / _FEATURES)
    prior = Path(kernel, omega, phase, weights, x[:0], np.zeros(0))
    if not len(x):
        return prior
    seen = prior(x) + rng.standard_normal(len(x)) * np.sqrt(noise)
    return Path(kernel, omega, phase, weights, x, Process(kernel, x, noise).solve(residuals - seen))


@final
class PossibleWorld:
    """One world that a belief holds possible, its kernels' uncertainty included.

    Parameters
    ----------
    belief
        What is believed.
    goal
        What the world is asked for: its best design, or its boundary.
    seed
        The same belief and seed give the same world.

    A theory that nobody has simulated yet may be good or not: its correlation with the next dearer
    source is drawn between 0 and 0.9, or about what the workflow tells of it.
    """

    def __init__(self, belief: Belief, goal: Goal, seed: int) -> None:
        self.belief, self.goal, self.seed = belief, goal, seed
        self.member = int(np.random.default_rng([seed, 77]).integers(2**31))
        self._parts: dict[str, tuple[Vector, Path]] = {}

    def at(self, quantity: str, x: Matrix) -> Vector:
        """Values (n,) of a quantity at unit designs (n, dim), in its unit."""
        belief = self.belief
        if quantity in belief.workflow.formulas:
            return self._known(belief.workflow.formulas[quantity], x)
        location, scale = belief.scale_of(quantity)
        if belief.is_theory(quantity):
            if quantity in belief.grids:
                members = belief.theory_members(quantity, x)
                return members[self.member % len(members)]
            return location + scale * self._unseen_theory(quantity, x)
        beta, path = self._part(quantity)
        node = belief.node(quantity)
        standard = {r: self._standard(r, x) for r in node.regressors}
        h = np.column_stack([np.ones(len(x)), *[standard[r] for r in node.regressors]])
        z = np.column_stack([x[:, node.controls], *[standard[p] for p in node.parents]])
        return location + scale * (h @ beta + path(z))

    def _known(self, formula: Formula, x: Matrix) -> Vector:
        """A formula's values (n,) at unit designs (n, dim)."""
        space = self.belief.workflow.space
        given: dict[str, Vector] = {
            v.name: v.from_unit(x[:, i])
            for i, v in enumerate(space.variables)
            if v.name in formula.names
        }
        given |= {n: self.at(n, x) for n in formula.names if n not in given}
        return np.broadcast_to(formula(given), (len(x),)).astype(np.float64)

    def _standard(self, quantity: str, x: Matrix) -> Vector:
        location, scale = self.belief.scale_of(quantity)
        return (self.at(quantity, x) - location) / scale

    def _part(self, quantity: str) -> tuple[Vector, Path]:
        """Trend factors and path of a quantity, drawn once."""
        if quantity not in self._parts:
            self._parts[quantity] = self._draw(quantity)
        return self._parts[quantity]

    def _draw(self, quantity: str) -> tuple[Vector, Path]:
        belief = self.belief
        rng = np.random.default_rng([self.seed, belief.quantities.index(quantity)])
        node = belief.node(quantity)
        root = np.linalg.cholesky(node.beta_cov + 1e-12 * np.eye(len(node.beta)))
        beta = node.beta + root @ rng.standard_normal(len(node.beta))
        x, noise = node.process.x, node.process.noise
        variance = belief.prior_variance(quantity)
        kernel = plausible_kernel(node.process.kernel, x, node.residual, noise, variance, rng)
        h = node.h
        if len(node.y) and not node.parents:
            at = belief.data[quantity].x
            h = np.column_stack(
                [np.ones(len(at)), *[self._standard(r, at) for r in node.regressors]]
            )
        return beta, draw_path(kernel, x, node.y - h @ beta, noise, rng)

    def _unseen_theory(self, quantity: str, x: Matrix) -> Vector:
        """A theory's predictions (n,) in standard units: its share of the next dearer source."""
        belief = self.belief
        rng = np.random.default_rng([self.seed, 78, belief.quantities.index(quantity)])
        dearer = [q for q in belief.quantities if quantity in belief.workflow.cheaper(q)]
        told = belief.workflow.correlation(quantity, dearer[0]) if dearer else None
        if told is None:
            factor = rng.uniform(0.0, _BEST_THEORY)
        else:
            factor = float(np.clip(rng.normal(told.r, told.std), -_ALL_BUT_ONE, _ALL_BUT_ONE))
        kernel = default_kernel(x.shape[1], 1.0 - factor**2)
        own = draw_path(kernel, x[:0], np.zeros(0), np.zeros(0), rng)
        shared = self._standard(dearer[0], x) if dearer else np.zeros(len(x))
        return factor * shared + own(x)

    @property
    def regret_of_nothing(self) -> float:
        """How far a typical design is from the best."""
        best, median, _ = self._landscape
        return best - median

    # -- the answer -------------------------------------------------------------------------------

    @cached_property
    def _landscape(self) -> tuple[float, float, float]:
        """Largest value, median and spread of the goal's quantity over the space."""
        space, quantity = self.belief.workflow.space, self.goal.quantity
        fixed = space.pool()
        points = space.sobol(_SEARCH, seed=0) if fixed is None else fixed
        points = points[space.allows(points)] if fixed is None else points
        values = self._objective(points)
        median, spread = float(np.median(values)), float(self.at(quantity, points).std())
        if fixed is not None:
            return float(values.max()), median, spread
        rng = np.random.default_rng([self.seed, 79])
        best = points[np.argsort(-values)[:6]]
        for width in (0.06, 0.02, 0.007):
            near = np.clip(
                np.repeat(best, 24, axis=0) + width * rng.standard_normal((144, space.dim)), 0, 1
            )
            near = space.snap(near)
            near = np.concatenate([best, near[space.allows(near)]])
            found = self._objective(near)
            best = near[np.argsort(-found)[:6]]
        return float(self._objective(best).max()), median, spread

    def _objective(self, x: Matrix) -> Vector:
        """The goal's quantity (n,); the worst there is where one of the goal's conditions fails."""
        values = self.at(self.goal.quantity, x)
        values = np.where(np.isfinite(values), values, np.inf)
        worst = float(np.min(values, initial=np.inf))
        keep = np.isfinite(values)
        for guard in self.goal.subject_to if isinstance(self.goal, Maximize) else ():
            keep &= self._known(guard, x) > 0.5
        return np.where(keep, values, self._worst if np.isfinite(worst) else 0.0)

    @cached_property
    def _worst(self) -> float:
        values = self.at(self.goal.quantity, self.belief.workflow.space.sobol(256, seed=1))
        return float(np.min(values[np.isfinite(values)], initial=0.0))

    def score(self, found: Recommendation) -> Score:
        """A recommendation held against this world, as a :class:`Truth` would.

        Raises
        ------
        SpecError
            If the goal is of a kind that cannot be rehearsed.
        """
        space, goal = self.belief.workflow.space, found.goal
        best, median, spread = self._landscape
        match goal:
            case Maximize(over="designs"):
                x = space.encode([found.design])
                value = float(self._objective(x)[0])
                return Score(true_value=value, best=max(best, value), baseline=median)
            case Explore():
                return Score(true_value=found.estimate.value, best=0.0, baseline=spread)
            case LocateBoundary():
                return self._boundary(goal, found)
        raise not_rehearsable(goal)

    def _boundary(self, goal: LocateBoundary, found: Recommendation) -> Score:
        space = self.belief.workflow.space
        column = space.names.index(goal.variable)
        line = np.repeat(space.encode([found.design]), _LINE, axis=0)
        line[:, column] = np.linspace(0.0, 1.0, _LINE)
        ticks = space.variables[column].from_unit(line[:, column])
        edge = float(crossings(self.at(goal.quantity, line)[None, :], ticks, goal.level)[0])
        return Score(true_value=found.estimate.value, best=edge, baseline=float(ticks[_LINE // 2]))
