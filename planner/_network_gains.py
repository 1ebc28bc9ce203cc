"""What measurements in a network of functions would gain, by two estimates.

*Knowledge gradient of partial evaluations* (Buathong et al. 2024, without its sampling): the end at
x is a function g of one uncertain number, the quantity that would be measured, which is normal.
With g = sum of a_j h_j in normalized Hermite polynomials, Mehler's formula gives what is believed
of the end after an outcome t: sum of a_j rho^j h_j(t), where rho is the correlation of the
quantity at x with the measurement. The gain is the rise of its maximum over x, averaged over t.

*Chain index with giving up*: the reservation price (Weitzman 1979; Kleinberg, Waggoner & Weyl 2016)
of a chain of steps that may be left after its next outcome. It is the rate at which the
chain is just worth beginning, E[max(0, improvement given t - rate * later)] = rate * now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from ._network_belief import NetworkBelief
from ._network_chains import Leg
from ._network_forward import Block, Reach, balanced_draws, forward, improvement
from ._network_kernel import Matrix, Vector

OUTCOMES = 23
_REACH = 4.8
ORDERS = 10
_DRAWS = 8
_SOURCE_DRAWS = 4
_ROUNDING = 1e-8
"""A share of the prior variance below which a posterior variance is rounding error."""

T = np.linspace(-_REACH, _REACH, OUTCOMES)
WEIGHTS = np.exp(-0.5 * T**2)
WEIGHTS /= WEIGHTS.sum()


def _hermite() -> Matrix:
    """Normalized Hermite polynomials on the outcomes, shape (orders, outcomes).

    Orthonormal under the weights themselves, so that no mean depends on the grid.
    """
    root = np.sqrt(WEIGHTS)
    powers = np.polynomial.hermite_e.hermevander(T, ORDERS - 1) * root[:, None]
    basis, corner = np.linalg.qr(powers)
    return (basis * np.sign(np.diag(corner)) / root[:, None]).T


HERMITE = _hermite()


@final
@dataclass(frozen=True)
class Response:
    """How the end at each point depends on one quantity there.

    Attributes
    ----------
    series
        Hermite coefficients (N, orders) of the believed end.
    better
        Expected improvement (N, T) of the end over the best, given the quantity's outcome.
    reach
        What was pushed through the network.
    """

    series: Matrix
    better: Matrix
    reach: Reach

    @property
    def mean(self) -> Vector:
        """Believed end (N,)."""
        return self.series[:, 0]


@final
class Gains:
    """Gains of measuring at points x (N, dim) with measured values ``known``."""

    def __init__(
        self, belief: NetworkBelief, x: Matrix, known: Mapping[str, Vector], seed: int
    ) -> None:
        self.belief, self.x, self.known, self._seed = belief, x, known, seed
        self._responses: dict[str, Response] = {}

    def response(self, quantity: str) -> Response:
        """How the end depends on a quantity on the path."""
        if quantity not in self._responses:
            self._responses[quantity] = self._respond(quantity)
        return self._responses[quantity]

    def _draws(self, quantity: str, count: int | None = None) -> dict[str, Block]:
        """Outcomes for one quantity, draws for all others that are uncertain."""
        network = self.belief.network
        learned = [n.quantity for n in network.learned if n.quantity in network.path]
        others = [
            q for q in learned if q not in {quantity, network.end} and np.isnan(self.known[q]).any()
        ]
        found = balanced_draws(count or (_DRAWS if others else 1), tuple(others), self._seed)
        draws = {q: v[None, None, :] for q, v in found.items()}
        for q in learned:
            if q not in draws and q != network.end:
                draws[q] = np.zeros((1, 1, 1))
        draws[quantity] = T[None, :, None]
        return draws

    def _respond(self, quantity: str) -> Response:
        reach = forward(self.belief, self.x, self.known, self._draws(quantity))
        mean = np.broadcast_to(reach.mean, (len(self.x), OUTCOMES, reach.mean.shape[2]))
        series = (mean.mean(2) * WEIGHTS) @ HERMITE.T
        best = float(series[:, 0].max())
        end, std = reach.mean, reach.std
        if quantity == self.belief.network.end:
            end, std = self._whole_end(mean)
        better = improvement(end, self._telling(std), best).mean(2)
        better = np.broadcast_to(better, (len(self.x), OUTCOMES))
        return Response(series, better, reach)

    def _whole_end(self, outcomes: Block) -> tuple[Block, Block]:
        """Mean and standard deviation (N, 1, S) of the end from its own outcomes (N, T, S).

        Its expected improvement is then in closed form, as that of chains which begin earlier. A
        sum over outcomes misses some percent of it, more than a cheap first step costs: new chains
        would be begun for ever and none ended.
        """
        weights = WEIGHTS[None, :, None]
        center = np.sum(outcomes * weights, axis=1, keepdims=True)
        spread = np.sum((outcomes - center) ** 2 * weights, axis=1, keepdims=True)
        return center, np.sqrt(spread / (WEIGHTS @ T**2))

    def _telling(self, std: Block) -> Block:
        """The part of the end's spread that a noisy measurement of it would reveal."""
        return std * self._share(self.belief.network.end, std)

    def _share(self, quantity: str, std: Block) -> Block:
        if quantity not in self.belief.known or self.belief.exact(quantity):
            return np.ones_like(std)
        variance = std**2
        return np.sqrt(variance / np.maximum(variance + self.belief.noise(quantity) ** 2, 1e-300))

    # -- knowledge gradient -----------------------------------------------------------------------

    def one_step(self, quantity: str, rows: NDArray[np.int64]) -> Vector:
        """Knowledge gradient (C,) of measuring ``quantity`` at the points ``rows`` (C,).

        Where what it consumes is not known, it is set to its believed value.
        """
        belief = self.belief
        node = belief.network.learn(quantity)
        on_path = belief.network.tells_of(quantity)
        target = belief.network.learn(on_path)
        response = self.response(on_path)
        inputs = response.reach.inputs.get(on_path)
        if inputs is None:  # known everywhere
            return np.zeros(len(rows))
        z = inputs[rows, 0].mean(1)
        process = belief.groups[node.group]
        scale = belief.scales[quantity][1]
        spread = process.moments(z, node.level).std
        noise = belief.noise(quantity) / scale
        blur = _ROUNDING * process.kernel.prior_variance(node.level)
        spread = np.sqrt(spread**2 + noise**2 + blur)
        draws = inputs[:, 0, :_SOURCE_DRAWS, :]
        flat = draws.reshape(-1, inputs.shape[-1])
        own = process.moments(flat, target.level).std
        covariance = process.covariance(flat, target.level, z, node.level)
        rho = np.clip(covariance / (own[:, None] * spread), -1.0, 1.0)
        rho = rho.reshape(len(self.x), -1, len(rows))
        powers = np.empty((len(rows), len(self.x), ORDERS))
        power = np.ones_like(rho)
        for j in range(ORDERS):
            powers[..., j] = power.mean(1).T
            power = power * rho
        powers *= response.series
        after = powers @ HERMITE
        return np.maximum(after.max(1) @ WEIGHTS - response.mean.max(), 0.0)

    def set_values(self, quantity: str, row: int) -> dict[str, float]:
        """Believed values of what a quantity consumes at a point, to be set there."""
        belief = self.belief
        node = belief.network.learn(quantity)
        inputs = self.response(belief.network.tells_of(quantity)).reach.inputs
        z = inputs[belief.network.tells_of(quantity)][row, 0].mean(0)[len(node.controls) :]
        scales = [belief.scales.get(p, (0.0, 1.0)) for p in node.parents]
        return {
            p: float(location + scale * value)
            for p, (location, scale), value in zip(node.parents, scales, z, strict=True)
        }

    # -- chains -----------------------------------------------------------------------------------

    def chain(self, quantity: str, leg: Leg) -> tuple[Vector, Vector, Vector]:
        """Rate, gain and expected price (N,) of a chain to the end that begins with ``quantity``.

        For a quantity beside the path, a cheaper source, the chain is that source first and then,
        if it promises enough, the whole way.
        """
        on_path = self.belief.network.tells_of(quantity)
        better = self.response(on_path).better
        if quantity != on_path:
            better = self._after_source(quantity, on_path)
        rate = reservation_rate(better, leg.now, leg.later)
        going_on = better > rate[:, None] * leg.later[:, None]
        gain = (better * going_on) @ WEIGHTS
        price = leg.now + leg.later * (going_on @ WEIGHTS)
        return rate, gain, price

    def _after_source(self, quantity: str, on_path: str) -> Matrix:
        """Expected improvement (N, T) of the end given what a cheaper source would say."""
        belief = self.belief
        node, target = belief.network.learn(quantity), belief.network.learn(on_path)
        response = self.response(on_path)
        z = response.reach.inputs[on_path][:, 0, 0, :]
        process = belief.groups[node.group]
        noise = belief.noise(quantity) / belief.scales[quantity][1]
        told = np.sqrt(process.moments(z, node.level).std ** 2 + noise**2)
        own = process.moments(z, target.level).std
        covariance = process.paired(z, target.level, node.level)
        rho = np.clip(covariance / (own * told), -1.0, 1.0)[:, None, None]
        best = float(response.mean.max())
        if on_path == belief.network.end:
            draws = self._draws(on_path)
            del draws[on_path]
            plain = forward(belief, self.x, self.known, draws)
            mean = plain.mean + plain.std * rho * T[None, :, None]
            std = self._telling(plain.std * np.sqrt(1.0 - rho**2))
            better = improvement(mean, std, best)
            return np.broadcast_to(better.mean(2), (len(self.x), OUTCOMES))
        draws = self._draws(on_path, _DRAWS)
        fresh = balanced_draws(_DRAWS, (on_path,), self._seed + 1)[on_path]
        draws[on_path] = rho * T[None, :, None] + np.sqrt(1.0 - rho**2) * fresh
        after = forward(belief, self.x, self.known, draws)
        better = improvement(after.mean, self._telling(after.std), best).mean(2)
        return np.broadcast_to(better, (len(self.x), OUTCOMES))


def reservation_rate(better: Matrix, now: Vector, later: Vector) -> Vector:
    """The rate (N,) with E[max(0, better - rate * later)] = rate * now.

    ``better`` (N, T) over the outcomes, prices (N,). Newton's method from below on a
    convex falling function: it rises to the root and never passes it.
    """
    now = np.maximum(now, 1e-12)
    rate = (better @ WEIGHTS) / (now + later)
    for _ in range(12):
        left = better - rate[:, None] * later[:, None]
        going_on = left > 0.0
        excess = (left * going_on) @ WEIGHTS - rate * now
        rate = rate + excess / (now + later * (going_on @ WEIGHTS))
    return np.maximum(rate, 0.0)
