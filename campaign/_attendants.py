"""Who attends a campaign from the command line: log, metrics, webhook and control server."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import final

from ..workflow import Event, State
from ._campaign import Campaign
from ._log import EventLog
from ._metrics import Metrics
from ._webhook import webhook_from_environment


@final
class Attendants:
    """Attach to a campaign whatever was asked for; use it in a ``with`` statement.

    Parameters
    ----------
    campaign, folder
        The campaign and its run folder.
    log
        File for JSON lines, or ``-``.
    metrics_port, serve_port
        Loopback ports for Prometheus and for the control server; 0 takes any free one.
    """

    def __init__(
        self,
        campaign: Campaign,
        folder: Path,
        log: str | None,
        metrics_port: int | None,
        serve_port: int | None,
    ) -> None:
        self.say: Callable[[str], None] = print
        self._campaign, self._folder = campaign, folder
        self._log, self._metrics_port, self._serve_port = log, metrics_port, serve_port
        self._bound: socket.socket | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Attendants:
        name = self._campaign.spec.name
        if self._log is not None:
            log = EventLog(self._log, name)
            self._stack.callback(log.close)
            self._campaign.observers.append(log)
        webhook = webhook_from_environment(name)
        if webhook is not None:
            self._stack.callback(webhook.close)
            self._campaign.observers.append(webhook)
        if self._metrics_port is not None:
            self._begin_metrics(Metrics(name), self._metrics_port)
        if self._serve_port is not None:
            from ._serve import LOOPBACK, bound_socket  # only who asks for it pays for FastAPI

            self._bound = bound_socket(LOOPBACK, self._serve_port)
            self._campaign.observers.append(self._serve_once)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _begin_metrics(self, metrics: Metrics, port: int) -> None:
        self._stack.callback(metrics.close)
        self._campaign.observers.append(metrics)
        self._campaign.watch = metrics.watch
        self.say(f"metrics: http://127.0.0.1:{metrics.serve(port)}/metrics")

    def _serve_once(self, event: Event, state: State) -> None:
        """Begin when there is a run in the folder: with its first event."""
        if self._bound is None:
            return
        from ._serve import ControlServer

        server = ControlServer(self._folder, listening=self._bound)
        self._bound = None
        self._stack.callback(server.close)
        server.start()
        where = f", token in {server.token_file}" if server.token_file is not None else ""
        self.say(f"control server: {server.url}{where}")
