"""The guardian: every action is checked against limits before it reaches a worker. Default deny."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, final

from ..workflow import (
    Action,
    Commitment,
    Failure,
    Job,
    Kind,
    Offer,
    Outcome,
    Step,
    Verdict,
    Worker,
    WorkerError,
)

_log = logging.getLogger(__name__)


class Guardian(Worker, ABC):
    """A worker that performs nothing and may refuse everything.

    Attributes
    ----------
    pure
        Whether its answers follow from its configuration and what it is told, at once and with
        nothing else looked at: then it is asked in the campaign's own process. Any other guardian
        has a process of its own, which may hang or die.
    """

    kind = Kind.GUARDIAN
    replayable = True
    pure: ClassVar[bool] = False

    def offers(self) -> tuple[Offer, ...]:
        return ()

    def perform(self, job: Job) -> Outcome:
        return Outcome(failure=Failure(kind="refused", message="a guardian performs no steps"))

    @abstractmethod
    def review(self, action: Action, step: Step, commitment: Commitment, twin: bool) -> Verdict:
        """Whether ``action`` may be done; ``twin`` says that a simulation would do it."""


@final
class LimitsGuardian(Guardian):
    """Refuses what exceeds fixed limits.

    Parameters
    ----------
    max_cost_credits
        The most that one action may cost, by its commitment and by its step's own cap.
    max_dwell_positions
        The most positions that one action may probe.
    max_hours
        The longest that one action may last; None leaves it to the commitment.
    allowed_steps
        Names of the allowed steps, separated by commas or blanks; None allows every step.
    allow_live_irreversible
        Whether a worker that is no twin may do what cannot be repeated.
    **bounds
        ``min_<variable>`` and ``max_<variable>``: limits of the design, in the variable's unit. A
        design that leaves a limited variable out is refused.

    Raises
    ------
    WorkerError
        If a limit is not a number, not positive, or its keyword is unknown.
    """

    pure = True

    def __init__(
        self,
        *,
        max_cost_credits: float,
        max_dwell_positions: int = 16,
        max_hours: float | None = None,
        allowed_steps: str | None = None,
        allow_live_irreversible: bool = False,
        **bounds: float,
    ) -> None:
        for name, limit in (
            ("max_cost_credits", max_cost_credits),
            ("max_dwell_positions", max_dwell_positions),
            ("max_hours", float("inf") if max_hours is None else max_hours),
        ):
            _require(_is_number(limit) and limit > 0, name, limit, "a number above 0")
        _require(
            isinstance(allow_live_irreversible, bool),
            "allow_live_irreversible",
            allow_live_irreversible,
            "true or false",
        )
        self._max_cost, self._max_positions = max_cost_credits, max_dwell_positions
        self._max_hours = max_hours
        self._allowed = None if allowed_steps is None else frozenset(_names(allowed_steps))
        self._live_irreversible = allow_live_irreversible
        self._bounds = _bounds(bounds)

    def review(self, action: Action, step: Step, commitment: Commitment, twin: bool) -> Verdict:
        """Allowed if no limit objects; otherwise all objections."""
        objections = [
            *self._step(action, step, twin),
            *self._price(action, step, commitment),
            *self._target(action, step),
        ]
        if objections:
            return Verdict(allowed=False, reason="; ".join(objections))
        return Verdict(allowed=True, reason="within all limits")

    def _step(self, action: Action, step: Step, twin: bool) -> Iterator[str]:
        if action.step != step.name:
            yield f"action of step {action.step!r} came with the description of {step.name!r}"
        if self._allowed is not None and action.step not in self._allowed:
            yield f"step {action.step!r} is not among the allowed {sorted(self._allowed)}"
        if step.repeat == "irreversible" and not twin and not self._live_irreversible:
            yield (
                f"step {step.name!r} is irreversible and its worker is no twin"
                " (allow_live_irreversible is off)"
            )

    def _price(self, action: Action, step: Step, commitment: Commitment) -> Iterator[str]:
        extent = step.extent(action)
        cost = max(commitment.credits, step.cost_credits.cap(*extent))
        if cost > self._max_cost:
            yield f"may cost {cost:g} credits; the limit is {self._max_cost:g}"
        hours = max(commitment.hours, step.latency_h.cap(*extent))
        if self._max_hours is not None and hours > self._max_hours:
            yield f"may last {hours:g} h; the limit is {self._max_hours:g} h"

    def _target(self, action: Action, step: Step) -> Iterator[str]:
        target = action.target
        if step.acts_on in {"sample", "site", "positions"} and not target.sample:
            yield f"step {step.name!r} needs a sample and was given none"
        if step.acts_on in {"site", "positions"} and (target.site is None or target.site < 0):
            yield f"step {step.name!r} needs a site and was given {target.site!r}"
        if step.acts_on == "positions" and not target.positions:
            yield (
                f"step {step.name!r} needs positions and was given none: all that are left may be"
                " forbidden by session.forbid"
            )
        if any(row < 0 or column < 0 for row, column in target.positions):
            yield "a position lies outside the image (negative row or column)"
        limit = min(self._max_positions, step.max_positions)
        if step.acts_on == "positions" and len(target.positions) > limit:
            yield f"probes {len(target.positions)} positions; the limit is {limit}"
        for name, (low, high) in self._bounds.items():
            value = target.design.get(name)
            if value is None and step.acts_on == "design":
                yield f"the design leaves out {name!r}, which is limited to {low:g} to {high:g}"
            elif value is not None and not low <= value <= high:
                yield f"{name}={value:g} is outside {low:g} to {high:g}"


def ask_here(
    guardian: Guardian, action: Action, step: Step, commitment: Commitment, twin: bool
) -> Verdict:
    """The answer of a guardian in this process; one that fails has refused."""
    try:
        return guardian.review(action, step, commitment, twin)
    except Exception as error:
        _log.exception("guardian, action %s", action.id)
        return Verdict(allowed=False, reason=f"the guardian failed: {error}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _names(text: str) -> list[str]:
    _require(isinstance(text, str), "allowed_steps", text, "step names separated by commas")
    return text.replace(",", " ").split()


def _bounds(given: dict[str, float]) -> dict[str, tuple[float, float]]:
    bounds: dict[str, tuple[float, float]] = {}
    for key, value in given.items():
        side, _, name = key.partition("_")
        known = side in {"min", "max"} and bool(name)
        _require(known, key, value, "keywords min_<variable> and max_<variable>")
        _require(_is_number(value), key, value, "a number")
        low, high = bounds.get(name, (float("-inf"), float("inf")))
        bounds[name] = (float(value), high) if side == "min" else (low, float(value))
    for name, (low, high) in bounds.items():
        _require(low <= high, f"min_{name}", low, f"at most max_{name}, which is {high:g}")
    return bounds


def _require(fine: bool, name: str, given: object, allowed: str) -> None:
    if not fine:
        raise WorkerError(
            "limits-guardian", f"{name}={given!r}", allowed, "correct the guardian's config"
        )
