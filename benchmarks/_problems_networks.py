"""The function networks of Buathong et al. (ICML 2024) and their budgets, written anew.

Published as test problems of p-KGFN; every function here gives the same values as theirs. Costs
stand in a problem's name: ``ackmat-1-49`` has nodes for 1 and 49 credits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from probewise.workflow import Continuous, Space

from ._data import read_table
from ._gp_draws import DEFAULT_SCALE, matern_draw
from ._node_gp import node_with
from ._problem import Function, Node, Problem, box

Array = NDArray[np.float64]
BUDGETS = {(1, 1): 50.0, (1, 9): 150.0, (1, 49): 700.0}


def ackley(x: Array) -> Array:
    """Ackley's function (n, d) -> (n,): 0 at the origin, a sharp bowl with many small ones."""
    root = np.sqrt(np.mean(x**2, axis=1))
    waves = np.mean(np.cos(2.0 * np.pi * x), axis=1)
    return -20.0 * np.exp(-0.2 * root) - np.exp(waves) + 20.0 + np.e


def matyas(x: Array) -> Array:
    """The negative of Matyas' function (n, 2) -> (n,)."""
    a, b = x.T
    return -0.26 * (a**2 + b**2) + 0.48 * a * b


def ackmat(costs: tuple[int, int]) -> Problem:
    """A cheap bowl in six variables, then a dear valley in its depth and a seventh variable."""
    six = [Continuous(name=f"x{i + 1}", low=-2, high=2) for i in range(6)]
    space = Space(variables=(*six, Continuous(name="x7", low=-10, high=10)))
    nodes = (
        Node("f1", "y1", space.names[:6], (), costs[0], ackley),
        Node("f2", "y2", ("x7",), ("y1",), costs[1], matyas),
    )
    return _problem("ackmat", space, nodes, costs, best=0.0)


def freesolv(costs: tuple[int, int]) -> Problem:
    """Computed (cheap), then measured (dear) negative hydration energy of small molecules.

    Both functions are posterior means of Gaussian processes fitted to 642 molecules: the computed
    energy over three learned coordinates, the measured one over the computed one. The published
    experiments fit them when they start; the hyperparameters that they found stand below, so that
    the functions are the same everywhere.
    """
    space = box(0, 1, 3)
    nodes = (
        Node("compute", "cal", space.names, (), costs[0], lambda x: _freesolv_mean(0)(x)),
        Node("measure", "expt", (), ("cal",), costs[1], lambda x: _freesolv_mean(1)(x)),
    )
    return _problem("freesolv", space, nodes, costs, best=27.524052)


_FREESOLV = (
    {
        "lengths": (0.3363204432334096, 0.34998976741759724, 0.34396649771988486),
        "variance": 1.7220744903906917,
        "ridge": 0.2532248150511053,
        "shift": 0.5386541980584487,
    },
    {
        "lengths": (0.14353492757898356,),
        "variance": 5.065807513813461,
        "ridge": 0.108095844964199,
        "shift": 1.0639987174205274,
    },
)


@lru_cache
def _freesolv_mean(node: int) -> Function:
    _, table = read_table("freesolv", "freesolv_NN_rep3dim.csv")
    x = table[:, :3] if node == 0 else table[:, [3]]
    return node_with(x, table[:, 3 + node], **_FREESOLV[node]).mean


def manufacturing(costs: tuple[int, int, int, int] = (5, 10, 10, 45)) -> Problem:
    """Two branches of two variables each, the first with an intermediate, joined at the end."""
    space = box(-1, 1, 4)
    nodes = (
        Node("f1", "y1", ("x1", "x2"), (), costs[0], matern_draw(88, DEFAULT_SCALE, 2)),
        Node("f2", "y2", (), ("y1",), costs[1], matern_draw(112, 1.0, 1)),
        Node("f3", "y3", ("x3", "x4"), (), costs[2], matern_draw(11, 1.0, 2)),
        Node("f4", "y4", (), ("y2", "y3"), costs[3], matern_draw(185, 3.0, 2, variance=10.0)),
    )
    return _problem("manufacturing", space, nodes, costs, best=-0.984435, budget=700.0)


def gps1(costs: tuple[int, int]) -> Problem:
    """Two draws in one variable, one after the other."""
    nodes = (
        Node("f1", "y1", ("x1",), (), costs[0], matern_draw(22, 0.5, 1)),
        Node("f2", "y2", (), ("y1",), costs[1], matern_draw(33, 0.25, 1)),
    )
    return _problem("gps1", box(-1, 1, 1), nodes, costs, best=1.511215)


def gps2(costs: tuple[int, int, int, int] = (1, 1, 1, 47)) -> Problem:
    """Three draws in one variable each, joined by a fourth of their outputs."""
    space = box(-1, 1, 3)
    roots = [
        Node(f"f{i + 1}", f"y{i + 1}", (v,), (), costs[i], matern_draw(20 + i, DEFAULT_SCALE, 1))
        for i, v in enumerate(space.names)
    ]
    final = matern_draw(23, DEFAULT_SCALE, 3)
    end = Node("f4", "y4", (), ("y1", "y2", "y3"), costs[3], final)
    return _problem("gps2", space, (*roots, end), costs, best=1.948448, budget=700.0)


def pharma(costs: tuple[int, int]) -> Problem:
    """Disintegration time and tensile strength of a tablet, and a known score of both.

    Logistic regressions of four process variables. The score takes the time where one would expect
    the strength and the other way round; so do the published experiments.
    """
    space = box(-1, 1, 4)
    score = "((60 - strength) / 60) * (time / 1.5)"
    nodes = (
        Node("disintegrate", "time", space.names, (), costs[0], partial(_logistic, _TIME)),
        Node("press", "strength", space.names, (), costs[1], partial(_logistic, _STRENGTH)),
        Node("score", "score", (), ("time", "strength"), 0.0, _score, formula=score),
    )
    return _problem("pharma", space, nodes, costs, best=26.953090)


def _score(x: Array) -> Array:
    time, strength = x.T
    return (60.0 - strength) / 60.0 * time / 1.5


_TIME = (
    -3.95,
    (
        (9.20, 0.32, 5.06, -4.07, -0.36, -0.34),
        (9.88, -4.83, 7.43, 3.46, 9.19, 16.58),
        (10.84, 7.90, 7.91, 4.48, 4.08, 8.28),
        (15.18, 9.41, -7.99, 0.65, 3.14, 0.31),
    ),
)
_STRENGTH = (
    1.07,
    (
        (0.62, 3.05, 0.03, -0.16, 4.03, -0.54),
        (0.65, 1.78, 0.60, -3.19, 0.10, 0.52),
        (-0.72, 0.01, 2.04, -3.73, 0.10, -1.05),
        (-0.45, 1.82, 4.78, 0.48, -4.68, -1.65),
        (-0.32, 2.69, 5.99, 3.87, 3.10, -2.17),
    ),
)
"""Offset, then height, bias and slopes of each logistic term."""


def _logistic(terms: tuple[float, tuple[tuple[float, ...], ...]], x: Array) -> Array:
    offset, rows = terms
    height, bias, *slopes = np.array(rows).T
    return offset + (1.0 / (1.0 + np.exp(-(bias + x @ np.stack(slopes))))) @ height


def _problem(
    name: str,
    space: Space,
    nodes: tuple[Node, ...],
    costs: tuple[int, ...],
    *,
    best: float,
    budget: float | None = None,
) -> Problem:
    return Problem(
        name="-".join([name, *map(str, costs)]),
        space=space,
        nodes=nodes,
        budget=BUDGETS[costs[0], costs[1]] if budget is None else budget,
        best=best,
        initial=2 * space.dim + 1,
    )


NETWORKS: dict[str, Callable[[], Problem]] = {
    **{
        f"{make.__name__}-1-{dear}": partial(make, (1, dear))
        for make in (ackmat, freesolv, pharma, gps1)
        for dear in (1, 9, 49)
    },
    "manufacturing-5-10-10-45": manufacturing,
    "gps2-1-1-1-47": gps2,
}
"""Problems by name; made when called, for some need data or a fit."""
