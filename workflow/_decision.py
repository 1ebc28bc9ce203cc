"""Decisions: what is done next, what it is worth, what was not taken, and why."""

from __future__ import annotations

from typing import Literal

from ._action import Action
from ._errors import SpecError
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


class FrontPoint(Record):
    """One design of a Pareto front, with what is believed of every aim there."""

    design: Design
    estimates: dict[str, Estimate]


class Recommendation(Record):
    """The answer so far, with its uncertainty.

    Attributes
    ----------
    estimate
        The goal quantity at ``design`` (maximize; tune: now), the boundary (locate_boundary), the
        root-mean-square standard deviation over the space (explore), the hypervolume of the front
        (pareto), the feasible share of the space (feasible_region), or the probability of the
        leading hypothesis (discriminate).
    front
        The designs that no other beats in all aims (pareto).
    probabilities
        Of every hypothesis, and of none of them (discriminate).
    falsified
        Hypotheses whose probability fell under the goal's threshold (discriminate).
    """

    goal: Goal
    design: Design = {}
    position: tuple[int, int] | None = None
    estimate: Estimate
    unit: str = "1"
    front: tuple[FrontPoint, ...] = ()
    probabilities: dict[str, float] = {}
    falsified: tuple[str, ...] = ()

    def position_for(self, who: str) -> tuple[int, int]:
        """The position that is recommended; ``who`` wants it.

        Raises
        ------
        SpecError
            If it names none.
        """
        if self.position is None:
            raise SpecError(
                who,
                "a recommendation without a position",
                "the goal maximize over positions",
                "choose that goal, or another truth",
            )
        return self.position


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
