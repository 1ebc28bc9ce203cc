"""Pictures of progress: the best against its price, and where the credits went."""

from __future__ import annotations

from collections import defaultdict
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from ..workflow import (
    Discriminate,
    Explore,
    FeasibleRegion,
    LocateBoundary,
    Maximize,
    Pareto,
    Recommendation,
    State,
    Tune,
)
from ._figures import Picture, as_source, new_figure, styled
from ._history import History
from ._palette import ACCENT, ALARM, LEVEL_COLORS, QUIET
from ._wording import LEVEL_TITLES, amount, axis_label, percent, with_error


def best_picture(history: History, state: State, truth: float | None) -> Picture | None:
    """Recommended estimate with its deviation against credits and against hours."""
    if not history.assessed:
        return None
    last = history.assessed[-1].recommendation
    best = [e.recommendation.estimate for e in history.assessed]
    value, std = np.array([e.value for e in best]), np.array([e.std for e in best])
    prices = (
        ("credits spent", [e.credits for e in history.assessed], state.spent_credits, 0),
        ("campaign time (h)", [e.hour for e in history.assessed], state.now_h, 1),
    )
    with styled():
        figure = new_figure(9.0, 3.5, 1, 2)
        for axes, (label, where, end, column) in zip(figure.axes, prices, strict=True):
            x = np.array([*where, max(end, where[-1])])
            y, s = np.append(value, value[-1]), np.append(std, std[-1])
            axes.fill_between(x, y - s, y + s, step="post", color=ACCENT, alpha=0.18, linewidth=0)
            axes.step(x, y, where="post", color=ACCENT, linewidth=2.2, label="recommended")
            axes.plot(where, value, "o", color=ACCENT, markersize=3.5)
            _measured(axes, history, last, column)
            if truth is not None:
                axes.axhline(truth, color=ALARM, linewidth=1.2, linestyle=(0, (5, 3)))
                axes.plot(
                    [],
                    [],
                    color=ALARM,
                    linestyle=(0, (5, 3)),
                    label="true value of the final answer",
                )
            axes.set_xlabel(label)
            axes.set_xlim(0, 1.03 * max(x[-1], 1e-3))
            axes.grid(axis="y")
        figure.axes[1].sharey(figure.axes[0])
        figure.axes[1].tick_params(labelleft=False)
        figure.axes[0].set_ylabel(fill(answer_label(last), 28))
        handles, names = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=3)
        source = as_source(figure)
    alt = (
        f"Recommended value over {len(best)} assessments, from {with_error(best[0], last.unit)} to"
        f" {with_error(best[-1], last.unit)} after {amount(state.spent_credits)} credits"
        f" and {amount(state.now_h)} h."
    )
    caption = "Line: the recommended estimate; band: one standard deviation."
    return Picture("The answer against its price", source, alt, caption)


def answer_label(found: Recommendation) -> str:
    """What a recommendation's estimate is, as an axis label."""
    quantity = axis_label(found.goal.quantity, found.unit)
    match found.goal:
        case Pareto():
            return axis_label("hypervolume of the front", found.unit)
        case FeasibleRegion():
            return "feasible share of the space"
        case Discriminate():
            return "probability of the leading hypothesis"
        case Tune():
            return f"{quantity} at the best controls now"
        case Maximize():
            return f"best {quantity}"
        case Explore():
            return f"root-mean-square deviation of {quantity}"
        case LocateBoundary():
            return f"boundary in {axis_label(found.goal.variable, found.unit)}"


def _measured(axes: Axes, history: History, last: Recommendation, column: int) -> None:
    """Single measurements of the goal's quantity, where the largest of a design is sought."""
    if last.goal.kind != "maximize" or last.goal.over != "designs":
        return
    spent, points = 0.0, []
    for job in sorted(history.finished, key=lambda j: j.observation.end_h if j.observation else 0):
        seen = job.observation
        if seen is None:
            continue
        spent += seen.cost_credits
        found = seen.values.get(last.goal.quantity)
        if found is not None:
            points.append(((spent, seen.end_h)[column], found.value, found.std))
    if points:
        x, y, s = np.array(points).T
        axes.errorbar(
            x, y, s, fmt="o", color=QUIET, markersize=4.5, markerfacecolor="white", linewidth=1,
            label="single measurements", zorder=1,
        )  # fmt: skip


def spending_picture(history: History, state: State) -> Picture | None:
    """Credits by step, and credits and hours by level."""
    credits: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for job in history.finished:
        if job.observation is not None:
            credits[job.action.step] += job.observation.cost_credits
            counts[job.action.step] += 1
    if not credits:
        return None
    level = {s.name: int(s.level) for s in state.workflow.steps}
    steps = sorted(credits, key=lambda s: (level[s], credits[s]))
    totals = {n: sum(c for s, c in credits.items() if level[s] == n) for n in sorted(LEVEL_TITLES)}
    with styled():
        figure = new_figure(9.0, max(2.6, 0.9 + 0.27 * len(steps)), 1, 2)
        left, right = figure.axes
        colors = [LEVEL_COLORS[level[s]] for s in steps]
        _bars(left, steps, [credits[s] for s in steps], colors, [f"{counts[s]} ×" for s in steps])
        left.set_title("by step")
        names = [f"{n} {LEVEL_TITLES[n]}" for n in totals]
        total = sum(totals.values()) or 1.0
        shares = [percent(c / total) for c in totals.values()]
        _bars(right, names, list(totals.values()), [LEVEL_COLORS[n] for n in totals], shares)
        right.set_title("by level")
        source = as_source(figure)
    most = max(credits, key=lambda s: credits[s])
    alt = f"Bars of credits by step and by level; most went into {most}: {amount(credits[most])}."
    return Picture("Where the credits went", source, alt, "Colours stand for levels, as below.")


def _bars(
    axes: Axes, names: list[str], values: list[float], colors: list[str], notes: list[str]
) -> None:
    axes.barh(names, values, color=colors, height=0.72)
    top = max([*values, 1e-9])
    for row, (value, note) in enumerate(zip(values, notes, strict=True)):
        axes.annotate(
            f"{amount(value)}  ·  {note}", (value, row), (4, 0), textcoords="offset points",
            va="center", fontsize=8.5, color=QUIET,
        )  # fmt: skip
    axes.set_xlim(0, 1.38 * top)
    axes.set_xlabel("credits")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def level_legend(levels: set[int]) -> list[Patch]:
    """Handles of a legend that names the colours of levels, highest first."""
    return [
        Patch(color=LEVEL_COLORS[n], label=f"{n} {title}")
        for n, title in LEVEL_TITLES.items()
        if n in levels
    ]
