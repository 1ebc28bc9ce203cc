"""Verification: whether a run folder still holds what the campaign wrote, and where it does not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ..workflow import Event, Issued, Observed, Started, StoreError, event_adapter
from ._chain import genesis, link
from ._journal import Head, Journal
from ._run_folder import RunFolder
from ._store import Hdf5Store


@dataclass(frozen=True)
class Finding:
    """Something noteworthy: where, what, and whether it is a fault or only to be known."""

    where: str
    what: str
    fault: bool = True


@dataclass(frozen=True)
class Verification:
    """What was looked at and found; ``head`` is the last link of the journal's chain."""

    events: int
    arrays: int
    head: str
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether there is no fault."""
        return not any(f.fault for f in self.findings)


def verify(folder: str | Path, noted: Head | None = None) -> Verification:
    """Check the journal's hash chain, what was noted of its end, and every stored array.

    Parameters
    ----------
    folder
        A run folder; a campaign may be running in it.
    noted
        A head that was kept elsewhere: the only thing that shows a journal that was cut, or written
        anew from some row on, by somebody who could also write everything else in the folder.

    Raises
    ------
    RunFolderError
        If there is no run in the folder.
    """
    run = RunFolder.read(folder)
    try:
        with Journal(run.journal_path, read_only=True) as journal:
            chain = _Chain(journal)
    except StoreError as error:
        return Verification(0, 0, "", (Finding("journal.sqlite", error.given),))
    findings = [*chain.findings, *_against_notes(run, chain, noted), *_specification(run, chain)]
    arrays, found = _arrays(run, chain.events)
    return Verification(chain.seq, arrays, chain.link, (*findings, *found))


class _Chain:
    """One pass over the rows: findings, events that read, and the link of every row."""

    def __init__(self, journal: Journal) -> None:
        self.events: list[Event] = []
        self.findings: list[Finding] = []
        self.links: dict[int, str] = {}
        self.seq, self.link = 0, genesis(journal.run_id)
        for row in journal.raw():
            self._take(*row)
        if self.seq == 0:
            self.findings.append(Finding("journal.sqlite", "holds no event"))

    def _take(self, seq: int, hour: float, wall: str, kind: str, body: str, found: str) -> None:
        where = f"journal.sqlite, event {seq}"
        if seq != self.seq + 1:
            lost = f"event {self.seq + 1}" + (f" to {seq - 1}" if seq > self.seq + 2 else "")
            self.findings.append(Finding(f"journal.sqlite, {lost}", "missing"))
        elif link(self.link, seq, hour, wall, kind, body) != found:
            what = "altered: it, or the link before it, is not what was written"
            self.findings.append(Finding(where, what))
        try:
            self.events.append(event_adapter.validate_json(body))
        except (ValidationError, ValueError):
            self.findings.append(Finding(where, "does not read as an event"))
        self.seq, self.link = seq, found
        self.links[seq] = found


def _against_notes(run: RunFolder, chain: _Chain, given: Head | None) -> Iterator[Finding]:
    """The journal's end against what the summary, the running campaign and the caller noted."""
    notes = [(p.name, _noted(p)) for p in (run.summary_path, run.status_path)]
    for source, note in [*notes, ("the head that was given", given)]:
        if note is None:
            continue
        if note.seq > chain.seq:
            what = f"cut: {source} knows {note.seq} events, {chain.seq} are there"
            yield Finding("journal.sqlite, end", what)
        elif note.seq and chain.links.get(note.seq) != note.link:
            what = f"not the one that {source} knows: the journal was written anew"
            yield Finding(f"journal.sqlite, event {note.seq}", what)


def _noted(path: Path) -> Head | None:
    try:
        said: Any = json.loads(path.read_text(encoding="utf-8"))["journal"]
        return Head(int(said["events"]), str(said["head"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _specification(run: RunFolder, chain: _Chain) -> Iterator[Finding]:
    first = chain.events[0] if chain.events else None
    if not isinstance(first, Started):
        if chain.seq:
            yield Finding("journal.sqlite, event 1", "not the beginning of a campaign")
        return
    try:
        kept = yaml.safe_load(run.spec_path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        yield Finding(run.spec_path.name, f"missing or not readable ({type(error).__name__})")
        return
    if kept != first.spec:
        yield Finding(run.spec_path.name, "not the specification in the journal (which counts)")


def _arrays(run: RunFolder, events: Iterable[Event]) -> tuple[int, list[Finding]]:
    """Every array that an event refers to, and files to which none does."""
    store, findings, count = Hdf5Store(run.path), list[Finding](), 0
    known: set[str] = set()
    open_files: dict[str, str] = {}
    for event in events:
        if isinstance(event, Issued):
            name = f"data/{event.action.id}-{event.action.step}.h5"
            open_files[name] = event.action.id
        if not isinstance(event, Observed):
            continue
        for name, ref in event.observation.arrays.items():
            count += 1
            known.add(ref.file)
            try:
                store.get(ref)
            except StoreError as error:
                where = f"{ref.file}, array {name!r} of action {event.observation.action_id}"
                findings.append(Finding(where, error.given))
    for path in sorted(run.data_path.rglob("*")):
        relative = path.relative_to(run.path).as_posix()
        if path.is_dir() or relative in known:
            continue
        findings.append(_unknown_file(relative, path, open_files))
    return count, findings


def _unknown_file(relative: str, path: Path, open_files: dict[str, str]) -> Finding:
    if relative in open_files:
        what = f"holds arrays of action {open_files[relative]}, whose result was never noted"
        return Finding(relative, what, fault=False)
    if path.name.endswith(".part"):
        return Finding(relative, "half a file of a process that was ended", fault=False)
    return Finding(relative, "no event knows this file")
