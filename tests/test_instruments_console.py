"""The console: the data's way, faults of drivers, watchdogs, the log."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from support_drivers import LiveSmallStem, SmallStem, program

from probewise.instruments import (
    Alarm,
    Angel,
    Console,
    Driver,
    Interrupted,
    SpmTwinDriver,
    StemTwinDriver,
    limits_from,
)
from probewise.instruments._stream import Stream
from probewise.workflow import Chunk, Command, GuardianError, Program

IMAGE = {"overview": {"pixels": 32}}
FILM = {"composition_sm": 0.13, "temperature_C": 650.0, "pressure_mTorr": 100.0}


def console_of(driver: Driver, **limits: Any) -> Console:
    given = {"silence_s": 0.3, **limits}
    angel = Angel(driver.technique, driver.twin, limits_from(driver.technique, driver.twin, given))
    return Console(driver, angel)


def test_a_program_runs_in_its_order_and_everything_is_logged() -> None:
    driver = SmallStem()
    console = Console(driver)
    run = console.run(program(IMAGE, {"spectrum": {"at": [[1, 1], [2, 2]]}}, "blank"), who="Ada")
    assert driver.done == ["overview", "spectrum", "blank"]
    assert [e.outcome for e in run.entries] == ["done"] * 3
    assert console.log == run.entries
    assert {e.who for e in run.entries} == {"Ada"}
    assert {e.limits for e in run.entries} == {console.angel.limits.digest}
    starts = [e.start_s for e in run.entries]
    assert starts == sorted(starts) and starts[-1] > 0
    assert set(run.arrays) == {"overview", "spectra"}
    assert run.arrays["spectra"].data.shape == (2, 32)
    assert run.spent.dose_e_per_A2 == pytest.approx(sum(e.dose_e_per_A2 for e in run.entries))
    assert run.spent.local_dose_e_per_A2 == run.entries[1].local_dose_e_per_A2 > 1e4


def test_what_comes_again_keeps_its_name_apart() -> None:
    run = Console(SmallStem()).run(program(IMAGE, IMAGE))
    assert set(run.arrays) == {"overview", "overview_2"}


def test_the_program_ends_where_something_is_refused_and_nothing_after_it_is_done() -> None:
    driver = SmallStem()
    run = Console(driver).run(program(IMAGE, {"set_focus": {"defocus_nm": 1e7}}, "blank"))
    assert driver.done == ["overview", "blank"], "blanked, since it ended early"
    assert run.failure is not None and run.failure.kind == "refused"
    assert [e.verdict for e in run.entries] == ["allowed", "refused", "allowed"]
    assert run.entries[-1].who == "console, after a failure"
    assert "overview" in run.arrays, "what was measured is kept"


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("shape", "bad_data", "does not fit"),
        ("dtype", "bad_data", "real numbers"),
        ("nan", "bad_data", "no numbers"),
        ("saturated", "bad_data", "detector's end"),
        ("short", "bad_data", "did not come whole"),
        ("lost", "instrument", "connection lost"),
        ("feedback", "instrument", "setpoint"),
        ("overdose", "instrument", "were foreseen"),
        ("bug", "crashed", "ZeroDivisionError"),
        ("clock", "bad_data", "seconds=-1.0"),
        ("silent", "timeout", "no data"),
        ("mute", "instrument", "no state"),
    ],
)
def test_every_fault_has_its_name_and_leaves_the_beam_blanked(
    fault: str, kind: str, said: str
) -> None:
    driver = SmallStem(fault)
    run = console_of(driver).run(program(IMAGE))
    assert run.failure is not None
    assert run.failure.kind == kind, run.failure
    assert said in run.failure.message
    assert driver.done[-1] == "blank"
    assert run.entries[-1].sentence == "Blank the beam"
    driver.close()


@pytest.mark.parametrize("fault", ["shape", "lost", "bug", "saturated", "short"])
def test_after_a_fault_the_rows_that_came_are_kept_and_the_next_program_works(fault: str) -> None:
    driver = SmallStem(fault)
    console = console_of(driver)
    run = console.run(program(IMAGE))
    data = run.arrays["overview"].data
    assert np.isfinite(data[:16]).all()
    assert not run.readings["overview"].complete
    driver.fault = ""
    assert console.run(program(IMAGE)).failure is None


def test_a_driver_that_hangs_is_left_and_told_nothing_more_until_it_is_back() -> None:
    driver = LiveSmallStem("silent")
    console = console_of(driver, silence_s=0.05)
    from probewise.instruments import _conduct

    patience, _conduct._MORE_S = _conduct._MORE_S, 0.05
    try:
        run = console.run(program(IMAGE))
    finally:
        _conduct._MORE_S = patience
    assert run.failure is not None and run.failure.kind == "timeout"
    again = console.run(program(IMAGE))
    assert again.failure is not None and "not come back" in again.failure.message
    rows = driver.done.count("overview")
    driver.fault = ""
    driver.release.set()
    for thread in threading.enumerate():
        if thread.name == "driver":
            thread.join(5.0)
    assert driver.done.count("overview") == rows
    assert driver.put_back >= 1, "the abandoned measurement was ended, not gone on with"
    assert console.run(program(IMAGE)).failure is None


def test_an_instrument_that_does_not_tell_its_state_is_found_and_still_blanked() -> None:
    driver = SmallStem("deaf")
    console = console_of(driver, silence_s=0.05)
    run = console.run(program(IMAGE))
    assert run.failure is not None and run.failure.kind == "timeout"
    assert driver.done == ["blank"]
    driver.close()


def test_watching_sees_every_chunk_and_may_end_the_program_with_what_came() -> None:
    seen: list[int] = []

    def watch(command: Command, chunk: Chunk) -> str | None:
        seen.append(chunk.start)
        return "good enough" if len(seen) == 8 else None

    driver = SmallStem()
    run = Console(driver).run(program(IMAGE, "blank"), watch=watch)
    assert seen == list(range(8))
    assert run.failure is None and run.stopped == "good enough"
    assert run.arrays["overview"].data.shape == (8, 32)
    assert len(run.arrays["overview"].axes[0].values) == 8
    assert driver.done == ["overview", "blank"] and driver.put_back == 2
    assert [e.outcome for e in run.entries] == ["stopped", "done"]
    assert run.entries[-1].who == "console, after an early end"


def test_who_goes_on_from_there_may_have_it_held() -> None:
    driver = SmallStem()
    watch = lambda command, chunk: "good enough"  # noqa: E731
    run = Console(driver).run(program(IMAGE, "blank"), watch=watch, hold=True)
    assert run.stopped == "good enough" and driver.done == ["overview"]


@pytest.mark.parametrize("fault", ["lost", "nan", "bug"])
def test_holding_does_not_hold_what_fails(fault: str) -> None:
    driver = SmallStem(fault)
    run = Console(driver).run(program(IMAGE, "blank"), hold=True)
    assert run.failure is not None and driver.done[-1] == "blank"


@pytest.mark.parametrize(
    ("driver", "commands"),
    [
        (StemTwinDriver, [{"load": {"sample": "S1"}}, {"blank": {"blanked": False}}, "overview"]),
        (
            SpmTwinDriver,
            [
                {"load": {"sample": "S1", "design": FILM}},
                "approach",
                {"overview": {"pixels": 32, "dwell_s": 0.001}},
            ],
        ),
    ],
)
@pytest.mark.parametrize("hold", [False, True])
def test_a_twin_whose_program_ends_early_is_left_safe_unless_held(driver, commands, hold) -> None:
    made = driver()

    def enough(command: Command, chunk: Chunk) -> str | None:
        return "enough" if chunk.frame is not None else None

    run = Console(made).run(program(*commands), watch=enough, hold=hold)
    assert run.failure is None and run.stopped == "enough" and run.state is not None
    state = made.state()
    away = state.blanked if state.technique == "stem" else not state.engaged
    assert away is not hold and run.state == state


def test_ctrl_c_keeps_what_came_and_leaves_the_beam_blanked() -> None:
    def watch(command: Command, chunk: Chunk) -> str | None:
        if chunk.start == 7:
            raise KeyboardInterrupt
        return None

    driver = SmallStem()
    console = Console(driver)
    with pytest.raises(Interrupted) as caught:
        console.run(program(IMAGE, "overview"), watch=watch)
    run = caught.value.run
    assert driver.done == ["overview", "blank"] and driver.put_back == 2
    assert run.stopped == "interrupted" and run.arrays["overview"].data.shape == (8, 32)
    assert [e.outcome for e in run.entries] == ["stopped", "done"]
    assert run.entries[-1].who == "console, after an interruption"
    assert console.log == run.entries
    assert console.run(program("overview")).failure is None, "the next program runs"


def test_ctrl_c_does_not_end_what_makes_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    pressed = iter([KeyboardInterrupt, KeyboardInterrupt, KeyboardInterrupt])
    usual = Stream.next

    def impatient(self: Stream, timeout_s: float) -> Chunk | None:
        for error in pressed:
            raise error
        return usual(self, timeout_s)

    monkeypatch.setattr(Stream, "next", impatient)
    driver = SmallStem()
    with pytest.raises(Interrupted) as caught:
        Console(driver).run(program(IMAGE))
    assert caught.value.run.entries[-1].outcome == "done"
    assert driver.done[-1] == "blank"


def test_a_watcher_that_breaks_loses_nothing() -> None:
    run = Console(SmallStem()).run(program(IMAGE), watch=lambda command, chunk: str(1 / 0))
    assert run.failure is None and "whoever watches broke" in run.stopped
    assert run.arrays["overview"].data.shape == (1, 32)


def spots(shift: int = 0) -> np.ndarray:
    rng = np.random.default_rng(0)
    image = rng.random((64, 64)) * 100.0
    return np.roll(image, shift, axis=1)


SQUARE = {"overview": {"pixels": 64}}


def test_drift_between_images_pauses_and_whoever_attends_decides() -> None:
    asked: list[Alarm] = []

    def go_on(alarm: Alarm) -> bool:
        asked.append(alarm)
        return True

    for attend, fine in ((go_on, True), (None, False)):
        driver = SmallStem()
        driver.scripted = [spots(), spots(8)]
        given: dict[str, Any] = {} if attend is None else {"attend": attend}
        run = console_of(driver).run(program(SQUARE, SQUARE), **given)
        assert (run.failure is None) is fine
    assert asked[0].watchdog == "drift"
    assert run.failure is not None and "25" in run.failure.message, "8 pixels of 200/63 nm"


def test_an_area_that_becomes_brighter_is_contaminated() -> None:
    driver = SmallStem()
    driver.scripted = [spots(), 1.5 * spots()]
    run = console_of(driver).run(program(SQUARE, SQUARE))
    assert run.failure is not None and "contamination" in run.failure.message
    assert driver.done[-1] == "blank"
    driver = SmallStem()
    driver.scripted = [spots(), 1.5 * spots()]
    fresh = program(SQUARE, {"load": {"sample": "other"}}, SQUARE)
    assert console_of(driver).run(fresh).failure is None, "another specimen is another history"


def test_an_image_of_another_size_is_a_new_beginning_for_the_watchdogs() -> None:
    driver = SmallStem()
    console = console_of(driver)
    driver.scripted = [spots(), spots()]
    assert console.run(program(SQUARE)).failure is None
    key = next(iter(console._watchdogs._first))
    console._watchdogs._first[key] = np.zeros((3, 3))
    assert console.run(program(SQUARE)).failure is None


def test_who_attends_and_breaks_does_not_let_it_go_on() -> None:
    driver = SmallStem()
    driver.scripted = [spots(), spots(8)]
    run = console_of(driver).run(program(SQUARE, SQUARE), attend=lambda alarm: bool(1 / 0))
    assert run.failure is not None and "drift" in run.failure.message
    assert len(run.arrays) == 2


def test_data_are_kept_where_the_state_is_gone_afterwards() -> None:
    run = console_of(SmallStem("gone")).run(program(IMAGE))
    assert run.failure is None and run.state is None
    assert run.arrays["overview"].data.shape == (32, 32)


def test_a_few_full_pixels_are_no_saturation() -> None:
    driver = SmallStem()
    image = spots()
    image[5, 5:15] = 1000.0
    driver.scripted = [image]
    assert console_of(driver).run(program(SQUARE)).failure is None


def test_two_programs_at_once_are_refused() -> None:
    driver = SmallStem()
    console = Console(driver)
    errors: list[Exception] = []

    def second(command: Command, chunk: Chunk) -> None:
        try:
            console.run(program("blank"))
        except GuardianError as error:
            errors.append(error)

    assert console.run(program(IMAGE), watch=second).failure is None
    assert errors and "another one runs" in str(errors[0])


def test_a_dry_run_touches_nothing_and_foresees_what_happens() -> None:
    driver = SmallStem()
    console = Console(driver)
    plan = program(
        IMAGE, {"detect": {"find": "grid", "count": 9}}, {"spectrum": {"at": "detected"}},
        {"scan": {"dwell_s": 50e-6, "rows": 8, "columns": 8}}, {"set_focus": {"defocus_nm": 1e6}},
    )  # fmt: skip
    dry = console.dry_run(plan)
    assert not driver.done and not console.log
    assert [s.verdict for s in dry.steps] == ["allowed"] * 3 + ["confirm", "refused"]
    assert len(dry.refusals) == 2
    run = console.run(Program(commands=plan.commands[:4]), vouched="Ada")
    assert run.failure is None
    assert run.spent.electrons == pytest.approx(dry.total.electrons, rel=1e-6)
    assert run.entries[-1].verdict == "confirmed"


def test_a_dry_run_adds_up_doses_as_a_run_would() -> None:
    spot = {"spectrum": {"at": [[10, 10]], "exposure_s": 0.1}}
    console = console_of(SmallStem(), max_local_dose_e_per_A2=6e5)
    dry = console.dry_run(program(spot, spot, spot))
    assert [s.verdict for s in dry.steps] == ["allowed", "allowed", "refused"]
    run = console.run(program(spot, spot, spot))
    assert [e.outcome for e in run.entries[:3]] == ["done", "done", "refused"]
    assert console.dry_run(program(spot)).refusals, "what was given counts"


def test_detecting_nothing_is_bad_data() -> None:
    run = Console(SmallStem()).run(program(IMAGE, {"detect": {"find": "edges"}}, "blank"))
    assert run.failure is not None and run.failure.kind == "bad_data"
    assert "edges" in run.failure.message


def test_an_unknown_detector_is_refused_with_those_there_are() -> None:
    run = Console(SmallStem()).run(program(IMAGE, {"detect": {"find": "unicorns"}}))
    assert run.failure is not None and "particles" in run.failure.message


def test_safe_says_what_it_did_and_what_it_could_not() -> None:
    console = Console(SmallStem())
    assert console.safe() == "Blank the beam: done"
    assert console.log[-1].who == "console"

    class Stuck(SmallStem):
        def _do(self, command: Any) -> Any:
            raise RuntimeError("the blanker is stuck")
            yield

    assert "FAILED" in Console(Stuck()).safe()
