"""Pictures of the report: means against cost, the best candidates against evaluations, growth."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ._published import CURVES
from ._statistics import found_top, means_at
from ._tables import Groups

COLORS = {
    "planner": "#c0392b",
    "planner-settable": "#e59866",
    "single-source": "#2c6fbb",
    "log-ei": "#2e8b57",
    "screen": "#b8860b",
    "tuned-funnel": "#8e44ad",
    "random": "#7f8c8d",
}
"""The same policy has the same colour everywhere; others take the next of matplotlib's."""


def curves(groups: Groups, path: Path, *, title: str) -> None:
    """One panel a problem: mean true value at the recommendation, with its standard error."""
    figure, panels = _panels(len(groups))
    for axes, (problem, policies) in zip(panels, groups.items(), strict=False):
        budget = max(r.budget for runs in policies.values() for r in runs)
        costs = np.linspace(0.0, budget, 101)
        for policy, runs in policies.items():
            means, errors = means_at(runs, costs)
            color = COLORS.get(policy)
            (drawn,) = axes.plot(costs, means, label=policy, color=color, lw=1.4)
            band = np.nan_to_num(errors)
            axes.fill_between(
                costs, means - band, means + band, color=drawn.get_color(), alpha=0.18, lw=0
            )
        for curve, mark in zip(CURVES.get(problem, ())[:2], "x+", strict=False):
            x, y = np.array(curve.points).T
            axes.plot(x, y, mark, color="black", label=f"{curve.policy} (published)", ms=6)
        best = next(iter(policies.values()))[0].best
        axes.axhline(best, color="black", lw=0.6, ls=":")
        axes.set_title(problem, fontsize=9)
        axes.set_xlabel("credits", fontsize=8)
        axes.legend(fontsize=6, frameon=False)
    _save(figure, path, title)


def tops(groups: Groups, best: dict[str, set[int]], path: Path) -> None:
    """Share of the best candidates found against evaluations, one panel a pool."""
    figure, panels = _panels(len(groups))
    for axes, (problem, policies) in zip(panels, groups.items(), strict=False):
        for policy, runs in policies.items():
            longest = max(len(r.order) for r in runs)
            found = [
                np.mean([found_top(r, best[problem], i) for r in runs]) for i in range(longest + 1)
            ]
            axes.plot(found, label=policy, color=COLORS.get(policy), lw=1.4)
        axes.set_title(problem, fontsize=9)
        axes.set_xlabel("evaluations", fontsize=8)
        axes.set_ylabel("share of the best 5 %", fontsize=8)
        axes.legend(fontsize=6, frameon=False)
    _save(figure, path, "Pools of materials")


def growth(groups: Groups, path: Path) -> None:
    """Median seconds of a decision after the first, and memory, against size; log axes."""
    families: dict[str, list[tuple[int, float, float]]] = {}
    for problem, policies in groups.items():
        family, size, *more = problem.split("-")
        runs = [r for found in policies.values() for r in found]
        later = [p.seconds for r in runs for p in r.trajectory[2:]]
        if later and not more:
            memory = max(r.peak_memory_mib for r in runs)
            families.setdefault(family, []).append((int(size), float(np.median(later)), memory))
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
    for family, rows in families.items():
        size, seconds, memory = np.array(sorted(rows)).T
        left.loglog(size, seconds, "o-", label=family, ms=3)
        right.semilogx(size, memory, "o-", label=family, ms=3)
    for axes, label in ((left, "seconds a decision"), (right, "peak memory, MiB")):
        axes.set_xlabel("how many")
        axes.set_ylabel(label)
        axes.legend(fontsize=7, frameon=False)
    _save(figure, path, "Growth of a decision")


def _panels(n: int) -> tuple[Figure, list[Axes]]:
    columns = min(n, 3)
    rows = -(-n // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(3.6 * columns, 2.7 * rows), squeeze=False)
    panels = list(grid.flat)
    for axes in panels[n:]:
        axes.axis("off")
    for axes in panels:
        axes.tick_params(labelsize=7)
    return figure, panels


def _save(figure: Figure, path: Path, title: str) -> None:
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
