"""Two sources of one quantity: a dear true one and a cheap one, good or misleading.

Branin and Hartmann augmented by a fidelity as in BoTorch; Borehole and Park with the cheap versions
of Xiong, Qian & Wu (2013). All are to be maximized and are scaled as published, minus where the
original is minimized. ``-decoy`` adds a second summit to the cheap source, higher than the true one
and far from it; ``-unrelated`` replaces it by a function that has nothing to do with the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from probewise.workflow import Continuous, Space

from ._gp_draws import matern_draw
from ._problem import Function, Node, Problem, box

Array = NDArray[np.float64]
CHEAP, DEAR = 0.1, 1.0


def branin(x: Array, fidelity: float) -> Array:
    """Minus Branin's function (n, 2), augmented: wrong in one coefficient below fidelity 1."""
    a, b = x.T
    curve = 5.1 / (4.0 * np.pi**2) - 0.1 * (1.0 - fidelity)
    bowl = b - curve * a**2 + 5.0 / np.pi * a - 6.0
    return -(bowl**2 + 10.0 * (1.0 - 1.0 / (8.0 * np.pi)) * np.cos(a) + 10.0)


_WEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
_WIDTHS = np.array(
    [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ]
)
_CENTERS = 1e-4 * np.array(
    [
        [1312.0, 1696.0, 5569.0, 124.0, 8283.0, 5886.0],
        [2329.0, 4135.0, 8307.0, 3736.0, 1004.0, 9991.0],
        [2348.0, 1451.0, 3522.0, 2883.0, 3047.0, 6650.0],
        [4047.0, 8828.0, 8732.0, 5743.0, 1091.0, 381.0],
    ]
)


def hartmann(x: Array, fidelity: float) -> Array:
    """Hartmann's function (n, 6), augmented: the first summit is lower below fidelity 1."""
    away = (_WIDTHS * (x[:, None, :] - _CENTERS) ** 2).sum(axis=2)
    weights = _WEIGHTS - np.array([0.1 * (1.0 - fidelity), 0.0, 0.0, 0.0])
    return np.exp(-away) @ weights


def borehole(x: Array, fidelity: float) -> Array:
    """Water flow through a borehole (n, 8); the cheap version has other constants."""
    radius, reach, t_upper, h_upper, t_lower, h_lower, length, conductivity = x.T
    factor, one = (2.0 * np.pi, 1.0) if fidelity >= 1.0 else (5.0, 1.5)
    log = np.log(reach / radius)
    rest = 2.0 * length * t_upper / (log * radius**2 * conductivity)
    return factor * t_upper * (h_upper - h_lower) / (log * (one + rest + t_upper / t_lower))


def park(x: Array, fidelity: float) -> Array:
    """Park's first function (n, 4); the cheap version adds a trend."""
    a, b, c, d = np.maximum(x, 1e-9).T
    root = np.sqrt(1.0 + (b + c**2) * d / a**2)
    exact = a / 2.0 * (root - 1.0) + (a + 3.0 * d) * np.exp(1.0 + np.sin(c))
    if fidelity >= 1.0:
        return exact
    return (1.0 + np.sin(a) / 10.0) * exact - 2.0 * a + b**2 + c**2 + 0.5


@dataclass(frozen=True)
class Truth:
    """A function with its space, the fidelity of its cheap version, its summit and its scale."""

    function: Callable[[Array, float], Array]
    space: Space
    low_fidelity: float
    best: float
    spread: float
    decoy: tuple[float, ...]
    budget: float


_BOREHOLE = (
    ("radius", 0.05, 0.15),
    ("reach", 100.0, 50_000.0),
    ("t_upper", 63_070.0, 115_600.0),
    ("h_upper", 990.0, 1_110.0),
    ("t_lower", 63.1, 116.0),
    ("h_lower", 700.0, 820.0),
    ("length", 1_120.0, 1_680.0),
    ("conductivity", 9_855.0, 12_045.0),
)
TRUTHS = {
    "branin": Truth(
        branin,
        Space(
            variables=(
                Continuous(name="x1", low=-5, high=10),
                Continuous(name="x2", low=0, high=15),
            )
        ),
        low_fidelity=0.0,
        best=-0.397887,
        spread=51.0,
        decoy=(0.1, 0.1),
        budget=12.0,
    ),
    "hartmann": Truth(
        hartmann,
        box(0, 1, 6),
        low_fidelity=0.0,
        best=3.32237,
        spread=0.38,
        decoy=(0.9, 0.9, 0.1, 0.9, 0.9, 0.1),
        budget=16.0,
    ),
    "borehole": Truth(
        borehole,
        Space(variables=tuple(Continuous(name=n, low=a, high=b) for n, a, b in _BOREHOLE)),
        low_fidelity=0.0,
        best=309.5756,
        spread=45.0,
        decoy=(0.1, 0.9, 0.1, 0.1, 0.1, 0.9, 0.9, 0.1),
        budget=16.0,
    ),
    "park": Truth(
        park,
        box(0, 1, 4),
        low_fidelity=0.0,
        best=25.58926,
        spread=4.6,
        decoy=(0.1, 0.5, 0.1, 0.1),
        budget=12.0,
    ),
}


def fidelity_problem(name: str, cheap: str = "good") -> Problem:
    """A truth with its cheap source, which is ``good``, ``decoy`` or ``unrelated``."""
    truth = TRUTHS[name]
    makers: dict[str, Callable[[Truth], Function]] = {
        "good": lambda t: partial(_at, t, t.low_fidelity),
        "decoy": lambda t: partial(_decoyed, t, _typical(t)),
        "unrelated": _unrelated,
    }
    names = truth.space.names
    nodes = (
        Node("simulate", "simulated", names, (), CHEAP, makers[cheap](truth)),
        Node("test", "tested", names, (), DEAR, partial(_at, truth, 1.0)),
    )
    return Problem(
        name=name if cheap == "good" else f"{name}-{cheap}",
        space=truth.space,
        nodes=nodes,
        budget=truth.budget,
        best=truth.best,
        initial=truth.space.dim + 1,
        sources={"tested": ("simulated",)},
    )


def _at(truth: Truth, fidelity: float, x: Array) -> Array:
    return truth.function(x, fidelity)


def _unit(truth: Truth, x: Array) -> Array:
    columns = zip(truth.space.variables, x.T, strict=True)
    return np.stack([v.to_unit(column) for v, column in columns], axis=1)


def _decoyed(truth: Truth, typical: float, x: Array) -> Array:
    """The good cheap source with a false summit, about half again as high above typical values."""
    away = ((_unit(truth, x) - np.array(truth.decoy)) ** 2).sum(axis=1) / (0.08 * x.shape[1])
    height = typical + 1.5 * (truth.best - typical)
    good = truth.function(x, truth.low_fidelity)
    bump = np.exp(-away)
    return (1.0 - bump) * good + bump * height


def _typical(truth: Truth) -> float:
    unit = truth.space.sobol(1024, seed=0)
    points = np.array([list(d.values()) for d in truth.space.decode(unit)])
    return float(np.median(truth.function(points, 1.0)))


def _unrelated(truth: Truth) -> Function:
    draw = matern_draw(7, 0.3 * np.sqrt(truth.space.dim), truth.space.dim, variance=1.0)
    return lambda x: truth.spread * draw(_unit(truth, x))
