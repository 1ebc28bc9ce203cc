"""What became of an action that was issued and never observed."""

from __future__ import annotations

from enum import StrEnum


class Fate(StrEnum):
    """A worker's, a ledger's or a human's answer, asked by the action's id."""

    DONE = "done"
    """Done, and its result is there."""
    DONE_WITHOUT_RESULT = "done_without_result"
    """Done; what it would have shown is lost."""
    NOT_DONE = "not_done"
    """Not done, and nothing was used up."""
    UNKNOWN = "unknown"
    """Nobody can say."""
