"""Pictures for the report: what one is, and the plain arrays from which the belief is drawn."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ..workflow import Continuous, Design, Space
from ._palette import STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Predict = Callable[[list[Design]], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Designs to mean and standard deviation of a quantity, each of shape (n,)."""


@dataclass(frozen=True)
class Slice:
    """Mean and standard deviation on a grid; same shape, in the quantity's unit."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """Measured points: ``designs`` (n, variables), ``values`` (n,) and ``std`` (n,)."""

    designs: NDArray[np.float64]
    values: NDArray[np.float64]
    std: NDArray[np.float64]


@dataclass(frozen=True)
class BeliefView:
    """A belief about one quantity over the design space, cut through one design.

    Attributes
    ----------
    quantity, unit
        What is believed.
    variables, units, log
        Names and units of the space's variables, and which are on a logarithmic scale.
    ticks
        Variable to its ascending grid values (n,).
    at
        The design through which the slices run: usually what is recommended.
    lines
        Variable to the slice along it (n,).
    planes
        Pair of variables (first, second) to the slice (n_first, n_second).
    measured
        What was measured of the quantity, wherever in the space.
    """

    quantity: str
    unit: str
    variables: tuple[str, ...]
    units: tuple[str, ...]
    log: tuple[bool, ...]
    ticks: dict[str, NDArray[np.float64]]
    at: Design
    lines: dict[str, Slice]
    planes: dict[tuple[str, str], Slice] = field(default_factory=dict)
    measured: Measured | None = None

    @classmethod
    def through(
        cls,
        space: Space,
        at: Design,
        quantity: str,
        unit: str,
        predict: Predict,
        measured: Sequence[tuple[Design, float, float]] = (),
        points: int = 33,
    ) -> BeliefView:
        """Ask ``predict`` along each variable and over each pair of variables through ``at``.

        ``measured`` are (design, value, standard deviation).
        """
        unit_ticks = np.linspace(0.0, 1.0, points)
        ticks = {v.name: np.unique(v.from_unit(unit_ticks)) for v in space.variables}
        names = space.names
        lines = {a: Slice(*predict([{**at, a: float(x)} for x in ticks[a]])) for a in names}
        planes: dict[tuple[str, str], Slice] = {}
        for i, a in enumerate(names):
            for b in names[i + 1 :]:
                shape = (len(ticks[a]), len(ticks[b]))
                designs = [{**at, a: float(x), b: float(y)} for x in ticks[a] for y in ticks[b]]
                mean, std = predict(designs)
                planes[a, b] = Slice(mean.reshape(shape), std.reshape(shape))
        return cls(
            quantity=quantity,
            unit=unit,
            variables=names,
            units=tuple(v.unit for v in space.variables),
            log=tuple(isinstance(v, Continuous) and v.scale == "log" for v in space.variables),
            ticks=ticks,
            at=at,
            lines=lines,
            planes=planes,
            measured=Measured(
                np.array([[d[n] for n in names] for d, _, _ in measured], dtype=np.float64),
                np.array([value for _, value, _ in measured], dtype=np.float64),
                np.array([std for _, _, std in measured], dtype=np.float64),
            )
            if measured
            else None,
        )


@dataclass(frozen=True)
class Picture:
    """A picture for the report: an SVG as a data address, what it shows, and its words."""

    title: str
    source: str
    alt: str
    caption: str = ""
    wide: bool = True


def styled() -> AbstractContextManager[None]:
    """The house's type and colours, for as long as the context lasts."""
    import matplotlib

    return matplotlib.rc_context(cast(Any, STYLE))


def new_figure(width_in: float, height_in: float, rows: int = 1, columns: int = 1) -> Figure:
    """An empty figure of that size in inches, laid out so that labels find their room."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    figure.subplots(rows, columns, squeeze=False)
    return figure


def as_source(figure: Figure) -> str:
    """A figure as a ``data:`` address that needs nothing from outside."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", dpi=160, metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
