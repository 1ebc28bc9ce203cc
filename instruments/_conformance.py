"""The conformance suite of drivers: what every driver must keep, whoever wrote it.

A driver that passes can be put under a console and be told anything: what it is told wrongly is
refused, what goes wrong is a failure with a name, and what it gives is what it said it would.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..workflow import (
    COMMANDS,
    AnyCommand,
    Chunk,
    Command,
    InstrumentState,
    Program,
    Reading,
    command_from,
    parse_unit,
)
from ._check_bypass import check_no_way_round
from ._console import Console
from ._driver import Driver
from ._run import Run

MakeDriver = Callable[[], Driver]

_TIME_SLACK = 1.5


def check_driver(make: MakeDriver, *, sample: str = "S1", **load: Any) -> None:
    """Check that the drivers that ``make`` makes keep the contract of ``Driver``.

    Every command that the driver has is done, in an order in which the interlocks allow it: give a
    live instrument a specimen that may be hurt.

    Parameters
    ----------
    make
        Makes a driver; called a few times, each time after the one before was closed.
    sample
        The sample to load.
    **load
        Further fields of the command ``load``, such as ``design``.

    Raises
    ------
    AssertionError
        At the first breach, with what was found.
    """
    with_driver(make, check_class)
    with_driver(make, lambda d: check_state(d))
    with_driver(make, lambda d: check_dry_run(d, sample, load))
    with_driver(make, lambda d: check_no_way_round(d, _first(d, sample, load)))
    with_driver(make, lambda d: check_commands(d, sample, load))
    with_driver(make, lambda d: check_refusals(d, sample, load))
    with_driver(make, lambda d: check_early_end(d, sample, load))
    with_driver(make, lambda d: check_safe(d, sample, load))
    if _is_twin(make):
        check_seeds(make, sample, load)


def with_driver(make: MakeDriver, check: Callable[[Driver], None]) -> None:
    """Run one check on a fresh driver and close it, twice."""
    driver = make()
    try:
        check(driver)
    finally:
        driver.close()
        driver.close()


def check_class(driver: Driver) -> None:
    """Technique, nature and verbs are what they may be."""
    kind = type(driver)
    assert kind.technique in {"stem", "spm"}, f"technique is {kind.technique!r}"
    assert isinstance(kind.twin, bool), "twin must be true or false"
    stray = set(kind.verbs) - set(COMMANDS)
    assert not stray, f"verbs {sorted(stray)} are none of the instruction set"
    assert "detect" not in kind.verbs, "detecting is the console's, no driver does it"
    for verb, fields in driver.unheeded.items():
        known = set(COMMANDS[verb].model_fields) if verb in COMMANDS else set()
        assert fields <= known, f"unheeded: {verb!r} has no {sorted(fields - known)}"
        needed = {n for n in fields if COMMANDS[verb].model_fields[n].is_required()}
        assert not needed, f"unheeded: {verb!r} cannot be given without {sorted(needed)}"
    safe = "blank" if kind.technique == "stem" else "retract"
    assert safe in kind.verbs, f"a {kind.technique} without {safe!r} cannot be made safe"
    assert "load" in kind.verbs or driver.state().sample is not None, (
        "a driver that cannot load must say which sample is there"
    )


def check_state(driver: Driver) -> None:
    """Asking for the state changes nothing."""
    first, second = driver.state(), driver.state()
    assert isinstance(first, InstrumentState), f"state() gives {type(first).__name__}"
    assert first.technique == driver.technique, f"the state says {first.technique!r}"
    assert quiet(first) == quiet(second), "the state changes by being asked for"


def check_dry_run(driver: Driver, sample: str, load: dict[str, Any]) -> None:
    """A dry run touches nothing, and forecasts are finite and not below the arithmetic."""
    console = Console(driver)
    program = Program(commands=tuple(session(driver, sample, load)))
    before = quiet(driver.state())
    foreseen = console.dry_run(program)
    assert quiet(driver.state()) == before, "the dry run changed the state"
    assert not console.log, "the dry run left lines in the log"
    refused = [f"{s.sentence}: {s.reason}" for s in foreseen.steps if s.verdict != "allowed"]
    assert not refused, f"refused in a dry run: {refused}"
    again = console.dry_run(program)
    assert again.total == foreseen.total, "two dry runs give different forecasts"


def check_commands(driver: Driver, sample: str, load: dict[str, Any]) -> None:
    """Every verb, with data as they were announced and a dose that was foreseen."""
    console = Console(driver)
    for command in session(driver, sample, load):
        state = driver.state()
        foreseen = console.angel.forecast(command, state, driver)
        run = console.run(Program(commands=(command,)), who="conformance", seed=1)
        check_run(run)
        (entry,) = run.entries
        assert entry.electrons <= foreseen.electrons * 1.01 + 1.0, (
            f"{entry.sentence}: {entry.electrons:g} electrons; {foreseen.electrons:g} were foreseen"
        )
        if driver.twin:
            assert entry.duration_s <= foreseen.seconds * _TIME_SLACK + 1e-6, (
                f"{entry.sentence}: {entry.duration_s:g} s; {foreseen.seconds:g} s were foreseen"
            )
        check_effect(command, driver.state())


def check_run(run: Run) -> None:
    """A program that was to succeed did, and its data are sound."""
    assert run.failure is None, f"{run.entries[-1].sentence}: {run.failure}"
    for name, reading in run.readings.items():
        check_reading(name, reading)


def check_reading(name: str, reading: Reading) -> None:
    """Arrays fit their axes, have units that are known, and hold finite numbers below the end of
    the detector."""
    assert reading.complete, f"{name} is not complete"
    for inner, array in reading.arrays.items():
        what = f"array {inner!r} of {name!r}"
        frame = reading.frames[inner]
        assert array.data.shape == frame.shape, f"{what}: {array.data.shape} for {frame.shape}"
        assert array.data.size, f"{what} is empty"
        assert np.isfinite(array.data).all(), f"{what} is not finite everywhere"
        parse_unit(array.unit)
        for axis in array.axes:
            parse_unit(axis.unit)
            assert np.isfinite(axis.values).all(), f"axis {axis.name!r} of {what} is not finite"
        end = frame.saturation
        assert end is None or float(array.data.max()) <= end, f"{what} exceeds its saturation"


def check_effect(command: Command, state: InstrumentState) -> None:
    """Afterwards the instrument says that it is as it was told to be."""
    wanted: dict[str, Any] = {}
    match command.verb:
        case "load":
            wanted = {"sample": getattr(command, "sample", None)}
        case "blank":
            wanted = {"blanked": getattr(command, "blanked", None)}
        case "approach" | "retract":
            wanted = {"engaged": command.verb == "approach"}
        case "set_field_of_view":
            wanted = {"field_of_view_nm": getattr(command, "field_of_view_nm", None)}
        case _:
            pass
    for name, value in wanted.items():
        found = getattr(state, name)
        same = found == value or (isinstance(value, float) and abs(found / value - 1) < 0.02)
        assert same, f"after {command.sentence()!r}, {name} is {found!r}"


def check_refusals(driver: Driver, sample: str, load: dict[str, Any]) -> None:
    """What is out of bounds is refused, changes nothing, and spoils nothing."""
    console = Console(driver)
    for command in preparation(driver, sample, load):
        check_run(console.run(Program(commands=(command,)), seed=1))
    state = driver.state()
    for wrong in improper(driver, state):
        before = quiet(driver.state())
        run = console.run(Program(commands=(wrong,)), seed=1)
        assert run.failure is not None, f"{wrong.sentence()!r} was done"
        assert run.failure.kind == "refused", f"{wrong.sentence()!r}: {run.failure}"
        assert run.failure.message, f"{wrong.sentence()!r} is refused without a reason"
        assert run.spent.electrons == 0, f"{wrong.sentence()!r} is charged a dose"
        assert quiet(driver.state()) == before, f"{wrong.sentence()!r} changed the state"
    for command in measurements(driver, state):
        check_run(console.run(Program(commands=(command,)), seed=1))
        return


def check_early_end(driver: Driver, sample: str, load: dict[str, Any]) -> None:
    """Ended after its first chunk, a measurement gives what came, and the next one works from there
    if it was to be held; else the probe is away."""

    def enough(command: Command, chunk: Chunk) -> str | None:
        return "enough" if chunk.frame else None

    console = Console(driver)
    for command in preparation(driver, sample, load):
        check_run(console.run(Program(commands=(command,)), seed=1))
    for command in measurements(driver, driver.state()):
        program = Program(commands=(command,))
        run = console.run(program, seed=1, watch=enough, hold=True)
        assert run.failure is None, f"{command.sentence()!r} ended early: {run.failure}"
        for array in run.arrays.values():
            assert np.isfinite(array.data).all(), f"{command.sentence()!r}: gaps in what came"
        check_run(console.run(program, seed=1))
        engaged = driver.state().engaged
        if console.run(program, seed=1, watch=enough).stopped:
            assert_away(driver, f"after an early end of {command.sentence()!r}")
        if engaged and not driver.state().engaged:
            check_run(console.run(Program(commands=(command_from("approach"),)), seed=1))


def check_safe(driver: Driver, sample: str, load: dict[str, Any]) -> None:
    """``safe()`` works from every state, more than once."""
    console = Console(driver)
    assert_safe(console)
    for command in session(driver, sample, load):
        check_run(console.run(Program(commands=(command,)), seed=1))
        if command.verb in {"approach", "overview", "scan", "spectrum", "load", "tune"}:
            engaged = driver.state().engaged
            assert_safe(console)
            if engaged:
                again = command_from("approach")
                check_run(console.run(Program(commands=(again,)), seed=1))
    assert_safe(console)


def assert_safe(console: Console) -> None:
    for _ in range(2):
        said = console.safe()
        assert "FAILED" not in said, said
        assert_away(console.driver, "after safe()")


def assert_away(driver: Driver, when: str) -> None:
    """The beam is blanked, or the tip withdrawn."""
    state = driver.state()
    away = state.blanked if state.technique == "stem" else not state.engaged
    assert away, f"{when} the instrument says {state}"


def check_seeds(make: MakeDriver, sample: str, load: dict[str, Any]) -> None:
    """A twin gives the same for the same seed, whatever was before in another process."""

    def data(seed: int) -> list[np.ndarray]:
        driver = make()
        try:
            program = Program(commands=tuple(session(driver, sample, load)))
            run = Console(driver).run(program, seed=seed)
            check_run(run)
            return [a.data for a in run.arrays.values()]
        finally:
            driver.close()

    first, again, other = data(1), data(1), data(2)
    assert first, "a twin that gives no data"
    same = all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert same, "the same seed gives other data"
    differs = any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    assert differs, "another seed gives the same noise"


def preparation(driver: Driver, sample: str, load: dict[str, Any]) -> Iterator[AnyCommand]:
    """What comes before any measurement."""
    verbs = driver.verbs
    if "load" in verbs:
        away = "blank" if driver.technique == "stem" else "retract"
        yield command_from(away)
        yield command_from({"verb": "load", "sample": sample, **load})
    if "approach" in verbs:
        yield command_from("approach")


def measurements(driver: Driver, state: InstrumentState) -> Iterator[AnyCommand]:
    """A small one of each kind that the driver has."""
    size = state.field_of_view_nm
    places = [[0.25 * size, 0.25 * size], [0.5 * size, 0.75 * size], [0.6 * size, 0.4 * size]]
    fast = 2e-6 if driver.technique == "stem" else 1e-3
    area = {"y_nm": size / 4, "x_nm": size / 4, "height_nm": size / 4, "width_nm": size / 2}
    whole: Sequence[dict[str, Any]] = (
        {"verb": "overview", "pixels": 128, "dwell_s": fast},
        {"verb": "scan", "rows": 48, "columns": 64, "region": area, "dwell_s": fast},
        {"verb": "spectrum", "at": places, "exposure_s": 0.02},
        {"verb": "loop", "at": places, "bias_V": 4.0},
        {"verb": "sweep", "at": places, "max_V": 2.0},
        {"verb": "path", "through": places, "step_nm": size / 64, "speed_nm_per_s": size},
    )
    yield from (heeded(driver, raw) for raw in whole if raw["verb"] in driver.verbs)


def heeded(driver: Driver, raw: dict[str, Any]) -> AnyCommand:
    """A command without what the driver does not heed."""
    vain = driver.unheeded.get(raw["verb"], frozenset())
    return command_from({name: value for name, value in raw.items() if name not in vain})


def session(driver: Driver, sample: str, load: dict[str, Any]) -> Iterator[AnyCommand]:
    """Every verb that the driver has, in an order in which the interlocks allow it."""
    state = driver.state()
    size = state.field_of_view_nm
    yield from preparation(driver, sample, load)
    yield from measurements(driver, state)
    middle = [0.5 * size, 0.5 * size]
    electron = driver.technique == "stem"
    tunings = ("focus", "aberrations") if electron else ("resonance", "dart")
    tuning = {"verb": "tune", "steps": 6, **({"span_nm": 40.0} if electron else {})}
    rest: Sequence[dict[str, Any]] = (
        *(
            {**tuning, "what": what}
            for what in tunings
            if driver.tunings is None or what in driver.tunings
        ),
        {"verb": "set_focus", "defocus_nm": state.defocus_nm + 10.0},
        {"verb": "set_focus", "defocus_nm": state.defocus_nm},
        {"verb": "set_beam", "current_pA": state.current_pA or 1.0},
        {"verb": "set_field_of_view", "field_of_view_nm": size / 2},
        {"verb": "set_field_of_view", "field_of_view_nm": size},
        {"verb": "retract"},
        {"verb": "place_beam", "at": middle},
        {"verb": "move_stage", "y_nm": state.stage_y_nm + 50.0, "x_nm": state.stage_x_nm},
        {"verb": "move_stage", "y_nm": state.stage_y_nm, "x_nm": state.stage_x_nm},
        {"verb": "blank", "blanked": True},
    )
    yield from (heeded(driver, raw) for raw in rest if raw["verb"] in driver.verbs)


def improper(driver: Driver, state: InstrumentState) -> Iterator[AnyCommand]:
    """What no instrument may be told: outside, too long, too much, or not in its set."""
    size = state.field_of_view_nm
    outside = [[size * 1.5, 0.0]]
    for verb in ("spectrum", "loop", "sweep"):
        yield command_from({"verb": verb, "at": outside})
        yield command_from({"verb": verb, "at": [[-1.0, 0.0]]})
    yield command_from({"verb": "place_beam", "at": [size / 2, size * 2]})
    yield command_from({"verb": "overview", "pixels": 16_384, "dwell_s": 0.9})
    yield command_from({"verb": "scan", "dwell_s": 1e6})
    area = {"y_nm": 0, "x_nm": size / 2, "height_nm": size / 2, "width_nm": size}
    yield command_from({"verb": "scan", "region": area, "dwell_s": 1e-6})
    yield command_from({"verb": "set_beam", "current_pA": 1e9})
    yield command_from({"verb": "set_beam", "voltage_kV": 1e6})
    yield command_from({"verb": "set_focus", "defocus_nm": 1e9})
    yield command_from({"verb": "set_field_of_view", "field_of_view_nm": 1e12})
    yield command_from({"verb": "move_stage", "y_nm": 1e12})
    yield command_from({"verb": "move_stage", "y_nm": 1.0, "speed_nm_per_s": 1e12})
    yield command_from({"verb": "loop", "at": [[0, 0]], "bias_V": 1e4})
    yield command_from({"verb": "sweep", "at": [[0, 0]], "max_V": 1e4})
    yield command_from({"verb": "approach", "setpoint_nN": 1e9})
    foreign = sorted(set(COMMANDS) - driver.verbs - {"detect"})
    simple = {"load": {"sample": "x"}, "tune": {"what": "focus"}, "set_focus": {"defocus_nm": 0}}
    for verb in foreign:
        if verb in {"retract", "approach", "blank", "overview", "scan", *simple}:
            yield command_from({"verb": verb, **simple.get(verb, {})})


def quiet(state: InstrumentState) -> InstrumentState:
    """A state without what may change by itself: clocks and readings."""
    return copy.copy(state).model_copy(update={"notes": {}, "probe_nm": 1.0})


def _first(driver: Driver, sample: str, load: dict[str, Any]) -> AnyCommand:
    """A command that the instrument may do at once."""
    return next(iter(preparation(driver, sample, load)), None) or command_from(
        "blank" if driver.technique == "stem" else "retract"
    )


def _is_twin(make: MakeDriver) -> bool:
    driver = make()
    twin = driver.twin
    driver.close()
    return twin
