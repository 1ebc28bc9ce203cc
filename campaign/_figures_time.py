"""The picture of time: what each worker did, hour by hour, and how busy it was."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..workflow import State
from ._figures import Picture, as_source, new_figure, styled
from ._figures_progress import level_legend
from ._history import History, Job
from ._palette import ALARM, LEVEL_COLORS, QUIET, RULE
from ._wording import percent


def gantt_picture(history: History, state: State) -> Picture | None:
    """Workers against campaign hours, bars in the colour of the step's level."""
    if not history.jobs:
        return None
    end = max([state.now_h, *(_span(j, state.now_h)[1] for j in history.jobs)])
    workers = _order(history.jobs)
    lanes = {w: pack([_span(j, end) for j in history.jobs if j.worker == w]) for w in workers}
    with styled():
        heights = [max(lanes[w]) + 1 for w in workers]
        figure = new_figure(9.0, 1.5 + 0.42 * sum(heights))
        axes = figure.axes[0]
        base, ticks = 0, []
        for worker, height in zip(workers, heights, strict=True):
            if base:
                axes.axhline(base - 0.5, color=RULE, linewidth=0.8)
            jobs = [j for j in history.jobs if j.worker == worker]
            for lane in range(height):
                alike = [j for j, at in zip(jobs, lanes[worker], strict=True) if at == lane]
                _bars(axes, alike, base + lane, end)
            ticks.append(base + (height - 1) / 2)
            share = busy_h(jobs, end) / max(end * state.capacity.get(worker, 1), 1e-9)
            axes.annotate(
                percent(share), (1.012, ticks[-1]), xycoords=("axes fraction", "data"),
                va="center", fontsize=9, color=QUIET,
            )  # fmt: skip
            base += height
        axes.annotate(
            "busy", (1.012, -0.5), xycoords=("axes fraction", "data"), va="bottom", fontsize=9,
            color=QUIET,
        )  # fmt: skip
        _finish(axes, history, workers, ticks, base, end)
        figure.legend(handles=_legend(history), loc="outside lower left", ncols=4)
        source = as_source(figure)
    alt = f"Gantt chart of {len(history.jobs)} actions of {len(workers)} workers over {end:.1f} h."
    caption = "At the right: how much of its time each worker was busy."
    return Picture("Who did what, and when", source, alt, caption)


def pack(spans: Sequence[tuple[float, float]]) -> list[int]:
    """A lane for each span so that none overlap in a lane; as few lanes as possible."""
    lanes = [0] * len(spans)
    ends: list[float] = []
    for index in sorted(range(len(spans)), key=lambda i: spans[i]):
        start, end = spans[index]
        free = next((k for k, last in enumerate(ends) if last <= start + 1e-9), len(ends))
        if free == len(ends):
            ends.append(end)
        else:
            ends[free] = end
        lanes[index] = free
    return lanes


def busy_h(jobs: Sequence[Job], end_h: float) -> float:
    """Hours that actions took, those of several at once added up."""
    return float(sum(np.diff(_span(job, end_h))[0] for job in jobs))


def _span(job: Job, end_h: float) -> tuple[float, float]:
    seen = job.observation
    if seen is None:
        return job.issued_h, max(end_h, job.issued_h)
    return seen.start_h, seen.end_h


def _order(jobs: Sequence[Job]) -> list[str]:
    """Workers by the level at which they mostly act, highest first, then by name."""
    levels: dict[str, list[int]] = {}
    for job in jobs:
        levels.setdefault(job.worker, []).append(job.level)
    return sorted(levels, key=lambda w: (-float(np.median(levels[w])), w))


def _look(job: Job, end_h: float) -> tuple[int, bool, bool, bool]:
    """What decides on how a bar looks: level, failed, not ended, wide enough for an edge."""
    start, stop = _span(job, end_h)
    failed = job.observation is not None and job.observation.failure is not None
    return job.level, failed, job.observation is None, stop - start > 0.008 * end_h


def _bars(axes: Axes, jobs: Sequence[Job], row: int, end_h: float) -> None:
    """The bars of one lane, those that look alike at once."""
    groups: dict[tuple[int, bool, bool, bool], list[tuple[float, float]]] = {}
    for job in jobs:
        start, stop = _span(job, end_h)
        groups.setdefault(_look(job, end_h), []).append((start, max(stop - start, 1e-6)))
    for (level, failed, running, wide), spans in groups.items():
        color = LEVEL_COLORS[level]
        axes.broken_barh(
            spans,
            (row - 0.34, 0.68),
            facecolor="none" if running else color,
            edgecolor=ALARM if failed else "white" if wide and not running else color,
            linewidth=1.4 if failed or running else 0.5 if wide else 0.9,
            linestyle="dashed" if running else "solid",
            hatch="////" if failed else None,
            zorder=3 if failed else 2,
        )


def _finish(
    axes: Axes, history: History, workers: list[str], ticks: list[float], rows: int, end: float
) -> None:
    for hour in history.resumed_h:
        axes.axvline(hour, color=QUIET, linewidth=1, linestyle=":", zorder=0)
    axes.set_yticks(ticks, workers)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xlim(0, max(end, 1e-3) * 1.005)
    axes.set_xlabel("campaign time (h)")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def _legend(history: History) -> list[Patch | Line2D]:
    handles: list[Patch | Line2D] = [*level_legend({j.level for j in history.jobs})]
    if any(j.observation and j.observation.failure for j in history.jobs):
        handles.append(Patch(facecolor="white", edgecolor=ALARM, hatch="////", label="failed"))
    if any(j.observation is None for j in history.jobs):
        handles.append(Patch(facecolor="white", edgecolor=QUIET, linestyle="--", label="not ended"))
    if history.resumed_h:
        handles.append(Line2D([], [], color=QUIET, linestyle=":", label="resumed"))
    return handles
