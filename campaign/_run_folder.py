"""The run folder: one campaign, one place, one process at a time that writes to it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, final

from ..workflow import RunFolderError

_SPEC, _LOCK = "campaign.yaml", "run.lock"
JOURNAL = "journal.sqlite"
"""Name of the journal in a run folder."""
LEDGERS = "ledgers"
"""Folder in a run folder where seats note what they did."""


@final
class RunFolder:
    """A folder that holds a run: specification, journal, arrays, tracking, report and summary.

    Made by :meth:`create`, taken up again by :meth:`open`, and only looked at by :meth:`read`. The
    first two hold an exclusive lock that ends with :meth:`close` or with the process; a reader
    takes none. Usable in a ``with`` statement.
    """

    def __init__(self, path: Path, lock: IO[str] | None) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def create(cls, path: str | Path) -> RunFolder:
        """Make a new run folder and lock it.

        Raises
        ------
        RunFolderError
            If ``path`` is a file or a folder with something in it.
        """
        folder = cls.check_new(path)
        folder.mkdir(parents=True, exist_ok=True)
        lock = _locked(folder)
        if any(item.name != _LOCK for item in folder.iterdir()):
            lock.close()  # another process was here between the look and the lock
            raise _not_new(folder)
        run = cls(folder, lock)
        run.data_path.mkdir(exist_ok=True)
        run.ledgers_path.mkdir(exist_ok=True)
        _sync(folder)
        _sync(folder.parent)
        return run

    @classmethod
    def check_new(cls, path: str | Path) -> Path:
        """The absolute path of a folder that may become a run folder; nothing is made yet.

        Raises
        ------
        RunFolderError
            If ``path`` is a file or a folder with something in it.
        """
        folder = Path(path).absolute()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise _not_new(folder)
        return folder

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Take up an existing run and lock it.

        Raises
        ------
        RunFolderError
            If there is no run in ``path``, or another process is at work in it.
        """
        folder = _existing(path)
        run = cls(folder, _locked(folder))
        for torn in run.data_path.glob(".*.part"):  # of a process that was killed while it wrote
            torn.unlink(missing_ok=True)
        return run

    @classmethod
    def read(cls, path: str | Path) -> RunFolder:
        """Look at an existing run, also while another process works in it.

        Raises
        ------
        RunFolderError
            If there is no run in ``path``.
        """
        return cls(_existing(path), None)

    @property
    def writable(self) -> bool:
        """Whether this object holds the lock."""
        return self._lock is not None

    @property
    def spec_path(self) -> Path:
        return self.path / _SPEC

    @property
    def journal_path(self) -> Path:
        return self.path / JOURNAL

    @property
    def data_path(self) -> Path:
        return self.path / "data"

    @property
    def ledgers_path(self) -> Path:
        return self.path / LEDGERS

    @property
    def mlflow_path(self) -> Path:
        return self.path / "mlflow.sqlite"

    @property
    def artifacts_path(self) -> Path:
        return self.path / "artifacts"

    @property
    def report_path(self) -> Path:
        return self.path / "report.html"

    @property
    def summary_path(self) -> Path:
        return self.path / "summary.json"

    @property
    def control_path(self) -> Path:
        """Where people's orders arrive and the running campaign tells how it is."""
        return self.path / "control"

    @property
    def status_path(self) -> Path:
        return self.control_path / "status.json"

    def holder(self) -> str | None:
        """Who is at work in the run, in words; None if nobody is."""
        try:
            lock = (self.path / _LOCK).open("r", encoding="utf-8")
        except FileNotFoundError:
            return None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return _holder(lock.read())
        return None

    def close(self) -> None:
        """Give the lock back. The lock file stays, empty."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def is_run_folder(path: str | Path) -> bool:
    """Whether a run was begun in ``path``, however far it came."""
    folder = Path(path)
    return folder.is_dir() and any((folder / n).exists() for n in (JOURNAL, _SPEC, _LOCK))


def move_aside(path: str | Path) -> Path | None:
    """Rename an earlier run to the first free of ``path-1``, ``path-2``, ...; None without one.

    Raises
    ------
    RunFolderError
        If ``path`` holds something that is no run, or a run at which a process is at work.
    """
    folder = Path(path).absolute()
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    if not is_run_folder(folder):
        raise RunFolderError(
            f"run folder {str(folder)!r}",
            "something that is not a run",
            "an earlier run, an empty folder or nothing",
            "give another folder; this one is left as it is",
        )
    lock = _locked(folder)
    try:
        number = 1
        while True:
            aside = folder.with_name(f"{folder.name}-{number}")
            with contextlib.suppress(FileExistsError):
                aside.mkdir()
                break
            number += 1
        folder.rename(aside)  # onto the empty folder just made, so nobody else can have the name
        _sync(folder.parent)
        return aside
    finally:
        lock.truncate(0)
        lock.close()


def write_atomically(path: Path, text: str) -> None:
    """Write a text so that a reader, or a crash, never meets half of it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def _not_new(folder: Path) -> RunFolderError:
    return RunFolderError(
        f"run folder {str(folder)!r}",
        "a folder that is not empty" if folder.is_dir() else "a file",
        "a new or empty folder",
        "give another folder, resume the run that is in it, or ask to start afresh, which keeps the"
        " earlier run beside it",
    )


def _existing(path: str | Path) -> Path:
    folder = Path(path).absolute()
    if not (folder / JOURNAL).is_file():
        raise RunFolderError(
            f"run folder {str(folder)!r}",
            f"no {JOURNAL} in it" if folder.is_dir() else "no such folder",
            "a folder in which a campaign was run",
            "check the path, or start a new run",
        )
    return folder


def _locked(folder: Path) -> IO[str]:
    """Lock the folder; the system lets go when the process ends, however it ends."""
    lock = (folder / _LOCK).open("a+", encoding="utf-8")
    try:
        _take(lock)
    except OSError as error:
        lock.seek(0)
        holder = _holder(lock.read())
        lock.close()
        raise RunFolderError(
            f"run folder {str(folder)!r}",
            f"already in use by {holder}",
            "one process at a time in a run",
            "wait until it has ended, stop it, or give another folder",
        ) from error
    lock.seek(0)
    lock.truncate(0)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    lock.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now}))
    lock.flush()
    return lock


def _take(lock: IO[str]) -> None:
    """Lock for writing; somebody who only asks whether it is locked is waited for."""
    for _ in range(4):
        with contextlib.suppress(OSError):
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.05)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(text: str) -> str:
    try:
        said = json.loads(text)
        return f"process {said['pid']} on {said['host']} since {said['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _sync(folder: Path) -> None:
    """Make new names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
