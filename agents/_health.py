"""How the agents are: who lives, who is busy, when each was last heard of."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, final

from pydantic import Field

from ..workflow import Kind, ProbewiseError, Record, Worker
from ._actor import Post, Seated
from ._bootstrap import import_ray

SAFEGUARDED = frozenset({Kind.INSTRUMENT, Kind.SYNTHESIS})
"""Kinds of workers that move something in the world, and so are asked to be safe."""
_SECURE_S = 20.0


SILENT_S = 10.0
"""An idle agent that was called so long ago and has not answered is silent."""

Condition = Literal["alive", "silent", "starting", "dead"]


class Health(Record):
    """How a worker is.

    Every process that has a thread to spare is called whenever somebody looks (a campaign does so
    every second), one that is busy when it has done its work.

    Attributes
    ----------
    condition
        ``alive``: it answered, or is at work, or was called just now. ``silent``: called
        :data:`SILENT_S` ago, idle, and no answer: it hangs, or its machine is away. ``starting``:
        its process begins. ``dead``: it has no process; its next action starts one.
    busy, waiting
        Actions that it is at, and those before it.
    last_answer
        When it last answered a call or ended an action (UTC, ISO 8601); of a busy worker hold it
        against what the action may take.
    """

    condition: Condition
    busy: int = Field(default=0, ge=0)
    waiting: int = Field(default=0, ge=0)
    pid: int | None = None
    last_answer: str | None = None


def utc_now() -> str:
    """The time of day in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class _Ping:
    """A call to an actor, since ``began`` (monotonic seconds)."""

    actor: Any
    answer: Any
    began: float


@final
class Pulse:
    """Calls the processes now and then, without ever waiting for them."""

    def __init__(self, posts: Mapping[str, Post]) -> None:
        self._posts = posts
        self._pings: dict[str, _Ping] = {}
        self._dead: dict[str, Any] = {}
        self._heard: dict[str, str] = {}

    def heard(self, name: str) -> None:
        """A worker, or a process, has just given an answer."""
        self._heard[name] = utc_now()

    def health(self, waiting: Mapping[str, int]) -> dict[str, Health]:
        """How every worker is; ``waiting`` says how many actions are before each."""
        conditions: dict[str, Condition] = {
            p.name: self._condition(p) for p in set(self._posts.values())
        }
        return {
            name: Health(
                condition=conditions[post.name],
                busy=post.load[name],
                waiting=waiting.get(name, 0),
                pid=post.pid,
                last_answer=max(self._heard.get(name, ""), self._heard.get(_process(post), ""))
                or None,
            )
            for name, post in self._posts.items()
        }

    def _condition(self, post: Post) -> Condition:
        """Take the answer to the last call, if there is one, and call again."""
        if not post.ready:
            return "dead" if post.actor is None else "starting"
        if self._dead.get(post.name) is post.actor:
            return "dead"
        ping = self._pings.get(post.name)
        if ping is not None and ping.actor is post.actor:
            if not import_ray().wait([ping.answer], timeout=0)[0]:
                late = time.monotonic() - ping.began > SILENT_S
                return "silent" if late else "alive"
            if not self._answered(post, ping):
                return "dead"
        if post.spare:
            self._pings[post.name] = _Ping(post.actor, post.actor.ping.remote(), time.monotonic())
        return "alive"

    def _answered(self, post: Post, ping: _Ping) -> bool:
        """Whether an ended call brought an answer; else the actor is dead."""
        ray = import_ray()
        del self._pings[post.name]
        try:
            ray.get(ping.answer)
        except ray.exceptions.RayError:
            self._dead[post.name] = post.actor
            return False
        self.heard(_process(post))
        return True


def _process(post: Post) -> str:
    """A name of the process that no worker has."""
    return f"process {post.name}"


def needs_securing(worker: type[Worker]) -> bool:
    """Whether a worker moves something in the world."""
    return worker.kind in SAFEGUARDED


def secure_posts(
    seated: Mapping[str, Seated], posts: Mapping[str, Post], revive: Callable[[Post], None]
) -> dict[str, str]:
    """Ask all idle instruments side by side to be safe; each answer, or what went wrong.

    ``revive`` starts the actor of a post again, if it has none, and waits until it is ready.
    """
    ray = import_ray()
    answers: dict[str, str] = {}
    calls: dict[str, Any] = {}
    for name, post in posts.items():
        if not needs_securing(seated[name].worker):
            continue
        if post.load[name]:
            answers[name] = "FAILED: busy"
            continue
        try:
            revive(post)
            actor: Any = post.actor
            calls[name] = actor.safe.remote(name)
        except (ProbewiseError, ray.exceptions.RayError) as error:
            answers[name] = f"FAILED: {error}"[:500]
    if calls:
        ray.wait(list(calls.values()), num_returns=len(calls), timeout=_SECURE_S)
    for name, call in calls.items():
        answers[name] = _answer(ray, call)
    return answers


def _answer(ray: Any, call: Any) -> str:
    try:
        return str(ray.get(call, timeout=0.1))
    except ray.exceptions.GetTimeoutError:
        return f"FAILED: no answer within {_SECURE_S:g} s"
    except ray.exceptions.RayError as error:
        return f"FAILED: {type(error).__name__}"
