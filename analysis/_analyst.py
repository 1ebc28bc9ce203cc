"""What the analysts of spectra, images and streams share: reading jobs, giving outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..workflow import (
    Array,
    Estimate,
    Failure,
    Job,
    Outcome,
    Quality,
    Table,
    WorkerError,
    same_unit,
)

Floats = NDArray[np.float64]
Positions = tuple[tuple[int, int], ...]

_EV = {"eV": 1.0, "meV": 1e-3, "keV": 1e3}
_NM = {"m": 1e9, "mm": 1e6, "um": 1e3, "µm": 1e3, "nm": 1.0, "pm": 1e-3, "angstrom": 0.1, "Å": 0.1}


WEIGHT = "weight of a spectrum"
"""Quantity of arrays that hold 1 for every curve to be used and 0 for every bad one."""


class BadData(Exception):
    """Data that cannot be analysed: becomes a failure of the outcome, with a remedy."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


@dataclass(frozen=True)
class Curves:
    """Curves (n, m) over ``x`` (m,), which is in ``unit``; one for each of ``positions``."""

    data: Floats
    x: Floats
    unit: str
    positions: Positions
    response_unit: str


def inputs(job: Job, who: str) -> dict[str, tuple[Array, ...]]:
    """The arrays of a job by name, those that the step consumes first.

    Raises
    ------
    WorkerError
        If there are none.
    """
    names = [p.name for p in job.step.consumes if p.name in job.arrays]
    names += [n for n in job.arrays if n not in names]
    given = {n: tuple(job.arrays[n]) for n in names if job.arrays[n]}
    if not given:
        raise WorkerError(
            f"{who}, step {job.step.name!r}",
            "no array",
            "at least one array to analyse",
            "let the step consume what a measurement records",
        )
    return given


def read_curves(arrays: Sequence[Array]) -> Curves:
    """All curves of arrays with the same last axis; of a position measured again, the last, and of
    counts the sum.

    An array of shape (m,) is one curve, (n, m) has one for each of n position numbers (row * n_cols
    + column; ``n_cols`` from the metadata, by default n), (rows, columns, m) one for each pixel.

    Raises
    ------
    BadData
        If the shape does not fit the axes or the arrays do not fit each other.
    """
    rows: dict[tuple[int, int], Floats] = {}
    last = arrays[-1]
    x = np.asarray(last.axes[-1].values, dtype=np.float64) if last.axes else np.zeros(0)
    for array in arrays:
        data = np.asarray(array.data, dtype=np.float64)
        shape = tuple(len(a.values) for a in array.axes)
        if data.ndim not in (1, 2, 3) or data.shape != shape or data.shape[-1] != len(x):
            raise BadData(
                f"curves of shape {data.shape} with axes {shape}, {len(x)} channels expected",
                "record curves with the same channels, one axis for each dimension",
            )
        flat = data.reshape(-1, data.shape[-1])
        for position, row in zip(positions_of(array, len(flat)), flat, strict=True):
            before = rows.get(position) if array.unit == last.unit == "count" else None
            rows[position] = row if before is None else before + row
    if not np.isfinite(x).all() or not rows:
        raise BadData("no curves, or an axis that is not finite", "record the curves again")
    return Curves(np.stack(list(rows.values())), x, last.axes[-1].unit, tuple(rows), last.unit)


def good_ones(arrays: Sequence[Array], weights: Sequence[Array]) -> list[Array]:
    """Arrays of curves without those whose weight is 0; arrays of which nothing is left are not
    among them.

    With as many weights as curves, each belongs to the array in its place; otherwise the last
    weight of a position holds for all of its curves.
    """
    each = [_weights(w) for w in weights]
    if len(each) != len(arrays):
        each = [{n: v for known in each for n, v in known.items()}] * len(arrays)
    kept = [
        _without(a, {n for n, v in known.items() if v == 0.0})
        for a, known in zip(arrays, each, strict=True)
    ]
    return [a for a in kept if len(a.data)]


def _weights(array: Array) -> dict[int, float]:
    return {int(n): float(v) for n, v in zip(array.axes[0].values, array.data, strict=True)}


def _without(array: Array, bad: set[int]) -> Array:
    if len(array.axes) != 2 or not bad:
        return array
    numbers, *others = array.axes
    good = ~np.isin(np.rint(numbers.values), list(bad))
    axes = (replace(numbers, values=numbers.values[good]), *others)
    return replace(array, data=array.data[good], axes=axes)


def positions_of(array: Array, n: int) -> list[tuple[int, int]]:
    """Row and column of each of an array's n curves, as :func:`read_curves` reads them."""
    if len(array.axes) == 3:
        columns = len(array.axes[1].values)
        numbers = np.arange(n)
    elif len(array.axes) == 2:
        numbers = np.rint(np.nan_to_num(array.axes[0].values)).astype(np.int64)
        columns = int(float(array.metadata.get("n_cols", max(n, int(numbers.max()) + 1))))
    else:
        numbers, columns = np.zeros(1, dtype=np.int64), 1
    r, c = np.divmod(numbers, max(columns, 1))
    return list(zip(r.tolist(), c.tolist(), strict=True))


def in_eV(curves: Curves) -> Floats:
    """The energies of spectra in eV.

    Raises
    ------
    BadData
        If the axis is no ascending energy.
    """
    factor = _EV.get(curves.unit.strip())
    if factor is None or np.any(np.diff(curves.x) <= 0.0):
        raise BadData(
            f"an axis in {curves.unit!r}, not an ascending energy in {sorted(_EV)}",
            "calibrate the spectrometer's axis",
        )
    return curves.x * factor


def read_image(arrays: Sequence[Array]) -> tuple[Floats, float, str]:
    """The newest image (n, m), the size of its pixels and the unit of that: nm, or px.

    Raises
    ------
    BadData
        If it is no image of square pixels.
    """
    array = arrays[-1]
    data = np.asarray(array.data, dtype=np.float64)
    if data.ndim != 2 or len(array.axes) != 2 or min(data.shape) < 2:
        raise BadData(f"an array of shape {data.shape}, not an image", "record an image")
    steps = [float(np.mean(np.diff(axis.values))) for axis in array.axes]
    factors = [_NM.get(axis.unit.strip()) for axis in array.axes]
    if None in factors:
        return data, 1.0, "px"
    sides = [abs(s) * (f or 1.0) for s, f in zip(steps, factors, strict=True)]
    if not 0.98 < sides[0] / max(sides[1], 1e-300) < 1.02:
        raise BadData(
            f"pixels of {sides[0]:.4g} x {sides[1]:.4g} nm", "record an image with square pixels"
        )
    return data, float(np.mean(sides)), "nm"


def combined(values: Sequence[float] | Floats, stds: Sequence[float] | Floats) -> Estimate:
    """Mean of what was measured at several places, with its standard error.

    The places differ by themselves: the variance between them is estimated from the scatter beyond
    the errors (R. DerSimonian, N. Laird, Control. Clin. Trials 7, 177 (1986)) and added to each.
    """
    y, s = np.asarray(values, dtype=np.float64), np.asarray(stds, dtype=np.float64)
    if len(y) == 1:
        return Estimate(value=float(y[0]), std=float(s[0]))
    weight = 1.0 / np.maximum(s**2, 1e-12 * max(float(np.mean(s**2)), 1e-300))
    center = float(weight @ y / weight.sum())
    surplus = float(weight @ (y - center) ** 2) - (len(y) - 1)
    between = max(surplus, 0.0) / float(weight.sum() - (weight @ weight) / weight.sum())
    weight = 1.0 / (1.0 / weight + between)
    value = float(weight @ y / weight.sum())
    return Estimate(value=value, std=float(1.0 / np.sqrt(weight.sum())))


def combine_all(estimates: Sequence[Estimate]) -> Estimate | None:
    """``combined`` of estimates; None where there are none."""
    if not estimates:
        return None
    return combined([e.value for e in estimates], [e.std for e in estimates])


def table(
    positions: Iterable[Sequence[int]],
    columns: Mapping[str, Sequence[float] | Floats],
    digits: int = 6,
) -> Table:
    """A table with numbers of so many significant digits."""
    return Table(
        positions=tuple((int(row), int(column)) for row, column in positions),
        columns={k: tuple(float(f"{v:.{digits}g}") for v in c) for k, c in columns.items()},
    )


def outcome(
    job: Job,
    who: str,
    values: Mapping[str, Estimate | None],
    *,
    arrays: Mapping[str, Array] | None = None,
    tables: Mapping[str, Table] | None = None,
    quality: Quality | None = None,
    notes: Mapping[str, float | str] | None = None,
    units: Mapping[str, str] | None = None,
) -> Outcome:
    """An outcome with those values that the step produces; all of them where it names none.

    ``units`` are those that the values come in, as far as the analyst knows them.

    Raises
    ------
    WorkerError
        If the step wants a quantity that the capability does not give.
    BadData
        If the data do not determine one that it wants (None), or it comes in another unit.
    """
    for port in job.step.produces:
        unit = (units or {}).get(port.name)
        if unit is not None and port.unit is not None and not same_unit(unit, port.unit):
            raise BadData(
                f"{port.name} comes in {unit!r}, the step wants {port.unit!r}",
                "calibrate the axes of what is recorded, or correct the step's unit",
            )
    wanted = [p.name for p in job.step.produces] or [k for k, v in values.items() if v is not None]
    if stray := sorted(set(wanted) - set(values)):
        raise WorkerError(
            f"{who}, step {job.step.name!r}",
            f"quantities {stray}",
            f"some of {sorted(values)}",
            "correct what the step produces",
        )
    found: dict[str, Estimate] = {}
    for name in wanted:
        estimate = values[name]
        if estimate is None or not np.isfinite([estimate.value, estimate.std]).all():
            raise BadData(f"{name} is not determined by these data", "measure longer or elsewhere")
        found[name] = estimate
    return done(job, values=found, arrays=arrays, tables=tables, quality=quality, notes=notes)


def done(
    job: Job,
    *,
    values: Mapping[str, Estimate] | None = None,
    arrays: Mapping[str, Array] | None = None,
    tables: Mapping[str, Table] | None = None,
    quality: Quality | None = None,
    notes: Mapping[str, float | str] | None = None,
) -> Outcome:
    """An outcome at the price of the step."""
    credits, hours = job.draw_price()
    return Outcome(
        values=values or {},
        arrays=arrays or {},
        tables=tables or {},
        cost_credits=credits,
        duration_h=hours,
        quality=quality,
        notes=notes or {},
    )


def failed(
    job: Job, message: str, remedy: str, kind: Literal["missing", "bad_data"] = "bad_data"
) -> Outcome:
    """A failure at the price of the step."""
    credits, hours = job.draw_price()
    failure = Failure(kind=kind, message=message, remedy=remedy)
    return Outcome(cost_credits=credits, duration_h=hours, failure=failure)


def unknown(who: str, capability: str, offered: Sequence[str]) -> WorkerError:
    return WorkerError(
        who,
        f"capability {capability!r}",
        f"one of {sorted(offered)}",
        "give the step to a worker that offers it",
    )
