"""Policies to compare with. All recommend by one process a node (see ``NetworkBelief``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probewise.workflow import Design

from ._network_belief import NetworkBelief
from ._problem import Problem, Query

Array = NDArray[np.float64]
_TINY = 1e-6


class FullEvaluations:
    """Base of policies that evaluate the whole chain at each design they choose."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self.problem = problem
        self.seed = seed
        self.stopped = ""
        self.belief = NetworkBelief(problem, seed)
        self.rng = np.random.default_rng([seed, 41])
        self.designs: list[Design] = []
        self.goals: list[float] = []

    def learn(self, query: Query, values: Mapping[str, float]) -> None:
        self.belief.add(query, values)
        goal = goal_value(self.problem, values)
        if goal is not None:
            self.designs.append(query.design)
            self.goals.append(goal)

    tell = learn

    def recommend(self) -> Design:
        return self.belief.recommend()

    def ask(self, free_credits: float) -> Query | None:
        design = self.next_design()
        if design is None:
            self.stopped = "every design of the pool has been evaluated"
            return None
        return Query(self.problem.chain(), design)

    def next_design(self) -> Design | None:
        raise NotImplementedError

    def untried(self) -> Array:
        """Designs of the pool (n, dim) that have not been evaluated."""
        assert self.problem.pool is not None, "only where there is a pool"
        tried = {tuple(d.values()) for d in self.designs}
        return np.array([p for p in self.problem.pool if tuple(p) not in tried])


class RandomPlayer(FullEvaluations):
    """The whole chain at designs drawn at random."""

    def next_design(self) -> Design | None:
        if self.problem.pool is None:
            return self.problem.space.decode(self.rng.random(self.problem.space.dim))[0]
        left = self.untried()
        if not len(left):
            return None
        return named(self.problem, left[self.rng.integers(len(left))])


class LogEI(FullEvaluations):
    """Logarithmic expected improvement of the goal as one black box (Ament et al. 2023).

    BoTorch's single-task process, refitted at every decision. For smooth functions without noise a
    Matérn 5/2 kernel under Gamma priors and a fixed tiny noise, which does better here than the
    defaults; for pools the defaults, which learn the noise. The acquisition is maximized by BoTorch
    from 10 starts out of 512 points, or over the pool.
    """

    def next_design(self) -> Design | None:
        import torch
        from botorch.acquisition import LogExpectedImprovement

        torch.manual_seed(1000 * self.seed + len(self.goals))
        space = self.problem.space
        x, y = torch.tensor(space.encode(self.designs)), torch.tensor(self.goals)[:, None].double()
        exact = self.problem.pool is None and self.problem.nodes[-1].noise == 0.0
        acquisition = LogExpectedImprovement(fitted(x, y, exact=exact), best_f=y.max())
        if self.problem.pool is None:
            return space.decode(maximized(acquisition, space.dim))[0]
        left = self.untried()
        if not len(left):
            return None
        unit = space.encode([named(self.problem, p) for p in left])
        with torch.no_grad():
            values = acquisition(torch.tensor(unit)[:, None])
        return named(self.problem, left[int(values.argmax())])


class Screen:
    """Screen with everything cheap, then verify the best with the dear last step.

    A share of the budget goes to all steps but the last, at space-filling designs; the rest to the
    last step at the screened designs that look best, one after the other. Where the goal has a
    cheaper source, that is screened and the best of it verified; where the steps are a chain, the
    last step's value is predicted by the nodes' processes.
    """

    SHARE = 0.5
    VARIANTS = 16

    def __init__(self, problem: Problem, seed: int, share: float = SHARE) -> None:
        self.problem = problem
        self.share = share
        self.seed = seed
        self.stopped = ""
        self.spent = 0.0
        self.belief = NetworkBelief(problem, seed)
        self.screened: list[Design] = []
        self.verified: list[Design] = []
        *before, self.last = problem.chain()
        sources = problem.sources.get(problem.goal.quantity, ())
        self.source = sources[0] if sources else None
        self.cheap = problem.chain(self.source) if self.source else tuple(before)
        self._points = self._order()

    def learn(self, query: Query, values: Mapping[str, float]) -> None:
        self.belief.add(query, values)

    def tell(self, query: Query, values: Mapping[str, float]) -> None:
        self.spent += self.problem.charge(query)
        self.learn(query, values)
        done = self.verified if query.steps[-1] == self.last else self.screened
        done.append(query.design)

    def ask(self, free_credits: float) -> Query | None:
        cost = self.problem.told_cost(self.cheap)
        budget = self.spent + free_credits
        room = free_credits - cost >= self.problem.told_cost([self.last])
        if self.spent + cost <= self.share * budget and room and self._points:
            return Query(self.cheap, self._points.pop())
        query = self._most_promising()
        if query is None:
            self.stopped = "every screened design has been verified"
        return query

    def recommend(self) -> Design:
        return self.belief.recommend()

    def _most_promising(self) -> Query | None:
        steps = (self.last,)
        if self.source is not None:
            left = [d for d in self.screened if d not in self.verified]
            return Query(steps, max(left, key=self._cheap_value)) if left else None
        given = {n.quantity for step in self.cheap for n in self.problem.steps[step]}
        options = [
            (varied, self.belief.known(design))
            for design in self.screened
            for varied in self._variants(design)
            if varied not in self.verified
        ]
        if not options:
            return None
        points = np.array([list(d.values()) for d, _ in options])
        known = {q: np.array([k[q] for _, k in options]) for q in given}
        design, values = options[int(self.belief.goal_mean(points, known).argmax())]
        parents = self.problem.steps[self.last][0].parents
        return Query(steps, design, {p: values[p] for p in parents})

    def _cheap_value(self, design: Design) -> float:
        assert self.source is not None, "only where the goal has a cheaper source"
        return self.belief.known(design)[self.source]

    def _variants(self, design: Design) -> list[Design]:
        """The design with other values of the variables that only the last step depends on."""
        steps = self.problem.steps
        used = {c for step in self.cheap for n in steps[step] for c in n.controls}
        own = [c for c in steps[self.last][0].controls if c not in used]
        if not own or self.problem.pool is not None:
            return [design]
        space = self.problem.space
        others = space.decode(space.sobol(self.VARIANTS, seed=self.seed + len(self.verified)))
        return [design, *(design | {c: o[c] for c in own} for o in others)]

    def _order(self) -> list[Design]:
        """Designs to screen, the first one last."""
        cost = self.problem.told_cost(self.cheap)
        most = int(self.share * self.problem.budget / cost) + 1 if cost > 0 else 0
        if self.problem.pool is not None:
            rng = np.random.default_rng([self.seed, 43])
            return [named(self.problem, p) for p in rng.permutation(self.problem.pool)[:most]]
        space = self.problem.space
        return space.decode(space.sobol(most, seed=self.seed))[::-1]


def goal_value(problem: Problem, values: Mapping[str, float]) -> float | None:
    """The goal's measured value, computed where it is a formula; None where it was not measured."""
    goal = problem.nodes[-1]
    if goal.formula is None:
        return values.get(goal.quantity)
    if any(p not in values for p in goal.parents):
        return None
    return float(goal.function(np.array([[values[p] for p in goal.parents]]))[0])


def named(problem: Problem, point: Array) -> Design:
    """A point (dim,) in the variables' units as a design."""
    return dict(zip(problem.space.names, map(float, point), strict=True))


def fitted(x: Any, y: Any, *, exact: bool) -> Any:
    """BoTorch's process on the unit cube, fitted to (n, d) and (n, 1); see :class:`LogEI`."""
    import torch
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.utils.gpytorch_modules import get_matern_kernel_with_gamma_prior
    from gpytorch.mlls import ExactMarginalLogLikelihood

    tiny = torch.full_like(y, _TINY * float(y.var()) if len(y) > 1 else _TINY)
    kernel = get_matern_kernel_with_gamma_prior(x.shape[1])
    model = SingleTaskGP(x, y, tiny, covar_module=kernel) if exact else SingleTaskGP(x, y)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return model


def maximized(acquisition: Any, dim: int) -> Array:
    """Where an acquisition function is largest in the unit cube (dim,)."""
    import torch
    from botorch.optim import optimize_acqf

    bounds = torch.stack([torch.zeros(dim), torch.ones(dim)]).double()
    best, _ = optimize_acqf(acquisition, bounds, q=1, num_restarts=10, raw_samples=512)
    return best[0].detach().numpy()
