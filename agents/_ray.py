"""Every worker in a process of its own, on this machine or spread over a cluster."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
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
    Outcome,
    ProbewiseError,
    Step,
    Verdict,
    WorkerSpec,
)
from ._actor import Post, close_all, start_all
from ._bootstrap import connect, disconnect, import_ray
from ._finding import Finding
from ._runtime import Crew
from ._settle import failed, lost, settle

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Call:
    """An action that an actor is performing, since ``began`` (monotonic seconds)."""

    issued: Issued
    step: Step
    post: Post
    actor: Any
    began: float

    @property
    def deadline(self) -> float:
        return self.began + self.post.spec.timeout_s


@final
class RayRuntime:
    """Performs actions in one actor per worker.

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
        Its guardian, an actor too.
    store
        Where arrays are kept; it travels to every actor, so all nodes must see its folder.
    ledgers
        Folder of the ledgers of workers that may not be run again; their nodes must see it.
    address
        A cluster; None starts one on this machine.
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
        num_cpus: int = 2,
        ready_timeout_s: float = 120.0,
    ) -> None:
        self._crew = Crew(workers, guardian)
        self._address, self._num_cpus, self._ready_timeout_s = address, num_cpus, ready_timeout_s
        self._posts = {
            name: Post(name, spec, self._crew.classes[name], store, ledgers)
            for name, spec in workers.items()
        }
        self._guardian = Post("guardian", guardian, self._crew.guardian_class, None)
        self._calls: dict[Any, _Call] = {}
        self._done: list[Observation] = []
        self._connected = self._started = False

    def start(self) -> dict[str, tuple[Offer, ...]]:
        if not self._started:
            posts = {"guardian": self._guardian, **self._posts}
            own = {k: v for p in posts.values() for k, v in p.spec.resources.items()}
            total = {k: sum(p.spec.resources.get(k, 0.0) for p in posts.values()) for k in own}
            self._connected = connect(self._address, self._num_cpus, total)
            self._started = True
            try:
                offers = start_all(posts, self._ready_timeout_s)
                for name in self._posts:
                    self._crew.take_offers(name, offers[name])
            except Exception:
                self.close()
                raise
        return dict(self._crew.offers)

    def review(
        self, action: Action, step: Step, commitment: Commitment, worker: str | None = None
    ) -> Verdict:
        return self._crew.review(self._ask, action, step, commitment, worker)

    def submit(self, issued: Issued, step: Step) -> None:
        verdict = self._crew.admit(self._ask, issued, step)
        if verdict is None:
            return
        post = self._posts[issued.worker]
        if verdict.allowed:
            post.waiting.append((issued, step))
            self._dispatch(post)
        else:
            failure = Failure(kind="refused", message=f"guardian: {verdict.reason}")
            self._done.append(failed(issued, step, post.worker, failure))

    def inquire(self, issued: Issued, step: Step) -> Finding:
        ray, post = import_ray(), self._posts[issued.worker]
        try:
            self._revive(post)
            answer = post.actor.inquire.remote(issued, step)
            return ray.get(answer, timeout=post.spec.timeout_s)
        except (ray.exceptions.RayError, ProbewiseError):
            _log.exception("worker %r, what became of %s", post.name, issued.action.id)
            post.end(hangs=True)
            return Finding(fate=Fate.UNKNOWN, by="nobody")

    def collect(self, everything: bool, timeout_s: float | None) -> list[Observation]:
        end = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        while self._calls:
            enough = bool(self._done) and not everything
            self._gather(time.monotonic() if enough else end)
            if (self._done and not everything) or time.monotonic() >= end:
                break
        done, self._done = sorted(self._done, key=lambda o: o.action_id), []
        return done

    def close(self) -> None:
        if self._started:
            close_all({"guardian": self._guardian, **self._posts})
            self._calls.clear()
            if self._connected:
                disconnect()
        self._started = self._connected = False

    def process_ids(self) -> dict[str, int | None]:
        """Process number of every actor, the guardian's included; None where it is not running."""
        return {post.name: post.pid for post in (self._guardian, *self._posts.values())}

    # -- calls ------------------------------------------------------------------------------------

    def _dispatch(self, post: Post) -> None:
        """Give waiting actions to the actor, as many as it has room for."""
        while post.waiting and self._load(post) < post.spec.capacity:
            issued, step = post.waiting.popleft()
            try:
                self._revive(post)
            except ProbewiseError as error:
                failure = Failure(kind="crashed", message=str(error), remedy=error.remedy)
                outcome = Outcome(failure=failure, cost_credits=0.0, duration_h=0.0)
                self._done.append(settle(issued, step, post.worker, outcome, 0.0))
                continue
            call = _Call(issued, step, post, post.actor, time.monotonic())
            self._calls[post.actor.perform.remote(issued, step)] = call

    def _load(self, post: Post) -> int:
        """Calls that the post's present actor is at."""
        return sum(c.post is post and c.actor is post.actor for c in self._calls.values())

    def _revive(self, post: Post) -> None:
        if post.actor is None:
            _log.warning("worker %r is started again", post.name)
            post.begin()
            post.await_ready(self._ready_timeout_s)

    def _gather(self, end: float) -> None:
        """Wait until a call is finished or overdue, at most until ``end``; take it in."""
        ray = import_ray()
        first = min(call.deadline for call in self._calls.values())
        wait_s = max(0.0, min(end, first) - time.monotonic())
        ray.wait(list(self._calls), num_returns=1, timeout=wait_s)
        ready, _ = ray.wait(list(self._calls), num_returns=len(self._calls), timeout=0)
        for reference in ready:
            self._take(reference, self._calls.pop(reference))
        now = time.monotonic()
        for reference in [r for r, call in self._calls.items() if now >= call.deadline]:
            self._expire(self._calls.pop(reference))
        for post in self._posts.values():
            self._dispatch(post)

    def _take(self, reference: Any, call: _Call) -> None:
        ray = import_ray()
        try:
            self._done.append(ray.get(reference))
        except ray.exceptions.RayTaskError as error:
            self._lose(call, "crashed", f"{type(error.cause).__name__}: {error.cause}"[:500])
        except ray.exceptions.RayError:
            self._end_actor(call, hangs=False)
            self._lose(call, "crashed", f"the process of worker {call.post.name!r} died")

    def _expire(self, call: _Call) -> None:
        self._end_actor(call, hangs=True)
        limit = call.post.spec.timeout_s
        self._lose(call, "timeout", f"no answer within {limit:g} s; its process was killed")

    def _end_actor(self, call: _Call, hangs: bool) -> None:
        """Kill the call's actor, unless a new one has taken its place already."""
        if call.post.actor is call.actor:
            call.post.end(hangs)

    def _lose(self, call: _Call, kind: str, message: str) -> None:
        failure = Failure.model_validate({"kind": kind, "message": message})
        failure = lost(call.issued, call.step, call.post.worker, failure)
        elapsed_h = (time.monotonic() - call.began) / 3600.0
        self._done.append(failed(call.issued, call.step, call.post.worker, failure, elapsed_h))

    # -- the guardian -----------------------------------------------------------------------------

    def _ask(self, action: Action, step: Step, commitment: Commitment, twin: bool) -> Verdict:
        ray = import_ray()
        post = self._guardian
        try:
            self._revive(post)
            answer = post.actor.review.remote(action, step, commitment, twin)
            return ray.get(answer, timeout=post.spec.timeout_s)
        except ray.exceptions.RayTaskError as error:
            return Verdict(allowed=False, reason=f"the guardian failed: {error.cause}")
        except (ray.exceptions.RayError, ProbewiseError) as error:
            post.end(hangs=True)
            return Verdict(
                allowed=False, reason=f"the guardian did not answer ({type(error).__name__})"
            )
