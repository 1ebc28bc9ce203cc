"""The answer of the twins' world, for scoring what a campaign recommends."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ..workflow import (
    Design,
    Explore,
    FeasibleRegion,
    LocateBoundary,
    Maximize,
    Recommendation,
    Score,
    SpecError,
)
from ._switching import switchable_polarization
from ._world import SPACE, World, make_world

QUANTITY = "switchable_polarization"

_SEARCH = 2**14
_LINE = 4001


@dataclass(frozen=True)
class Landscape:
    """Switchable polarization over the space, in uC/cm^2: its optimum, median and spread."""

    optimum: tuple[float, ...]
    best: float
    median: float
    std: float


@final
class SmBfoTruth:
    """Truth of the built-in campaign ``sm-bfo``.

    Parameters
    ----------
    world_seed
        The seed given to the twins.

    Raises
    ------
    SpecError
        If the seed is not a non-negative integer.
    """

    def __init__(self, world_seed: int = 0) -> None:
        self._world = make_world(world_seed)

    def polarization(self, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Switchable polarization in uC/cm^2 at points (n, 3) of the unit cube of the space."""
        return _polarization(self._world, unit)

    @property
    def optimum(self) -> Design:
        """The best design."""
        return dict(zip(SPACE.names, landscape(self._world).optimum, strict=True))

    def score(self, recommendation: Recommendation) -> Score:
        """Hold a recommendation against the truth.

        Raises
        ------
        SpecError
            If the goal is not about the switchable polarization of designs alone.
        DesignSpaceError
            If the recommended design is not in the space.
        """
        goal = recommendation.goal
        known = landscape(self._world)
        if set(goal.quantities) != {QUANTITY} or getattr(goal, "over", "designs") != "designs":
            raise SpecError(
                "truth 'sm-bfo'",
                f"goal {goal.kind!r} on {goal.quantity!r}",
                f"goals on {QUANTITY!r} over designs",
                "score this campaign without a truth",
            )
        match goal:
            case Maximize():
                design = SPACE.check(recommendation.design, "recommendation")
                value = float(self.polarization(SPACE.encode([design]))[0])
                return Score(true_value=value, best=known.best, baseline=known.median)
            case Explore():
                return Score(true_value=recommendation.estimate.value, best=0.0, baseline=known.std)
            case LocateBoundary():
                return self._boundary(goal, recommendation)
            case FeasibleRegion():
                return self._share(goal, recommendation)
            case _:
                raise SpecError(
                    "truth 'sm-bfo'",
                    f"goal {goal.kind!r}",
                    "maximize, explore, locate_boundary or feasible_region",
                    "score this campaign without a truth",
                )

    def _share(self, goal: FeasibleRegion, recommendation: Recommendation) -> Score:
        """The feasible share of the space; who knows nothing says a half."""
        value = self.polarization(SPACE.sobol(_SEARCH, seed=0))
        inside = np.ones(len(value), dtype=bool)
        for limit in goal.limits:
            inside &= value >= (-np.inf if limit.above is None else limit.above)
            inside &= value <= (np.inf if limit.below is None else limit.below)
        share = float(inside.mean())
        return Score(true_value=recommendation.estimate.value, best=share, baseline=0.5)

    def _boundary(self, goal: LocateBoundary, recommendation: Recommendation) -> Score:
        """The line runs through the recommended design; where it names nothing, the optimum."""
        if goal.variable not in SPACE.names:
            raise SpecError(
                "truth 'sm-bfo'",
                f"boundary along {goal.variable!r}",
                f"one of {list(SPACE.names)}",
                "correct the variable of the goal",
            )
        column = SPACE.names.index(goal.variable)
        along = SPACE.variables[column]
        through = SPACE.check(self.optimum | recommendation.design, "recommendation")
        line = np.repeat(SPACE.encode([through]), _LINE, axis=0)
        line[:, column] = np.linspace(0.0, 1.0, _LINE)
        value = self.polarization(line)
        top = int(np.argmax(value))
        below = np.flatnonzero(value[top:] < goal.level * value[top])
        edge = line[top + int(below[0]), column] if below.size else 1.0
        best, middle = along.from_unit(np.array([edge, 0.5]))
        return Score(
            true_value=recommendation.estimate.value, best=float(best), baseline=float(middle)
        )


def _polarization(world: World, unit: NDArray[np.float64]) -> NDArray[np.float64]:
    columns = [v.from_unit(unit[:, i]) for i, v in enumerate(SPACE.variables)]
    return switchable_polarization(world, *columns)


@lru_cache(maxsize=64)
def landscape(world: World) -> Landscape:
    """Dense Sobol search of the space, its best points polished with Nelder and Mead's simplex."""
    points = SPACE.sobol(_SEARCH, seed=0)
    values = _polarization(world, points)

    def loss(u: NDArray[np.float64]) -> float:
        return -float(_polarization(world, u[None, :])[0])

    starts = points[np.argsort(values)[-3:]]
    found = [
        minimize(loss, u, method="Nelder-Mead", bounds=[(0.0, 1.0)] * 3, options={"xatol": 1e-5})
        for u in starts
    ]
    winner = min(found, key=lambda r: float(r.fun))
    (optimum,) = SPACE.decode(winner.x)
    return Landscape(
        optimum=tuple(optimum.values()),
        best=-float(winner.fun),
        median=float(np.median(values)),
        std=float(np.std(values)),
    )
