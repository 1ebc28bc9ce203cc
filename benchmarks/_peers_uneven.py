"""Policies for one step whose price depends on the design, on BoTorch's process of the goal.

The same process, fit, starts of the search and recommendation as :class:`LogEI`, so that what
differs is the acquisition alone. BoTorch has no Gittins index; it is a few lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from botorch.acquisition import AnalyticAcquisitionFunction, LogExpectedImprovement
from botorch.utils.probability.utils import ndtr, phi

from probewise.workflow import Design

from ._baselines import FullEvaluations, fitted, maximized
from ._problem import Problem

Price = Callable[[Any], Any]
"""Points (..., d) of the unit cube to credits (...)."""
_LEAST_VARIANCE = 1e-12
_HALVINGS = 60
_HIGH = 10.0
"""An index is never more than this many standard deviations above the mean."""


class CostAware(FullEvaluations):
    """The goal as one black box, at the largest of an acquisition that knows prices."""

    def next_design(self) -> Design:
        torch.manual_seed(1000 * self.seed + len(self.goals))
        space = self.problem.space
        x = torch.tensor(space.encode(self.designs))
        y = torch.tensor(self.goals)[:, None].double()
        acquisition = self.acquisition(fitted(x, y, exact=True), float(y.max()))
        return space.decode(maximized(acquisition, space.dim))[0]

    def acquisition(self, model: Any, best: float) -> Any:
        """What is maximized, by a fitted model and the best measured value."""
        raise NotImplementedError

    def price(self, unit: Any) -> Any:
        """Credits at points (..., d) of the unit cube."""
        (name,) = self.problem.chain()
        cost_at = self.problem.steps[name][0].cost_at
        assert cost_at is not None, "only where prices depend on the design"
        return cost_at(unit)


class LogEIPerCost(CostAware):
    """Logarithmic expected improvement less the logarithm of the price."""

    def acquisition(self, model: Any, best: float) -> Any:
        return _PerCost(model, best, self.price)


class Gittins(CostAware):
    """Pandora's-box Gittins index (Xie et al. 2024), with λ as in their experiments.

    With ``halving`` λ begins at 0.1 and is halved whenever the index of what was chosen last was
    below the best measured value: where the policy with that λ would have stopped (PBGI-D).
    Otherwise it is 0.0001 throughout.
    """

    def __init__(self, problem: Problem, seed: int, *, halving: bool = False) -> None:
        super().__init__(problem, seed)
        self.halving = halving
        self.exchange = 0.1 if halving else 1e-4
        self._index = np.inf
        self._made: Any = None

    def next_design(self) -> Design:
        if self.halving and self._index < max(self.goals):
            self.exchange /= 2.0
        design = super().next_design()
        unit = torch.tensor(self.problem.space.encode([design]))
        with torch.no_grad():
            self._index = float(self._made(unit[:, None]))
        return design

    def acquisition(self, model: Any, best: float) -> Any:
        self._made = _Index(model, lambda unit: self.exchange * self.price(unit))
        return self._made


def gittins_index(mean: Any, sigma: Any, price: Any) -> Any:
    """The reward for which one would as soon stop as pay ``price`` for a look: EI(g) = price.

    Weitzman's reservation value of a box with a normal reward: found by halving an interval, and
    then one Newton step, which changes nothing but carries the gradient (the implicit function's).
    All arguments have the same shape, ``price`` in units of the reward.
    """
    with torch.no_grad():
        low, high = mean - price, mean + _HIGH * sigma
        for _ in range(_HALVINGS):
            middle = (low + high) / 2.0
            above = _improvement(mean, sigma, middle) > price
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
        slope = ndtr((mean - low) / sigma)
    return low + (_improvement(mean, sigma, low) - price) / slope


def _improvement(mean: Any, sigma: Any, over: Any) -> Any:
    u = (mean - over) / sigma
    return sigma * (phi(u) + u * ndtr(u))


class _Index(AnalyticAcquisitionFunction):
    def __init__(self, model: Any, price: Price) -> None:
        super().__init__(model)
        self._price = price

    def forward(self, X: Any) -> Any:
        posterior: Any = self.model.posterior(X)
        mean, variance = posterior.mean[..., 0, 0], posterior.variance[..., 0, 0]
        sigma = variance.clamp_min(_LEAST_VARIANCE).sqrt()
        return gittins_index(mean, sigma, self._price(X.squeeze(-2)))


class _PerCost(LogExpectedImprovement):
    def __init__(self, model: Any, best: float, price: Price) -> None:
        super().__init__(model, best_f=best)
        self._price = price

    def forward(self, X: Any) -> Any:
        return super().forward(X) - self._price(X.squeeze(-2)).log()
