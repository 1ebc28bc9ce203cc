"""Judges: who watches a measurement for its worth, by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

from ..workflow import Chunk, Command, Job, SpecError

JUDGES = "probewise.judges"
"""Entry point group of judges."""

Judge = Callable[[Job], Callable[[Command, Chunk], str | None] | None]
"""Of a job, what sees every chunk of it and may end it early with a reason; None for nobody."""


def judge_named(name: str, who: str) -> Judge | None:
    """The judge of that name; None for an empty one.

    Raises
    ------
    SpecError
        If none is registered under that name.
    """
    if not name:
        return None
    known = {entry.name: entry for entry in entry_points(group=JUDGES)}
    if name not in known:
        raise SpecError(
            who, f"judge={name!r}", f"one of {sorted(known)}, or nothing", "correct the name"
        )
    return known[name].load()
