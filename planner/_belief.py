"""What is believed: every modelled quantity as a Gaussian process on its step's inputs.

Together the quantities are a network of functions (Astudillo & Frazier 2021). A quantity that is
another source of the same property is the next cheaper source times an uncertain factor plus a
Gaussian process (Kennedy & O'Hagan 2000): a source that does not correlate gets a factor near
zero and is dropped. A theory's ensemble is the cheapest source; its members differ from world to
world.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from ..workflow import Grid, Workflow
from ._gp import Kernel, Matrix, Process, Vector, default_kernel
from ._kernel_fit import fit_kernel
from ._kernels import likelier_kernel, quick_kernel
from ._node import Data, Node, refit_count, regress
from ._worlds import Worlds

WORLDS = 384
_SOURCE_FACTOR, _SOURCE_FACTOR_STD = 0.9, 0.3
_MIN_VARIANCE = 1e-6
_QUICK_FEATURES = 192
_EVERY_ONE = 64
"""Up to so many data a smooth kernel is fitted anew after every one; later on the schedule."""


@final
class Belief:
    """The joint belief after some observations. Immutable; the same data give the same belief.

    ``quick`` takes the best of a few kernels; ``smooth`` that of a smooth function where the data
    are likelier under it, fitted anew after each of the first ones.
    """

    def __init__(
        self,
        workflow: Workflow,
        quantities: Sequence[str],
        data: dict[str, Data],
        grids: dict[str, Grid],
        quick: bool = False,
        smooth: bool = False,
    ) -> None:
        self.workflow = workflow
        self.quantities = tuple(q for q in workflow.scalars if q in quantities)
        self.data = data
        self.grids = grids
        self._smooth = smooth
        self._fit_kernel: Callable[[Matrix, Vector, Vector, float], Kernel]
        self._fit_kernel = quick_kernel if quick else likelier_kernel if smooth else fit_kernel
        self._features = _QUICK_FEATURES if quick else None
        self._nodes: dict[str, Node] = {}

    # -- structure --------------------------------------------------------------------------------

    def regressors(self, quantity: str) -> tuple[str, ...]:
        """Linear inputs: scalars the step consumes, and the nearest cheaper source that is known
        of.

        A theory that has not been simulated yet is skipped.
        """
        parents = self.workflow.parents(quantity)
        cheaper = self.workflow.cheaper(quantity)
        while cheaper and (
            cheaper[0] not in self.quantities
            or (self.is_theory(cheaper[0]) and cheaper[0] not in self.grids)
        ):
            cheaper = self.workflow.cheaper(cheaper[0])
        return (*parents, *cheaper)

    def is_theory(self, quantity: str) -> bool:
        return self.workflow.producer(quantity).acts_on == "space"

    def scale_of(self, quantity: str) -> tuple[float, float]:
        """Location and scale for standardizing: the prior's, or the data's where there is none."""
        prior = self.workflow.priors.get(quantity)
        if prior is not None:
            return prior.mean, prior.std
        data = self.data.get(quantity)
        if data is None or not len(data.y):
            return 0.0, 1.0
        spread = float(data.y.std()) if len(data.y) > 1 else 0.0
        return float(data.y.mean()), spread or max(abs(float(data.y[0])), 1.0)

    # -- theory -----------------------------------------------------------------------------------

    @cached_property
    def _interpolators(self) -> dict[str, RegularGridInterpolator]:
        space = self.workflow.space
        found: dict[str, RegularGridInterpolator] = {}
        for quantity, grid in self.grids.items():
            ticks = []
            for name, values in grid.ticks.items():
                variable = space.variables[space.names.index(name)]
                ticks.append(variable.to_unit(np.array(values)))
            members = np.moveaxis(grid.array(), 0, -1)
            found[quantity] = RegularGridInterpolator(
                tuple(ticks),
                members,
                bounds_error=False,
                fill_value=None,  # type: ignore[arg-type]
            )
        return found

    def theory_members(self, quantity: str, x: Matrix) -> Matrix:
        """Theory predictions (members, n) at unit designs (n, dim), in the quantity's unit."""
        names = self.workflow.space.names
        columns = [names.index(n) for n in self.grids[quantity].ticks]
        return np.asarray(self._interpolators[quantity](x[:, columns])).T

    # -- fitting ----------------------------------------------------------------------------------

    def node(self, quantity: str) -> Node:
        if quantity not in self._nodes:
            self._nodes[quantity] = self._fit(quantity)
        return self._nodes[quantity]

    def _fit(self, quantity: str) -> Node:
        step = self.workflow.producer(quantity)
        names = self.workflow.space.names
        controls = tuple(
            names.index(n) for n in (names if step.controls is None else step.controls)
        )
        parents = self.workflow.parents(quantity)
        regressors = self.regressors(quantity)
        location, scale = self.scale_of(quantity)
        data = self.data.get(quantity, Data(np.zeros((0, len(names))), np.zeros(0), np.zeros(0)))
        y = (data.y - location) / scale
        noise = np.maximum(data.noise / scale**2, _MIN_VARIANCE)
        inputs = self._parent_values(quantity, data, regressors)
        h = np.column_stack([np.ones(len(y)), *[inputs[r] for r in regressors]])
        x = np.column_stack([data.x[:, controls], *[inputs[p] for p in parents]])
        variance = self.prior_variance(quantity)
        factors = self._factors(quantity)
        prior_mean = np.array([0.0, *[mean for mean, _ in factors]])
        prior_std = np.array([0.3, *[std for _, std in factors]])
        kernel: Kernel = default_kernel(x.shape[1], variance)
        due = len(y) if self._smooth and len(y) <= _EVERY_ONE else refit_count(len(y))
        if due >= 4:
            beta, _ = regress(kernel, x[:due], y[:due], noise[:due], h[:due], prior_mean, prior_std)
            kernel = self._fit_kernel(x[:due], y[:due] - h[:due] @ beta, noise[:due], variance)
        beta, cov = regress(kernel, x, y, noise, h, prior_mean, prior_std)
        process = Process(kernel, x, noise)
        return Node(
            quantity, location, scale, controls, parents, regressors, beta, cov, process, y, h
        )

    def _factors(self, quantity: str) -> list[tuple[float, float]]:
        """Mean and spread of the regressors' factors before data, in standard units.

        That of a cheaper source is its correlation.
        """
        factors: list[tuple[float, float]] = []
        for name in self.regressors(quantity):
            told = self.workflow.correlation(name, quantity)
            if name in self.workflow.parents(quantity):
                factors.append((0.0, 1.0))
            elif told is None:
                factors.append((_SOURCE_FACTOR, _SOURCE_FACTOR_STD))
            else:
                factors.append((told.r, told.std))
        return factors

    def prior_variance(self, quantity: str) -> float:
        """Of a quantity's process in standard units: all, or what its cheaper source leaves."""
        return 1.0 - sum(mean**2 for mean, _ in self._factors(quantity))

    def _parent_values(
        self, quantity: str, data: Data, regressors: tuple[str, ...]
    ) -> dict[str, Vector]:
        """Standardized values of the regressors at the data: measured ones first, else believed."""
        values: dict[str, Vector] = {}
        for name in regressors:
            location, scale = self.scale_of(name)
            believed = self.mean(name, data.x) if len(data.x) else np.zeros(0)
            measured = data.parents.get(name, np.full(len(data.y), np.nan))
            values[name] = (np.where(np.isnan(measured), believed, measured) - location) / scale
        return values

    # -- asking -----------------------------------------------------------------------------------

    def mean(self, quantity: str, x: Matrix) -> Vector:
        """Plug-in mean (n,) at unit designs (n, dim), in the quantity's unit; exact for linear
        sources.
        """
        if self.is_theory(quantity) and quantity in self.grids:
            return self.theory_members(quantity, x).mean(0)
        node = self.node(quantity)
        standard = {}
        for name in node.regressors:
            location, scale = self.scale_of(name)
            standard[name] = (self.mean(name, x) - location) / scale
        h = np.column_stack([np.ones(len(x)), *[standard[r] for r in node.regressors]])
        z = np.column_stack([x[:, node.controls], *[standard[p] for p in node.parents]])
        process = node.process.kernel(z, node.process.x) @ node.weights if len(node.y) else 0.0
        return node.location + node.scale * (h @ node.beta + process)

    def worlds(
        self,
        pool: Matrix,
        goal: str,
        seed: int,
        open: NDArray[np.bool_] | None = None,
        count: int | None = None,
    ) -> Worlds:
        """Draw ``count`` (:data:`WORLDS`) joint worlds over pool points (M, dim) in the unit
        cube.
        """
        count = count or WORLDS
        sizes = {q: len(self.data[q].y) for q in self.quantities if q in self.data}
        everywhere = np.concatenate([pool, *[self.data[q].x for q in sizes]])
        starts = dict(zip(sizes, len(pool) + np.cumsum([0, *sizes.values()][:-1]), strict=False))
        rows = {q: slice(int(starts[q]), int(starts[q]) + n) for q, n in sizes.items()}
        drawn: dict[str, Matrix] = {}
        members: NDArray[np.int64] | None = None
        for number, quantity in enumerate(self.quantities):
            rng = np.random.default_rng([seed, number])
            if self.is_theory(quantity) and quantity in self.grids:
                values = self.theory_members(quantity, everywhere)
                members = np.tile(np.arange(count // 2) % len(values), 2)
                drawn[quantity] = values[members]
            else:
                drawn[quantity] = self._draw(quantity, everywhere, drawn, rows, rng, count)
        values = {q: v[:, : len(pool)] for q, v in drawn.items()}
        mask = np.ones(len(pool), dtype=bool) if open is None else open
        return Worlds(pool, values, goal, mask, members)

    def _draw(
        self,
        quantity: str,
        x: Matrix,
        drawn: dict[str, Matrix],
        rows: dict[str, slice],
        rng: np.random.Generator,
        count: int,
    ) -> Matrix:
        node = self.node(quantity)
        standard = {}
        for name in node.regressors:
            location, scale = self.scale_of(name)
            standard[name] = (drawn[name] - location) / scale
        half = count // 2
        root = np.linalg.cholesky(node.beta_cov + 1e-12 * np.eye(len(node.beta)))
        kick = rng.standard_normal((half, len(node.beta))) @ root.T
        beta = node.beta + np.concatenate([kick, -kick])
        trend = beta[:, :1] + sum(
            (beta[:, i + 1 : i + 2] * standard[r] for i, r in enumerate(node.regressors)),
            start=np.zeros((count, len(x))),
        )
        residuals = np.zeros((count, 0))
        if len(node.y):
            fitted = trend[:, rows[quantity]]
            if node.parents:
                fitted = beta @ node.h.T
            residuals = node.y - fitted
        z = x[:, node.controls]
        if node.parents:
            wide = np.broadcast_to(z, (count, *z.shape))
            z = np.concatenate([wide, *[standard[p][..., None] for p in node.parents]], axis=-1)
        paths = node.process.paths(z, residuals, rng, self._features)
        return node.location + node.scale * (trend + paths)
