"""Why nothing is left to be measured on a site, in words."""

from __future__ import annotations

from collections.abc import Collection

from ..workflow import State
from ._positions import features_of
from ._session_visit import Position


def why_nowhere(
    state: State, positions: Collection[Position], gone: Collection[Position], batch: int = 1
) -> str:
    """The reason why of ``positions`` fewer than a batch may be measured.

    Parameters
    ----------
    state
        With what people wish.
    positions
        All of the site.
    gone
        Those that were measured, or refused.
    batch
        How many are measured at once.
    """
    left = [p for p in positions if p not in gone]
    forbidden = sum(not state.wishes.allows(*p) for p in left)
    if not forbidden:
        return "every position that may be measured is measured"
    open_ = len(left) - forbidden
    regions = "; ".join(f"{r.top},{r.left},{r.bottom},{r.right}" for r in state.wishes.forbid)
    rest = f"all {forbidden} positions left are" if not open_ else f"{forbidden} of {len(left)} are"
    few = f", and the other {open_} are less than a batch of {batch}" if open_ else ""
    return (
        f"{rest} forbidden, by session.forbid={regions} {state.wished}{few}; "
        f"{len(positions) - len(left)} of {len(positions)} are measured or refused. To measure "
        "more, forbid less: in a run that goes on with 'probewise set RUN session.forbid=...', else"
        " in a new run"
    )


def why_unplaced(state: State, sample: str) -> str | None:
    """Of a sample for which measurements were proposed without a place left to take them: why."""
    for refused in state.refused:
        target = state.actions[refused].target
        features = features_of(state, target) if target.sample == sample else None
        if features is None or target.positions:
            continue
        probed = state.inventory.status((sample, target.site, ())).probed
        reason = why_nowhere(state, features.positions, probed)
        if any(not state.wishes.allows(*p) for p in features.positions):
            return f"{target.label}: {reason}"
    return None
