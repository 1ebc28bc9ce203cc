"""One driver at a time on an instrument: a lock that ends with the process that holds it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from pathlib import Path
from typing import IO, final

from ..workflow import WorkerError


@final
class Claim:
    """The sole right, on this machine and for this user, to drive an instrument.

    Servers that let anybody in cannot tell two clients apart; their commands would be mixed. The
    lock is the operating system's: it ends when the process does, however it ends. Two machines,
    or two users of one machine, must agree by themselves.

    Parameters
    ----------
    what
        The instrument's address.
    who
        The driver that asks, in the user's words.

    Raises
    ------
    WorkerError
        If another driver holds it.
    """

    def __init__(self, what: str, who: str) -> None:
        digest = hashlib.sha256(what.encode()).hexdigest()[:16]
        self.path = _folder() / f"{digest}.lock"
        self._file: IO[str] | None = open(self.path, "a+", encoding="utf-8")  # noqa: SIM115
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = self._holder()
            self._file.close()
            self._file = None
            raise WorkerError(
                who,
                f"{what!r} is driven by {holder} already",
                "one driver at a time",
                "end the other one, or wait until it has ended",
            ) from None
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()}")
        self._file.flush()

    def release(self) -> None:
        """Give it back; harmless a second time."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _holder(self) -> str:
        with contextlib.suppress(OSError):
            return self.path.read_text(encoding="utf-8")[:40] or "another process"
        return "another process"


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"probewise-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise WorkerError(
            "claims on instruments",
            f"{str(folder)!r} belongs to another user",
            "a folder of one's own in the folder for temporary files",
            "remove it, or set TMPDIR to another folder",
        )
    return folder
