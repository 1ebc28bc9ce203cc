"""Events: all that ever happens to a campaign, in the order in which it was written down."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from ._action import Action, Commitment
from ._decision import Decision, Recommendation
from ._fate import Fate
from ._model import Record
from ._observation import Observation
from ._orders import Change, Message


class Started(Record):
    """A campaign begins: its whole specification, with the seed, and what each worker offers.

    ``offers`` maps capabilities to the workers that have them; empty where it is not known.
    """

    kind: Literal["started"] = "started"
    hour: float = 0.0
    spec: dict[str, Any]
    version: str
    offers: dict[str, tuple[str, ...]] = {}


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
    """An action is given to a worker; its commitment is held until it is observed.

    ``approved_by`` is the person who approved it; empty where nobody was asked.
    """

    kind: Literal["issued"] = "issued"
    hour: float
    action: Action
    worker: str
    commitment: Commitment
    approved_by: str = ""


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
    """A process took the campaign up again; ``offers`` as in :class:`Started`."""

    kind: Literal["resumed"] = "resumed"
    hour: float
    offers: dict[str, tuple[str, ...]] = {}


class Awaiting(Record):
    """An action waits for a human's approval; until then it holds its worker and its commitment.

    At ``deadline`` (UTC, ISO 8601) it is denied, or approved where the autonomy says so.
    """

    kind: Literal["awaiting"] = "awaiting"
    hour: float
    action: Action
    worker: str
    commitment: Commitment
    reason: str
    deadline: str


class Commanded(Record):
    """Somebody gave an order, and what became of it. ``change`` is what a ``set`` comes to."""

    kind: Literal["commanded"] = "commanded"
    hour: float
    message: Message
    accepted: bool
    answer: str
    change: Change | None = None


class Secured(Record):
    """The instruments were asked to be safe; ``answers`` are theirs, in words."""

    kind: Literal["secured"] = "secured"
    hour: float
    answers: dict[str, str]


class Alerted(Record):
    """Something that people should know of. ``about`` is a key: the same is not said again."""

    kind: Literal["alerted"] = "alerted"
    hour: float
    about: str
    message: str


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
    | Awaiting
    | Commanded
    | Secured
    | Alerted
    | Stopped,
    Field(discriminator="kind"),
]
event_adapter: TypeAdapter[Event] = TypeAdapter(Event)
"""Reads and writes events as JSON: ``event_adapter.validate_json(text)``."""
