"""Events: all that ever happens to a campaign, in the order in which it was written down."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from ._action import Action, Commitment
from ._decision import Decision, Recommendation
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
    Started | Decided | Refused | Issued | Observed | Assessed | Resumed | Stopped,
    Field(discriminator="kind"),
]
event_adapter: TypeAdapter[Event] = TypeAdapter(Event)
"""Reads and writes events as JSON: ``event_adapter.validate_json(text)``."""
