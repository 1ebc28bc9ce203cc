"""A run told as event-model documents, the language of bluesky and of what reads its data.

One run is one ``start`` and one ``stop``. Every step of the workflow is a stream, every observation
an event in it; arrays stay in the run folder, and a ``resource`` and a ``datum`` say where.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from ..workflow import Action, Issued, Observation, Observed, Port, Started, Stopped
from ._journal import Journal
from ._run_folder import RunFolder
from ._spec import CampaignSpec, spec_from_dict

Document = tuple[str, dict[str, Any]]
"""The name of a document (``start``, ``descriptor``, ``event``, ...) and the document."""

RESOURCE_SPEC = "NSID_HDF5"
"""How a handler that reads the arrays is named: an HDF5 file, ``dataset`` the path in it."""

_FAILURES = "failures"


def documents(run: str | Path) -> Iterator[Document]:
    """The documents of a run, in their order. The same run always gives the same.

    A run that has not ended ends with the ``stop`` of an aborted one.

    Raises
    ------
    RunFolderError
        If there is no run.
    StoreError
        If its journal is damaged.
    """
    folder = RunFolder.read(run)
    with Journal(folder.journal_path, read_only=True) as journal:
        teller = _Teller(journal.run_id, folder.path)
        for row in journal.rows():
            match row.event:
                case Started() as event:
                    yield teller.start(event, row.wall)
                case Issued(action=action):
                    teller.actions[action.id] = action
                case Observed(observation=observation):
                    yield from teller.observed(observation, row.wall, row.seq)
                case Stopped(reason=reason):
                    teller.ended = reason
            teller.last = row.wall
        if teller.spec is not None:
            yield teller.stop()


@dataclass
class _Column:
    """One entry of an event: its value, and what a descriptor says of it."""

    value: Any
    dtype: Literal["number", "string", "array"]
    source: str
    unit: str | None = None
    shape: tuple[int, ...] = ()
    external: bool = False

    def key(self) -> dict[str, Any]:
        said: dict[str, Any] = {
            "source": self.source,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "units": self.unit,
        }
        return said | ({"external": "FILESTORE:"} if self.external else {})


@dataclass
class _Teller:
    run_id: str
    folder: Path
    spec: CampaignSpec | None = None
    actions: dict[str, Action] = field(default_factory=dict)
    descriptors: dict[tuple[Any, ...], str] = field(default_factory=dict)
    resources: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    ended: str | None = None
    last: datetime | None = None

    def start(self, event: Started, wall: datetime) -> Document:
        self.spec = spec_from_dict(event.spec, "the run's journal")
        return "start", {
            "uid": self._uid("start"),
            "time": wall.timestamp(),
            "plan_name": self.spec.policy,
            "campaign": self.spec.name,
            "seed": self.spec.seed,
            "clock": self.spec.clock,
            "goal": self.spec.goal.model_dump(mode="json"),
            "probewise_version": event.version,
            "workers": {
                name: {"type": worker.type} for name, worker in sorted(self.spec.workers.items())
            },
        }

    def observed(self, seen: Observation, wall: datetime, seq: int) -> Iterator[Document]:
        action = self.actions.get(seen.action_id)
        step = action.step if action is not None else "unknown"
        stream = _FAILURES if seen.failure is not None else step
        columns = self._columns(seen, action, step)
        for name, ref in seen.arrays.items():
            yield from self._where(ref.file, ref.dataset, seen.action_id, name)
        layout = tuple(sorted((k, c.dtype, c.shape, c.unit, c.source) for k, c in columns.items()))
        key = (stream, layout)
        if key not in self.descriptors:
            self.descriptors[key] = self._uid("descriptor", str(len(self.descriptors)))
            yield "descriptor", self._descriptor(key, stream, columns, wall)
        self.counts[stream] += 1
        yield (
            "event",
            {
                "uid": self._uid("event", str(seq)),
                "descriptor": self.descriptors[key],
                "seq_num": self.counts[stream],
                "time": wall.timestamp(),
                "data": {k: c.value for k, c in columns.items()},
                "timestamps": dict.fromkeys(columns, wall.timestamp()),
                "filled": {k: False for k, c in columns.items() if c.external},
            },
        )

    def stop(self) -> Document:
        return "stop", {
            "uid": self._uid("stop"),
            "run_start": self._uid("start"),
            "time": self.last.timestamp() if self.last is not None else 0.0,
            "exit_status": "abort" if self.ended is None else "success",
            "reason": "the run has not ended" if self.ended is None else self.ended,
            "num_events": dict(self.counts),
        }

    def _descriptor(
        self, key: tuple[Any, ...], stream: str, columns: dict[str, _Column], wall: datetime
    ) -> dict[str, Any]:
        return {
            "uid": self.descriptors[key],
            "run_start": self._uid("start"),
            "time": wall.timestamp(),
            "name": stream,
            "data_keys": {name: column.key() for name, column in columns.items()},
            "object_keys": {},
            "configuration": {},
            "hints": {},
        }

    def _where(self, file: str, dataset: str, action: str, name: str) -> Iterator[Document]:
        if file not in self.resources:
            self.resources[file] = self._uid("resource", file)
            yield (
                "resource",
                {
                    "uid": self.resources[file],
                    "run_start": self._uid("start"),
                    "spec": RESOURCE_SPEC,
                    "root": str(self.folder),
                    "resource_path": file,
                    "path_semantics": "posix",
                    "resource_kwargs": {},
                },
            )
        yield (
            "datum",
            {
                "datum_id": self._datum(file, action, name),
                "resource": self.resources[file],
                "datum_kwargs": {"dataset": dataset},
            },
        )

    def _columns(self, seen: Observation, action: Action | None, step: str) -> dict[str, _Column]:
        worker = f"worker:{seen.worker}"
        columns = {
            "action_id": _Column(seen.action_id, "string", "journal"),
            "step": _Column(step, "string", "journal"),
            "start_h": _Column(seen.start_h, "number", "clock", "h"),
            "end_h": _Column(seen.end_h, "number", "clock", "h"),
            "cost_credits": _Column(seen.cost_credits, "number", worker, "credits"),
            "dose_e_per_A2": _Column(seen.dose_e_per_A2, "number", worker, "angstrom**-2"),
        }
        if action is not None:
            columns |= _target_columns(action)
        for name, estimate in seen.values.items():
            unit = self._unit(step, name)
            columns[_plain(name)] = _Column(estimate.value, "number", worker, unit)
            columns[_plain(f"{name}_std")] = _Column(estimate.std, "number", worker, unit)
        for name, table in seen.tables.items():
            for column, values in table.columns.items():
                columns[_plain(f"{name}_{column}")] = _array(values, worker)
        for name, grid in seen.grids.items():
            columns[_plain(name)] = _array(grid.values, worker)
            for variable, ticks in grid.ticks.items():
                columns[_plain(f"{name}_{variable}")] = _array(ticks, worker)
        for name, ref in seen.arrays.items():
            where = self._datum(ref.file, seen.action_id, name)
            columns[_plain(name)] = _Column(where, "array", worker, ref.unit, ref.shape, True)
        if seen.commands:
            told = tuple(entry.model_dump_json() for entry in seen.commands)
            columns["commands"] = _array(told, worker)
        if seen.quality is not None:
            columns["quality"] = _Column(seen.quality.score, "number", worker)
            columns["verdict"] = _Column(seen.quality.verdict, "string", worker)
        if seen.failure is not None:
            columns["failure"] = _Column(seen.failure.kind, "string", worker)
            columns["message"] = _Column(seen.failure.message, "string", worker)
        return columns

    def _unit(self, step: str, quantity: str) -> str | None:
        ports: tuple[Port, ...] = ()
        if self.spec is not None:
            ports = next((s.produces for s in self.spec.workflow.steps if s.name == step), ())
        return next((port.unit for port in ports if port.name == quantity), None)

    def _datum(self, file: str, action: str, name: str) -> str:
        return f"{self._uid('resource', file)}/{action}.{name}"

    def _uid(self, *parts: str) -> str:
        """The same part of the same run has the same name, however often it is told."""
        return str(uuid.uuid5(uuid.UUID(self.run_id), "/".join(parts)))


def _target_columns(action: Action) -> dict[str, _Column]:
    target = action.target
    columns = {"tier": _Column(action.session or "campaign", "string", "journal")}
    if target.sample is not None:
        columns["sample"] = _Column(target.sample, "string", "journal")
    if target.site is not None:
        columns["site"] = _Column(target.site, "number", "journal")
    for name, value in target.design.items():
        columns[_plain(f"design_{name}")] = _Column(value, "number", "journal")
    if target.positions:
        columns["positions_px"] = _array(target.positions, "journal")
    return columns


def _array(values: Any, source: str) -> _Column:
    shape: list[int] = []
    level = values
    while isinstance(level, tuple):
        shape.append(len(level))
        level = level[0] if level else None
    as_lists = [list(v) if isinstance(v, tuple) else v for v in values]
    return _Column(as_lists, "array", source, None, tuple(shape))


def _plain(name: str) -> str:
    """A key without what event-model forbids in keys."""
    return name.replace(".", "_").replace("/", "_").replace("$", "_")
