"""One worker's Ray actor: the seat in its own process, and the post that starts and ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, final

from ..workflow import (
    Action,
    ArrayStore,
    Commitment,
    Issued,
    Observation,
    Offer,
    ProbewiseError,
    Step,
    Verdict,
    Worker,
    WorkerError,
    WorkerSpec,
)
from ._bootstrap import import_ray
from ._finding import Finding
from ._guardian import Guardian
from ._ledger import Ledger
from ._registry import make_worker
from ._runtime import ledger_path
from ._seat import Seat


@final
class SeatActor:
    """The class that becomes an actor: it only holds a seat."""

    def __init__(
        self, name: str, spec: WorkerSpec, store: ArrayStore | None, ledger: Path | None
    ) -> None:
        self._name, self._spec, self._store, self._ledger = name, spec, store, ledger

    def start(self) -> tuple[tuple[Offer, ...], int, str]:
        """Make the worker; its offers, this process and this machine."""
        worker = make_worker(self._spec, self._name)
        self._seat = Seat(self._name, worker, self._store, Ledger(self._ledger))
        return self._seat.worker.offers(), os.getpid(), socket.gethostname()

    def perform(self, issued: Issued, step: Step) -> Observation:
        return self._seat.perform(issued, step)

    def inquire(self, issued: Issued, step: Step) -> Finding:
        return self._seat.inquire(issued, step)

    def review(self, action: Action, step: Step, commitment: Commitment, twin: bool) -> Verdict:
        return cast(Guardian, self._seat.worker).review(action, step, commitment, twin)

    def close(self) -> None:
        self._seat.close()


@final
class Post:
    """Where one worker sits on Ray: its actor, if it lives, and the actions that wait for it."""

    def __init__(
        self,
        name: str,
        spec: WorkerSpec,
        worker: type[Worker],
        store: ArrayStore | None,
        ledgers: Path | None = None,
    ) -> None:
        self.name, self.spec, self.worker, self._store = name, spec, worker, store
        self._ledger = ledger_path(ledgers, name, worker)
        self.waiting: deque[tuple[Issued, Step]] = deque()
        self.actor: Any = None
        self._starting: Any = None
        self._process: tuple[int, str] | None = None

    @property
    def pid(self) -> int | None:
        """Number of the actor's process on its machine; None while there is none."""
        return None if self._process is None else self._process[0]

    @property
    def resources(self) -> dict[str, float]:
        return dict(self.spec.resources) or {self.worker.kind.value: 1.0}

    def begin(self) -> None:
        """Ask Ray for the actor, without waiting. It is never restarted or called again by Ray."""
        ray = import_ray()
        options = {
            "num_cpus": 0,
            "resources": self.resources,
            "max_restarts": 0,
            "max_task_retries": 0,
            "max_concurrency": self.spec.capacity,
        }
        actor_class = ray.remote(**options)(SeatActor)
        self.actor = actor_class.remote(self.name, self.spec, self._store, self._ledger)
        self._starting = self.actor.start.remote()

    def await_ready(self, timeout_s: float) -> tuple[Offer, ...]:
        """What the worker offers, once it is ready.

        Raises
        ------
        WorkerError
            If it does not become ready in time or its process dies.
        ProbewiseError
            What the worker itself raised.
        """
        ray = import_ray()
        try:
            offers, pid, host = ray.get(self._starting, timeout=timeout_s)
            self._process = (pid, host)
            return offers
        except ray.exceptions.GetTimeoutError as error:
            self.end()
            raise _not_ready(
                self, f"not ready within {timeout_s:g} s", "raise the time allowed for readiness"
            ) from error
        except ray.exceptions.RayTaskError as error:
            self.end()
            if isinstance(error.cause, ProbewiseError):
                raise error.cause from error
            raise _not_ready(self, str(error.cause), "mend the worker") from error
        except ray.exceptions.RayError as error:
            self.end()
            raise _not_ready(
                self, f"its process died ({_brief(error)})", "read the log of its process"
            ) from error

    def end(self, hangs: bool = False) -> None:
        """Kill the actor; a process that hangs on this machine is killed by its number too."""
        if self.actor is None:
            return
        import_ray().kill(self.actor, no_restart=True)
        if hangs and self._process is not None and self._process[1] == socket.gethostname():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process[0], signal.SIGKILL)
        self.actor, self._process = None, None


def check_resources(posts: Mapping[str, Post]) -> None:
    """Whether the cluster has, in all, what the actors will hold for life.

    Raises
    ------
    WorkerError
        If it has not; such actors would wait in silence.
    """
    total: dict[str, float] = import_ray().cluster_resources()
    needed: dict[str, float] = {}
    for post in posts.values():
        for name, units in post.resources.items():
            needed[name] = needed.get(name, 0.0) + units
    short = {name: units for name, units in needed.items() if units > total.get(name, 0.0)}
    if short:
        names = [n for n, p in posts.items() if set(p.resources) & set(short)]
        raise WorkerError(
            f"workers {names}",
            f"need {short} in all",
            f"what the cluster's nodes declare: { {n: total.get(n, 0.0) for n in short} }",
            "start a node with --resources, or correct the workers' resources",
        )


def close_all(posts: Mapping[str, Post], timeout_s: float = 5.0) -> None:
    """Close the workers, each in its process; then end the processes, come what may."""
    ray = import_ray()
    closing = {p.actor.close.remote(): p for p in posts.values() if p.actor is not None}
    hanging: list[Any] = []
    if closing:
        _, hanging = ray.wait(list(closing), num_returns=len(closing), timeout=timeout_s)
    for reference, post in closing.items():
        post.end(hangs=reference in hanging)


def start_all(posts: Mapping[str, Post], timeout_s: float) -> dict[str, tuple[Offer, ...]]:
    """Start all actors side by side and wait until the last is ready."""
    check_resources(posts)
    for post in posts.values():
        post.begin()
    deadline = time.monotonic() + timeout_s
    return {
        name: post.await_ready(max(0.1, deadline - time.monotonic()))
        for name, post in posts.items()
    }


def _brief(error: BaseException) -> str:
    return (
        f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
        if str(error)
        else (type(error).__name__)
    )


def _not_ready(post: Post, given: str, remedy: str) -> WorkerError:
    return WorkerError(
        f"worker {post.name!r} of type {post.spec.type!r}",
        given,
        f"a worker that starts on a node with {post.resources}",
        remedy,
    )
