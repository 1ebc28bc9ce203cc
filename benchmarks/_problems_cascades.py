"""Two stages drawn at random, the first nearly free: the generator of Torresi & Friederich (2026).

"Multi-stage Bayesian optimisation for dynamic decision-making in self-driving labs", written anew
from its description: every stage is a small neural network trained to random targets at a few
points, and the more points, the more rugged it is. Targets below the others lie outside the cube,
so that summits seldom lie on its border. Seed k gives the functions and the first designs that
their generator gives for seed k, up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from ._problem import Node, Problem, box

Array = NDArray[np.float64]
CONTROLS = (4, 2)
"""Variables of each stage, all in [0, 1]."""
OUTPUTS = (2, 1)
COSTS = (0.02, 0.98)
BUDGET = 100.0
HIDDEN = (64, 128, 32)
EPOCHS, BATCH, RATE = 800, 16, 0.01
LEAK = 0.1
STEEPNESS = 0.8
"""Of the logistic function that brings the outputs of all stages but the last into (0, 1)."""
OUTSIDE, BELOW = (-0.2, 1.2), -1.5
"""Where the border's targets lie in one coordinate, and what they are."""


@dataclass(frozen=True)
class Net:
    """Layers of a trained network, as weights (in, out) and biases (out,)."""

    layers: tuple[tuple[Array, Array], ...]
    squashed: bool

    def __call__(self, x: Array) -> Array:
        """Outputs (n, m) at inputs (n, d)."""
        *hidden, (weight, bias) = self.layers
        for w, b in hidden:
            x = x @ w + b
            x = np.where(x > 0.0, x, LEAK * x)
        x = x @ weight + bias
        return 1.0 / (1.0 + np.exp(-STEEPNESS * x)) if self.squashed else x

    def output(self, column: int, x: Array) -> Array:
        """One of the outputs (n,)."""
        return self(x)[:, column]


def cascade(points: tuple[int, int], seed: int) -> Problem:
    """The cascade of a seed, with ``points`` random targets in each stage."""
    first, second, best = _drawn(points, seed)
    space = box(0, 1, sum(CONTROLS))
    made, tested = space.names[: CONTROLS[0]], space.names[CONTROLS[0] :]
    quantities = tuple(f"h{i + 1}" for i in range(OUTPUTS[0]))
    nodes = [
        Node("make", quantity, made, (), COSTS[0], partial(first.output, i))
        for i, quantity in enumerate(quantities)
    ]
    last = Node("test", "y", tested, quantities, COSTS[1], partial(second.output, 0))
    known = 2 * (space.dim + 1)
    return Problem(
        name=f"cascade-{points[0]}-{points[1]}",
        space=space,
        nodes=(*nodes, last),
        budget=BUDGET,
        best=best,
        initial=known,
        start=_sobol(space.dim, known, seed),
    )


@lru_cache
def _drawn(points: tuple[int, int], seed: int) -> tuple[Net, Net, float]:
    """Both stages of a seed and the largest value at the end."""
    first = drawn_net(CONTROLS[0], OUTPUTS[0], points[0], seed, squashed=True)
    second = drawn_net(CONTROLS[1] + OUTPUTS[0], OUTPUTS[1], points[1], seed, squashed=False)

    def end(x: Array) -> Array:
        made, tested = x[:, : CONTROLS[0]], x[:, CONTROLS[0] :]
        return second(np.concatenate([tested, first(made)], axis=1))[:, 0]

    rng = np.random.default_rng([seed, 61])
    x = _sobol(sum(CONTROLS), 2**14, seed)
    for width in np.geomspace(0.2, 1e-5, 30):
        leaders = x[np.argsort(-end(x))[:64]]
        steps = width * rng.standard_normal((64, 32, x.shape[1]))
        near = np.clip(leaders[:, None] + steps, 0.0, 1.0).reshape(-1, x.shape[1])
        x = np.concatenate([leaders, near])
    return first, second, float(end(x).max())


def drawn_net(inputs: int, outputs: int, points: int, seed: int, *, squashed: bool) -> Net:
    """A network trained to standard normal targets at ``points`` scrambled Sobol points.

    The random numbers are taken in the published order: weights from torch's generator, targets
    and then the border's other coordinates from numpy's.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sizes = (inputs, *HIDDEN, outputs)
        linear = [torch.nn.Linear(a, b, dtype=torch.float32) for a, b in pairwise(sizes)]
        for layer in linear:
            torch.nn.init.xavier_uniform_(layer.weight)
            torch.nn.init.constant_(layer.bias, 0.01)
    rng = np.random.default_rng(seed)
    x, y = _sobol(inputs, points, seed), rng.normal(size=(points, outputs))
    for outside in OUTSIDE:
        border = rng.uniform(size=(inputs, inputs))
        np.fill_diagonal(border, outside)
        x = np.concatenate([x, border])
    y = np.concatenate([y, np.full((2 * inputs, outputs), BELOW)])
    _train(linear, torch.from_numpy(x).float(), torch.from_numpy(y).float())
    layers = tuple(
        (layer.weight.detach().double().numpy().T, layer.bias.detach().double().numpy())
        for layer in linear
    )
    return Net(layers, squashed)


def _train(linear: Sequence[torch.nn.Linear], x: torch.Tensor, y: torch.Tensor) -> None:
    """Adam on the mean squared error, in batches that are always the same."""
    *hidden, last = linear
    steps = [part for layer in hidden for part in (layer, torch.nn.LeakyReLU(LEAK))]
    network = torch.nn.Sequential(*steps, last)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    for _ in range(EPOCHS):
        for some, wanted in zip(x.split(BATCH), y.split(BATCH), strict=True):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(network(some), wanted).backward()
            optimizer.step()


def _sobol(dim: int, n: int, seed: int) -> Array:
    """The first ``n`` points (n, dim) of the scrambled Sobol sequence of a seed, in [0, 1]."""
    engine = torch.quasirandom.SobolEngine(dim, scramble=True, seed=seed)
    return engine.draw(n).double().numpy()
