"""BoTorch's multi-fidelity acquisition functions as players, through its public interface.

All share one process: ``SingleTaskMultiFidelityGP`` on the unit cube with a fidelity of 0 for the
cheap source and 1 for the true one, refitted at every decision, and recommend where its mean at
fidelity 1 is largest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probewise.workflow import Design

from ._problem import Node, Problem, Query

Array = NDArray[np.float64]
RESTARTS, RAW = 5, 256
FANTASIES = 16
CANDIDATES = 1000


class FidelityPlayer:
    """A multi-fidelity process and one acquisition function on it."""

    def __init__(self, problem: Problem, seed: int, *, choose: Choose) -> None:
        self.problem = problem
        self.seed = seed
        self.stopped = ""
        goal = problem.goal.quantity
        (cheap,) = problem.sources[goal]
        self.nodes: tuple[Node, Node] = (problem.by_quantity[cheap], problem.by_quantity[goal])
        self.costs = tuple(n.told_cost for n in self.nodes)
        self.dim = problem.space.dim
        self._choose = choose
        self._x: list[list[float]] = []
        self._y: list[float] = []
        self._model: Any = None

    def learn(self, query: Query, values: Mapping[str, float]) -> None:
        unit = self.problem.space.encode([query.design])[0]
        for step in query.steps:
            (node,) = self.problem.steps[step]
            self._x.append([*unit, float(self.nodes.index(node))])
            self._y.append(values[node.quantity])
        self._model = None

    tell = learn

    def ask(self, free_credits: float) -> Query | None:
        import torch

        torch.manual_seed(1000 * self.seed + len(self._y))
        allowed = [i for i, cost in enumerate(self.costs) if cost <= free_credits + 1e-9]
        point = self._choose(self, allowed)
        node = self.nodes[round(float(point[-1]))]
        return Query((node.step,), self.problem.space.decode(point[:-1])[0])

    def recommend(self) -> Design:
        unit, _ = self.best_mean()
        return self.problem.space.decode(unit)[0]

    def model(self) -> Any:
        """The process, fitted to all there is."""
        if self._model is None:
            self._model = _fit(np.array(self._x), np.array(self._y), self.dim)
        return self._model

    def best_mean(self) -> tuple[Array, float]:
        """Where the mean at the true fidelity is largest (dim,), and that mean."""
        from botorch.acquisition import PosteriorMean

        point, value = self.maximize(PosteriorMean(self.model()), [1])
        return point[:-1], value

    def maximize(self, acquisition: Any, fidelities: list[int]) -> tuple[Array, float]:
        """Where an acquisition is largest in cube and fidelity (dim + 1,), and its value."""
        import torch
        from botorch.optim import optimize_acqf_mixed

        bounds = torch.stack([torch.zeros(self.dim + 1), torch.ones(self.dim + 1)]).double()
        found: Any = optimize_acqf_mixed(
            acquisition,
            bounds,
            q=1,
            num_restarts=RESTARTS,
            raw_samples=RAW,
            fixed_features_list=[{self.dim: float(f)} for f in fidelities],
            options={"batch_limit": 5, "maxiter": 200},
        )
        best, value = found
        return best[0].detach().numpy(), float(value)

    def cost_utility(self) -> Any:
        """Value over cost, as BoTorch's acquisitions want it."""
        from botorch.acquisition.cost_aware import InverseCostWeightedUtility
        from botorch.models.cost import AffineFidelityCostModel

        cheap, dear = self.costs
        model = AffineFidelityCostModel({self.dim: dear - cheap}, fixed_cost=cheap)
        return InverseCostWeightedUtility(cost_model=model)

    def to_truth(self, x: Any) -> Any:
        """The same points at the true fidelity."""
        from botorch.acquisition.utils import project_to_target_fidelity

        return project_to_target_fidelity(X=x, target_fidelities={self.dim: 1.0}, d=self.dim + 1)


Choose = Callable[[FidelityPlayer, list[int]], Array]
"""A player and the fidelities it can pay for to a point in cube and fidelity."""


def expected_improvement_per_cost(player: FidelityPlayer, fidelities: list[int]) -> Array:
    """Largest logarithmic expected improvement of a source over the best believed, less log cost.

    The improvement is that of the source's own value over the largest mean of the true one.
    """
    from botorch.acquisition import LogExpectedImprovement

    _, best = player.best_mean()
    acquisition = LogExpectedImprovement(player.model(), best_f=best)
    found = [player.maximize(acquisition, [f]) for f in fidelities]
    rates = [v - np.log(player.costs[f]) for f, (_, v) in zip(fidelities, found, strict=True)]
    return found[int(np.argmax(rates))][0]


def knowledge_gradient(player: FidelityPlayer, fidelities: list[int]) -> Array:
    """qMultiFidelityKnowledgeGradient, one shot (Wu, Toscano-Palmerin, Frazier & Wilson 2020)."""
    from botorch.acquisition.knowledge_gradient import qMultiFidelityKnowledgeGradient

    _, best = player.best_mean()
    acquisition = qMultiFidelityKnowledgeGradient(
        model=player.model(),
        num_fantasies=FANTASIES,
        current_value=_tensor(best),
        cost_aware_utility=player.cost_utility(),
        project=player.to_truth,
    )
    return player.maximize(acquisition, fidelities)[0]


def max_value_entropy(player: FidelityPlayer, fidelities: list[int]) -> Array:
    """qMultiFidelityMaxValueEntropy (Takeno et al. 2020)."""
    from botorch.acquisition.max_value_entropy_search import qMultiFidelityMaxValueEntropy

    acquisition = qMultiFidelityMaxValueEntropy(
        model=player.model(),
        candidate_set=_candidates(player),
        num_fantasies=FANTASIES,
        cost_aware_utility=player.cost_utility(),
        project=player.to_truth,
    )
    return player.maximize(acquisition, fidelities)[0]


def gibbon(player: FidelityPlayer, fidelities: list[int]) -> Array:
    """qMultiFidelityLowerBoundMaxValueEntropy, called GIBBON (Moss et al. 2021)."""
    from botorch.acquisition.max_value_entropy_search import (
        qMultiFidelityLowerBoundMaxValueEntropy,
    )

    acquisition = qMultiFidelityLowerBoundMaxValueEntropy(
        model=player.model(),
        candidate_set=_candidates(player),
        cost_aware_utility=player.cost_utility(),
        project=player.to_truth,
    )
    return player.maximize(acquisition, fidelities)[0]


def _candidates(player: FidelityPlayer) -> Any:
    import torch

    return torch.rand(CANDIDATES, player.dim + 1).double()


def _tensor(value: float) -> Any:
    import torch

    return torch.tensor(value).double()


def _fit(x: Array, y: Array, dim: int) -> Any:
    import torch
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskMultiFidelityGP
    from botorch.models.transforms import Standardize
    from gpytorch.mlls import ExactMarginalLogLikelihood

    model = SingleTaskMultiFidelityGP(
        torch.tensor(x),
        torch.tensor(y)[:, None],
        data_fidelities=[dim],
        outcome_transform=Standardize(1),
    )
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return model
