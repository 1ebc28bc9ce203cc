"""Whether what sessions over positions seek is among what the workers' tables will hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..workflow import Goal, Maximize, Offer, SpecError, Step, Wishes, Workflow

Offers = Mapping[str, Sequence[Offer]]


def check_rewards(workflow: Workflow, goal: Goal, wishes: Wishes, offers: Offers) -> None:
    """Goal and reward against the columns that workers tell of their tables.

    A reward is made of the columns that stand beside the goal's quantity, and of those of the local
    structure (``f0``, ...). Of a worker that does not tell its columns, the quantities that its
    steps produce are taken to be among them.

    Parameters
    ----------
    workflow, goal, wishes
        The campaign's.
    offers
        By worker.

    Raises
    ------
    SpecError
        If the goal's quantity, or a name in the reward, is in no table.
    """
    if not isinstance(goal, Maximize) or goal.over != "positions":
        return
    final = workflow.producer(goal.quantity)
    beside = set(_columns(final, offers))
    if goal.quantity not in beside:
        raise SpecError(
            "goal over positions",
            f"quantity {goal.quantity!r}, of which step {final.name!r} tells nothing at positions",
            f"one that a table has at positions: {sorted(beside) or 'here none of this step'}",
            "name such a quantity, or set goal.over to 'designs'",
        )
    local = {c for s in workflow.steps for c in _columns(s, offers) if _is_local(s, offers)}
    known = beside | local
    stray = sorted(set(wishes.reward.names) - known) if wishes.reward is not None else []
    if wishes.reward is not None and stray:
        raise SpecError(
            "session.reward",
            f"{wishes.reward.expression!r}, which names {stray}",
            f"a formula of what tables hold at positions: {sorted(known)}",
            "correct the formula; or let the worker that gives it tell the columns of its tables in"
            " its offer",
        )


def _columns(step: Step, offers: Offers) -> Iterator[str]:
    """What the tables of a step hold at positions, as far as it is told."""
    for offer in _of(step, offers):
        told = offer.columns
        yield from (p.name for p in step.produces) if told is None else told


def _is_local(step: Step, offers: Offers) -> bool:
    """Whether a step tells local structure, or may."""
    return any(o.columns is None or "f0" in o.columns for o in _of(step, offers))


def _of(step: Step, offers: Offers) -> list[Offer]:
    return [o for found in offers.values() for o in found if o.capability == step.needs]
