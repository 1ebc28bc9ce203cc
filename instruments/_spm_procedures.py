"""Procedures of a scanning probe microscope."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..workflow import (
    Adjust,
    AnyCommand,
    Approach,
    InstrumentState,
    Job,
    Loop,
    Overview,
    Program,
    Retract,
    Sweep,
    Where,
    no_parameters,
)
from ._procedures import Geometry, Procedure, filled, given_program, load_of

Way = Callable[[Job, InstrumentState], list[AnyCommand]]
"""Commands that bring the job's site under the tip, withdrawn."""


def always_load(job: Job, state: InstrumentState) -> list[AnyCommand]:
    """Whatever is there, the site is brought under the tip anew: a program depends on nothing."""
    return [Retract(), load_of(job)]


def load_if_needed(job: Job, state: InstrumentState) -> list[AnyCommand]:
    """The site is brought under the tip unless it is there."""
    load = load_of(job)
    return [] if (state.sample, state.site) == (load.sample, load.site) else [Retract(), load]


def spm_procedures(
    geometry: Geometry, bias_V: float, way: Way = load_if_needed
) -> Mapping[str, Procedure]:
    """Load, tune, overview, loops and sweeps, and whole programs; the tip is withdrawn in the end.

    Parameters
    ----------
    geometry
        Of the overview whose pixels name the positions of later steps.
    bias_V
        Amplitude of the bias of loops, where the step names none.
    way
        How the site of a job comes under the tip.
    """

    def program(job: Job, state: InstrumentState, *commands: AnyCommand) -> Program:
        inner = (*way(job, state), Approach(), *commands, Retract())
        return Program(name=job.step.name, commands=inner)

    def load(job: Job, state: InstrumentState) -> Program:
        no_parameters(job.step)
        return Program(name=job.step.name, commands=(Retract(), load_of(job)))

    def tune(job: Job, state: InstrumentState) -> Program:
        return program(job, state, filled(Adjust, job, what="resonance"))

    def track(job: Job, state: InstrumentState) -> Program:
        given = {"steps": 24, "span_kHz": 10.0}
        return program(job, state, filled(Adjust, job, given, what="dart"))

    def overview(job: Job, state: InstrumentState) -> Program:
        given = {"dwell_s": 0.03}
        return program(job, state, filled(Overview, job, given, pixels=geometry.pixels))

    def loops(job: Job, state: InstrumentState) -> Program:
        where = Where(points=geometry.points(job.action.target.positions))
        return program(job, state, filled(Loop, job, {"bias_V": bias_V}, at=where))

    def sweeps(job: Job, state: InstrumentState) -> Program:
        where = Where(points=geometry.points(job.action.target.positions))
        return program(job, state, filled(Sweep, job, at=where))

    return {
        "load_sample": Procedure("mount a strip", load),
        "tune": Procedure("contact resonance and lever calibration", tune),
        "track_resonance": Procedure("dual AC resonance tracking", track),
        "overview_scan": Procedure("piezoresponse image of a pad", overview),
        "measure_loops": Procedure("local switching spectroscopy", loops),
        "measure_sweeps": Procedure("response against the drive", sweeps),
        "run_program": Procedure("the program that the step gives", given_program),
    }
