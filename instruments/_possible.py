"""Whether a step could ever be done: asked when a campaign starts; nothing on the instrument moves.

Everything that may yet change is taken to be favourable: nothing was exposed before, the stage
stands where nothing is forbidden, the instrument is as each command wants it. Only the beam is the
one that the instrument has, unless the step's own program sets another. What is refused even so is
refused whenever it comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ..workflow import (
    Action,
    AnyCommand,
    Command,
    Detect,
    InstrumentState,
    Job,
    Load,
    MoveStage,
    Point,
    ProbewiseError,
    Program,
    SetFocus,
    SpecError,
    Step,
    Target,
    exposures,
    program_from,
)
from ._angel import Angel
from ._dose import DoseBook
from ._driver import Driver, expected_state
from ._procedures import Geometry, Procedure
from ._resolve import resolved, spread

_GIVES_DATA = frozenset({"tune", "overview", "scan", "spectrum", "loop", "sweep", "path"})
_FAR_nm = 1e15


def check_step(
    step: Step, procedure: Procedure, geometry: Geometry, driver: Driver, angel: Angel
) -> None:
    """Build the program of a step for a specimen that is not there, and let the angel judge it, for
    the usual dwell and for each that may be chosen.

    Raises
    ------
    SpecError
        If it cannot be built, one of its commands would always be refused, or it takes no data
        though the step records some.
    """
    for parameters in _choices(step):
        _check_job(step, _trial_job(step, geometry, parameters), procedure, geometry, driver, angel)


def _choices(step: Step) -> list[dict[str, Any]]:
    """Parameters that actions of the step may have: none, and each of its dwells."""
    return [{}, *({step.dwell: d} for d in step.dwells_s if step.dwell is not None)]


def _check_job(
    step: Step, job: Job, procedure: Procedure, geometry: Geometry, driver: Driver, angel: Angel
) -> None:
    state = _trial_state(job, geometry, driver, angel)
    try:
        program = procedure.build(job, state)
    except ProbewiseError as error:
        who = error.who if repr(step.name) in error.who else f"step {step.name!r}, {error.who}"
        raise SpecError(who, error.given, error.allowed, error.remedy) from error
    for sentence, reason in _objections(program, state, driver, angel):
        raise SpecError(
            f"step {step.name!r}, command {sentence!r}",
            reason,
            "what the driver can do within its limits",
            "correct the step's parameters, or the limits or the beam in the worker's config",
        )
    if step.records and not any(c.verb in _GIVES_DATA for c in program.commands):
        raise SpecError(
            f"step {step.name!r}",
            f"records {[p.name for p in step.records]}; its commands take no data",
            f"a program with one of {sorted(_GIVES_DATA & driver.verbs)}",
            "correct what the step records, or the capability that it needs",
        )


def _trial_job(step: Step, geometry: Geometry, parameters: dict[str, Any]) -> Job:
    """A job of the step on a target of its kind, as long as such jobs are, at the first seed."""
    held = step.acts_on in {"sample", "site", "positions"}
    placed = step.acts_on in {"site", "positions"}
    target = Target(
        sample=_sample_of(step) if held else None,
        site=0 if placed else None,
        positions=_spread_out(step, geometry) if step.acts_on == "positions" else (),
    )
    typical = step.latency_h.model_copy(update={"log_std": 0.0, "per_unit": {}})
    action = Action(
        id=f"check-{step.name}",
        step=step.name,
        target=target,
        parameters=parameters,
        seed=0,
        hours={"start": 0.0},
    )
    return Job(action, step.model_copy(update={"latency_h": typical}))


def _sample_of(step: Step) -> str:
    """The sample that the step's own program loads, if it has one."""
    given: Any = step.parameters.get("program")
    try:
        commands = program_from(given).commands
    except ProbewiseError:
        commands = ()  # what is wrong with it is said when it is built
    return next((c.sample for c in commands if isinstance(c, Load)), "?")


def _spread_out(step: Step, geometry: Geometry) -> tuple[tuple[int, int], ...]:
    whole = geometry.pixels**2
    count = min(step.positions_per_run, whole)
    return tuple(divmod(k * whole // count, geometry.pixels) for k in range(count))


def _trial_state(job: Job, geometry: Geometry, driver: Driver, angel: Angel) -> InstrumentState:
    """Nothing loaded, unless the driver cannot load; the field of view as wide as may be."""
    size_nm = geometry.field_of_view_nm
    if "set_field_of_view" in driver.verbs:
        size_nm = max(size_nm, angel.limits.max_field_of_view_nm)
    target = job.action.target
    state = InstrumentState(
        technique=driver.technique,
        sample=None if "load" in driver.verbs else target.sample,
        site=0 if "load" in driver.verbs else target.site or 0,
        field_of_view_nm=size_nm,
    )
    return state.model_copy(update=_beam_of(driver, angel))


def _beam_of(driver: Driver, angel: Angel) -> dict[str, float]:
    """Voltage, current and probe as the instrument says; nothing of one that does not say."""
    with suppress(Exception):  # what it cannot say now is judged when the command comes
        state = angel.state(driver)
        return {name: getattr(state, name) for name in ("voltage_kV", "current_pA", "probe_nm")}
    return {}


def _objections(
    program: Program, state: InstrumentState, driver: Driver, angel: Angel
) -> Iterator[tuple[str, str]]:
    """Sentence and reason of each command that is refused however things stand."""
    found: dict[str, tuple[Point, ...]] = {}
    book = DoseBook()
    for command in program.commands:
        if isinstance(command, Detect):
            found[command.name] = spread(command.count, state.field_of_view_nm)
        there: AnyCommand = resolved(command, found)
        at_best = _favourable(there, state)
        said = angel.judge(there, at_best, driver, book)
        if said.verdict == "refused":
            yield command.sentence(), said.reason
        book.charge(at_best, exposures(there, at_best))
        if command.verb in {"load", "set_beam", "set_field_of_view", "move_stage"}:
            state = expected_state(there, state)


def _favourable(command: Command, state: InstrumentState) -> InstrumentState:
    """The state in which the command has the best chance."""
    change: dict[str, Any] = {
        "sample": state.sample or "?",
        "engaged": command.verb not in {"load", "move_stage"},
        "stage_y_nm": _FAR_nm + state.stage_y_nm,
        "stage_x_nm": _FAR_nm + state.stage_x_nm,
    }
    if isinstance(command, MoveStage):
        axes = {"y": command.y_nm, "x": command.x_nm, "z": command.z_nm}
        change |= {f"stage_{name}_nm": value or 0.0 for name, value in axes.items()}
    if isinstance(command, SetFocus):
        change["defocus_nm"] = command.defocus_nm
    return state.model_copy(update=change)
