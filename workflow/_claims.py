"""What a goal may claim of a quantity: that it keeps a limit, or follows a hypothesis."""

from __future__ import annotations

from pydantic import Field, model_validator

from ._errors import SpecError
from ._formula import Formula
from ._model import Name, NonNegative, Record
from ._quantity import Prior


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
