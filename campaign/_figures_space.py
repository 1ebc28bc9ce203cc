"""Pictures of what is believed over the design space."""

from __future__ import annotations

from textwrap import fill

import numpy as np
from matplotlib.axes import Axes

from ._figures import BeliefView, Picture, Slice, as_source, new_figure, styled
from ._palette import ACCENT, ALARM, INK, MEAN_MAP, QUIET, STD_MAP
from ._wording import axis_label, design_text

_MOST_PLANES = 6


def lines_picture(view: BeliefView) -> Picture | None:
    """Mean and deviation along each variable through the recommended design."""
    if not view.lines:
        return None
    names = [n for n in view.variables if n in view.lines]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    with styled():
        figure = new_figure(9.0 if columns > 1 else 5.5, 2.9 * rows, rows, columns)
        for axes, name in zip(figure.axes, names, strict=False):
            _line(axes, view, name)
        for axes in figure.axes[len(names) :]:
            axes.set_visible(False)
        for axes in figure.axes[1 : len(names)]:
            axes.sharey(figure.axes[0])
        for axes in figure.axes[::columns]:
            axes.set_ylabel(fill(axis_label(view.quantity, view.unit), 26))
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4)
        source = as_source(figure)
    alt = f"Believed {view.quantity} along {', '.join(names)} with one standard deviation."
    caption = (
        f"Cut through {design_text(view.at)}."
        " Measured points lie elsewhere in the other variables and are projected."
    )
    return Picture("What is believed, along each variable", source, alt, caption)


def _line(axes: Axes, view: BeliefView, name: str) -> None:
    index = view.variables.index(name)
    x, cut = view.ticks[name], view.lines[name]
    axes.fill_between(
        x, cut.mean - cut.std, cut.mean + cut.std, color=ACCENT, alpha=0.18, linewidth=0,
        label="one deviation",
    )  # fmt: skip
    axes.plot(x, cut.mean, color=ACCENT, linewidth=2, label="mean")
    if name in view.at:
        axes.axvline(view.at[name], color=ALARM, linewidth=1, linestyle=(0, (5, 3)), label="cut")
    if view.measured is not None:
        axes.errorbar(
            view.measured.designs[:, index], view.measured.values, view.measured.std, fmt="o",
            color=QUIET, markerfacecolor="white", markersize=4.5, linewidth=1, label="measured",
        )  # fmt: skip
    if view.log[index]:
        axes.set_xscale("log")
    else:
        axes.locator_params(axis="x", nbins=5)
    axes.set_xlim(x[0], x[-1])
    axes.set_xlabel(axis_label(name, view.units[index]))
    axes.grid(axis="y")


def planes_picture(view: BeliefView) -> Picture | None:
    """Mean and deviation over each pair of variables, with the measured points."""
    if not view.planes:
        return None
    pairs = list(view.planes)[:_MOST_PLANES]
    with styled():
        figure = new_figure(1.6 + 2.7 * len(pairs), 5.6, 2, len(pairs))
        grid = np.array(figure.axes).reshape(2, len(pairs))
        for row, (part, colors) in enumerate((("mean", MEAN_MAP), ("std", STD_MAP))):
            fields = [_part(view.planes[p], part) for p in pairs]
            low, high = min(f.min() for f in fields), max(f.max() for f in fields)
            if part == "std":
                low = 0.0
            mesh = None
            for axes, pair, values in zip(grid[row], pairs, fields, strict=True):
                mesh = axes.pcolormesh(
                    view.ticks[pair[0]], view.ticks[pair[1]], values.T, cmap=colors, vmin=low,
                    vmax=high if high > low else low + 1.0, shading="nearest", rasterized=True,
                )  # fmt: skip
                _points(axes, view, pair)
            if mesh is not None:
                title = axis_label(view.quantity, view.unit)
                label = fill(title if part == "mean" else f"deviation of {title}", 28)
                figure.colorbar(mesh, ax=list(grid[row]), label=label, fraction=0.05, pad=0.015)
        source = as_source(figure)
    names = ", ".join(f"{a} and {b}" for a, b in pairs)
    alt = f"Maps of believed {view.quantity} and of its standard deviation over {names}."
    caption = f"Cut through {design_text(view.at)} (cross); circles: measured, projected."
    if len(view.planes) > len(pairs):
        caption += f" {len(view.planes) - len(pairs)} more pairs are not shown."
    return Picture("What is believed, over pairs of variables", source, alt, caption)


def _part(cut: Slice, name: str) -> np.ndarray:
    return cut.mean if name == "mean" else cut.std


def _points(axes: Axes, view: BeliefView, pair: tuple[str, str]) -> None:
    i, j = (view.variables.index(name) for name in pair)
    if view.measured is not None:
        axes.plot(
            view.measured.designs[:, i], view.measured.designs[:, j], "o", markersize=4.5,
            markerfacecolor="white", markeredgecolor=INK, markeredgewidth=0.9,
        )  # fmt: skip
    if pair[0] in view.at and pair[1] in view.at:
        axes.plot(
            view.at[pair[0]], view.at[pair[1]], "P", markersize=10, color=ALARM,
            markeredgecolor="white", markeredgewidth=1.1,
        )  # fmt: skip
    for name, index, scale, label in (
        (pair[0], i, axes.set_xscale, axes.set_xlabel),
        (pair[1], j, axes.set_yscale, axes.set_ylabel),
    ):
        if view.log[index]:
            scale("log")
        label(axis_label(name, view.units[index]))
    axes.set_xlim(view.ticks[pair[0]][0], view.ticks[pair[0]][-1])
    axes.set_ylim(view.ticks[pair[1]][0], view.ticks[pair[1]][-1])
