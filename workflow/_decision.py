"""Decisions: what is done next, what it is worth, what was not taken, and why."""

from __future__ import annotations

from typing import Literal

from ._action import Action
from ._goal import Goal
from ._model import NonNegative, Record
from ._observation import Estimate
from ._space import Design


class Alternative(Record):
    """An option as the planner saw it: values in the goal's unit, ``index`` is value per price."""

    label: str
    step: str
    value: float
    price_credits: float
    index: float


class Grant(Record):
    """What the campaign tier gives a session: a hard cap, and the rate below which it must stop."""

    session: str
    sample: str
    credits: NonNegative
    hours: NonNegative
    reservation_rate: NonNegative


class Recommendation(Record):
    """The answer so far, with its uncertainty.

    ``estimate`` is the goal quantity at ``design`` (maximize), the boundary (locate_boundary) or
    the mean standard deviation over the space (explore).
    """

    goal: Goal
    design: Design = {}
    position: tuple[int, int] | None = None
    estimate: Estimate
    unit: str = "1"


class Decision(Record):
    """One decision of one tier.

    ``kind`` is ``act`` (dispatch the actions), ``wait`` (what is running may change the choice, or
    every worker is busy), ``close`` (end a session) or ``stop`` (end the campaign). ``expected`` is
    the belief of the produced quantities at the target before the actions ran. ``contender`` is who
    decided, where a policy chooses among others.
    """

    number: int
    kind: Literal["act", "wait", "close", "stop"]
    tier: Literal["campaign", "session", "follow-up"] = "campaign"
    actions: tuple[Action, ...] = ()
    grant: Grant | None = None
    session: str | None = None
    value: float = 0.0
    price_credits: float = 0.0
    index: float = 0.0
    reason: str
    alternatives: tuple[Alternative, ...] = ()
    expected: dict[str, Estimate] = {}
    contender: str = ""
