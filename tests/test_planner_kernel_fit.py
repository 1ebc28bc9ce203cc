"""Fitted kernels: the maximum that BoTorch finds, and the family that the data come from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from probewise.planner import Belief, Planner, belief_from
from probewise.planner._gp import Kernel, Matern52, Matrix, SquaredExponential, default_kernel
from probewise.planner._kernel_fit import _Posterior, fit_kernel, fit_smooth_kernel
from probewise.planner._kernels import likelier_kernel
from probewise.planner._node import Data, regress
from probewise.workflow import Budget, Explore, Pareto, Workflow

RNG = np.random.default_rng(3)
X = RNG.random((7, 2))
Y = np.sin(5.0 * X[:, 0]) + X[:, 1]
NOISE = np.full(7, 0.01)


def test_few_data_leave_the_priors_kernel() -> None:
    fitted = fit_kernel(X[:3], Y[:3], NOISE[:3], variance=0.5)
    np.testing.assert_array_equal(fitted.lengthscales, default_kernel(2).lengthscales)
    assert fitted.variance == 0.5
    assert fit_smooth_kernel(X[:3], Y[:3], NOISE[:3]) is None


def test_fitted_length_scales_tell_what_matters() -> None:
    rng = np.random.default_rng(8)
    x = rng.random((30, 2))
    fitted = fit_kernel(x, np.sin(9.0 * x[:, 0]), np.full(30, 1e-4))
    assert fitted.lengthscales[1] > 2.0 * fitted.lengthscales[0]


def test_the_same_data_give_the_same_kernel() -> None:
    first, second = (likelier_kernel(X, Y, NOISE) for _ in range(2))
    np.testing.assert_array_equal(first.lengthscales, second.lengthscales)
    assert first.variance == second.variance


@pytest.mark.parametrize("family", [Matern52, SquaredExponential])
def test_slopes_are_those_of_differences(family: type[Kernel]) -> None:
    posterior = _Posterior(family, X, Y, NOISE, np.array([-1.0, 0.2]), 0.6, 0.8)
    theta = np.array([-0.9, 0.1, 0.3])
    step = 1e-5 * np.eye(3)
    apart = [(posterior(theta + d)[0] - posterior(theta - d)[0]) / 2e-5 for d in step]
    np.testing.assert_allclose(posterior(theta)[1], apart, rtol=1e-5, atol=1e-7)


def by_botorch(x: Matrix, y: Matrix, noise: Matrix, variance: float) -> tuple[Matrix, float]:
    """Length scales and variance of the Matérn kernel that BoTorch finds under the same priors."""
    import torch
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from gpytorch.kernels import MaternKernel, ScaleKernel
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from gpytorch.priors import LogNormalPrior

    start = default_kernel(x.shape[1]).lengthscales
    around = LogNormalPrior(float(np.log(start[0])), 0.5)
    base = MaternKernel(2.5, ard_num_dims=x.shape[1], lengthscale_prior=around)
    scaled = ScaleKernel(base, outputscale_prior=LogNormalPrior(float(np.log(variance)), 0.75))
    base.lengthscale, scaled.outputscale = torch.tensor(start), variance
    model = SingleTaskGP(
        torch.tensor(x),
        torch.tensor(y)[:, None],
        torch.tensor(noise)[:, None],
        covar_module=scaled.double(),
        outcome_transform=None,
    )
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    lengths = base.lengthscale.detach().numpy().ravel()
    return lengths, float(torch.as_tensor(scaled.outputscale).detach())


def test_the_maximum_is_botorchs_or_a_little_higher() -> None:
    rng = np.random.default_rng(5)
    x = rng.random((16, 2))
    y = np.sin(5.0 * x[:, 0]) + x[:, 1] ** 2 + 0.1 * rng.standard_normal(16)
    noise = np.full(16, 0.01)
    fitted = fit_kernel(x, y, noise, 0.7)
    middle = np.log(default_kernel(2).lengthscales)
    posterior = _Posterior(Matern52, x, y, noise, middle, 0.5, 0.7)
    ours, theirs = (
        posterior(np.log([*lengths, variance]))[0]
        for lengths, variance in (
            (fitted.lengthscales, fitted.variance),
            by_botorch(x, y, noise, 0.7),
        )
    )
    assert ours <= theirs + 1e-6
    assert ours == pytest.approx(theirs, abs=0.02)


@pytest.mark.parametrize("fit", [fit_kernel, fit_smooth_kernel])
def test_repeats_that_contradict_each_other_do_not_inflate_the_variance(fit: Any) -> None:
    """More scatter than the noise that was told says nothing about the function."""
    y = np.random.default_rng(6).standard_normal(12)
    fitted = fit(np.repeat(X[:3], 4, axis=0), y, np.full(12, 1e-6))
    assert 0.05 < fitted.variance < 3.0


@pytest.mark.parametrize("family", [Matern52, SquaredExponential])
def test_the_family_is_that_of_the_data(family: type[Kernel]) -> None:
    rng = np.random.default_rng(11)
    x = rng.random((40, 1))
    truth = family(np.array([0.25]), 1.0)
    right = 0
    for _ in range(8):
        root = np.linalg.cholesky(truth(x, x) + 1e-6 * np.eye(40))
        fitted = likelier_kernel(x, root @ rng.standard_normal(40), np.full(40, 1e-6))
        right += isinstance(fitted, family)
    assert right >= 6


def test_a_smooth_belief_takes_the_likelier_kernel_fitted_to_all_data() -> None:
    step = {"name": "test", "level": 4, "produces": "height", "cost_credits": 1}
    space = [{"name": n, "low": 0, "high": 1} for n in "xy"]
    flow = Workflow.model_validate({"space": space, "steps": [step]})
    x = np.random.default_rng(12).random((9, 2))
    known = {"height": Data(x, np.cos(1.5 * x[:, 0]) + x[:, 1] ** 2, np.zeros(9))}
    node = Belief(flow, ("height",), known, {}, smooth=True).node("height")
    assert isinstance(node.process.kernel, SquaredExponential)
    beta, _ = regress(
        default_kernel(2), x, node.y, node.process.noise, node.h, np.zeros(1), np.full(1, 0.3)
    )
    fitted = fit_smooth_kernel(x, node.y - node.h @ beta, node.process.noise)
    assert fitted is not None
    np.testing.assert_allclose(node.process.kernel.lengthscales, fitted.lengthscales)
    assert isinstance(Belief(flow, ("height",), known, {}).node("height").process.kernel, Matern52)


def test_only_the_belief_for_a_front_may_be_smooth() -> None:
    step = {"name": "test", "level": 4, "produces": ["a", "b"], "cost_credits": 1}
    flow = Workflow.model_validate({"space": [{"name": "x", "low": 0, "high": 1}], "steps": [step]})
    kinds = []
    for goal in (Pareto(aims={"a": "maximize", "b": "minimize"}), Explore(quantity="a")):
        planner = Planner(flow, goal, Budget(credits=50), capacity=1)
        for x in np.linspace(0.0, 1.0, 9):
            y = float(np.cos(1.5 * x))
            planner.learn("test", {"x": float(x)}, {"a": y, "b": y**2})
        kinds.append(type(belief_from(planner.state, ("a",)).node("a").process.kernel))
    assert kinds == [SquaredExponential, Matern52]
