"""What a campaign is for.

Every goal may say what one unit of it is worth in credits. An action is then worth its price only
while its expected gain, times this worth, exceeds the price; without it only the budget ends a
campaign.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ._formula import Formula
from ._model import Name, NonNegative, Record


class Maximize(Record):
    """Find the design, or the probe position on a specimen, with the largest ``quantity``.

    ``subject_to`` are conditions on quantities that have to be measured, such as ``"grain >= 20"``;
    a design that breaks one counts as the worst seen.

    With ``confirm_std``, a campaign that finds nothing worth its price any more still measures what
    makes the recommended value certain, until its standard deviation is below that.
    """

    kind: Literal["maximize"] = "maximize"
    quantity: Name
    over: Literal["designs", "positions"] = "designs"
    subject_to: tuple[Formula, ...] = ()
    worth_credits: float | None = Field(default=None, gt=0)
    confirm_std: float | None = Field(default=None, gt=0)


class Explore(Record):
    """Know ``quantity`` everywhere: reduce its integrated standard deviation over the space."""

    kind: Literal["explore"] = "explore"
    quantity: Name
    worth_credits: float | None = Field(default=None, gt=0)


class LocateBoundary(Record):
    """Find where ``quantity`` drops below ``level`` of its maximum along ``variable``.

    The line runs through the believed optimum of all other variables. Theories that put the
    boundary elsewhere are told apart by what is measured near it.
    """

    kind: Literal["locate_boundary"] = "locate_boundary"
    quantity: Name
    variable: Name
    level: float = Field(default=0.5, gt=0, lt=1)
    worth_credits: float | None = Field(default=None, gt=0)


Goal = Annotated[Maximize | Explore | LocateBoundary, Field(discriminator="kind")]


class Budget(Record):
    """Hard limits of a campaign; ``None`` means not limited.

    ``credits_per_hour`` is the value of an hour (lambda): what the user would pay to have the
    result an hour earlier. ``dose_e_per_A2`` is the most that any site of a sample (or design, in
    workflows without samples) may be exposed to in total, in electrons per square ångström.
    """

    credits: NonNegative | None = None
    hours: NonNegative | None = None
    samples: int | None = Field(default=None, ge=0)
    dose_e_per_A2: NonNegative | None = None
    credits_per_hour: NonNegative = 0.0
