"""probewise: decide what to make, measure and compute next, and what it is worth."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .workflow import (
    Budget,
    Continuous,
    Correlation,
    Discrete,
    Discriminate,
    Explore,
    FeasibleRegion,
    Hypothesis,
    Library,
    Limit,
    LocateBoundary,
    Maximize,
    Pareto,
    Prior,
    Step,
    Tune,
    Workflow,
)

if TYPE_CHECKING:
    from .campaign import Campaign as Campaign
    from .campaign import load_spec as load_spec
    from .planner import Planner as Planner

__version__ = "0.1.0"

_LAZY = {"Campaign": ".campaign", "load_spec": ".campaign", "Planner": ".planner"}

__all__ = [
    "Budget",
    "Campaign",
    "Continuous",
    "Correlation",
    "Discrete",
    "Discriminate",
    "Explore",
    "FeasibleRegion",
    "Hypothesis",
    "Library",
    "Limit",
    "LocateBoundary",
    "Maximize",
    "Pareto",
    "Planner",
    "Prior",
    "Step",
    "Tune",
    "Workflow",
    "__version__",
    "load_spec",
]


def __getattr__(name: str) -> Any:
    """Import what is heavy (torch, Ray) only when it is asked for."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
