"""What an instrument is like now, and what a command would cost it."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from ._command import (
    Adjust,
    Command,
    Loop,
    MoveStage,
    Overview,
    Path,
    Scan,
    Spectrum,
    Sweep,
    pretty_seconds,
)
from ._model import NonNegative, Record
from ._places import Rectangle

Technique = Literal["stem", "spm"]

ELECTRONS_PER_PA_S = 1e-12 / 1.602176634e-19
"""Electrons a second in one picoampere."""


class InstrumentState(Record):
    """The state of a microscope, as far as commands and their guardian need it.

    ``sample`` is None where nothing is loaded. ``probe_nm`` is the diameter over which a parked
    probe spreads its dose. ``settled`` says that nothing moves any more.
    """

    technique: Technique
    sample: str | None = None
    site: int = 0
    blanked: bool = True
    engaged: bool = False
    tuned: tuple[str, ...] = ()
    stage_y_nm: float = 0.0
    stage_x_nm: float = 0.0
    stage_z_nm: float = 0.0
    tilt_deg: float = 0.0
    settled: bool = True
    field_of_view_nm: float = Field(default=200.0, gt=0)
    beam_y_nm: float | None = None
    beam_x_nm: float | None = None
    voltage_kV: NonNegative = 0.0
    current_pA: NonNegative = 0.0
    probe_nm: float = Field(default=1.0, gt=0)
    defocus_nm: float = 0.0
    notes: dict[str, float | str] = {}

    @property
    def electrons_per_s(self) -> float:
        return self.current_pA * ELECTRONS_PER_PA_S

    @property
    def frame(self) -> Rectangle:
        """The field of view."""
        return Rectangle(height_nm=self.field_of_view_nm, width_nm=self.field_of_view_nm)


class Forecast(Record):
    """What a command would cost: its time and the electrons that it sends into the specimen.

    ``local_dose_e_per_A2`` is the dose of the place that gets most, ``dose_e_per_A2`` all electrons
    over the area of the field of view: the number that adds up over a site.
    """

    seconds: NonNegative = 0.0
    electrons: NonNegative = 0.0
    local_dose_e_per_A2: NonNegative = 0.0
    dose_e_per_A2: NonNegative = 0.0

    def plus(self, other: Forecast) -> Forecast:
        """Both, one after the other; the local dose is the larger one."""
        return Forecast(
            seconds=self.seconds + other.seconds,
            electrons=self.electrons + other.electrons,
            local_dose_e_per_A2=max(self.local_dose_e_per_A2, other.local_dose_e_per_A2),
            dose_e_per_A2=self.dose_e_per_A2 + other.dose_e_per_A2,
        )

    def sentence(self) -> str:
        """In words, for people: ``0.7 s, 41 e/A2 where it falls``."""
        said = pretty_seconds(self.seconds)
        if self.electrons:
            said += f", {self.local_dose_e_per_A2:.3g} e/A2 where it falls"
            if not math.isclose(self.dose_e_per_A2, self.local_dose_e_per_A2, rel_tol=1e-6):
                said += f", {self.dose_e_per_A2:.3g} e/A2 over the field of view"
        return said


def exposures(command: Command, state: InstrumentState) -> tuple[tuple[Rectangle, float], ...]:
    """Where a command puts electrons: rectangles of the field of view, with electrons on each.

    Places of a command must be points. Nothing for scanning probes and for commands that take no
    data. A blanked beam is unblanked by whatever takes data.
    """
    rate = state.electrons_per_s
    if state.technique != "stem" or rate == 0:
        return ()
    match command:
        case Overview():
            return ((state.frame, rate * command.dwell_s * command.pixels**2),)
        case Scan():
            count = command.rows * command.columns
            return ((command.region or state.frame, rate * command.dwell_s * count),)
        case Adjust(what="focus" | "aberrations"):
            count = command.steps * command.pixels**2
            return ((tuned_area(command, state), rate * command.dwell_s * count),)
        case Spectrum():
            half, side = state.probe_nm / 2, state.probe_nm
            each = rate * command.exposure_s
            return tuple(
                (Rectangle(y_nm=p.y_nm - half, x_nm=p.x_nm - half, height_nm=side, width_nm=side),
                 each)
                for p in command.at.points
            )  # fmt: skip
        case _:
            return ()


def tuned_area(command: Adjust, state: InstrumentState) -> Rectangle:
    """The middle of the field of view, where tuning takes its images."""
    side = min(command.side_nm, state.field_of_view_nm)
    start = (state.field_of_view_nm - side) / 2.0
    return Rectangle(y_nm=start, x_nm=start, height_nm=side, width_nm=side)


def beam_seconds(command: Command) -> float:
    """The least time a command takes: the sum of its dwells, pulses and ways. Places must be
    points."""
    match command:
        case Overview():
            return command.dwell_s * command.pixels**2
        case Scan():
            return command.dwell_s * command.rows * command.columns
        case Adjust(what="focus" | "aberrations"):
            return command.steps * command.dwell_s * command.pixels**2
        case Spectrum():
            return command.exposure_s * len(command.at.points)
        case Loop():
            return command.pulse_s * command.points * len(command.at.points)
        case Sweep():
            return command.dwell_s * command.points * len(command.at.points)
        case Path():
            return path_nm(command) / command.speed_nm_per_s
        case _:
            return 0.0


def path_nm(command: Path) -> float:
    """Length of a path."""
    pairs = zip(command.through, command.through[1:], strict=False)
    return sum(math.dist((a.y_nm, a.x_nm), (b.y_nm, b.x_nm)) for a, b in pairs)


def stage_nm(command: MoveStage, state: InstrumentState) -> float:
    """Length of a move of the stage."""
    here = (state.stage_y_nm, state.stage_x_nm, state.stage_z_nm)
    there = (command.y_nm, command.x_nm, command.z_nm)
    return math.dist(here, [h if t is None else t for h, t in zip(here, there, strict=True)])


def geometric_forecast(command: Command, state: InstrumentState) -> Forecast:
    """What follows from the numbers of a command alone, without overheads of the instrument."""
    put = exposures(command, state)
    electrons = sum(e for _, e in put)
    seconds = beam_seconds(command)
    if isinstance(command, MoveStage):
        seconds = stage_nm(command, state) / command.speed_nm_per_s
    return Forecast(
        seconds=seconds,
        electrons=electrons,
        local_dose_e_per_A2=max((e / (100.0 * r.area_nm2) for r, e in put), default=0.0),
        dose_e_per_A2=electrons / (100.0 * state.frame.area_nm2),
    )
