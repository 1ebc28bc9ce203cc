"""Where the guardian of a runtime on Ray is, and how it is asked."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import cast, final

from ..workflow import Action, Commitment, ProbewiseError, Step, Verdict, WorkerSpec
from ._actor import Post, Seated
from ._bootstrap import import_ray
from ._guardian import Guardian, ask_here
from ._registry import make_worker


@final
class Watchman:
    """A pure guardian is asked here, any other one in a process of its own.

    Parameters
    ----------
    spec, made
        The guardian's specification and class.
    revive
        Starts the actor of a post, if it has none, and waits until it is ready.
    """

    def __init__(
        self, spec: WorkerSpec, made: type[Guardian], revive: Callable[[Post], None]
    ) -> None:
        self._spec, self._revive = spec, revive
        self._here: Guardian | None = None
        seated = (Seated("guardian", spec, made),)
        self.post = None if made.pure else Post("guardian", seated, None)
        """Its process; None if it has none of its own."""

    def start(self) -> None:
        """Make a guardian that is asked here.

        Raises
        ------
        WorkerError
            If it cannot be made.
        """
        if self.post is None:
            self._here = cast(Guardian, make_worker(self._spec, "guardian"))

    @property
    def pid(self) -> int | None:
        """Number of the process that it is in; None while that is not running."""
        return os.getpid() if self.post is None else self.post.pid

    def ask(self, action: Action, step: Step, commitment: Commitment, twin: bool) -> Verdict:
        """Its answer; one that fails, or does not answer in time, has refused."""
        if self.post is not None:
            return self._ask_there(self.post, action, step, commitment, twin)
        if self._here is None:
            return Verdict(allowed=False, reason="the guardian is not there")
        return ask_here(self._here, action, step, commitment, twin)

    def _ask_there(
        self, post: Post, action: Action, step: Step, commitment: Commitment, twin: bool
    ) -> Verdict:
        ray = import_ray()
        try:
            self._revive(post)
            answer = post.actor.review.remote(action, step, commitment, twin)
            return ray.get(answer, timeout=post.timeout_s)
        except ray.exceptions.RayTaskError as error:
            return Verdict(allowed=False, reason=f"the guardian failed: {error.cause}")
        except (ray.exceptions.RayError, ProbewiseError) as error:
            post.end(hangs=True)
            return Verdict(
                allowed=False, reason=f"the guardian did not answer ({type(error).__name__})"
            )
