"""Autonomy: what the campaign does by itself, what it asks for first, and what it only proposes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, model_validator

from ._action import Commitment
from ._errors import SpecError
from ._model import Name, NonNegative, Record
from ._observation import Estimate
from ._step import Level, Step

Mode = Literal["auto", "approve", "observe"]
"""``auto``: done at once; ``approve``: a human is asked; ``observe``: proposed, never done."""

_STRICTNESS: dict[Mode, int] = {"auto": 0, "approve": 1, "observe": 2}


class Rule(Record):
    """A mode for actions to which every condition that is given applies.

    Attributes
    ----------
    irreversible
        The step must never happen twice by itself, or uses up what it measures.
    dearer_than_credits, longer_than_h
        The action may cost, or last, more than this.
    std_above
        The standard deviation that is believed of a produced quantity at the target, in its unit,
        exceeds this for one of those named: the campaign does not know what will come.
    steps
        Names of the steps that are meant.
    """

    mode: Mode = "approve"
    irreversible: Literal[True] | None = None
    dearer_than_credits: NonNegative | None = None
    longer_than_h: NonNegative | None = None
    std_above: dict[Name, NonNegative] = {}
    steps: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _has_condition(self) -> Rule:
        if not self.model_fields_set - {"mode"}:
            raise SpecError(
                "autonomy",
                f"a rule {self.mode!r} without a condition",
                "irreversible, dearer_than_credits, longer_than_h, std_above or steps",
                "give a condition, or set the mode for the level under autonomy.levels",
            )
        return self

    def why(
        self, step: Step, commitment: Commitment, expected: Mapping[str, Estimate]
    ) -> str | None:
        """Why the rule applies, in words; None if it does not."""
        reasons: list[str] = []
        for applies, reason in self._conditions(step, commitment, expected):
            if not applies:
                return None
            reasons.append(reason)
        return ", ".join(reasons)

    def _conditions(
        self, step: Step, commitment: Commitment, expected: Mapping[str, Estimate]
    ) -> Iterator[tuple[bool, str]]:
        if self.irreversible:
            yield step.repeat == "irreversible" or step.destroys, "cannot be undone"
        if self.dearer_than_credits is not None:
            most = commitment.credits
            yield most > self.dearer_than_credits, f"may cost {most:.4g} credits"
        if self.longer_than_h is not None:
            yield commitment.hours > self.longer_than_h, f"may last {commitment.hours:.3g} h"
        if self.std_above:
            wide = [
                f"{name} is known to ±{expected[name].std:.3g} only"
                for name, most in self.std_above.items()
                if name in expected and expected[name].std > most
            ]
            yield bool(wide), ", ".join(wide)
        if self.steps:
            yield step.name in self.steps, f"is a {step.name}"


class Autonomy(Record):
    """Modes by level and by rule; the strictest of all that apply counts.

    ``timeout_s`` is how long (in seconds of the wall clock, whatever the campaign's clock) an
    approval is waited for; ``at_timeout`` is what then happens. An action that waits holds its
    worker and its credits.
    """

    levels: dict[Level, Mode] = {}
    rules: tuple[Rule, ...] = ()
    timeout_s: float = Field(default=86_400.0, gt=0)
    at_timeout: Literal["deny", "approve"] = "deny"

    def mode(
        self, step: Step, commitment: Commitment, expected: Mapping[str, Estimate]
    ) -> tuple[Mode, str]:
        """The mode for an action, and why in words."""
        found: list[tuple[Mode, str]] = []
        level = self.levels.get(step.level, "auto")
        found.append((level, f"level {int(step.level)} is set to {level}"))
        for rule in self.rules:
            why = rule.why(step, commitment, expected)
            if why is not None:
                found.append((rule.mode, why))
        return max(found, key=lambda f: _STRICTNESS[f[0]])
