"""Procedures: how a step of a workflow becomes a program of commands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ..workflow import (
    Adjust,
    AnyCommand,
    Blank,
    Command,
    InstrumentState,
    Job,
    Load,
    Overview,
    Point,
    Program,
    Retract,
    SetFieldOfView,
    SpecError,
    Spectrum,
    Where,
    command_from,
    no_parameters,
    program_from,
)

_MOST_PIXELS = 16_384
_TUNED = 0.6
"""Share of the side of the field of view that is tuned on: a smaller part may hold no particle."""

Build = Callable[[Job, InstrumentState], Program]


@dataclass(frozen=True)
class Procedure:
    """One capability of a microscope: what it is, and the program that does a job of it."""

    about: str
    build: Build


@dataclass(frozen=True)
class Geometry:
    """How the pixels of an overview lie in its field of view.

    ``corner`` says that a pixel stands for its top-left corner and not for its centre.

    Raises
    ------
    SpecError
        If the pixels are no whole number from 1 on, or the size is no positive number.
    """

    pixels: int = 128
    field_of_view_nm: float = 200.0
    corner: bool = False

    def __post_init__(self) -> None:
        pixels, size = self.pixels, self.field_of_view_nm
        whole = isinstance(pixels, int) and not isinstance(pixels, bool)
        number = isinstance(size, int | float) and not isinstance(size, bool)
        if not (whole and number and 0 < pixels <= _MOST_PIXELS and 0.0 < size < math.inf):
            raise SpecError(
                "overview",
                f"pixels={pixels!r}, field_of_view_nm={size!r}",
                f"1 to {_MOST_PIXELS} pixels a side, and a finite size above 0 nm",
                "correct the worker's config",
            )

    def points(self, positions: tuple[tuple[int, int], ...]) -> tuple[Point, ...]:
        """Pixels (row, column) in nanometres.

        Raises
        ------
        SpecError
            If a position lies outside the overview.
        """
        size = self.field_of_view_nm / self.pixels
        middle = 0.0 if self.corner else 0.5
        outside = [p for p in positions if not all(0 <= v < self.pixels for v in p)]
        if outside or not positions:
            raise SpecError(
                "positions",
                f"{list(outside[:5])} outside the image" if outside else "none",
                f"rows and columns from 0 to {self.pixels - 1}",
                "choose pixels of the overview",
            )
        return tuple(
            Point(y_nm=(row + middle) * size, x_nm=(column + middle) * size)
            for row, column in positions
        )


def parameters_of(job: Job) -> dict[str, Any]:
    """What the step says, with what the action says in its place."""
    return {**job.step.parameters, **job.action.parameters}


def filled(
    kind: type[Command], job: Job, usual: Mapping[str, Any] | None = None, **fixed: Any
) -> AnyCommand:
    """A command with the parameters of the job in its fields.

    ``usual`` values stand where the job gives none; ``fixed`` ones cannot be changed.

    Raises
    ------
    SpecError
        If the command has no such field, or the value is out of range.
    """
    given = parameters_of(job)
    free = set(kind.model_fields) - set(fixed) - {"verb"}
    stray = set(given) - free
    if stray:
        raise SpecError(
            f"step {job.step.name!r}",
            f"parameters {sorted(stray)}",
            f"those of {kind.model_fields['verb'].default!r}: {sorted(free)}, each in the unit that"
            " its name ends in",
            "correct the step's or the action's parameters" + _meant(sorted(stray)[0], free),
        )
    verb = kind.model_fields["verb"].default
    return command_from(
        {"verb": verb, **(usual or {}), **given, **fixed}, f"step {job.step.name!r}"
    )


def _meant(given: str, known: Iterable[str]) -> str:
    near = get_close_matches(given, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def load_of(job: Job) -> Load:
    """The command that brings the job's site under the probe.

    Raises
    ------
    SpecError
        If the target names no sample, or none that can be loaded.
    """
    target = job.action.target
    if target.sample is None:
        raise SpecError("target", "no sample named", "a sample", "name the sample")
    raw = {"sample": target.sample, "site": target.site or 0, "design": target.design}
    load = command_from({"verb": "load", **raw}, "target")
    assert isinstance(load, Load)
    return load


def arrival(job: Job, state: InstrumentState, size_nm: float) -> list[AnyCommand]:
    """What brings the job's site under the probe, if it is not there; the probe kept away."""
    load = load_of(job)
    away: AnyCommand = Blank() if state.technique == "stem" else Retract()
    there = (state.sample, state.site) == (load.sample, load.site)
    commands: list[AnyCommand] = [] if there else [away, load]
    if abs(state.field_of_view_nm - size_nm) > 1e-9 * size_nm:
        commands.append(SetFieldOfView(field_of_view_nm=size_nm))
    return commands


def stem_procedures(geometry: Geometry) -> Mapping[str, Procedure]:
    """Load, tune, overview and spectra of an electron microscope, and whole programs.

    Parameters
    ----------
    geometry
        Of the overview whose pixels name the positions of later steps.
    """
    size = geometry.field_of_view_nm

    def program(job: Job, state: InstrumentState, *commands: AnyCommand) -> Program:
        return Program(name=job.step.name, commands=(*arrival(job, state, size), *commands))

    def load(job: Job, state: InstrumentState) -> Program:
        no_parameters(job.step)
        return Program(name=job.step.name, commands=(Blank(), load_of(job)))

    def tune(job: Job, state: InstrumentState) -> Program:
        no_parameters(job.step)
        side = _TUNED * size
        return program(
            job, state, Adjust(what="focus", span_nm=300.0, steps=13, side_nm=side),
            Adjust(what="aberrations", span_nm=150.0, steps=16, side_nm=side),
            Adjust(what="focus", span_nm=80.0, side_nm=side), Blank(),
        )  # fmt: skip

    def overview(job: Job, state: InstrumentState) -> Program:
        command = filled(Overview, job, pixels=geometry.pixels)
        return program(job, state, command, Blank())

    def spectra(job: Job, state: InstrumentState) -> Program:
        where = Where(points=geometry.points(job.action.target.positions))
        return program(job, state, filled(Spectrum, job, at=where), Blank())

    return {
        "load_sample": Procedure("load a sample, beam blanked", load),
        "tune": Procedure("focus, astigmatism and focus again, by images", tune),
        "overview_scan": Procedure("image of the whole field of view", overview),
        "measure_spectra": Procedure("energy-loss spectra at pixels of the overview", spectra),
        "run_program": Procedure("the program that the step gives", given_program),
    }


def given_program(job: Job, state: InstrumentState) -> Program:
    """The program under ``program`` in the parameters of the step or the action.

    The job's site is brought under the probe first, unless the program loads it itself.

    Raises
    ------
    SpecError
        If there is none, it is wrong, or it loads another sample or site than the job is about.
    """
    parameters = parameters_of(job)
    who = f"program of step {job.step.name!r}"
    if set(parameters) != {"program"}:
        raise SpecError(
            f"step {job.step.name!r}", f"parameters {sorted(parameters)}", "'program' alone",
            "put a list of commands under parameters.program",
        )  # fmt: skip
    program = program_from(parameters["program"], who)
    sample, site = job.action.target.sample, job.action.target.site
    loads = [c for c in program.commands if isinstance(c, Load)]
    if sample is None:
        return program
    others = sorted(
        {f"{c.sample!r}, site {c.site}" for c in loads
         if c.sample != sample or site not in {None, c.site}}
    )  # fmt: skip
    if others:
        here = f"{sample!r}" if site is None else f"{sample!r}, site {site}"
        raise SpecError(
            who, f"it loads {'; '.join(others)} for an action on {here}", here,
            "leave the loading to the worker, or correct the sample",
        )  # fmt: skip
    if loads:
        return program
    way = arrival(job, state, state.field_of_view_nm)
    return program.model_copy(update={"commands": (*way, *program.commands)})
