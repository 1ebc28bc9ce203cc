"""A Ray actor with the seats of one worker or several, and the post that starts and ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
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
from ._duties import check_steps
from ._finding import Finding
from ._guardian import Guardian
from ._ledger import Ledger
from ._placement import Demand, as_options, check_demands, demand_of
from ._registry import make_worker
from ._seat import Seat, close_quietly, secure_seat

_MOST_THREADS = 256


@dataclass(frozen=True)
class Seated:
    """A worker of a process: its name, specification, class and ledger."""

    name: str
    spec: WorkerSpec
    worker: type[Worker]
    ledger: Path | None = None


@final
class SeatActor:
    """The class that becomes an actor: it only holds seats."""

    def __init__(self, seated: tuple[Seated, ...], store: ArrayStore | None) -> None:
        self._seated, self._store = seated, store
        self._seats: dict[str, Seat] = {}

    def start(self) -> tuple[dict[str, tuple[Offer, ...]], int, str, str]:
        """Make the workers; their offers, this process, this machine and this node of Ray's."""
        for one in self._seated:
            worker = make_worker(one.spec, one.name)
            self._seats[one.name] = Seat(one.name, worker, self._store, Ledger(one.ledger))
        offers = {name: seat.worker.offers() for name, seat in self._seats.items()}
        node = import_ray().get_runtime_context().get_node_id()
        return offers, os.getpid(), socket.gethostname(), node

    def check(self, worker: str, steps: tuple[Step, ...]) -> None:
        check_steps(worker, self._seats[worker].worker, steps)

    def perform(self, issued: Issued, step: Step) -> Observation:
        return self._seats[issued.worker].perform(issued, step)

    def inquire(self, issued: Issued, step: Step) -> Finding:
        return self._seats[issued.worker].inquire(issued, step)

    def review(self, action: Action, step: Step, commitment: Commitment, twin: bool) -> Verdict:
        (seat,) = self._seats.values()
        return cast(Guardian, seat.worker).review(action, step, commitment, twin)

    def safe(self, worker: str) -> str:
        return secure_seat(self._seats[worker])

    def ping(self) -> None:
        """Being answered is all that is asked."""

    def close(self) -> None:
        for seat in self._seats.values():
            close_quietly(seat)


@final
class Post:
    """A process on Ray: its actor, if it lives, and the workers that have their seats in it."""

    def __init__(self, name: str, seated: tuple[Seated, ...], store: ArrayStore | None) -> None:
        self.name, self.seated, self._store = name, seated, store
        self.load: Counter[str] = Counter()
        """Calls that the present actor is at, by worker."""
        self.actor: Any = None
        self.joined = False
        """Whether it runs on a cluster that others started."""
        self.starting: Any = None
        """What is waited for until the workers are ready."""
        self.begun_s = 0.0
        self._process: tuple[int, str, str] | None = None

    @property
    def pid(self) -> int | None:
        """Number of the actor's process on its machine; None while there is none."""
        return None if self._process is None else self._process[0]

    @property
    def ready(self) -> bool:
        """Whether the workers are there."""
        return self._process is not None

    @property
    def node(self) -> str | None:
        """Ray's name of the node that the actor's process is on."""
        return None if self._process is None else self._process[2]

    @property
    def threads(self) -> int:
        """So many calls at once. A worker alone in its process, of capacity one, has the main
        thread to itself: some libraries insist on it. Others leave a thread for other calls.
        """
        most = sum(s.spec.capacity for s in self.seated)
        return 1 if most == 1 else min(most + 1, _MOST_THREADS)

    @property
    def spare(self) -> bool:
        """Whether its actor has a thread for another call."""
        return self.load.total() < self.threads

    @property
    def demand(self) -> Demand:
        return demand_of(((s.spec, s.worker) for s in self.seated), self.joined)

    @property
    def timeout_s(self) -> float:
        """The longest that any of its workers may take."""
        return max(s.spec.timeout_s for s in self.seated)

    def begin(self) -> None:
        """Ask Ray for the actor, without waiting. It is never restarted or called again by Ray."""
        ray = import_ray()
        options = {"max_restarts": 0, "max_task_retries": 0, "max_concurrency": self.threads}
        actor_class = ray.remote(**options, **as_options(self.demand))(SeatActor)
        self.actor = actor_class.remote(self.seated, self._store)
        self.starting, self.begun_s = self.actor.start.remote(), time.monotonic()

    def await_ready(self, timeout_s: float) -> dict[str, tuple[Offer, ...]]:
        """What each worker offers, once all are ready.

        Raises
        ------
        WorkerError
            If they do not become ready in time or their process dies.
        ProbewiseError
            What a worker itself raised.
        """
        ray = import_ray()
        try:
            offers, pid, host, node = ray.get(self.starting, timeout=timeout_s)
            self._process = (pid, host, node)
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
        self.load.clear()


def posts_of(seated: Mapping[str, Seated], store: ArrayStore | None) -> dict[str, Post]:
    """The process of each worker; workers with the same host have the same."""
    rooms: dict[str, list[Seated]] = {}
    for name, one in seated.items():
        rooms.setdefault(f"host {one.spec.host}" if one.spec.host else name, []).append(one)
    posts = {room: Post(room, tuple(crew), store) for room, crew in rooms.items()}
    return {one.name: posts[room] for room, crew in rooms.items() for one in crew}


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
    """Start all actors side by side and wait until the last is ready; what each worker offers."""
    nodes = [n["Resources"] for n in import_ray().nodes() if n["Alive"]]
    check_demands({post.name: post.demand for post in posts.values()}, nodes)
    for post in posts.values():
        post.begin()
    deadline = time.monotonic() + timeout_s
    offers: dict[str, tuple[Offer, ...]] = {}
    for post in posts.values():
        offers |= post.await_ready(max(0.1, deadline - time.monotonic()))
    return offers


def check_all(
    posts: Mapping[str, Post], duties: Mapping[str, tuple[Step, ...]], timeout_s: float
) -> None:
    """Put to each worker the steps that it may be given, side by side.

    Raises
    ------
    ProbewiseError
        The refusal of the first worker, by the order of ``duties``, that refuses one.
    WorkerError
        If one does not answer in time, or its process dies.
    """
    ray = import_ray()
    asked = {name: posts[name].actor.check.remote(name, steps) for name, steps in duties.items()}
    deadline = time.monotonic() + timeout_s
    for name, answer in asked.items():
        try:
            ray.get(answer, timeout=max(0.1, deadline - time.monotonic()))
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ProbewiseError):
                raise error.cause from None
            raise
        except ray.exceptions.RayError as error:
            raise WorkerError(
                f"worker {name!r}, steps {[s.name for s in duties[name]]}",
                f"no answer ({_brief(error)})",
                f"an answer within {timeout_s:g} s whether it can do them",
                "make check() quick: it looks at the step and touches nothing",
            ) from error


def _brief(error: BaseException) -> str:
    return (
        f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
        if str(error)
        else (type(error).__name__)
    )


def _not_ready(post: Post, given: str, remedy: str) -> WorkerError:
    return WorkerError(
        f"process {post.name!r} with {len(post.seated)} workers of types"
        f" {sorted({s.spec.type for s in post.seated})}",
        given,
        f"workers that start on a node with {post.demand or 'nothing special'}",
        remedy,
    )
