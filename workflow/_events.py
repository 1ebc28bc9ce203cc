"""Events: all that ever happens to a campaign, in the order in which it was written down."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from ._action import Action, Commitment
from ._decision import Decision, Recommendation
from ._fate import Fate
from ._model import Record
from ._observation import Observation


class Started(Record):
    """A campaign begins: its whole specification, with the seed."""

    kind: Literal["started"] = "started"
    hour: float = 0.0
    spec: dict[str, Any]
    version: str


class Decided(Record):
    """A tier decided."""

    kind: Literal["decided"] = "decided"
    hour: float
    decision: Decision


class Refused(Record):
    """The guardian or a human refused an action; it goes back to the planner with the reason."""

    kind: Literal["refused"] = "refused"
    hour: float
    action_id: str
    by: str
    reason: str


class Issued(Record):
    """An action is given to a worker; its commitment is held until it is observed."""

    kind: Literal["issued"] = "issued"
    hour: float
    action: Action
    worker: str
    commitment: Commitment


class Observed(Record):
    """A result, or a failure as a value, has come back."""

    kind: Literal["observed"] = "observed"
    hour: float
    observation: Observation


class Inquired(Record):
    """What became of an action that was issued and never observed; ``by`` is who knew it.

    ``ledger`` is the one that its seat keeps, ``worker`` the worker's own word, ``nobody`` the lack
    of any answer. ``note`` says what is done about it.
    """

    kind: Literal["inquired"] = "inquired"
    hour: float
    action_id: str
    fate: Fate
    by: Literal["ledger", "worker", "nobody"]
    note: str


class Asked(Record):
    """A human is asked what became of an action; without a word by ``until_h`` it is uncertain."""

    kind: Literal["asked"] = "asked"
    hour: float
    action_id: str
    question: str
    until_h: float


class Answered(Record):
    """The answer to such a question, and who gave it."""

    kind: Literal["answered"] = "answered"
    hour: float
    action_id: str
    fate: Fate
    by: str
    note: str = ""


class Assessed(Record):
    """The recommendation after a decision, for the curve of best against cost."""

    kind: Literal["assessed"] = "assessed"
    hour: float
    credits: float
    recommendation: Recommendation


class Resumed(Record):
    """A process took the campaign up again."""

    kind: Literal["resumed"] = "resumed"
    hour: float


class Stopped(Record):
    """The campaign ended, and why."""

    kind: Literal["stopped"] = "stopped"
    hour: float
    reason: str
    recommendation: Recommendation | None = None


Event = Annotated[
    Started
    | Decided
    | Refused
    | Issued
    | Observed
    | Inquired
    | Asked
    | Answered
    | Assessed
    | Resumed
    | Stopped,
    Field(discriminator="kind"),
]
event_adapter: TypeAdapter[Event] = TypeAdapter(Event)
"""Reads and writes events as JSON: ``event_adapter.validate_json(text)``."""
