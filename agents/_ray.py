"""Every worker in a process of its own, on this machine or spread over a cluster."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from ..workflow import (
    Action,
    ArrayStore,
    Commitment,
    Failure,
    Fate,
    Issued,
    Observation,
    Offer,
    ProbewiseError,
    Step,
    Verdict,
    WorkerSpec,
)
from ._actor import Post, Seated, check_all, close_all, posts_of, start_all
from ._bootstrap import connect, disconnect, import_ray
from ._finding import Finding
from ._health import Health, Pulse, needs_securing, secure_posts
from ._placement import own_resources
from ._runtime import Crew, ledger_path
from ._settle import failed, lost
from ._watchman import Watchman

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Call:
    """An action that an actor is performing, since ``began`` (monotonic seconds)."""

    issued: Issued
    step: Step
    seated: Seated
    post: Post
    actor: Any
    began: float

    @property
    def deadline(self) -> float:
        return self.began + self.seated.spec.timeout_s


@final
class RayRuntime:
    """Performs actions in one actor per worker, or per host where workers share one.

    An actor that dies is started again for the next action, with a fresh worker; Ray itself never
    restarts one and never calls a method twice. An actor that takes longer than its worker's
    ``timeout_s`` is killed. A worker of capacity n gets up to n calls at once, in threads; what
    exceeds its capacity waits here.

    Parameters
    ----------
    workers
        The campaign's workers by name. An actor holds its worker's ``resources`` for life; by
        default one unit named after its kind, of which a cluster on this machine has plenty.
    guardian
        Its guardian; an actor too, unless it is pure (see :class:`Guardian`).
    store
        Where arrays are kept; it travels to every actor, so all nodes must see its folder.
    ledgers
        Folder of the ledgers of workers that may not be run again; their nodes must see it.
    address
        A cluster; None starts one on this machine.
    ship
        Wheels with the workers' code, for nodes on which it is not installed.
    num_cpus
        Processors of a cluster on this machine.
    ready_timeout_s
        How long the workers may take to start.
    """

    def __init__(
        self,
        workers: Mapping[str, WorkerSpec],
        guardian: WorkerSpec,
        store: ArrayStore | None = None,
        ledgers: Path | None = None,
        address: str | None = None,
        ship: Sequence[Path] = (),
        num_cpus: int = 2,
        ready_timeout_s: float = 120.0,
    ) -> None:
        self._crew = Crew(workers, guardian)
        self._address, self._num_cpus, self._ready_timeout_s = address, num_cpus, ready_timeout_s
        self._ship = tuple(ship)
        self._seated = {
            name: Seated(name, spec, worker, ledger_path(ledgers, name, worker))
            for name, spec, worker in ((n, s, self._crew.classes[n]) for n, s in workers.items())
        }
        self._posts: dict[str, Post] = posts_of(self._seated, store)
        self._watchman = Watchman(guardian, self._crew.guardian_class, self._revive)
        self._waiting: dict[str, deque[tuple[Issued, Step]]] = {n: deque() for n in workers}
        self._pulse = Pulse(self._posts)
        self._calls: dict[Any, _Call] = {}
        self._awaited: dict[Any, Post] = {}
        self._done: list[Observation] = []
        self._connected = self._started = False

    def start(self) -> dict[str, tuple[Offer, ...]]:
        if not self._started:
            posts = self._processes()
            own = own_resources(one.spec for p in posts.values() for one in p.seated)
            self._connected = connect(self._address, self._num_cpus, own, self._ship)
            self._started = True
            for post in posts.values():
                post.joined = self._address is not None
            try:
                self._watchman.start()
                offers = start_all(posts, self._ready_timeout_s)
                for name in self._seated:
                    self._crew.take_offers(name, offers[name])
            except Exception:
                self.close()
                raise
        return dict(self._crew.offers)

    def check(self, steps: Sequence[Step]) -> None:
        check_all(self._posts, self._crew.duties(steps), self._ready_timeout_s)

    def review(
        self, action: Action, step: Step, commitment: Commitment, worker: str | None = None
    ) -> Verdict:
        return self._crew.review(self._watchman.ask, action, step, commitment, worker)

    def submit(self, issued: Issued, step: Step) -> None:
        verdict = self._crew.admit(self._watchman.ask, issued, step)
        if verdict is None:
            return
        if verdict.allowed:
            self._waiting[issued.worker].append((issued, step))
            self._dispatch(issued.worker)
        else:
            failure = Failure(kind="refused", message=f"guardian: {verdict.reason}")
            worker = self._seated[issued.worker].worker
            self._done.append(failed(issued, step, worker, failure))

    def inquire(self, issued: Issued, step: Step) -> Finding:
        ray, post = import_ray(), self._posts[issued.worker]
        try:
            self._revive(post)
            answer = post.actor.inquire.remote(issued, step)
            return ray.get(answer, timeout=post.timeout_s)
        except (ray.exceptions.RayError, ProbewiseError):
            _log.exception("worker %r, what became of %s", post.name, issued.action.id)
            post.end(hangs=True)
            return Finding(fate=Fate.UNKNOWN, by="nobody")

    def collect(self, everything: bool, timeout_s: float | None) -> list[Observation]:
        end = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        while self._calls or self._awaited:
            enough = bool(self._done) and not everything
            self._gather(time.monotonic() if enough else end)
            if (self._done and not everything) or time.monotonic() >= end:
                break
        done, self._done = sorted(self._done, key=lambda o: o.action_id), []
        return done

    def secure(self) -> dict[str, str]:
        return secure_posts(self._seated, self._posts, self._revive) if self._started else {}

    def halt(self) -> None:
        for waiting in self._waiting.values():
            waiting.clear()
        for call in self._calls.values():
            self._end_actor(call, hangs=True)
        self._calls.clear()
        self._done = []

    def health(self) -> dict[str, Health]:
        found = self._pulse.health({name: len(w) for name, w in self._waiting.items()})
        for name, how in found.items():
            post = self._posts[name]
            if how.condition == "dead" and post.ready and not post.load.total():
                post.end()  # so that its next action starts another
        return found

    def close(self) -> None:
        if self._started:
            self._make_safe_what_runs()
            close_all(self._processes())
            self._calls.clear()
            self._awaited.clear()
            if self._connected:
                disconnect()
        self._started = self._connected = False

    def _make_safe_what_runs(self) -> None:
        """Whoever closes while a real instrument is at work does not leave it at that."""
        at_work = (call.seated.worker for call in self._calls.values())
        if any(needs_securing(worker) and not worker.twin for worker in at_work):
            self.halt()
            _log.warning("closed in mid-action; made safe: %s", self.secure())

    def process_ids(self) -> dict[str, int | None]:
        """Process number of every worker, the guardian's included; None where it is not running."""
        own = {name: post.pid for name, post in self._posts.items()}
        return {"guardian": self._watchman.pid, **own}

    def nodes(self) -> dict[str, str | None]:
        """Ray's name of the node that every worker is on; None where it is not running."""
        return {name: post.node for name, post in self._posts.items()}

    def _processes(self) -> dict[str, Post]:
        guardian = self._watchman.post
        own = {post.name: post for post in self._posts.values()}
        return own if guardian is None else {guardian.name: guardian, **own}

    # -- calls ------------------------------------------------------------------------------------

    def _dispatch(self, worker: str) -> None:
        """Give waiting actions to the worker's actor, as many as it has room for."""
        seated, post, waiting = self._seated[worker], self._posts[worker], self._waiting[worker]
        if waiting and not post.ready:
            self._begin(post)
            return
        while waiting and post.load[worker] < seated.spec.capacity:
            issued, step = waiting.popleft()
            call = _Call(issued, step, seated, post, post.actor, time.monotonic())
            self._calls[post.actor.perform.remote(issued, step)] = call
            post.load[worker] += 1

    def _begin(self, post: Post) -> None:
        """Start its actor again, without waiting: perhaps its node is gone and none has joined."""
        if post.actor is None:
            _log.warning("process %r is started again", post.name)
            post.begin()
            self._awaited[post.starting] = post

    def _revive(self, post: Post) -> None:
        """The same, and wait until it is ready."""
        if not post.ready:
            self._begin(post)
            self._awaited.pop(post.starting, None)
            post.await_ready(self._ready_timeout_s)

    def _welcome(self, post: Post) -> None:
        """An actor that was started again is ready, or never will be: then nothing was done."""
        try:
            post.await_ready(0.1)
        except ProbewiseError as error:
            failure = Failure(kind="not_done", message=str(error)[:500], remedy=error.remedy)
            for seated in post.seated:
                waiting = self._waiting[seated.name]
                self._done += [failed(i, step, seated.worker, failure) for i, step in waiting]
                waiting.clear()
        for seated in post.seated:
            self._dispatch(seated.name)

    def _gather(self, end: float) -> None:
        """Wait until something is finished, ready or overdue, at most until ``end``; take it in."""
        ray = import_ray()
        limits = [call.deadline for call in self._calls.values()]
        limits += [post.begun_s + self._ready_timeout_s for post in self._awaited.values()]
        wait_s = max(0.0, min([end, *limits]) - time.monotonic())
        known = [*self._calls, *self._awaited]
        ray.wait(known, num_returns=1, timeout=wait_s)
        ready, _ = ray.wait(known, num_returns=len(known), timeout=0)
        now = time.monotonic()
        for reference in [r for r in ready if r in self._awaited]:
            self._welcome(self._awaited.pop(reference))
        for reference, post in list(self._awaited.items()):
            if now >= post.begun_s + self._ready_timeout_s:
                del self._awaited[reference]
                self._welcome(post)
        self._take_calls([r for r in ready if r in self._calls], now)

    def _take_calls(self, ready: list[Any], now: float) -> None:
        """Calls that are finished or overdue; then their actors have room again."""
        ended = [self._calls.pop(reference) for reference in ready]
        for reference, call in zip(ready, ended, strict=True):
            self._release(call)
            self._take(reference, call)
        for reference in [r for r, call in self._calls.items() if now >= call.deadline]:
            ended.append(self._calls.pop(reference))
            self._expire(ended[-1])
        for name in {seated.name for call in ended for seated in call.post.seated}:
            self._dispatch(name)

    def _release(self, call: _Call) -> None:
        """Its actor has room again, unless a new one has taken its place already."""
        if call.post.actor is call.actor:
            call.post.load[call.seated.name] -= 1

    def _take(self, reference: Any, call: _Call) -> None:
        ray = import_ray()
        try:
            self._done.append(ray.get(reference))
            self._pulse.heard(call.seated.name)
        except ray.exceptions.RayTaskError as error:
            self._lose(call, "crashed", f"{type(error.cause).__name__}: {error.cause}"[:500])
        except ray.exceptions.RayError:
            self._end_actor(call, hangs=False)
            self._lose(call, "crashed", f"the process of worker {call.seated.name!r} died")

    def _expire(self, call: _Call) -> None:
        self._end_actor(call, hangs=True)
        limit = call.seated.spec.timeout_s
        self._lose(call, "timeout", f"no answer within {limit:g} s; its process was killed")

    def _end_actor(self, call: _Call, hangs: bool) -> None:
        """Kill the call's actor, unless a new one has taken its place already."""
        if call.post.actor is call.actor:
            call.post.end(hangs)

    def _lose(self, call: _Call, kind: str, message: str) -> None:
        failure = Failure.model_validate({"kind": kind, "message": message})
        worker = call.seated.worker
        failure = lost(call.issued, call.step, worker, failure)
        elapsed_h = (time.monotonic() - call.began) / 3600.0
        self._done.append(failed(call.issued, call.step, worker, failure, elapsed_h))
