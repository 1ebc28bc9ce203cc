"""The ledger of a seat: which actions it began and what came of each, by action id.

A second delivery of an action is answered from it instead of being done again, and after a crash it
says what became of an action. The ledger of a worker that may not be run again lies on the disk: a
line is there before the worker is called, and another before its result is handed over.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, final

from pydantic import ValidationError

from ..workflow import Observation, StoreError

_KEPT = 512
"""Results that a ledger in memory keeps; only ids of older ones."""


@final
class Ledger:
    """Lines of JSON in a file, or the same in memory.

    The file's folder must be there: a campaign makes it in its run folder when it begins. On a
    machine that does not see it, nothing can be noted and so nothing be done.

    The file is opened, read and locked when it is first needed. A line that was torn by a crash
    counts as never written.

    Parameters
    ----------
    path
        The file; None keeps the ledger in memory.
    wait_s
        How long another process of the same worker, that is being killed, may hold the file.
    """

    def __init__(self, path: Path | None = None, wait_s: float = 20.0) -> None:
        self._path, self._wait_s = path, wait_s
        self._file: IO[bytes] | None = None
        self._begun: set[str] = set()
        self._ended: OrderedDict[str, Observation | int] = OrderedDict()

    @property
    def durable(self) -> bool:
        """Whether it outlives the process; then what it does not hold was never begun."""
        return self._path is not None and self._path.parent.is_dir()

    def began(self, action_id: str) -> bool:
        """Whether the action was given to the worker, by this process or an earlier one."""
        self._open()
        return action_id in self._begun

    def result(self, action_id: str) -> Observation | None:
        """What came of the action, if it came to an end."""
        self._open()
        kept = self._ended.get(action_id)
        if not isinstance(kept, int) or self._file is None:
            return kept if isinstance(kept, Observation) else None
        self._file.seek(kept)
        return Observation.model_validate(json.loads(self._file.readline())["ended"])

    def begin(self, action_id: str) -> None:
        """Note that the worker is about to be called.

        Raises
        ------
        OSError, StoreError
            If that cannot be made durable; then the worker must not be called.
        """
        self._open()
        self._write({"begun": action_id})
        self._begun.add(action_id)

    def end(self, observation: Observation) -> None:
        """Note what came of it.

        Raises
        ------
        OSError
            If that cannot be made durable.
        """
        place = self._write({"ended": observation.model_dump(mode="json", exclude_defaults=True)})
        self._ended[observation.action_id] = observation if place is None else place
        while place is None and len(self._ended) > _KEPT:
            self._ended.popitem(last=False)

    def _write(self, line: dict[str, Any]) -> int | None:
        """Append a line; where it begins, None in memory."""
        if self._file is None:
            return None
        place = self._file.seek(0, os.SEEK_END)
        try:
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            os.ftruncate(self._file.fileno(), place)  # no half line for the next one to follow
            raise
        return place

    def _open(self) -> None:
        if self._path is None or self._file is not None:
            return
        file = self._path.open("a+b", buffering=0)
        try:
            self._lock(file)
            self._read(file)
        except BaseException:
            file.close()
            raise
        self._file = file

    def _lock(self, file: IO[bytes]) -> None:
        until = time.monotonic() + self._wait_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if time.monotonic() >= until:
                    raise StoreError(
                        f"ledger {str(self._path)!r}",
                        "held by another process of the same worker",
                        "one process at a time at an instrument",
                        "end the other process",
                    ) from error
                time.sleep(0.1)

    def _read(self, file: IO[bytes]) -> None:
        file.seek(0)
        place = 0
        for raw in file.read().splitlines(keepends=True):
            if not raw.endswith(b"\n"):
                break
            with contextlib.suppress(ValueError, KeyError, TypeError, ValidationError):  # torn
                self._take(json.loads(raw), place)
            place += len(raw)
        file.truncate(place)

    def _take(self, line: dict[str, Any], place: int) -> None:
        if "begun" in line:
            self._begun.add(str(line["begun"]))
        else:
            self._ended[Observation.model_validate(line["ended"]).action_id] = place

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
