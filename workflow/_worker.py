"""Workers: plain classes that offer capabilities and perform actions.

A worker knows nothing of Ray, of the planner or of other workers. A seat in ``agents/`` makes an
actor of it; tests run the same class in process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Annotated, ClassVar, Protocol

import numpy as np
from pydantic import Field

from ._action import Action, ArrayRef
from ._array import Array
from ._decision import Decision, Recommendation
from ._errors import SpecError
from ._fate import Fate
from ._model import Name, Record
from ._observation import Estimate, Failure, Grid, Quality, Table
from ._reading import Entry
from ._state import State
from ._step import Step


class Kind(StrEnum):
    """Kinds of agents."""

    INSTRUMENT = "instrument"
    ANALYSIS = "analysis"
    THEORY = "theory"
    SYNTHESIS = "synthesis"
    GUARDIAN = "guardian"


class Offer(Record):
    """One capability of a worker. ``about`` tells people what it is and whether it is a twin.

    ``columns`` are those of its tables that tell something of a position; standard deviations and
    ``good`` go without saying. None where it does not tell.
    """

    capability: Name
    about: str = ""
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Job:
    """An action with its step and the arrays it needs, as a worker receives it.

    ``approved_by`` is the person who approved this very action; empty where nobody was asked.
    """

    action: Action
    step: Step
    arrays: Mapping[str, tuple[Array, ...]] = field(default_factory=dict)
    approved_by: str = ""

    @cached_property
    def rng(self) -> np.random.Generator:
        """The action's own generator: the same action gives the same result."""
        return np.random.default_rng(self.action.seed)

    def draw_price(self, dwell_s: float | None = None) -> tuple[float, float]:
        """Credits and hours drawn from the step's distributions, for twins; with another dwell than
        the action's where it ended early."""
        rng = np.random.default_rng([self.action.seed, 1])
        extent = self.step.extent(self.action)
        if dwell_s is not None:
            extent = extent._replace(dwell_s=dwell_s)
        return self.step.cost_credits.draw(rng, *extent), self.step.latency_h.draw(rng, *extent)


@dataclass(frozen=True)
class Outcome:
    """What a worker returns. What is left ``None`` is filled in by the seat: the step's median cost
    and dose, and the time it took. ``commands`` are those that an instrument was given. ``arrays``
    beside a failure are what came before it, under any names; they are kept as far as they hold
    finite numbers along axes that fit."""

    values: Mapping[str, Estimate] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)
    grids: Mapping[str, Grid] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    cost_credits: float | None = None
    duration_h: float | None = None
    dose_e_per_A2: float | None = None
    quality: Quality | None = None
    failure: Failure | None = None
    notes: Mapping[str, float | str] = field(default_factory=dict)
    commands: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Account:
    """What a worker says became of an action.

    With ``Fate.DONE`` comes the outcome; with ``Fate.DONE_WITHOUT_RESULT`` one may say what it cost
    and how long it took.
    """

    fate: Fate
    outcome: Outcome | None = None


class Worker(ABC):
    """Base of all workers.

    Class attributes
    ----------------
    kind
        Which kind of agent it is.
    twin
        Whether it simulates what it stands for.
    replayable
        Whether performing an action of the same id again gives the same result and changes nothing
        more in the world: true for twins and computations.

    Subclasses take their configuration as keyword arguments of ``__init__``; it comes from the
    campaign's YAML and must be checked there.
    """

    kind: ClassVar[Kind]
    twin: ClassVar[bool] = False
    replayable: ClassVar[bool] = False

    @abstractmethod
    def offers(self) -> tuple[Offer, ...]:
        """What this worker can do."""

    @classmethod
    def further_keys(cls) -> tuple[str, ...]:
        """Keys of the configuration beyond those in the signature of ``__init__``."""
        return ()

    def check(self, step: Step) -> None:  # noqa: B027
        """Refuse a step that could never be done, on whatever target.

        Every worker that offers what a step needs is asked when a campaign starts, before anything
        is done. It is quick, and neither moves nor exposes anything. An instrument looks at least
        at the step's parameters; see :func:`no_parameters`.

        Raises
        ------
        SpecError
            Naming the step, what it gives, what is allowed and the remedy; the worker's name is
            put before it.
        """

    @abstractmethod
    def perform(self, job: Job) -> Outcome:
        """Do it. Faults of the instrument are returned as ``Outcome.failure``; bugs raise."""

    def safe(self) -> str:
        """Bring the device into a state in which it may be left alone; say in words what was done.

        Asked of instruments and syntheses that are idle, when a campaign is paused or aborted, in
        an abort of a fresh worker. May be asked again; the next action goes on from there.
        """
        return "nothing to do"

    def account(self, action_id: str) -> Account:
        """What became of an action that was given to this worker, or to the one before it.

        Asked after a crash, of a fresh worker, before anything else. Whoever keeps a record of what
        the instrument did answers from it. By default, what a replayable worker did is as good as
        not done, and any other does not know.
        """
        return Account(Fate.NOT_DONE if self.replayable else Fate.UNKNOWN)

    def close(self) -> None:  # noqa: B027
        """Leave the instrument in a safe state."""


def no_parameters(step: Step) -> None:
    """Refuse a step with parameters, for workers that take none.

    Raises
    ------
    SpecError
        If the step has any.
    """
    if step.parameters:
        raise SpecError(
            f"step {step.name!r}",
            f"parameters {sorted(step.parameters)}",
            f"no parameters for {step.needs!r}",
            "remove them from the step",
        )


class WorkerSpec(Record):
    """A worker in a campaign: a registered type, its configuration and its capacity.

    ``resources`` are Ray's resources for placement, such as ``{stem: 1}`` or ``{CPU: 2}``; for what
    empty means, see ``agents/_placement.py``. Workers with the same ``host`` share one process:
    light ones, since what ends one of them ends all.
    """

    type: Name
    config: dict[str, float | int | str | bool | None] = {}
    capacity: int = Field(default=1, ge=1)
    resources: dict[str, Annotated[float, Field(gt=0)]] = {}
    host: Name | None = None
    timeout_s: float = Field(default=300.0, gt=0)


class Verdict(Record):
    """A guardian's answer to an action."""

    allowed: bool
    reason: str


class ArrayStore(Protocol):
    """Where arrays are kept. Implementations travel to actors, so they must pickle."""

    def put(self, action: Action, arrays: Mapping[str, Array]) -> dict[str, ArrayRef]: ...

    def get(self, ref: ArrayRef) -> Array: ...


class Policy(Protocol):
    """Chooses what to do. Pure: the same state gives the same decision."""

    name: str

    def decide(self, state: State) -> Decision: ...

    def recommend(self, state: State) -> Recommendation | None:
        """The answer so far; None while there is none."""
        ...


class Score(Record):
    """A recommendation held against the truth of a twin or a recording, in the goal's unit.

    ``baseline`` is what no effort gives (a typical design); ``gain`` runs from 0 there to 1 at
    ``best``.
    """

    true_value: float
    best: float
    baseline: float

    @property
    def regret(self) -> float:
        return abs(self.best - self.true_value)

    @property
    def gain(self) -> float:
        """1 at the best, 0 as far from it as the baseline, negative beyond."""
        span = abs(self.best - self.baseline)
        return 1.0 - self.regret / span if span else 1.0


class Truth(Protocol):
    """Knows the answer of a twin; used for scoring only, never by a policy or a worker's report."""

    def score(self, recommendation: Recommendation) -> Score: ...
