"""Recommendations held against a truth that may not know every kind of goal."""

from __future__ import annotations

from ..workflow import Recommendation, Score, SpecError, Truth

_ALWAYS = frozenset({"maximize", "explore", "locate_boundary"})


def judged(truth: Truth, recommendation: Recommendation) -> Score | None:
    """The score, or None where the truth knows nothing of the goal: fronts, regions, hypotheses and
    drifts have a truth of their own that a twin need not have.

    Raises
    ------
    SpecError
        If a truth refuses a goal of a kind that every truth must know.
    """
    try:
        return truth.score(recommendation)
    except SpecError:
        if recommendation.goal.kind in _ALWAYS:
            raise
        return None
