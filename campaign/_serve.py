"""The control server: status and orders over HTTP, for people on other machines.

It stands between the network and a run folder, and knows nothing of the campaign's process: orders
go through the same folder as those of local commands. Every request needs the token.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, final

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from pydantic import Field

from ..workflow import Order, ProbewiseError, Record, RunFolderError, SpecError
from ._channel import FolderChannel, token
from ._journal import Journal
from ._run_folder import RunFolder

LOOPBACK = "127.0.0.1"
_MOST_BYTES = 64 * 1024
_MOST_EVENTS = 1000


class OrderRequest(Record):
    """An order, and how many seconds to wait for what becomes of it."""

    order: Order
    wait_s: float = Field(default=10.0, ge=0, le=60)


def make_app(run: Path, secret: str) -> FastAPI:
    """The server's application for one run folder."""
    app = FastAPI(title="probewise", docs_url=None, redoc_url=None, openapi_url=None)

    def checked(request: Request, authorization: Annotated[str, Header()] = "") -> None:
        given = authorization.removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), secret.encode()):
            raise HTTPException(401, "wrong or missing token")
        if int(request.headers.get("content-length") or 0) > _MOST_BYTES:
            raise HTTPException(413, f"more than {_MOST_BYTES} bytes")

    guarded = [Depends(checked)]

    @app.get("/status", dependencies=guarded)
    def status() -> dict[str, Any]:
        with _answering():
            return FolderChannel(run).status()

    @app.post("/orders", dependencies=guarded)
    def order(
        body: OrderRequest, x_probewise_who: Annotated[str, Header(max_length=100)] = "somebody"
    ) -> dict[str, Any]:
        with _answering():
            said = FolderChannel(run, x_probewise_who, "http").order(body.order, body.wait_s)
        accepted, answer = said or (None, "no answer yet; the order stays until it is heeded")
        return {"accepted": accepted, "answer": answer}

    @app.get("/events", dependencies=guarded)
    def events(after: int = 0) -> list[dict[str, Any]]:
        """Events after a number, at most 1,000 at once."""
        found: list[dict[str, Any]] = []
        with (
            _answering(),
            Journal(RunFolder.read(run).journal_path, read_only=True) as journal,
        ):
            for row in journal.rows(max(0, after)):
                wall = row.wall.isoformat()
                found.append({"seq": row.seq, "wall": wall, **row.event.model_dump(mode="json")})
                if len(found) == _MOST_EVENTS:
                    break
        return found

    return app


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """What a user can mend becomes an answer with its words."""
    try:
        yield
    except RunFolderError as error:
        raise HTTPException(409, str(error)) from error
    except ProbewiseError as error:
        raise HTTPException(400, str(error)) from error


def server_token(run: Path) -> tuple[str, Path | None]:
    """The server's token: from the environment, else one of its own in ``control/token``.

    Returns the token and, where it is the server's own, the file (mode 0600) in which it stands.
    """
    given = token(required=False)
    if given:
        return given, None
    path = RunFolder.read(run).control_path / "token"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(32) + "\n")
    return path.read_text(encoding="utf-8").strip(), path


@final
class ControlServer:
    """Serves one run folder, in a thread of its own or in this one.

    Parameters
    ----------
    run
        The run folder; there must be a run in it.
    host, port
        Where to listen; port 0 takes any free one.
    certificate, key
        PEM files for TLS.
    plain
        Allow another interface than loopback without TLS, as behind a proxy that adds it.
    listening
        A socket that is bound already.

    Raises
    ------
    SpecError
        If another interface is asked for without TLS, or the port is taken.
    """

    def __init__(
        self,
        run: Path,
        host: str = LOOPBACK,
        port: int = 0,
        certificate: Path | None = None,
        key: Path | None = None,
        plain: bool = False,
        listening: socket.socket | None = None,
    ) -> None:
        if host not in {LOOPBACK, "localhost", "::1"} and certificate is None and not plain:
            raise SpecError(
                "control server",
                f"interface {host!r} without TLS: the token could be read on the way",
                f"{LOOPBACK}, or --tls-cert and --tls-key, or --plain behind a proxy that has TLS",
                "keep it on loopback and reach it through 'ssh -L', or give a certificate",
            )
        secret, self.token_file = server_token(run)
        config = uvicorn.Config(
            make_app(run, secret),
            log_level="warning",
            access_log=False,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            server_header=False,
        )
        self._server = uvicorn.Server(config)
        self._socket = listening or bound_socket(host, port)
        self._thread: threading.Thread | None = None
        scheme = "http" if certificate is None else "https"
        self.url = f"{scheme}://{host}:{self._socket.getsockname()[1]}"

    def run(self) -> None:
        """Serve in this thread until interrupted."""
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Serve in a thread; returns when requests are answered."""
        self._thread = threading.Thread(target=self.run, name="control server", daemon=True)
        self._thread.start()
        end = time.monotonic() + 10.0
        while not self._server.started and time.monotonic() < end:
            time.sleep(0.01)

    def close(self) -> None:
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(timeout=5)
        self._socket.close()


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that is bound and does not listen yet.

    Raises
    ------
    SpecError
        If the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise SpecError(
            "control server",
            f"{host}:{port} ({error})",
            "an interface of this machine and a free port",
            "choose another port, or 0 for any",
        ) from error
    return bound
