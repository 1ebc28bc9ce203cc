"""What an outcome must look like to be believed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..workflow import (
    Array,
    Entry,
    Estimate,
    Failure,
    Grid,
    Outcome,
    Port,
    ProbewiseError,
    Quality,
    Step,
    Table,
    same_unit,
)


def find_fault(outcome: object, step: Step) -> str | None:
    """The first way in which ``outcome`` breaks the contract of ``step``, in words, or None.

    A full outcome has every produced value, every recorded array and every predicted grid, nothing
    else, and only finite numbers. One that states a failure needs only a sound price.
    """
    return next(_faults(outcome, step), None)


def find_side_fault(outcome: Outcome) -> str | None:
    """What is wrong with the price or the notes, which also go with failures, or None."""
    return next(_side_faults(outcome), None)


def sound_arrays(outcome: Outcome, step: Step) -> tuple[dict[str, Array], tuple[str, ...]]:
    """The arrays of a failed outcome that may be kept, and what is wrong with the others, in words.

    They may be fewer than the step records, shorter, and of other names; each must hold finite
    numbers along axes that fit, and one that the step records must have its unit.
    """
    if not isinstance(outcome.arrays, Mapping):
        return {}, (f"arrays is {type(outcome.arrays).__name__} instead of a mapping",)
    ports = {port.name: port for port in step.records}
    sound: dict[str, Array] = {}
    faults: list[str] = []
    for name, array in outcome.arrays.items():
        try:
            port = ports.get(name) or Port(name=name)
            fault = next(_array_faults(port, array), None)
        except Exception as error:
            fault = f"array {name!r} cannot be read ({type(error).__name__}: {error})"
        if fault is None:
            sound[name] = array
        else:
            faults.append(fault)
    return sound, tuple(faults)


def _faults(outcome: object, step: Step) -> Iterator[str]:
    if not isinstance(outcome, Outcome):
        yield f"perform returned {type(outcome).__name__} instead of Outcome"
        return
    yield from _side_faults(outcome)
    if outcome.failure is not None:
        if not isinstance(outcome.failure, Failure):
            yield f"failure is {type(outcome.failure).__name__} instead of Failure"
        return
    yield from _name_faults("value", outcome.values, step.produces, Estimate)
    yield from _name_faults("array", outcome.arrays, step.records, Array)
    yield from _name_faults("grid", outcome.grids, step.predicts, Grid)
    if not isinstance(outcome.tables, Mapping):
        yield f"tables is {type(outcome.tables).__name__} instead of a mapping"
        return
    for name, table in outcome.tables.items():
        if not isinstance(table, Table):
            yield f"table {name!r} is {type(table).__name__} instead of Table"
    for name, estimate in outcome.values.items():
        if not (math.isfinite(estimate.value) and math.isfinite(estimate.std)):
            yield f"value {name!r} is {estimate.value} with standard deviation {estimate.std}"
    for port in step.records:
        yield from _array_faults(port, outcome.arrays[port.name])


def _side_faults(outcome: Outcome) -> Iterator[str]:
    for name in ("cost_credits", "duration_h", "dose_e_per_A2"):
        price: Any = getattr(outcome, name)
        if price is None:
            continue
        if not _is_finite(price) or price < 0:
            yield f"{name} is {price!r}; it must be a finite number of at least 0, or None"
    if outcome.quality is not None and not isinstance(outcome.quality, Quality):
        yield f"quality is {type(outcome.quality).__name__} instead of Quality"
    if not isinstance(outcome.commands, tuple) or not all(
        isinstance(entry, Entry) for entry in outcome.commands
    ):
        yield f"commands is {outcome.commands!r:.80} instead of a tuple of entries"
    if not isinstance(outcome.notes, Mapping):
        yield f"notes is {type(outcome.notes).__name__} instead of a mapping"
        return
    for key, note in outcome.notes.items():
        if not isinstance(key, str) or not (isinstance(note, str) or _is_finite(note)):
            yield f"note {key!r} is {note!r}; it must be a text or a finite number"


def _is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _name_faults(
    what: str, given: object, ports: tuple[Port, ...], kind: type[object]
) -> Iterator[str]:
    if not isinstance(given, Mapping):
        yield f"{what}s is {type(given).__name__} instead of a mapping"
        return
    expected = {p.name for p in ports}
    stray = sorted(map(str, set(given) - expected))
    if stray:
        yield f"unknown {what}s {stray}; {sorted(expected)} expected"
    if expected - set(given):
        yield f"missing {what}s {sorted(expected - set(given))}"
    for name, item in given.items():
        if not isinstance(item, kind):
            yield f"{what} {name!r} is {type(item).__name__} instead of {kind.__name__}"


def _array_faults(port: Port, array: Array) -> Iterator[str]:
    data = array.data
    if not isinstance(data, np.ndarray) or data.dtype.kind not in "biuf":
        yield f"array {port.name!r} holds no real numbers"
        return
    if data.size == 0 or not np.isfinite(data).all():
        yield f"array {port.name!r} is empty or not finite everywhere"
    lengths = tuple(np.shape(axis.values) for axis in array.axes)
    if lengths != tuple((n,) for n in data.shape):
        yield f"array {port.name!r} of shape {data.shape} has axes of shapes {lengths}"
    elif not all(np.isfinite(axis.values).all() for axis in array.axes):
        yield f"an axis of array {port.name!r} is not finite"
    if len({axis.name for axis in array.axes}) < len(array.axes):
        yield f"array {port.name!r} has two axes of one name"
    if port.unit is not None and not _units_meet(port.unit, array.unit):
        yield f"array {port.name!r} is in {array.unit!r}; the step records {port.unit!r}"


def _units_meet(first: str, second: str) -> bool:
    try:
        return same_unit(first, second)
    except ProbewiseError:
        return False
