"""Talking to a running campaign: through its run folder, or through its control server."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Protocol, final

import requests

from ..workflow import Message, Order, RunFolderError, SpecError
from ._campaign import spec_of_run
from ._inbox import FolderInbox, new_message, whoami
from ._run_folder import RunFolder
from ._status import read_status

TOKEN = "PROBEWISE_TOKEN"
TOKEN_FILE = "PROBEWISE_TOKEN_FILE"
_HTTP_S = 10.0


class Channel(Protocol):
    """A way to a campaign."""

    def status(self) -> dict[str, Any]: ...

    def order(self, order: Order, wait_s: float) -> tuple[bool, str] | None:
        """Give an order; whether it was accepted, and the answer; None if none came in time."""
        ...


def channel_to(run: str) -> Channel:
    """The way to a run folder, or to a control server if ``run`` is an http(s) address.

    Raises
    ------
    RunFolderError
        If there is no run in the folder.
    SpecError
        If there is no token for the server.
    """
    if run.startswith(("http://", "https://")):
        return HttpChannel(run, token())
    return FolderChannel(Path(run))


@final
class FolderChannel:
    """Through the run folder, which may lie on a shared file system."""

    def __init__(self, run: Path, who: str | None = None, via: str = "file") -> None:
        self._folder, self._who, self._via = RunFolder.read(run), who, via

    def status(self) -> dict[str, Any]:
        return read_status(self._folder, spec_of_run(self._folder.path))

    def order(self, order: Order, wait_s: float) -> tuple[bool, str] | None:
        """See :class:`Channel`.

        Raises
        ------
        RunFolderError
            If no process is at work in the run.
        """
        if self._folder.holder() is None:
            raise RunFolderError(
                f"run {str(self._folder.path)!r}",
                "no process is at work in it",
                "a running campaign",
                "take it up with: probewise run --resume RUN",
            )
        return self.deliver(new_message(order, self._who, self._via), wait_s)

    def deliver(self, message: Message, wait_s: float) -> tuple[bool, str] | None:
        inbox = FolderInbox(self._folder.control_path)
        inbox.send(message)
        return inbox.wait(message.id, wait_s)


@final
class HttpChannel:
    """Through a control server."""

    def __init__(self, url: str, secret: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {secret}", "X-Probewise-Who": whoami()}

    def status(self) -> dict[str, Any]:
        return self._ask("GET", "/status", None, _HTTP_S)

    def order(self, order: Order, wait_s: float) -> tuple[bool, str] | None:
        body = {"order": order.model_dump(mode="json"), "wait_s": wait_s}
        said = self._ask("POST", "/orders", body, _HTTP_S + wait_s)
        if said["accepted"] is None:
            return None
        return bool(said["accepted"]), str(said["answer"])

    def _ask(self, method: str, path: str, body: Any, timeout_s: float) -> dict[str, Any]:
        try:
            answer = requests.request(
                method, self._url + path, json=body, headers=self._headers, timeout=timeout_s
            )
            if answer.ok:
                return answer.json()
            given = f"{answer.status_code}: {_detail(answer)}"
        except (requests.RequestException, ValueError) as error:
            given = f"{type(error).__name__}: {error}"
        raise SpecError(
            f"control server {self._url!r}",
            given[:500],
            "a control server that answers, and its token",
            f"check address and {TOKEN}; start one with: probewise serve RUN",
        )


def _detail(answer: requests.Response) -> str:
    try:
        return str(answer.json().get("detail", answer.reason))
    except ValueError:
        return answer.reason


def token(required: bool = True) -> str:
    """The secret of the control server: ``PROBEWISE_TOKEN``, or the file ``PROBEWISE_TOKEN_FILE``.

    Raises
    ------
    SpecError
        If there is none and one is required, it is too short, or others may read its file.
    """
    given = os.environ.get(TOKEN, "")
    path = os.environ.get(TOKEN_FILE)
    if not given and path:
        given = _private(Path(path))
    if given and len(given) < 16:
        raise SpecError(
            TOKEN,
            "fewer than 16 characters",
            "a long random text",
            "let 'openssl rand -hex 32' make one",
        )
    if not given and required:
        raise SpecError(
            "control server",
            "no token",
            f"{TOKEN}, or {TOKEN_FILE} with the path of a file that only you may read",
            "set one; 'probewise serve' says where the server keeps its own",
        )
    return given


def _private(path: Path) -> str:
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SpecError(
                f"token file {str(path)!r}",
                "others may read or write it",
                "mode 0600",
                f"chmod 600 {path}",
            )
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SpecError(
            f"token file {str(path)!r}", str(error), "a file with the token", "check the path"
        ) from error
