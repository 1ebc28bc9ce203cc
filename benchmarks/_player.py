"""What the runner wants of a policy: it is told, it asks, it recommends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from probewise.workflow import Design

from ._problem import Problem, Query


class Player(Protocol):
    """A policy on one run of one problem."""

    stopped: str
    """Why it asks for nothing more; empty while it goes on."""

    def learn(self, query: Query, values: Mapping[str, float]) -> None:
        """Take in an evaluation that is free of charge."""
        ...

    def ask(self, free_credits: float) -> Query | None:
        """The next evaluation, for at most ``free_credits``; None ends the run."""
        ...

    def tell(self, query: Query, values: Mapping[str, float]) -> None:
        """Take in what the last query brought."""
        ...

    def recommend(self) -> Design:
        """The design that is believed to be best."""
        ...


PlayerMaker = Callable[[Problem, int], Player]
"""A problem and a seed to a player."""
