"""Orders: what people tell a running campaign."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from ._autonomy import Autonomy
from ._goal import Budget, Goal
from ._model import Name, Record

Reason = Annotated[str, Field(max_length=2000)]
Ids = Annotated[tuple[str, ...], Field(min_length=1, max_length=1000)]


class Pause(Record):
    """Give out nothing more; let what runs end; then ask the instruments to be safe."""

    verb: Literal["pause"] = "pause"
    reason: Reason = ""


class Continue(Record):
    """Go on after a pause."""

    verb: Literal["resume"] = "resume"


class Stop(Record):
    """Give out nothing more; let what runs end; then end the campaign."""

    verb: Literal["stop"] = "stop"
    reason: Reason = ""


class Abort(Record):
    """End what runs at once; ask the instruments to be safe; end the campaign."""

    verb: Literal["abort"] = "abort"
    reason: Reason = ""


class Approve(Record):
    """Let actions that wait for approval be done."""

    verb: Literal["approve"] = "approve"
    actions: Ids


class Deny(Record):
    """Refuse actions that wait for approval; the planner hears the reason."""

    verb: Literal["deny"] = "deny"
    actions: Ids
    reason: Reason = ""


class Set(Record):
    """Change goal, budget, policy or autonomy from the next decision on.

    Keys are those of the specification, with dots (``budget.credits``); ``goal`` may be the name of
    one of the campaign's goals.
    """

    verb: Literal["set"] = "set"
    changes: dict[str, JsonValue] = Field(min_length=1, max_length=50)


Order = Annotated[
    Pause | Continue | Stop | Abort | Approve | Deny | Set, Field(discriminator="verb")
]


class Message(Record):
    """An order with who gave it (as they say), when (UTC, ISO 8601) and by which way.

    The id makes a second delivery recognizable.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,79}$")]
    who: Annotated[str, Field(min_length=1, max_length=200)]
    said: Annotated[str, Field(max_length=40)]
    via: Annotated[str, Field(max_length=40)] = "file"
    order: Order


class Change(Record):
    """What an accepted :class:`Set` comes to, whole; what is None stays as it is."""

    goal: Goal | None = None
    budget: Budget | None = None
    policy: Name | None = None
    autonomy: Autonomy | None = None
