"""What every session does: finish what was measured already, and close with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..workflow import Action, Decision, Estimate, Level, Sample, State, Step, Target
from ._options import MAX_FAILURES, Option, refused_before


def unreduced(state: State, sample: Sample) -> Iterator[tuple[Step, Target]]:
    """Analysis and real-time steps whose arrays are there and that nobody has run on them yet.

    A step that could make nothing of its arrays waits for new ones; one whose worker failed is
    tried again a few times.
    """
    for site, design in enumerate(sample.sites):
        target = Target(design=design, sample=sample.id, site=site)
        status = state.inventory.status((sample.id, site, ()))
        for step in state.workflow.steps:
            arrays = [p for p in step.consumes if not state.workflow.is_scalar(p.name)]
            if step.level > Level.REALTIME or not arrays or not status.alive:
                continue
            fresh = all(state.inventory.is_fresh(p.name, step, target) for p in arrays)
            failed = status.failures.get(step.name, 0) >= MAX_FAILURES
            if fresh and not failed and not refused_before(state, step, target):
                yield step, target


def follow_up(
    state: State, session: str, action: Action, price: float, expected: dict[str, Estimate]
) -> Decision:
    """The decision to look at what was measured; it needs no weighing."""
    return Decision(
        number=state.decisions,
        kind="act",
        tier="follow-up",
        actions=(action,),
        session=session,
        price_credits=price,
        reason=f"{action.step} on {action.target.label}: measured already, not yet looked at",
        expected=expected,
    )


def close(state: State, session: str, reason: str, options: Sequence[Option] = ()) -> Decision:
    """End a session; what it did not spend goes back."""
    left = state.session_free(session)
    return Decision(
        number=state.decisions,
        kind="close",
        tier="session",
        session=session,
        reason=f"{reason}; {left:.0f} credits go back",
        alternatives=tuple(o.alternative() for o in options[:5]),
    )
