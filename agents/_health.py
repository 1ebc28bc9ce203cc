"""How the agents are: who lives, who is busy, when each was last heard of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, final

from pydantic import Field

from ..workflow import Kind, ProbewiseError, Record, Worker
from ._actor import Post, Seated
from ._bootstrap import import_ray

SAFEGUARDED = frozenset({Kind.INSTRUMENT, Kind.SYNTHESIS})
"""Kinds of workers that move something in the world, and so are asked to be safe."""
_SECURE_S = 20.0


class Health(Record):
    """How a worker is.

    ``alive`` is whether its process is there; a process that hangs is there too, so look at
    ``last_answer`` (UTC, ISO 8601): an idle worker is called every few seconds, a busy one answers
    when it has done its work. ``busy`` counts actions that it is at, ``waiting`` those before it.
    """

    alive: bool
    busy: int = Field(default=0, ge=0)
    waiting: int = Field(default=0, ge=0)
    pid: int | None = None
    last_answer: str | None = None


def utc_now() -> str:
    """The time of day in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@final
class Pulse:
    """Calls the idle actors now and then, without ever waiting for them."""

    def __init__(self, posts: Mapping[str, Post]) -> None:
        self._posts = posts
        self._calls: dict[str, tuple[Any, Any]] = {}
        self._heard: dict[str, str] = {}

    def heard(self, worker: str) -> None:
        """A worker has just given an answer."""
        self._heard[worker] = utc_now()

    def health(self, waiting: Mapping[str, int]) -> dict[str, Health]:
        """How every worker is; ``waiting`` says how many actions are before each."""
        return {
            name: Health(
                alive=self._call(name, post),
                busy=post.load[name],
                waiting=waiting.get(name, 0),
                pid=post.pid,
                last_answer=self._heard.get(name),
            )
            for name, post in self._posts.items()
        }

    def _call(self, name: str, post: Post) -> bool:
        """Take the answer to the last call and call again; whether the actor seems to live."""
        ray = import_ray()
        actor, call = self._calls.get(name, (None, None))
        if actor is not post.actor:
            call = None
        if call is not None:
            done, _ = ray.wait([call], timeout=0)
            if not done:
                return True
            try:
                ray.get(call)
                self.heard(name)
            except ray.exceptions.RayError:
                self._calls[name] = (post.actor, call)
                return False
        if not post.ready:
            return False
        self._calls[name] = (post.actor, post.actor.ping.remote())
        return True


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
