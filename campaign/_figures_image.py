"""The picture of a specimen: an image of it, and where the probe went."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from ..workflow import Array, ArrayRef, Place, State, Status, StoreError, Table
from ._figures import Picture, as_source, new_figure, styled
from ._palette import ALARM, IMAGE_MAP, INK, MEAN_MAP, PAPER
from ._store import Hdf5Store
from ._wording import axis_label


@dataclass(frozen=True)
class Probed:
    """An image, the positions (row, column) probed on it, and their values if there are any."""

    name: str
    where: str
    image: Array
    positions: NDArray[np.int64]
    values: NDArray[np.float64] | None
    quantity: str
    unit: str
    recommended: tuple[int, int] | None = None


def image_picture(run_folder: Path, state: State) -> tuple[Picture | None, str]:
    """The site with most probed positions that has an image; and what could not be read, if so."""
    problem = ""
    ranked = sorted(state.inventory.places.items(), key=lambda item: -len(item[1].probed))
    for place, status in ranked:
        found = _image_ref(status)
        if found is None or not status.probed:
            continue
        name, ref = found
        try:
            image = Hdf5Store(run_folder).get(ref)
        except StoreError as error:
            problem = problem or str(error)
            continue
        return _draw(_probed(state, place, status, name, image)), problem
    return None, problem


def _image_ref(status: Status) -> tuple[str, ArrayRef] | None:
    """The last array of two dimensions, each of several pixels, that was recorded at a site."""
    images = [
        (count, name, ref)
        for name, refs in status.arrays.items()
        for count, ref in refs
        if len(ref.shape) == 2 and all(_covers(ref.shape, p) for p in status.probed)
    ]
    if not images:
        return None
    _, name, ref = min(images, key=lambda item: item[0])
    return name, ref


def _covers(shape: tuple[int, ...], position: tuple[int, int]) -> bool:
    return 0 <= position[0] < shape[0] and 0 <= position[1] < shape[1]


def _probed(state: State, place: Place, status: Status, name: str, image: Array) -> Probed:
    positions = list(dict.fromkeys(status.probed))
    quantity, column = _column(state, status.tables)
    values = [column.get(p, np.nan) for p in positions] if column else None
    unit = state.workflow.unit(quantity) if quantity in state.workflow.scalars else "1"
    best = state.recommendation.position if state.recommendation is not None else None
    site = "" if place[1] is None else f", pad {place[1]}"
    return Probed(
        name=name,
        where=f"{place[0]}{site}",
        image=image,
        positions=np.array(positions, dtype=np.int64).reshape(-1, 2),
        values=None if values is None else np.array(values, dtype=np.float64),
        quantity=quantity,
        unit=unit,
        recommended=best if best is not None and _covers(image.data.shape, best) else None,
    )


def _column(state: State, tables: dict[str, Table]) -> tuple[str, dict[tuple[int, int], float]]:
    """Values at positions: of the goal's quantity or one of its sources if a table has them."""
    wanted = (state.goal.quantity, *reversed(state.workflow.sources.get(state.goal.quantity, ())))
    columns = [(name, t) for t in reversed(tables.values()) for name in t.columns if t.positions]
    if not columns:
        return "", {}
    rank = {name: place for place, name in enumerate(wanted)}
    name, table = min(columns, key=lambda item: rank.get(item[0], len(rank)))
    return name, dict(zip(table.positions, table.columns[name], strict=True))


def _draw(found: Probed) -> Picture:
    rows, columns = found.image.data.shape
    aspect = min(1.6, max(0.4, rows / columns))
    with styled():
        figure = new_figure(9.0, 0.8 + 3.1 * aspect, 1, 2)
        left, right = figure.axes
        shown = _show(left, found.image, MEAN_MAP)
        label = axis_label(found.image.quantity or found.name, found.image.unit)
        figure.colorbar(shown, ax=left, label=label, fraction=0.046, pad=0.03)
        left.set_title("as recorded")
        _show(right, found.image, IMAGE_MAP)
        right.set_title(f"{len(found.positions)} probed positions")
        _mark(figure, right, found)
        source = as_source(figure)
    caption = "" if found.recommended is None else "Cross: the recommended position."
    alt = f"{found.name} of {found.where}, and the {len(found.positions)} positions probed on it."
    return Picture(f"Where the probe went: {found.where}", source, alt, caption)


def _ticks(image: Array, dimension: int) -> NDArray[np.float64]:
    axis = image.axes[dimension]
    return np.asarray(axis.values, dtype=np.float64)


def _show(axes: Axes, image: Array, colors: str) -> AxesImage:
    y, x = _ticks(image, 0), _ticks(image, 1)
    half_x, half_y = _half_pixel(x), _half_pixel(y)
    low, high = np.nanpercentile(image.data, (0.5, 99.5))
    shown = axes.imshow(
        image.data, cmap=colors, vmin=low, vmax=high if high > low else low + 1.0, origin="upper",
        extent=(x[0] - half_x, x[-1] + half_x, y[-1] + half_y, y[0] - half_y), aspect="equal",
        interpolation="nearest",
    )  # fmt: skip
    axes.set_xlabel(axis_label(image.axes[1].name, image.axes[1].unit))
    axes.set_ylabel(axis_label(image.axes[0].name, image.axes[0].unit))
    return shown


def _half_pixel(ticks: NDArray[np.float64]) -> float:
    return float((ticks[-1] - ticks[0]) / max(len(ticks) - 1, 1)) / 2 or 0.5


def _mark(figure: Figure, axes: Axes, found: Probed) -> None:
    y = _ticks(found.image, 0)[found.positions[:, 0]]
    x = _ticks(found.image, 1)[found.positions[:, 1]]
    known = np.zeros(len(x), dtype=bool) if found.values is None else np.isfinite(found.values)
    axes.scatter(x, y, s=64, c="white", linewidths=0)
    axes.scatter(x[~known], y[~known], s=36, c=PAPER, edgecolors=INK, linewidths=1.1)
    if found.values is not None and known.any():
        points = axes.scatter(
            x[known], y[known], c=found.values[known], cmap="plasma", s=40, edgecolors=INK,
            linewidths=0.7,
        )  # fmt: skip
        label = axis_label(found.quantity, found.unit)
        figure.colorbar(points, ax=axes, label=label, fraction=0.046, pad=0.03)
    if found.recommended is not None:
        row, column = found.recommended
        at = (_ticks(found.image, 1)[column], _ticks(found.image, 0)[row])
        axes.plot(*at, "P", markersize=12, color=ALARM, markeredgecolor="white")
