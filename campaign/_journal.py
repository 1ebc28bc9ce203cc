"""The journal: every event, written down before anything acts on it, never changed afterwards."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import final

from pydantic import ValidationError

from ..workflow import DiskError, Event, RunFolderError, State, StoreError, event_adapter
from ._chain import genesis, link

_APPLICATION, _VERSION = 0x70627731, 2
_SCHEMA = f"""
BEGIN;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, hour REAL NOT NULL, wall TEXT NOT NULL,
    kind TEXT NOT NULL, body TEXT NOT NULL, link TEXT NOT NULL);
CREATE TRIGGER events_no_update BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER events_no_replace BEFORE INSERT ON events
    WHEN EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq)
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
COMMIT;
"""


RawRow = tuple[int, float, str, str, str, str]


@dataclass(frozen=True)
class Head:
    """Where a journal ends: the number of its last event, and the last link of its hash chain."""

    seq: int
    link: str


@dataclass(frozen=True)
class Row:
    """An event with its place in the journal and the time of day (UTC) when it was written."""

    seq: int
    wall: datetime
    event: Event


@final
class Journal:
    """An append-only SQLite file (WAL mode) with one row per event.

    Rows are chained: each carries the SHA-256 over the row before it and its own content (see
    :func:`~probewise.campaign._chain.link`), so that a row that is altered, taken out or put in
    later does not go unnoticed. A cut end does not show in the chain; hold :attr:`head` against
    what was noted elsewhere.

    Parameters
    ----------
    path
        The file; made if it does not exist, unless ``read_only``.
    read_only
        Look at it without any right to write; works beside a process that writes.
    busy_timeout_s
        How long to wait for another process that holds the file.

    Raises
    ------
    StoreError
        If the file is cut, foreign, of another version or damaged; also from every reading method.
    RunFolderError
        If another process holds the file; also from :meth:`append`.
    """

    def __init__(
        self, path: str | Path, *, read_only: bool = False, busy_timeout_s: float = 5.0
    ) -> None:
        self.path = Path(path).absolute()
        self._guard = threading.Lock()
        exists = self.path.is_file()
        if read_only and not exists:
            raise _damaged(self.path, "no such file")
        if exists and self.path.stat().st_size == 0:
            raise _damaged(self.path, "an empty file")
        if not exists:
            with self._mended():
                self._make()
        self._db = self._connect(read_only, busy_timeout_s)
        try:
            with self._mended():
                self._check()
                self._db.execute("PRAGMA synchronous = FULL")
        except BaseException:
            self._db.close()
            raise

    def _connect(self, read_only: bool, timeout_s: float) -> sqlite3.Connection:
        location = self.path.as_uri()
        modes = ["mode=ro"] if read_only else ["mode=rw"]
        if read_only and not self.path.with_name(self.path.name + "-wal").exists():
            modes.append("mode=ro&immutable=1")  # a closed journal on a medium without write access
        for mode in modes:
            db = sqlite3.connect(
                f"{location}?{mode}",
                uri=True,
                timeout=timeout_s,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                db.execute("PRAGMA schema_version").fetchone()
            except sqlite3.OperationalError as error:
                if "unable to open" not in str(error) or mode == modes[-1]:
                    db.close()
                    raise self._explained(error) from error
                db.close()
            except sqlite3.DatabaseError as error:
                db.close()
                raise self._explained(error) from error
            else:
                return db
        raise _damaged(self.path, "a file that cannot be opened")

    def _make(self) -> None:
        """Put a journal without events there, whole: a process that is killed leaves none."""
        whole = self.path.with_name(self.path.name + ".new")
        for end in ("", "-journal", "-wal", "-shm"):
            whole.with_name(whole.name + end).unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(whole, isolation_level=None)) as db:
            db.executescript(_SCHEMA)
            db.execute("INSERT INTO meta VALUES ('run_id', ?)", (uuid.uuid4().hex,))
            db.execute("PRAGMA journal_mode = WAL")
        whole.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _check(self) -> None:
        """Whether this is a journal, whole, and of the version that this program writes."""
        if self._db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
            raise _damaged(self.path, "an SQLite file of something else")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version != _VERSION:
            raise StoreError(
                f"journal {str(self.path)!r}",
                f"version {version}",
                f"version {_VERSION}",
                "read it with the version of the program that wrote it",
            )
        found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise _damaged(self.path, found)

    @property
    def run_id(self) -> str:
        """A name for this run that stays when the folder is renamed."""
        with self._mended():
            return self._run_id()

    def append(self, *events: Event) -> int:
        """Write events in one transaction that is on the disk when this returns.

        Returns the number of the last event; 0 if the journal is empty and nothing was given.
        """
        wall = datetime.now(UTC).isoformat(timespec="milliseconds")
        rows = [(float(e.hour), wall, e.kind, event_adapter.dump_json(e).decode()) for e in events]
        with self._mended():
            if not rows:
                return self._last().seq
            self._db.execute("BEGIN IMMEDIATE")
            try:
                head = self._last()
                chained: list[tuple[int, float, str, str, str, str]] = []
                for row in rows:
                    head = Head(head.seq + 1, link(head.link, head.seq + 1, *row))
                    chained.append((head.seq, *row, head.link))
                self._db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", chained)
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
            return head.seq

    @property
    def head(self) -> Head:
        """The last row's number and link; number 0 in an empty journal."""
        with self._mended():
            return self._last()

    def _last(self) -> Head:
        return self._at("ORDER BY seq DESC LIMIT 1")

    def _at(self, where: str, *values: int) -> Head:
        found = self._db.execute(f"SELECT seq, link FROM events {where}", values).fetchone()
        return Head(0, genesis(self._run_id())) if found is None else Head(*found)

    def _run_id(self) -> str:
        row = self._db.execute("SELECT value FROM meta WHERE key = 'run_id'").fetchone()
        return "" if row is None else str(row[0])

    def rows(self, after_seq: int = 0) -> Iterator[Row]:
        """Events with number and wall time, in order; fetched in portions, so it may go on long.

        Raises
        ------
        StoreError
            At the first row that is missing, does not follow from the one before, or does not read.
        """
        with self._mended():
            head = self._at("WHERE seq = ?", after_seq)
        for seq, hour, wall, kind, body, found in self.raw(after_seq):
            if seq != head.seq + 1:
                raise _damaged(self.path, f"event {head.seq + 1} is missing")
            if link(head.link, seq, hour, wall, kind, body) != found:
                raise _damaged(self.path, f"event {seq} is not what was written (hash chain)")
            try:
                yield Row(seq, datetime.fromisoformat(wall), event_adapter.validate_json(body))
            except (ValidationError, ValueError) as error:
                raise _damaged(self.path, f"event {seq} that does not read") from error
            head = Head(seq, found)

    def raw(self, after_seq: int = 0) -> Iterator[RawRow]:
        """What stands in the file, unchecked: number, hour, wall time, kind, body and link."""
        seq = after_seq
        while True:
            with self._mended():
                portion = self._db.execute(
                    "SELECT seq, hour, wall, kind, body, link FROM events"
                    " WHERE seq > ? ORDER BY seq LIMIT 500",
                    (seq,),
                ).fetchall()
            yield from portion
            if len(portion) < 500:
                return
            seq = portion[-1][0]

    def events(self) -> Iterator[Event]:
        """All events, in the order in which they were written."""
        return (row.event for row in self.rows())

    def tail(self, after_seq: int) -> list[Event]:
        """Events written after number ``after_seq``; 0 means all."""
        return [row.event for row in self.rows(after_seq)]

    def close(self) -> None:
        """Close the file; what was appended is already safe."""
        with self._guard:
            self._db.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _mended(self) -> Iterator[None]:
        """One thread at a time, and SQLite's complaints in the user's words."""
        with self._guard:
            try:
                yield
            except sqlite3.DatabaseError as error:
                raise self._explained(error) from error

    def _explained(self, error: sqlite3.DatabaseError) -> Exception:
        text = str(error)
        if "locked" in text or "busy" in text:
            return RunFolderError(
                f"journal {str(self.path)!r}",
                "held by another process",
                "one process at a time that writes",
                "end the other process (a run, or a program that looks into the file)",
            )
        if isinstance(error, sqlite3.OperationalError) and ("full" in text or "disk I/O" in text):
            return DiskError(
                f"journal {str(self.path)!r}",
                text,
                "room on the disk and a healthy disk",
                "make room, then resume the run: nothing that was written is lost",
            )
        return _damaged(self.path, text)


def replay(state: State, events: Iterable[Event]) -> State:
    """Fold events into ``state`` and give it back."""
    for event in events:
        state.apply(event)
    return state


def _damaged(path: Path, given: str) -> StoreError:
    return StoreError(
        f"journal {str(path)!r}",
        given,
        "a whole journal as this program writes it",
        "restore the file (with its -wal, if any) from a copy, or start a new run",
    )
