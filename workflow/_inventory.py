"""What exists: samples, their sites, what was done to each and what is known of each."""

from __future__ import annotations

from dataclasses import dataclass, field

from ._action import Action, ArrayRef, Place, Target
from ._observation import Estimate, Observation, Table
from ._space import Design
from ._step import ActsOn, Step

_NOTHING_HAPPENED = frozenset({"refused", "missing", "not_done"})
"""Failures after which the sample is as it was."""

WHOLE_SPACE: Place = ("", None, ())


def place_of(target: Target, acts_on: ActsOn) -> Place:
    """The place that a step of this scope writes to."""
    match acts_on:
        case "space":
            return WHOLE_SPACE
        case "design":
            return ("", None, tuple(target.design.values()))
        case "sample":
            return (target.sample or "", None, ())
        case "site" | "positions":
            return (target.sample or "", target.site, ())


def places_seen(target: Target) -> tuple[Place, ...]:
    """Places whose content a step on ``target`` may use, nearest first."""
    design = ("", None, tuple(target.design.values()))
    if target.sample is None:
        return (design, WHOLE_SPACE)
    return ((target.sample, target.site, ()), (target.sample, None, ()), WHOLE_SPACE)


@dataclass
class Status:
    """What was done at a place.

    The numbers in ``done``, ``used`` and ``arrays`` count observations from one. ``used`` is when a
    step last took the arrays that were there, even if it could make nothing of them; ``failures``
    counts failures of a step since it last succeeded here. ``dose_e_per_A2`` is what this place
    itself was exposed to, whatever came of it.
    """

    done: dict[str, int] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    arrays: dict[str, list[tuple[int, ArrayRef]]] = field(default_factory=dict)
    values: dict[str, Estimate] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    probed: list[tuple[int, int]] = field(default_factory=list)
    dose_e_per_A2: float = 0.0
    alive: bool = True


@dataclass
class Sample:
    """A specimen: the design it was made for and the design of each of its sites."""

    id: str
    design: Design
    sites: tuple[Design, ...]
    mounted_on: str | None = None


@dataclass
class Inventory:
    """A fold over observations."""

    samples: dict[str, Sample] = field(default_factory=dict)
    places: dict[Place, Status] = field(default_factory=dict)
    count: int = 0

    def status(self, place: Place) -> Status:
        return self.places.get(place, Status())

    def is_done(self, step: str, target: Target) -> bool:
        return any(step in self.status(p).done for p in places_seen(target))

    def alive(self, target: Target) -> bool:
        return self.status((target.sample or "", target.site, ())).alive

    def arrays(self, name: str, target: Target) -> tuple[ArrayRef, ...]:
        """All arrays of that name at the nearest place that has one, oldest first."""
        for place in places_seen(target):
            found = self.status(place).arrays.get(name)
            if found:
                return tuple(ref for _, ref in found)
        return ()

    def is_fresh(self, name: str, step: Step, target: Target) -> bool:
        """Whether an array ``name`` exists that ``step`` has not yet used on ``target``."""
        last = self.status(place_of(target, step.acts_on)).used.get(step.name, -1)
        return any(
            found[-1][0] > last
            for place in places_seen(target)
            if (found := self.status(place).arrays.get(name))
        )

    def value(self, quantity: str, target: Target) -> Estimate | None:
        for place in places_seen(target):
            if quantity in self.status(place).values:
                return self.status(place).values[quantity]
        return None

    def table(self, step: str, target: Target) -> Table | None:
        """The last table that ``step`` gave for ``target``."""
        for place in places_seen(target):
            if step in self.status(place).tables:
                return self.status(place).tables[step]
        return None

    def apply(
        self, action: Action, step: Step, observation: Observation, made: tuple[Design, ...]
    ) -> None:
        """Take in an observation; ``made`` are the designs of the sites that a synthesis made.

        A failure stays at the place of the action; what a synthesis brought belongs to its sample.
        """
        self.count += 1
        status = self.places.setdefault(place_of(action.target, step.acts_on), Status())
        status.dose_e_per_A2 += observation.dose_e_per_A2
        failure = observation.failure
        if failure is None or failure.kind not in _NOTHING_HAPPENED:
            if step.acts_on == "positions":
                status.probed.extend(action.target.positions)
            if step.destroys:
                status.alive = False
        if failure is None or failure.kind == "bad_data":
            status.used[step.name] = self.count
        if failure is not None:
            status.failures[step.name] = status.failures.get(step.name, 0) + 1
            return
        status.failures.pop(step.name, None)
        sample_id = action.target.sample
        if step.makes is not None and sample_id is not None:
            self.samples[sample_id] = Sample(sample_id, action.target.design, made)
            status = self.places.setdefault((sample_id, None, ()), Status())
        status.done[step.name] = self.count
        for name, ref in observation.arrays.items():
            status.arrays.setdefault(name, []).append((self.count, ref))
        status.values.update(observation.values)
        for table in observation.tables.values():
            status.tables[step.name] = table
        if step.mounts and sample_id is not None:
            self.samples[sample_id].mounted_on = observation.worker

    def unprepare(self, sample_id: str, undone: frozenset[str]) -> None:
        """Steps in ``undone``, done on the whole sample, must be done again before they count."""
        status = self.places.get((sample_id, None, ()))
        if status is not None:
            for name in undone:
                status.done.pop(name, None)

    def unmount(self, sample_id: str, undone: frozenset[str]) -> None:
        """Take a sample off its instrument; steps in ``undone`` must be done again next time."""
        self.samples[sample_id].mounted_on = None
        self.unprepare(sample_id, undone)
