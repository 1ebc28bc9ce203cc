"""Rehearsals as Ray tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..agents import map_tasks
from ..planner import Playthrough, RehearsalTask, rehearse

_AT_ONCE = 2


def play_on_ray(
    tasks: Sequence[RehearsalTask], parallel: int = _AT_ONCE, address: str | None = None
) -> Iterator[Playthrough]:
    """Play rehearsals, so many at once, yielding each when it is done.

    On the cluster that is connected or at ``address``, else on one that is started for this.
    """
    for _, played in map_tasks(rehearse, tasks, parallel, address):
        yield played
