"""What a campaign is for.

Every goal may say what one unit of it is worth in credits. An action is then worth its price only
while its expected gain, times this worth, exceeds the price; without it only the budget ends a
campaign. ``quantities`` are those whose measurement is the end of a goal's chains; ``quantity`` is
the first of them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ._errors import SpecError
from ._formula import Formula
from ._model import Name, NonNegative, Record
from ._quantity import Prior


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

    @property
    def quantities(self) -> tuple[str, ...]:
        return (self.quantity,)


class Explore(Record):
    """Know ``quantity`` everywhere: reduce the root of its variance integrated over the space."""

    kind: Literal["explore"] = "explore"
    quantity: Name
    worth_credits: float | None = Field(default=None, gt=0)

    @property
    def quantities(self) -> tuple[str, ...]:
        return (self.quantity,)


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

    @property
    def quantities(self) -> tuple[str, ...]:
        return (self.quantity,)


class Pareto(Record):
    """Find the designs of which none is beaten in all ``aims`` at once.

    The gain of a measurement is the expected rise of the hypervolume between the front and
    ``reference``, the values below (or, where a quantity is minimized, above) which nobody is
    interested. Without a reference it is taken from the front itself, a tenth of its range beyond
    its worst values.
    """

    kind: Literal["pareto"] = "pareto"
    aims: dict[Name, Literal["maximize", "minimize"]] = Field(min_length=2, max_length=5)
    reference: dict[Name, float] = {}
    worth_credits: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _whole_reference(self) -> Pareto:
        if self.reference and set(self.reference) != set(self.aims):
            raise SpecError(
                "goal 'pareto'",
                f"a reference for {sorted(self.reference)}",
                f"none, or one value for each of {sorted(self.aims)}",
                "complete the reference or leave it out",
            )
        return self

    @property
    def quantity(self) -> str:
        return self.quantities[0]

    @property
    def quantities(self) -> tuple[str, ...]:
        return tuple(self.aims)

    @property
    def signs(self) -> tuple[float, ...]:
        """1 for what is maximized, -1 for what is minimized."""
        return tuple(1.0 if sense == "maximize" else -1.0 for sense in self.aims.values())


class Limit(Record):
    """A quantity must lie above a value, below one, or between the two."""

    quantity: Name
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _some_room(self) -> Limit:
        both = self.above is not None and self.below is not None
        if (self.above is None and self.below is None) or (both and self.above >= self.below):  # type: ignore[operator]
            raise SpecError(
                f"limit on {self.quantity!r}",
                f"above={self.above}, below={self.below}",
                "one of them, or above < below",
                "mend the limit",
            )
        return self


class FeasibleRegion(Record):
    """Learn where in the space all ``limits`` are kept: lower the share that is misjudged."""

    kind: Literal["feasible_region"] = "feasible_region"
    limits: tuple[Limit, ...] = Field(min_length=1, max_length=8)
    worth_credits: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one_limit_each(self) -> FeasibleRegion:
        names = [limit.quantity for limit in self.limits]
        if len(set(names)) < len(names):
            raise SpecError(
                "goal 'feasible_region'",
                f"limits on {names}",
                "one limit for each quantity, with above and below where it has two sides",
                "join the limits of one quantity",
            )
        return self

    @property
    def quantity(self) -> str:
        return self.quantities[0]

    @property
    def quantities(self) -> tuple[str, ...]:
        return tuple(limit.quantity for limit in self.limits)


class Hypothesis(Record):
    """A claim about a quantity as a function of the design.

    Attributes
    ----------
    prior
        Weight before any data, relative to the other hypotheses'.
    predicts
        The quantity in which a theory step gives this hypothesis' prediction.
    formula
        Or a known function of the variables of the space and of ``parameters``.
    parameters
        What is believed of the formula's parameters before any data.
    tolerance
        Standard deviation of a smooth departure that the hypothesis survives, in the unit of the
        quantity: what it is known to leave out.
    """

    name: Name
    prior: float = Field(default=1.0, gt=0)
    predicts: Name | None = None
    formula: Formula | None = None
    parameters: dict[Name, Prior] = {}
    tolerance: NonNegative = 0.0

    @model_validator(mode="after")
    def _one_prediction(self) -> Hypothesis:
        if (self.predicts is None) == (self.formula is None):
            raise SpecError(
                f"hypothesis {self.name!r}",
                f"predicts={self.predicts!r}, formula={self.formula!r}",
                "exactly one of the two",
                "name the quantity that a theory step predicts, or give a formula",
            )
        stray = set(self.parameters) - set(self.formula.names if self.formula else ())
        if stray:
            raise SpecError(
                f"hypothesis {self.name!r}",
                f"parameters {sorted(stray)} that no formula uses",
                "parameters of its formula",
                "use them in the formula or remove them",
            )
        return self


NONE_OF_THEM = "none-of-them"
"""The name of the hypothesis that no other holds."""


class Discriminate(Record):
    """Find out which of several hypotheses about ``quantity`` holds, and falsify the others.

    ``none_prior`` is the probability, before any data, that none of them holds and the quantity is
    some other smooth function. A hypothesis whose probability falls under ``falsified_below`` is
    reported as falsified; nothing more is measured once one is above ``sure_above``. Gains, and
    ``worth_credits``, are in bits.
    """

    kind: Literal["discriminate"] = "discriminate"
    quantity: Name
    hypotheses: tuple[Hypothesis, ...] = Field(min_length=1)
    none_prior: float = Field(default=0.1, ge=0, lt=1)
    falsified_below: float = Field(default=0.01, gt=0, lt=0.5)
    sure_above: float = Field(default=0.99, gt=0.5, lt=1)
    worth_credits: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _told_apart(self) -> Discriminate:
        names = [h.name for h in self.hypotheses]
        if len(set(names)) < len(names) or NONE_OF_THEM in names:
            raise SpecError(
                "goal 'discriminate'",
                f"hypotheses {names}",
                f"every name once, and none called {NONE_OF_THEM!r}",
                "rename the repeated hypothesis",
            )
        if len(names) == 1 and self.none_prior == 0.0:
            raise SpecError(
                "goal 'discriminate'",
                "one hypothesis with none_prior=0",
                "two hypotheses, or one with none_prior > 0",
                "add a rival",
            )
        return self

    @property
    def quantities(self) -> tuple[str, ...]:
        return (self.quantity,)

    @property
    def predictions(self) -> tuple[str, ...]:
        """Quantities in which theory steps predict."""
        return tuple(dict.fromkeys(h.predicts for h in self.hypotheses if h.predicts is not None))


class Tune(Record):
    """Keep an instrument good while its optimum drifts: the largest ``quantity``, now and later.

    Attributes
    ----------
    memory_h
        Hours after which the quality is about half forgotten (the length scale of a Matérn 3/2
        kernel in time), as a prior; learned from what is measured.
    working
        The step that uses the instrument at the tuned controls. Without it every measurement of the
        quality is itself use.
    worth_credits
        What one unit of quality during one hour of work is worth.
    """

    kind: Literal["tune"] = "tune"
    quantity: Name
    memory_h: float = Field(gt=0)
    working: Name | None = None
    worth_credits: float = Field(gt=0)

    @property
    def quantities(self) -> tuple[str, ...]:
        return (self.quantity,)


Goal = Annotated[
    Maximize | Explore | LocateBoundary | Pareto | FeasibleRegion | Discriminate | Tune,
    Field(discriminator="kind"),
]


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
