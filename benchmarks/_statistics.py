"""What runs come to: values at costs, costs to a share of the way, seconds, stops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._records import Run, read_runs

SHARES = (0.9, 0.95, 0.99)
EARLY = 0.1
"""A stop is early with more than this share of the budget left."""


def load(folder: Path) -> list[Run]:
    """All runs in a folder's files; of several of the same, the last that did not die."""
    found: dict[tuple[str, str, str, int], Run] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for run in read_runs(path):
            key = (run.suite, *run.key)
            if not run.error or key not in found:
                found[key] = run
    return list(found.values())


def values_at(run: Run, costs: ArrayLike) -> NDArray[np.float64]:
    """True objective at what was recommended when each of ``costs`` had been spent."""
    spent = np.array([p.cost for p in run.trajectory])
    values = np.array([p.value for p in run.trajectory])
    return values[np.searchsorted(spent, np.asarray(costs) + 1e-9, side="right") - 1]


def value_at(run: Run, cost: float) -> float:
    """The same for one cost."""
    return float(values_at(run, [cost])[0])


def means_at(
    runs: Sequence[Run], costs: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means over runs at costs, and their standard errors (NaN for a single run)."""
    values = np.stack([values_at(r, costs) for r in runs])
    if len(runs) == 1:
        return values[0], np.full(len(values[0]), np.nan)
    return values.mean(0), values.std(0, ddof=1) / np.sqrt(len(runs))


def start_of(runs: Iterable[Run]) -> float:
    """Where runs of a problem begin: the mean value of the first recommendations."""
    return float(np.mean([r.trajectory[0].value for r in runs]))


def cost_to(run: Run, share: float, start: float) -> float:
    """Cost from which on the value keeps ``share`` of the way from ``start`` to the best.

    Infinite where it never does.
    """
    wanted = start + share * (run.best - start)
    slack = 1e-9 * max(abs(run.best), 1.0)
    cost = float("inf")
    for point in reversed(run.trajectory):
        if point.value < wanted - slack:
            break
        cost = point.cost
    return cost


def quantile(values: Sequence[float], q: float) -> float:
    """A quantile by the nearest rank: safe with infinite values."""
    ordered = sorted(values)
    return ordered[min(int(np.ceil(q * len(ordered))), len(ordered)) - 1 if q > 0 else 0]


def seconds_of(runs: Iterable[Run]) -> tuple[float, float]:
    """Median and 95th percentile of a decision's processor seconds."""
    seconds = [p.seconds for r in runs for p in r.trajectory[1:]]
    if not seconds:
        return float("nan"), float("nan")
    return float(np.median(seconds)), float(np.quantile(seconds, 0.95))


def stopped_early(run: Run, start: float) -> bool:
    """Whether it stopped by itself with budget left, short of 99 % of the way."""
    left = run.budget - run.trajectory[-1].cost
    short = run.trajectory[-1].value < start + 0.99 * (run.best - start)
    return bool(run.stopped) and left > EARLY * run.budget and short


def found_top(run: Run, top: set[int], evaluations: int) -> float:
    """Share of the best candidates that are among the first evaluations, given ones included."""
    return len(top & set(run.order[:evaluations])) / len(top)


def evaluations_to(run: Run, top: set[int], share: float) -> float:
    """Evaluations until that share of the best candidates was found; infinite if never."""
    found = np.cumsum([row in top for row in run.order])
    enough = np.flatnonzero(found >= share * len(top) - 1e-9)
    return float(enough[0] + 1) if len(enough) else float("inf")
