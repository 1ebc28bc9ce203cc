"""Steps: what can be done, at what level, to what, for what price."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from ._action import Action
from ._amount import Amount, Extent
from ._errors import SpecError
from ._model import Name, Record
from ._quantity import Port
from ._space import Design, Space


class Level(IntEnum):
    """The five levels of the electron-microscopy and materials workflow."""

    ANALYSIS = 1
    REALTIME = 2
    MICROSCOPY = 3
    SAMPLES = 4
    THEORY = 5


class Library(Record):
    """What a synthesis step makes: a sample of several sites along composition gradients.

    ``gradient`` maps a variable to the span it covers from the first site to the last, in the
    variable's unit, centred on the design that was asked for.
    """

    sites: int = Field(default=1, ge=1)
    gradient: dict[str, float] = {}

    def designs(self, center: Design, space: Space) -> list[Design]:
        """The design of each site, clipped to the space."""
        offsets = np.linspace(-0.5, 0.5, self.sites) if self.sites > 1 else np.zeros(1)
        raw = [
            {k: v + self.gradient.get(k, 0.0) * float(o) for k, v in center.items()}
            for o in offsets
        ]
        return space.decode(space.encode(raw))


def _alone(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Ports = Annotated[
    tuple[Port, ...], BeforeValidator(_alone, json_schema_input_type=tuple[Port, ...] | str)
]
Names = Annotated[
    tuple[Name, ...], BeforeValidator(_alone, json_schema_input_type=tuple[Name, ...] | Name)
]
"""Where there is one only, it may stand by itself."""

ActsOn = Literal["space", "design", "sample", "site", "positions"]


class Step(Record):
    """One kind of thing that an agent can do.

    Attributes
    ----------
    acts_on
        ``space`` (theory: the whole design space at once), ``design`` (a point of it, no sample
        needed), ``sample``, ``site`` (one pad of a sample), ``positions`` (probe positions on a
        site).
    produces
        Scalar quantities that the planner models, as functions of the design.
    records
        Arrays that go to the store and from there to the steps that consume them.
    consumes
        Quantities that must be there. A consumed *array* must be newer than the step's last run on
        the target; a consumed *scalar* is an input of this step's own function.
    optional
        Arrays used when they exist.
    predicts
        Scalar quantities that a theory step predicts over the whole space.
    requires
        Steps that must have been done on the target before, whatever they produced.
    mounts
        The step puts a sample on its instrument; one sample at a time.
    destroys
        The site cannot be used afterwards.
    cumulative
        Each new estimate at a site includes the earlier ones and replaces them.
    noise
        Standard deviation of one measurement of each produced quantity (a prior; learned later).
        For a step that ends a chain through ``positions``, of one position.
    dose_e_per_A2
        Electron dose that one run gives its target, in electrons per square ångström. What falls on
        a whole sample counts for each of its sites.
    settable
        What the step consumes can be set to any value instead of being made: it may be asked for
        before its parents, whose values are then parameters of the action.
    parameters
        What the worker is told beside the target, such as the dwell of a scan, or a whole
        ``program`` of commands. An action's own parameters come before them.
    dwell
        The parameter that says for how many seconds each position is measured, and which a session
        may choose; what the step costs by ``per_s`` goes with it. ``parameters`` holds the usual
        one.
    dwells_s
        The dwells that a session may choose from, ascending.
    repeat
        Whether a second execution is harmless (``idempotent``), costs again (``repeatable``) or
        must never happen by itself (``irreversible``).
    """

    name: Name
    level: Level
    capability: str = ""
    acts_on: ActsOn = "design"
    controls: Names | None = None
    consumes: Ports = ()
    optional: Ports = ()
    produces: Ports = ()
    records: Ports = ()
    predicts: Ports = ()
    requires: Names = ()
    cost_credits: Amount = Amount(median=1.0)
    latency_h: Amount = Amount(median=0.0)
    dose_e_per_A2: Amount = Amount(median=0.0)
    noise: dict[str, float] = {}
    parameters: dict[str, Any] = {}
    makes: Library | None = None
    mounts: bool = False
    destroys: bool = False
    cumulative: bool = False
    settable: bool = False
    dwell: Name | None = None
    dwells_s: tuple[float, ...] = ()
    batch: int = Field(default=1, ge=1, description="probe positions taken at once")
    max_positions: int = Field(default=1_000_000, ge=1, description="probe positions a site bears")
    repeat: Literal["idempotent", "repeatable", "irreversible"] = "repeatable"
    about: str = ""

    @model_validator(mode="after")
    def _coherent(self) -> Step:
        produced = {p.name for p in self.produces}
        stray = set(self.noise) - produced
        if stray:
            raise SpecError(
                f"step {self.name!r}",
                f"noise for {sorted(stray)}",
                f"quantities it produces: {sorted(produced) or 'none'}",
                "name a produced quantity or remove the noise",
            )
        if self.dose_e_per_A2.per_unit:
            raise SpecError(
                f"dose_e_per_A2 of step {self.name!r}",
                f"per_unit of {sorted(self.dose_e_per_A2.per_unit)}",
                "per_unit under cost_credits or latency_h",
                "give the dose by position or by second of dwell",
            )
        if self.settable and (self.acts_on != "design" or not self.consumes):
            raise SpecError(
                f"step {self.name!r}",
                f"settable, acts on {self.acts_on!r}, consumes {[p.name for p in self.consumes]}",
                "a step on a design that consumes scalars",
                "remove settable",
            )
        if self.makes is not None and self.acts_on != "design":
            raise SpecError(
                f"step {self.name!r}",
                f"makes a sample but acts on {self.acts_on!r}",
                "acts_on: design",
                "a synthesis step starts from a design",
            )
        self._check_dwell()
        if self.exposes and (self.makes is not None or self.acts_on == "space"):
            raise SpecError(
                f"step {self.name!r}",
                "a dose on something that is no specimen",
                "a dose on steps that act on a design, sample, site or positions",
                "remove dose_e_per_A2",
            )
        return self

    def _check_dwell(self) -> None:
        amounts = (self.cost_credits, self.latency_h, self.dose_e_per_A2)
        usual = self.parameters.get(self.dwell or "")
        sound = isinstance(usual, int | float) and not isinstance(usual, bool) and usual > 0
        rising = list(self.dwells_s) == sorted({d for d in self.dwells_s if 0 < d < np.inf})
        if self.dwell is None:
            fits = not self.dwells_s and not any(a.per_s for a in amounts)
        else:
            fits = self.acts_on == "positions" and sound and rising
        if not fits:
            raise SpecError(
                f"step {self.name!r}",
                f"dwell {self.dwell!r} of {usual!r}, dwells_s {list(self.dwells_s)}, acts on"
                f" {self.acts_on!r}",
                "on positions, a dwell that names a parameter of positive seconds, dwells_s"
                " ascending; without a dwell neither dwells_s nor amounts per_s",
                "put the usual dwell under parameters, or remove what goes with it",
            )

    def dwell_of(self, parameters: Mapping[str, Any] | None = None) -> float:
        """Seconds at each position with these parameters of an action, or the usual ones; 0 where
        the step has no dwell."""
        if self.dwell is None:
            return 0.0
        return float((parameters or {}).get(self.dwell, self.parameters[self.dwell]))

    def extent(self, action: Action) -> Extent:
        """How much an action does: what its amounts are asked with."""
        positions = len(action.target.positions) or 1
        return Extent(positions, self.dwell_of(action.parameters), action.target.design)

    @property
    def varies(self) -> bool:
        """Whether what it costs or how long it lasts depends on the design."""
        return bool(self.cost_credits.per_unit or self.latency_h.per_unit)

    @property
    def exposes(self) -> bool:
        """Whether it gives its target a dose."""
        return self.dose_e_per_A2.typical(1, self.dwell_of()) > 0

    @property
    def needs(self) -> str:
        """The capability that a worker must offer: the step's name unless given."""
        return self.capability or self.name

    @property
    def positions_per_run(self) -> int:
        return self.batch if self.acts_on == "positions" else 1
