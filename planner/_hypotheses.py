"""Hypotheses as Gaussian processes with a mean of their own, and how well each predicts the data.

A hypothesis is a mixture of components: the members of a theory's ensemble, or a formula made
linear around the parameters that fit best (Laplace's approximation, exact where the formula is
linear in them). Each component may depart smoothly from its mean by the hypothesis' tolerance. That
none of the hypotheses holds is a mixture of plain Gaussian processes of several length scales.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from ..workflow import NONE_OF_THEM, Discriminate, Hypothesis, Space
from ._gp import Matrix, Vector, default_kernel
from ._node import Data

MeanFunction = Callable[[Matrix], Vector]
Covariance = Callable[[Matrix, Matrix], Matrix]

_LENGTHS = (0.5, 1.0, 2.0)
_LEAST_NOISE = 1e-3
"""Standard deviation of every measurement at least, as a share of the spread of predictions."""


@final
@dataclass(frozen=True)
class Component:
    """One way in which hypothesis number ``owner`` may hold: a Gaussian process over designs."""

    owner: int
    log_prior: float
    mean: MeanFunction
    covariance: Covariance


@final
class Weighed:
    """Hypotheses after data.

    Attributes
    ----------
    names
        Of the hypotheses, none-of-them last where it is considered.
    owner, log_weights
        Of each component: its hypothesis (C,), and its log posterior probability (C,).
    """

    def __init__(
        self, names: tuple[str, ...], components: Sequence[Component], data: Data, least: float
    ) -> None:
        self.names, self._components = names, tuple(components)
        self.owner = np.array([c.owner for c in components])
        self._data = Data(data.x, data.y, np.maximum(data.noise, least**2))
        self.least_noise = least
        self._factors = [self._factor(c) for c in components]
        log = np.array([c.log_prior for c in components])
        log = log + np.array([self._evidence(i) for i in range(len(components))])
        self.log_weights = log - np.logaddexp.reduce(log)

    def _factor(self, component: Component) -> tuple[Matrix, bool] | None:
        if not len(self._data.y):
            return None
        total = component.covariance(self._data.x, self._data.x) + np.diag(self._data.noise)
        return cho_factor(total, lower=True)

    def _residual(self, i: int) -> Vector:
        return self._data.y - self._components[i].mean(self._data.x)

    def _evidence(self, i: int) -> float:
        """Log density of the data under one component."""
        factor = self._factors[i]
        if factor is None:
            return 0.0
        r = self._residual(i)
        logdet = 2.0 * float(np.log(np.diag(factor[0])).sum())
        return -0.5 * (float(r @ cho_solve(factor, r)) + logdet + len(r) * np.log(2.0 * np.pi))

    @property
    def probabilities(self) -> dict[str, float]:
        """The posterior probability of each hypothesis."""
        weights = np.exp(self.log_weights)
        sums = np.bincount(self.owner, weights, minlength=len(self.names))
        return dict(zip(self.names, map(float, sums / sums.sum()), strict=True))

    def predict(self, x: Matrix, keep: Sequence[int]) -> tuple[Matrix, list[Matrix]]:
        """Means (len(keep), n) and covariances, n by n each, of components at unit designs."""
        means, covariances = [], []
        for i in keep:
            component, factor = self._components[i], self._factors[i]
            mean, covariance = component.mean(x), component.covariance(x, x)
            if factor is not None:
                cross = component.covariance(x, self._data.x)
                mean = mean + cross @ cho_solve(factor, self._residual(i))
                covariance = covariance - cross @ cho_solve(factor, cross.T)
            means.append(mean)
            covariances.append(covariance)
        return np.stack(means), covariances


def weigh(
    goal: Discriminate,
    space: Space,
    data: Data,
    ensembles: dict[str, Callable[[Matrix], Matrix]],
    guess: tuple[float, float] = (0.0, 1.0),
) -> Weighed:
    """The hypotheses of a goal after data on its quantity.

    ``ensembles`` gives, for quantities that a theory has predicted, the members (K, n) at unit
    designs. A theory that was not simulated yet predicts as if none of the hypotheses held.
    ``guess`` is the mean and spread of the quantity while no hypothesis predicts anything.
    """
    location, scale = _spread(goal, space, ensembles) or guess
    vague = _vague(space, location, scale)
    drafts = [_parts(h, space, data, ensembles) for h in goal.hypotheses]
    priors = np.array([h.prior for h in goal.hypotheses])
    priors = priors / priors.sum() * (1.0 - goal.none_prior)
    components = []
    for owner, (draft, prior) in enumerate(zip(drafts, priors, strict=True)):
        parts = draft or vague
        components += [Component(owner, float(np.log(prior / len(parts))), *p) for p in parts]
    names = tuple(h.name for h in goal.hypotheses)
    if goal.none_prior > 0.0:
        log = float(np.log(goal.none_prior / len(vague)))
        components += [Component(len(names), log, *p) for p in vague]
        names = (*names, NONE_OF_THEM)
    return Weighed(names, components, data, _LEAST_NOISE * scale)


Part = tuple[MeanFunction, Covariance]


def _spread(
    goal: Discriminate, space: Space, ensembles: dict[str, Callable[[Matrix], Matrix]]
) -> tuple[float, float] | None:
    """Mean and standard deviation of all predictions over the space, before any data."""
    nothing = Data(np.zeros((0, space.dim)), np.zeros(0), np.zeros(0))
    parts = [p for h in goal.hypotheses for p in _parts(h, space, nothing, ensembles)]
    if not parts:
        return None
    x = space.sobol(64, seed=5)
    means = np.array([mean(x) for mean, _ in parts])
    within = np.mean([np.diag(covariance(x, x)) for _, covariance in parts])
    location = float(means.mean())
    scale = float(np.sqrt(means.var() + within))
    return location, max(scale, 1e-3 * abs(location)) or 1.0


def _vague(space: Space, location: float, scale: float) -> list[Part]:
    """Smooth functions with the spread of all predictions, about an uncertain constant."""

    def part(length: float) -> Part:
        kernel = default_kernel(space.dim)
        kernel = type(kernel)(kernel.lengthscales * length, scale**2)
        return (
            lambda x: np.full(len(x), location),
            lambda x, z: kernel(x, z) + (0.5 * scale) ** 2,
        )

    return [part(length) for length in _LENGTHS]


def _parts(
    hypothesis: Hypothesis,
    space: Space,
    data: Data,
    ensembles: dict[str, Callable[[Matrix], Matrix]],
) -> list[Part]:
    """Components of one hypothesis; none while its theory has not predicted."""
    spare = default_kernel(space.dim, max(hypothesis.tolerance, 0.0) ** 2)
    if hypothesis.formula is not None:
        return [_formula(hypothesis, space, data, spare)]
    ensemble = ensembles.get(hypothesis.predicts or "")
    if ensemble is None:
        return []

    def member(k: int) -> Part:
        return (lambda x: ensemble(x)[k], spare)

    count = len(ensemble(np.full((1, space.dim), 0.5)))
    return [member(k) for k in range(count)]


def _formula(hypothesis: Hypothesis, space: Space, data: Data, spare: Covariance) -> Part:
    """A formula with its parameters made linear around their best fit to the data."""
    formula = hypothesis.formula
    assert formula is not None
    names = tuple(hypothesis.parameters)
    prior = np.array([p.mean for p in hypothesis.parameters.values()])
    std = np.array([p.std for p in hypothesis.parameters.values()])

    def value(x: Matrix, theta: Vector) -> Vector:
        columns = {v.name: v.from_unit(x[:, i]) for i, v in enumerate(space.variables)}
        found = formula(columns | dict(zip(names, theta, strict=True)))
        return np.broadcast_to(found, (len(x),)).astype(np.float64)

    def slopes(x: Matrix, theta: Vector) -> Matrix:
        steps = 1e-4 * std
        moves = np.diag(steps)
        columns = [
            (value(x, theta + m) - value(x, theta - m)) / (2.0 * s)
            for m, s in zip(moves, steps, strict=True)
        ]
        return np.stack(columns, axis=1) if columns else np.zeros((len(x), 0))

    theta = _best_fit(value, slopes, prior, std, data, spare) if len(names) else prior

    def mean(x: Matrix) -> Vector:
        return value(x, theta) + slopes(x, theta) @ (prior - theta)

    def covariance(x: Matrix, z: Matrix) -> Matrix:
        return (slopes(x, theta) * std**2) @ slopes(z, theta).T + spare(x, z)

    return mean, covariance


def _best_fit(
    value: Callable[[Matrix, Vector], Vector],
    slopes: Callable[[Matrix, Vector], Matrix],
    prior: Vector,
    std: Vector,
    data: Data,
    spare: Covariance,
) -> Vector:
    """Maximum a posteriori parameters by damped Gauss-Newton steps."""
    if not len(data.y):
        return prior
    scale = max(float(np.std(data.y)), 1e-12)
    noise = np.maximum(data.noise, (_LEAST_NOISE * scale) ** 2)
    precision = np.linalg.inv(spare(data.x, data.x) + np.diag(noise))

    def loss(theta: Vector) -> float:
        r = data.y - value(data.x, theta)
        with np.errstate(all="ignore"):
            found = float(r @ precision @ r + np.sum(((theta - prior) / std) ** 2))
        return found if np.isfinite(found) else np.inf

    theta, least = prior, loss(prior)
    for _ in range(30):
        j = slopes(data.x, theta)
        gradient = j.T @ precision @ (data.y - value(data.x, theta)) - (theta - prior) / std**2
        step = np.linalg.solve(j.T @ precision @ j + np.diag(1.0 / std**2), gradient)
        for damping in (1.0, 0.5, 0.25, 0.1, 0.03, 0.01):
            tried = loss(theta + damping * step)
            if tried < least:
                theta, gained, least = theta + damping * step, least - tried, tried
                break
        else:
            break
        if gained < 1e-9 * (1.0 + least):
            break
    return theta
