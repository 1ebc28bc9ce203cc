"""The guardian angel: limits, interlocks, doses; and that there is no way round it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support_drivers import LiveSmallStem, SmallStem, command, program

from probewise.instruments import (
    Angel,
    Console,
    Driver,
    Forbidden,
    Limits,
    Permit,
    SpmTwinDriver,
    check_driver,
    default_limits,
    limits_from,
)
from probewise.instruments._permit import take_issuer
from probewise.workflow import (
    Chunk,
    Command,
    Forecast,
    GuardianError,
    InstrumentState,
    Rectangle,
    SpecError,
    command_from,
)

STEM = InstrumentState(technique="stem", sample="S1", voltage_kV=100.0, current_pA=40.0)
SPM = InstrumentState(technique="spm", sample="S1", engaged=True, field_of_view_nm=1280.0)
HERE = [[10.0, 10.0]]


def judged(
    given: Command, state: InstrumentState = STEM, twin: bool = True, **limits: Any
) -> tuple[str, str]:
    driver: Driver = SpmTwinDriver() if state.technique == "spm" else SmallStem()
    if not twin:
        driver = LiveSmallStem()
    angel = Angel(state.technique, twin, limits_from(state.technique, twin, limits))
    said = angel.judge(given, state, driver)
    return said.verdict, said.reason


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (command("overview", dwell_s=2e-3, pixels=32), "dwell"),
        (command("scan", dwell_s=9e-4, rows=1000, columns=1000), "frame time"),
        (command("overview", pixels=16_384), "pixels"),
        (command("spectrum", at=HERE, exposure_s=10), "exposure"),
        (command("spectrum", at=[[10, 500]]), "field of view"),
        (command("scan", region={"y_nm": 150, "height_nm": 60, "width_nm": 60}), "field of view"),
        (command("place_beam", at=[-1, 5]), "field of view"),
        (command("set_beam", current_pA=5000), "beam current"),
        (command("set_beam", voltage_kV=400), "voltage"),
        (command("set_beam", voltage_kV=5), "voltage"),
        (command("set_focus", defocus_nm=1500), "focus step"),
        (command("set_focus", defocus_nm=-9000), "defocus"),
        (command("set_field_of_view", field_of_view_nm=1e6), "field of view"),
        (command("move_stage", y_nm=1e6), "stage y"),
        (command("move_stage", z_nm=1e5), "stage z"),
        (command("move_stage", tilt_deg=70), "tilt"),
        (command("move_stage", x_nm=90_000), "stage step"),
        (command("move_stage", x_nm=10, speed_nm_per_s=1e6), "stage speed"),
        (command("tune", what="focus", span_nm=9000), "defocus"),
        (command("tune", what="focus", steps=1000, pixels=512), "frame time"),
        (command("move_stage", x_nm=500, speed_nm_per_s=0.01), "frame time"),
    ],
)
def test_every_limit_of_an_electron_microscope_refuses_with_its_name(
    given: Command, reason: str
) -> None:
    verdict, why = judged(given)
    assert verdict == "refused"
    assert reason in why
    assert any(c.isdigit() for c in why)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (command("loop", at=HERE, bias_V=50), "bias"),
        (command("loop", at=HERE, pulse_s=10), "one loop"),
        (command("sweep", at=HERE, max_V=50), "drive"),
        (command("sweep", at=HERE, dwell_s=30), "one sweep"),
        (command("approach", setpoint_nN=5000), "setpoint"),
        (command("tune", what="dart", drive_V=99), "drive"),
        (command("path", through=[[0, 0], [9, 9]], speed_nm_per_s=1e9), "speed of the tip"),
        (command("path", through=[[0, 0], [9, 9e4]]), "field of view"),
        (command("overview", pixels=1024, dwell_s=0.1), "frame time"),
    ],
)
def test_every_limit_of_a_scanning_probe_refuses_with_its_name(given: Command, reason: str) -> None:
    verdict, why = judged(given, SPM)
    assert verdict == "refused"
    assert reason in why


def changed(state: InstrumentState, **fields: Any) -> InstrumentState:
    return state.model_copy(update=fields)


@pytest.mark.parametrize(
    ("given", "state", "reason"),
    [
        (command("move_stage", y_nm=5), changed(STEM, blanked=False), "blank it"),
        (command("load", sample="b"), changed(STEM, blanked=False), "blank it"),
        (command("set_beam", voltage_kV=80), changed(STEM, blanked=False), "blank it"),
        (command("place_beam", at=[5, 5]), changed(STEM, blanked=False), "blank it"),
        (command("blank", blanked=False), changed(STEM, beam_y_nm=3.0, beam_x_nm=3.0), "parked"),
        (command("overview"), changed(STEM, sample=None), "no sample"),
        (command("spectrum", at=HERE), changed(STEM, settled=False), "settled"),
        (command("tune", what="dart"), STEM, "dart"),
        (command("move_stage", y_nm=5), SPM, "retract"),
        (command("load", sample="b"), SPM, "retract"),
        (command("overview", dwell_s=1e-3), changed(SPM, engaged=False), "approach first"),
        (command("loop", at=HERE), changed(SPM, engaged=False), "approach first"),
        (command("approach"), changed(SPM, engaged=False, sample=None), "no sample"),
        (command("tune", what="focus"), SPM, "focus"),
        (command("tune", what="dart"), changed(SPM, engaged=False), "approach first"),
    ],
)
def test_interlocks_say_what_must_be_done_first(
    given: Command, state: InstrumentState, reason: str
) -> None:
    verdict, why = judged(given, state)
    assert verdict == "refused"
    assert reason in why


def test_what_is_harmless_is_allowed_in_the_right_state() -> None:
    for given in (
        command("overview"),
        command("move_stage", y_nm=50.0),
        command("spectrum", at=HERE),
    ):
        assert judged(given)[0] == "allowed"


def test_a_long_dwell_needs_a_person_and_gets_a_permit_with_one() -> None:
    long = command("scan", dwell_s=50e-6, rows=16, columns=16)
    assert judged(long)[0] == "confirm"
    assert judged(command("scan", dwell_s=10e-6, rows=16, columns=16))[0] == "allowed"
    driver = SmallStem()
    angel = Angel("stem", True)
    with pytest.raises(GuardianError, match="person"):
        angel.permit(long, driver)
    _, said, _ = angel.permit(long, driver, vouched="Ada")
    assert said.verdict == "confirm"


def test_blanking_is_never_refused_by_a_state() -> None:
    assert judged(command("blank"), changed(STEM, settled=False, sample=None))[0] == "allowed"
    assert judged(command("retract"), changed(SPM, settled=False, sample=None))[0] == "allowed"


def test_twins_and_live_instruments_have_limits_of_their_own() -> None:
    strong = command("set_beam", current_pA=500)
    assert judged(strong)[0] == "allowed"
    assert judged(strong, twin=False)[0] == "refused"
    angel = Angel("stem", True)
    assert "live" in angel.judge(command("overview"), STEM, LiveSmallStem()).reason
    assert default_limits("stem", True).digest != default_limits("stem", False).digest


def test_default_deny() -> None:
    class Unknown(Command):
        verb: str = "melt"

        def sentence(self) -> str:
            return "Melt it"

    class Posing(type(command("blank"))):  # type: ignore[misc]
        """A blank that is none of the instruction set."""

    assert judged(Unknown())[0] == "refused"
    assert judged(Posing())[0] == "refused"
    assert judged(command("approach"))[0] == "refused"
    assert "not among the allowed" in judged(command("scan"), verbs=["overview"])[1]
    assert judged(command("overview"), changed(STEM, technique="spm"))[0] == "refused"


def test_what_a_driver_cannot_heed_is_refused_and_never_let_pass() -> None:
    class OneFrame(SmallStem):
        unheeded = {"spectrum": frozenset({"frames"})}

    driver = OneFrame()
    console = Console(driver)
    at = [[100.0, 100.0]]
    failed = console.run(program({"spectrum": {"at": at, "frames": 4}}))
    assert failed.failure is not None and failed.failure.kind == "refused"
    assert "cannot heed frames=4 of 'spectrum'" in failed.failure.message
    assert "spectrum" not in driver.done, "refused before anything was done"
    assert console.run(program({"spectrum": {"at": at, "frames": 1}})).failure is None


def test_forbidden_regions_move_with_the_stage() -> None:
    region = Forbidden(area=Rectangle(y_nm=100, x_nm=100, height_nm=20, width_nm=20), why="mine")
    limits: dict[str, Any] = {"forbidden": [region.model_dump()]}
    assert "mine" in judged(command("spectrum", at=[[110, 110]]), **limits)[1]
    assert "mine" in judged(command("overview"), **limits)[1]
    assert judged(command("spectrum", at=[[50, 50]]), **limits)[0] == "allowed"
    moved = changed(STEM, stage_y_nm=60.0, stage_x_nm=60.0)
    assert "mine" in judged(command("spectrum", at=[[50, 50]]), moved, **limits)[1]
    assert judged(command("spectrum", at=[[110, 110]]), moved, **limits)[0] == "allowed"


def test_a_path_through_a_forbidden_region_is_seen_between_its_corners() -> None:
    region = Forbidden(area=Rectangle(y_nm=490, x_nm=490, height_nm=20, width_nm=20), sample="S1")
    across = command("path", through=[[0, 0], [1000, 1000]])
    limits: dict[str, Any] = {"forbidden": [region.model_dump()]}
    assert judged(across, SPM, **limits)[0] == "refused"
    assert judged(across, changed(SPM, sample="other"), **limits)[0] == "allowed"


def run(console: Console, *commands: Any) -> Any:
    return console.run(program(*commands))


def test_doses_add_up_where_they_meet_and_nowhere_else() -> None:
    most = 2.5 * 40e-12 / 1.602176634e-19 * 0.1 / 100.0
    console = Console(
        SmallStem(),
        Angel("stem", True, limits_from("stem", True, {"max_local_dose_e_per_A2": most})),
    )
    spot = {"spectrum": {"at": HERE, "exposure_s": 0.1}}
    assert run(console, spot).failure is None
    assert run(console, spot).failure is None
    refused = run(console, spot)
    assert refused.failure.kind == "refused" and "e/A2" in refused.failure.message
    assert run(console, {"spectrum": {"at": [[50, 50]], "exposure_s": 0.1}}).failure is None
    assert run(console, {"load": {"sample": "fresh"}}, spot).failure is None
    both = {"spectrum": {"at": [[80, 80], [80, 80], [80, 80]], "exposure_s": 0.1}}
    assert run(console, both).failure.kind == "refused", "one command may not do it either"


def test_a_specimen_bears_so_many_electrons_in_total() -> None:
    limits = limits_from("stem", True, {"max_electrons": 1e7})
    console = Console(SmallStem(), Angel("stem", True, limits))
    image = {"overview": {"pixels": 64, "dwell_s": 5e-6}}
    outcomes = [run(console, image).failure for _ in range(4)]
    assert outcomes[0] is None
    assert outcomes[-1] is not None and "electrons" in outcomes[-1].message


def test_a_command_that_was_cut_short_is_charged_what_fell() -> None:
    console = Console(SmallStem())
    whole = console.run(program({"overview": {"pixels": 64}}))
    half = console.run(program({"overview": {"pixels": 64}}), watch=_after(16))
    assert half.stopped == "enough"
    assert half.spent.electrons == pytest.approx(whole.spent.electrons / 4)
    assert half.arrays["overview"].data.shape == (16, 64)


def _after(count: int) -> Any:
    seen = iter(range(1, count + 1))
    return lambda command, chunk: "enough" if next(seen) == count else None


def test_the_suite_finds_no_way_round_a_plain_driver() -> None:
    check_driver(LiveSmallStem)


# -- roads that a plugin has -------------------------------------------------------------------


def test_a_permit_of_one_driver_moves_no_other() -> None:
    first, second = SmallStem(), SmallStem()
    permit, _, _ = Angel("stem", True).permit(command("overview"), first)
    with pytest.raises(GuardianError, match="another driver"):
        list(second.execute(permit))
    assert not second.done


def test_nobody_else_becomes_an_issuer_of_permits() -> None:
    with pytest.raises(GuardianError, match="second issuer"):
        take_issuer()


def test_a_subclass_cannot_take_away_the_check_of_its_parent() -> None:
    class Eager(SmallStem):
        def _do(self, command: Any) -> Iterator[Chunk]:
            self.done.append("eager")
            yield from super()._do(command)

    eager = Eager()
    with pytest.raises(GuardianError):
        list(eager._do(command("overview")))
    assert not eager.done
    ran = Console(eager).run(program("overview"))
    assert ran.failure is None and eager.done == ["eager", "overview"]


def test_a_mixin_brings_no_unguarded_road() -> None:
    class Plain:
        def _do(self, command: Any) -> Iterator[Chunk]:
            yield Chunk(seconds=1.0)

        def execute(self, permit: Any) -> Iterator[Chunk]:
            yield Chunk(seconds=1.0)

    class OnlyDo:
        def _do(self, command: Any) -> Iterator[Chunk]:
            yield Chunk(seconds=1.0)

    with pytest.raises(GuardianError, match="execute"):
        type("Mixed", (Plain, SmallStem), {})
    mixed = type("Mixed", (OnlyDo, SmallStem), {})()
    with pytest.raises(GuardianError):
        list(mixed._do(command("overview")))


def test_a_do_set_later_is_behind_the_permit_too() -> None:
    class Late(SmallStem):
        pass

    def _do(self: Any, command: Any) -> Iterator[Chunk]:
        yield Chunk(seconds=1.0)

    Late._do = _do  # type: ignore[method-assign]
    with pytest.raises(GuardianError):
        list(Late()._do(command("overview")))
    with pytest.raises(GuardianError):
        del Late._do


def test_a_driver_does_nothing_but_the_permitted_command_while_it_is_at_it() -> None:
    class Sly(SmallStem):
        def _do(self, command: Any) -> Iterator[Chunk]:
            yield from super()._do(command.model_copy())

    ran = Console(Sly()).run(program("overview"))
    assert ran.failure is not None and ran.failure.kind == "refused"
    assert "without a permit" in ran.failure.message


def test_what_is_kept_from_a_permit_goes_no_further_after_it() -> None:
    driver = SmallStem()
    kept = []
    angel = Angel("stem", True)
    permit, _, _ = angel.permit(command("overview"), driver)
    chunks = driver.execute(permit)
    kept.append(next(chunks))
    from probewise.instruments._permit import revoke

    revoke(permit)
    with pytest.raises(GuardianError):
        next(chunks)
    assert driver.put_back == 1, "the driver must put back what it opened"


def test_a_command_that_is_written_on_after_its_judgement_is_done_as_it_was_judged() -> None:
    class Sly(SmallStem):
        def forecast(self, command: Command, state: InstrumentState) -> Forecast:
            object.__setattr__(command, "pixels", 256)
            object.__setattr__(state, "sample", "another")
            return super().forecast(command, state)

    driver, command = Sly(), command_from({"overview": {"pixels": 16}})
    permit, said, state = Console(driver).angel.permit(command, driver)
    object.__setattr__(command, "pixels", 128)
    assert len(list(driver.execute(permit))) == 16
    assert state.sample == driver.now.sample == "S1"
    assert said.verdict == "allowed"


def test_limits_are_those_that_were_given_whatever_is_written_on_them_later() -> None:
    given = limits_from("stem", True, {"max_dwell_s": 1e-6})
    angel = Angel("stem", True, given)
    for limits in (given, angel.limits):
        object.__setattr__(limits, "max_dwell_s", 1.0)
    assert angel.limits.max_dwell_s == 1e-6


def test_limits_cannot_be_changed_in_place() -> None:
    angel = Angel("stem", True)
    with pytest.raises(Exception, match="frozen"):
        angel.limits.max_dwell_s = 1.0
    with pytest.raises(GuardianError):
        delattr(angel, "limits")
    with pytest.raises(GuardianError):
        Permit()


@pytest.mark.parametrize(
    "given",
    [{"max_dwel_s": 1}, {"max_dwell_s": -1}, {"max_dwell_s": "much"}, {"silence_s": 0},
     {"max_dwell_s": float("nan")}],
)  # fmt: skip
def test_impossible_limits_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=r"silence_s|max_dwel"):
        limits_from("stem", True, given)


def test_limits_come_from_a_file_and_single_ones_before_it(tmp_path: Any) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text("max_dwell_s: 0.5\nmax_tilt_deg: 3\nverbs: [overview, blank]\n")
    limits = limits_from("stem", False, {"max_tilt_deg": 7}, file)
    assert isinstance(limits, Limits)
    assert (limits.max_dwell_s, limits.max_tilt_deg) == (0.5, 7)
    assert limits.verbs == {"overview", "blank"}
    with pytest.raises(SpecError):
        limits_from("stem", False, {}, tmp_path / "none.yaml")
