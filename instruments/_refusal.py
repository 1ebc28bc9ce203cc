"""The answer of an instrument that was asked for what it cannot do."""

from __future__ import annotations

from ..workflow import Failure, Outcome


def refusal(message: str, remedy: str) -> Outcome:
    """Nothing is done and nothing charged."""
    failure = Failure(kind="refused", message=message, remedy=remedy)
    return Outcome(cost_credits=0.0, duration_h=0.0, failure=failure)
