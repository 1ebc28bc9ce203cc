"""Where people's orders arrive: a folder that any process on any machine can drop a file into.

``control/new/<id>.json`` holds an order, put there whole by a rename; ``control/answers/<id>.json``
what became of it; ``control/status.json`` how the campaign is, every second. No locks and no
database: a rename is all that a shared file system must do well.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import pwd
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, final

from pydantic import ValidationError

from ..agents import utc_now
from ..workflow import Message, Order, SpecError
from ._journal import Head

_MOST_BYTES = 64 * 1024
_POLL_S = 0.05


class Inbox(Protocol):
    """Gives a campaign the orders of people, and tells them what became of these."""

    def messages(self) -> list[Message]:
        """Orders that were not answered yet, oldest first."""
        ...

    def answer(self, message: Message, accepted: bool, text: str) -> None:
        """Say what became of an order; it is not given again."""
        ...

    def tell(self, status: Mapping[str, Any]) -> None:
        """Say how the campaign is. Never raises."""
        ...


@final
class MemoryInbox:
    """For campaigns in memory: orders come from the same process."""

    def __init__(self) -> None:
        self._waiting: dict[str, Message] = {}
        self.answers: dict[str, tuple[bool, str]] = {}
        self.status: dict[str, Any] = {}

    def send(self, message: Message) -> None:
        self._waiting[message.id] = message

    def messages(self) -> list[Message]:
        return list(self._waiting.values())

    def answer(self, message: Message, accepted: bool, text: str) -> None:
        self._waiting.pop(message.id, None)
        self.answers[message.id] = (accepted, text)

    def tell(self, status: Mapping[str, Any]) -> None:
        self.status = dict(status)


@final
class FolderInbox:
    """Orders as files in the ``control`` folder of a run.

    The folder is made for its owner alone (mode 0700): who may write into it may command.

    Parameters
    ----------
    control
        The ``control`` folder; made if it is not there.
    head
        The journal's end, told with the status; None for those who only send.
    """

    def __init__(self, control: Path, head: Callable[[], Head] | None = None) -> None:
        self._control, self._head = control, head
        self._new, self._answers = control / "new", control / "answers"
        control.mkdir(mode=0o700, exist_ok=True)
        for folder in (self._new, self._answers):
            folder.mkdir(exist_ok=True)

    # -- the campaign's side ----------------------------------------------------------------------

    def messages(self) -> list[Message]:
        names: list[str] = []
        with contextlib.suppress(OSError):  # a file system that is away now is asked again
            listed = os.listdir(self._new)
            names = sorted(n for n in listed if n.endswith(".json") and n[0] != ".")
        found = [self._read(self._new / name) for name in names]
        return [message for message in found if message is not None]

    def _read(self, path: Path) -> Message | None:
        """An order as it lies there; one that cannot be read is answered and put away."""
        try:
            info = path.lstat()
            if not path.is_file() or path.is_symlink() or info.st_size > _MOST_BYTES:
                raise ValueError(f"not a file of at most {_MOST_BYTES} bytes")
            message = Message.model_validate_json(path.read_bytes())
            if message.id != path.stem:
                raise ValueError(f"id {message.id!r} in a file of another name")
            return message.model_copy(update={"who": _named(message.who, info.st_uid)})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ValidationError) as error:
            self._put_away(path, False, f"not understood: {str(error)[:1000]}")
            return None

    def answer(self, message: Message, accepted: bool, text: str) -> None:
        self._put_away(self._new / f"{message.id}.json", accepted, text)

    def _put_away(self, path: Path, accepted: bool, text: str) -> None:
        """The first answer stays; a folder that refuses does not stop a campaign."""
        answer = self._answers / path.name
        with contextlib.suppress(OSError):
            if not answer.exists():
                _write(answer, {"accepted": accepted, "answer": text, "at": utc_now()})
            path.unlink(missing_ok=True)

    def tell(self, status: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):
            head = None if self._head is None else self._head()
            noted = {"journal": {"events": head.seq, "head": head.link}} if head else {}
            _write(self._control / "status.json", {**status, **noted})

    # -- the people's side ------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Put an order where the campaign finds it.

        Raises
        ------
        SpecError
            If the folder cannot be written.
        """
        try:
            _write(self._new / f"{message.id}.json", message.model_dump(mode="json"), sync=True)
        except OSError as error:
            raise SpecError(
                f"control folder {str(self._control)!r}",
                str(error),
                "a folder that you may write into",
                "act as the user who runs the campaign, or use its control server",
            ) from error

    def wait(self, message_id: str, timeout_s: float) -> tuple[bool, str] | None:
        """What became of an order: whether it was accepted, and in words; None if nothing yet."""
        path = self._answers / f"{message_id}.json"
        end = time.monotonic() + timeout_s
        while True:
            with contextlib.suppress(FileNotFoundError):
                said = json.loads(path.read_text(encoding="utf-8"))
                return bool(said["accepted"]), str(said["answer"])
            if time.monotonic() >= end:
                return None
            time.sleep(_POLL_S)


def new_message(order: Order, who: str | None = None, via: str = "file") -> Message:
    """An order of the user of this process, or of ``who``, with a fresh id that sorts by time."""
    return Message(
        id=f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}",
        who=who or whoami(),
        said=utc_now(),
        via=via,
        order=order,
    )


def whoami() -> str:
    """``user@machine`` of this process."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return f"user {os.getuid()}@{socket.gethostname()}"


def _named(claimed: str, owner: int) -> str:
    """Who somebody says to be, with the owner of the file where that is somebody else."""
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"user {owner}"
    return claimed if claimed.split("@")[0] == name else f"{claimed[:100]} (file of {name[:50]})"


def _write(path: Path, content: Mapping[str, Any], sync: bool = False) -> None:
    """Write JSON under a hidden name, then rename: a reader never meets half of it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
