"""Textbook problems for goals other than the largest value, on the unit cube."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probewise import Continuous, Workflow
from probewise.workflow import Prior

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """``values`` maps designs (n, dim) to quantities (n, m); ``budget`` counts measurements."""

    name: str
    dim: int
    values: Callable[[Array], Array]
    budget: int
    more: dict[str, Any]

    @property
    def quantities(self) -> tuple[str, ...]:
        return tuple(f"q{i}" for i in range(self.values(np.full((1, self.dim), 0.5)).shape[1]))

    def workflow(self, noise: float = 0.0, priors: dict[str, Prior] | None = None) -> Workflow:
        """One step that measures everything at a design for one credit."""
        step = {
            "name": "measure",
            "level": 3,
            "produces": list(self.quantities),
            "noise": dict.fromkeys(self.quantities, noise),
            "cost_credits": 1,
        }
        return Workflow.model_validate(
            {
                "space": [Continuous(name=f"x{i}", low=0, high=1) for i in range(self.dim)],
                "steps": [step],
                "priors": priors or {},
            }
        )


def _branin(x: Array) -> Array:
    a, b = 15.0 * x[:, 0] - 5.0, 15.0 * x[:, 1]
    bent = b - 5.1 / (4.0 * np.pi**2) * a**2 + 5.0 / np.pi * a - 6.0
    return bent**2 + 10.0 * (1.0 - 1.0 / (8.0 * np.pi)) * np.cos(a) + 10.0


def _currin(x: Array) -> Array:
    a, b = x[:, 0], np.maximum(x[:, 1], 1e-12)
    top = 2300.0 * a**3 + 1900.0 * a**2 + 2092.0 * a + 60.0
    return (1.0 - np.exp(-0.5 / b)) * top / (100.0 * a**3 + 500.0 * a**2 + 4.0 * a + 20.0)


def _dtlz2(x: Array) -> Array:
    g = ((x[:, 1:] - 0.5) ** 2).sum(1)
    angle = 0.5 * np.pi * x[:, 0]
    return (1.0 + g)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _c2_margin(x: Array) -> Array:
    """The constraint of C2-DTLZ2 (Jain & Deb 2014): kept where positive."""
    f, r = _dtlz2(x), 0.2
    corners = [(f[:, i] - 1.0) ** 2 + f[:, 1 - i] ** 2 - r**2 for i in (0, 1)]
    middle = ((f - 1.0 / np.sqrt(2.0)) ** 2).sum(1) - r**2
    return -np.minimum(np.minimum(*corners), middle)[:, None]


def _two_limits(x: Array) -> Array:
    """The two constraints of the toy problem of Gramacy et al. 2016: kept where not positive."""
    a, b = x[:, 0], x[:, 1]
    wave = 1.5 - a - 2.0 * b - 0.5 * np.sin(2.0 * np.pi * (a**2 - 2.0 * b))
    return np.stack([wave, a**2 + b**2 - 1.5], axis=1)


def _hartmann3(x: Array) -> Array:
    a = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]], dtype=float)
    p = 1e-4 * np.array(
        [[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]
    )
    inner = np.sum(a * (x[:, None, :] - p) ** 2, axis=-1)
    return (np.exp(-inner) @ np.array([1.0, 1.2, 3.0, 3.2]))[:, None]


PARETO = (
    Problem(
        "BraninCurrin", 2, lambda x: np.stack([_branin(x), _currin(x)], 1), 24,
        {"reference": (18.0, 6.0), "best": 59.36011874867746},
    ),
    Problem(
        "DTLZ2, 4 variables", 4, _dtlz2, 24,
        {"reference": (1.1, 1.1), "best": 1.21 - np.pi / 4.0},
    ),
)  # fmt: skip
"""All aims are minimized; ``best`` is the hypervolume of the true front."""

REGIONS = (
    Problem("Branin below 30", 2, lambda x: _branin(x)[:, None], 20, {"limits": ((None, 30.0),)}),
    Problem("C2-DTLZ2, 3 variables", 3, _c2_margin, 30, {"limits": ((0.0, None),)}),
    Problem("two limits", 2, _two_limits, 20, {"limits": ((None, 0.0), (None, 0.0))}),
)

SPACES = (
    Problem("Branin", 2, lambda x: _branin(x)[:, None], 20, {}),
    Problem("Hartmann, 3 variables", 3, _hartmann3, 30, {}),
)

TRUTHS: dict[str, Callable[[float], float]] = {
    "saturating": lambda x: 2.5 * x / (1.5 + x),
    "exponential": lambda x: 2.2 * (1.0 - np.exp(-x / 2.0)),
    "line": lambda x: 0.4 + 0.25 * x,
    "none-of-them": lambda x: 1.2 + 0.5 * np.sin(1.3 * x),
}
"""What a response over 0 to 10 may be."""

RIVALS: list[dict[str, Any]] = [
    {
        "name": "saturating",
        "formula": "a * x / (b + x)",
        "parameters": {"a": {"mean": 2.5, "std": 1}, "b": {"mean": 2, "std": 0.7}},
    },
    {
        "name": "exponential",
        "formula": "a * (1 - exp(-x / b))",
        "parameters": {"a": {"mean": 2.5, "std": 1}, "b": {"mean": 2, "std": 0.7}},
    },
    {
        "name": "line",
        "formula": "a + b * x",
        "parameters": {"a": {"mean": 0.5, "std": 0.5}, "b": {"mean": 0.3, "std": 0.2}},
    },
]


def bowl(x: Array, hour: float) -> float:
    """A quality with its optimum on a slow closed path: 1 at the optimum."""
    centre = np.array([0.5 + 0.35 * np.sin(hour / 8.0), 0.5 + 0.3 * np.cos(hour / 11.0)])
    return float(1.0 - 4.0 * np.sum((x - centre) ** 2))
