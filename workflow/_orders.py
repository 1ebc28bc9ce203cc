"""Orders: what people tell a running campaign."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue

from ._autonomy import Autonomy
from ._fate import Fate
from ._goal import Budget, Goal
from ._model import Name, Record
from ._wishes import Wishes


def _printable(text: str) -> str:
    """What people say is shown on other people's terminals."""
    if not text.replace("\n", " ").isprintable():
        raise ValueError("only characters that can be printed")
    return text


Reason = Annotated[str, Field(max_length=2000), AfterValidator(_printable)]
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


class Answer(Record):
    """Say what became of an action that the campaign asks about (:attr:`State.questions`)."""

    verb: Literal["answer"] = "answer"
    action: Annotated[str, Field(max_length=200), AfterValidator(_printable)]
    fate: Fate
    reason: Reason = ""


class Set(Record):
    """Change goal, budget, policy, autonomy or what sessions heed, from the next decision on.

    Keys are those of the specification, with dots (``budget.credits``); ``goal`` may be the name of
    one of the campaign's goals.
    """

    verb: Literal["set"] = "set"
    changes: dict[str, JsonValue] = Field(min_length=1, max_length=50)


Order = Annotated[
    Pause | Continue | Stop | Abort | Approve | Deny | Answer | Set, Field(discriminator="verb")
]


class Message(Record):
    """An order with who gave it (as they say), when (UTC, ISO 8601) and by which way.

    The id makes a second delivery recognizable.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,79}$")]
    who: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
    said: Annotated[str, Field(max_length=40), AfterValidator(_printable)]
    via: Annotated[str, Field(max_length=40), AfterValidator(_printable)] = "file"
    order: Order


class Change(Record):
    """What an accepted :class:`Set` comes to, whole; what is None stays as it is."""

    goal: Goal | None = None
    budget: Budget | None = None
    policy: Name | None = None
    autonomy: Autonomy | None = None
    session: Wishes | None = None
