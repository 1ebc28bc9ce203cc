"""The picture of the workflow: steps in five rows, one a level, in the order of doing."""

from __future__ import annotations

from collections import Counter
from textwrap import fill

import networkx as nx
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch

from ..workflow import Workflow
from ._figures import Picture, as_source, new_figure, styled
from ._history import History
from ._palette import INK, LEVEL_COLORS, QUIET
from ._wording import LEVEL_TITLES

Point = tuple[float, float]
_OVERHEAD_IN = 0.3
"""How high an arrow passes over the steps between its ends."""


def workflow_picture(workflow: Workflow, history: History) -> Picture:
    """Steps as boxes in the rows of their levels, with how often each was done."""
    places, top = place_steps(workflow)
    counts = Counter(job.action.step for job in history.jobs)
    columns = 1 + max(x for x, _ in places.values())
    column_in = max(1.08, 7.7 / columns)
    with styled():
        figure = new_figure(1.3 + column_in * columns, 0.4 + 0.8 * sum(top.values()))
        axes = figure.axes[0]
        _rows(axes, top, columns)
        for first, second, data in workflow.graph.edges(data=True):
            _arrow(axes, places[first], places[second], column_in, data=bool(data.get("via")))
        for first, second in _optional(workflow):
            _arrow(axes, places[first], places[second], column_in, data=True, optional=True)
        for step in workflow.steps:
            _box(
                axes, places[step.name], step.name, LEVEL_COLORS[int(step.level)], counts[step.name]
            )
        axes.legend(
            handles=[
                Line2D([], [], color=INK, label="gives data to"),
                Line2D([], [], color=QUIET, linestyle=":", label="must come before"),
                Line2D([], [], color=INK, linestyle="--", label="gives data where there are any"),
            ],
            loc="upper left", bbox_to_anchor=(0.0, 0.0), ncols=3,
        )  # fmt: skip
        source = as_source(figure)
    levels = ", ".join(
        f"level {n}: {', '.join(s.name for s in workflow.steps if s.level == n) or 'nothing'}"
        for n in LEVEL_TITLES
    )
    return Picture(
        "The workflow",
        source,
        f"Graph of steps by level. {levels}.",
        "Numbers: how often each was done.",
    )


def place_steps(workflow: Workflow) -> tuple[dict[str, Point], dict[int, int]]:
    """Where each step stands, and how many lines the row of each level has.

    Columns are topological generations: every step stands right of all that it needs. Steps of one
    level and column stand below each other.
    """
    rows = {n: [s.name for s in workflow.steps if s.level == n] for n in LEVEL_TITLES}
    column = {
        name: place
        for place, names in enumerate(nx.topological_generations(workflow.graph))
        for name in names
    }
    # a step that nothing leads to stands beside the first that it leads to
    for name in workflow.graph.nodes:
        following = [column[n] for n in workflow.graph.successors(name)]
        if following and not workflow.graph.in_degree(name):
            column[name] = max(0, min(following) - 1)
    lines = {n: max([1, *Counter(column[s] for s in rows[n]).values()]) for n in rows}
    places: dict[str, Point] = {}
    below = 0.0
    for level in rows:
        taken: Counter[int] = Counter()
        for name in rows[level]:
            place = column[name]
            among = sum(column[s] == place for s in rows[level])
            offset = (lines[level] - among) / 2 + taken[place]
            places[name] = (float(place), -(below + offset))
            taken[place] += 1
        below += lines[level]
    return places, lines


def _optional(workflow: Workflow) -> list[tuple[str, str]]:
    return [
        (workflow.producer(port.name).name, step.name)
        for step in workflow.steps
        for port in step.optional
        if workflow.producer(port.name).name != step.name
    ]


def _rows(axes: Axes, lines: dict[int, int], columns: float) -> None:
    below = 0.0
    for level, count in lines.items():
        color = LEVEL_COLORS[level]
        axes.axhspan(-below + 0.5, -(below + count) + 0.5, color=color, alpha=0.07, linewidth=0)
        axes.text(
            -0.62, -(below + (count - 1) / 2), f"{level}\n{LEVEL_TITLES[level]}", color=color,
            ha="right", va="center", fontweight="bold", fontsize=9,
        )  # fmt: skip
        below += count
    axes.set_xlim(-1.5, columns - 0.4)
    axes.set_ylim(-below + 0.5, 0.5)
    axes.axis("off")


def _box(axes: Axes, at: Point, name: str, color: str, count: int) -> None:
    edge = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": color, "lw": 1.6}
    axes.text(
        *at, fill(name.replace("_", " "), 10), ha="center", va="center", fontsize=8.5, color=INK,
        linespacing=1.05, bbox=edge, zorder=4,
    )  # fmt: skip
    if count:
        axes.annotate(
            f"{count} ×", at, (23, 15), textcoords="offset points", ha="center", va="center",
            fontsize=7, color="white", fontweight="bold", zorder=5,
            bbox={"boxstyle": "round,pad=0.25", "facecolor": color, "edgecolor": "none"},
        )  # fmt: skip


def _arrow(
    axes: Axes, start: Point, end: Point, column_in: float, *, data: bool, optional: bool = False
) -> None:
    """An arrow between two steps; over the heads of steps between them in the same row."""
    distance = end[0] - start[0]
    over = abs(start[1] - end[1]) < 0.1 and abs(distance) > 1.2
    bend = 2.0 * _OVERHEAD_IN / (column_in * distance) if over else 0.0
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=9, shrinkA=21, shrinkB=21,
            connectionstyle=f"arc3,rad={-bend}", color=INK if data else QUIET,
            linewidth=1.1, linestyle="--" if optional else "-" if data else ":", zorder=2,
        )
    )  # fmt: skip
