"""Microscopes as workers: steps become programs, everything stands in the outcome."""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
import pytest
from support_drivers import LiveSmallStem, LiveStem
from support_twins import GOOD, job, pad

from probewise.agents import check_worker, example_job, make_worker, worker_types
from probewise.instruments import (
    ArrayServerScope,
    Geometry,
    Limits,
    Microscope,
    PfmTwin,
    SpmTwin,
    StemTwin,
)
from probewise.workflow import (
    Fate,
    Job,
    Outcome,
    SpecError,
    Step,
    Target,
    WorkerError,
    WorkerSpec,
    program_of,
    program_text,
)

MICROSCOPES = [
    r.load()
    for r in worker_types().values()
    if r.distribution == "probewise" and issubclass(r.load(), Microscope)
]
FILM = Target(sample="film", site=0)


def step(name: str, acts_on: str = "site", **fields: Any) -> Step:
    given = {"name": name, "level": 3, "acts_on": acts_on, "latency_h": 5.0} | fields
    return Step.model_validate(given)


LOAD = step("load_sample", "sample")
TUNE = step("tune", "sample")
IMAGE = step("overview_scan", records="image [count]", dose_e_per_A2=20)
SPECTRA = step("measure_spectra", "positions", records="spectra [count]", batch=3)
SPOTS = ((3, 4), (20, 9), (11, 30))
PROGRAM = [{"load": {"sample": "film"}}, {"overview": {"pixels": 32}},
           {"detect": {"find": "grid", "count": 3}}, {"spectrum": {"at": "detected"}}]  # fmt: skip


def stem_jobs() -> list[Job]:
    target = FILM.model_copy(update={"positions": SPOTS})
    free = step("run_program", records=["overview [count]", "spectra [count]"],
                parameters={"program": PROGRAM})  # fmt: skip
    return [
        example_job(LOAD),
        example_job(TUNE, FILM),
        example_job(IMAGE, FILM),
        example_job(SPECTRA, target),
        example_job(free, FILM),
    ]


def spm_jobs() -> list[Job]:
    target = pad().model_copy(update={"positions": SPOTS})
    free = [
        {"load": {"sample": "s1", "design": GOOD}},
        "approach",
        {"overview": {"dwell_s": 1e-3}},
        "retract",
    ]
    return [
        *(
            example_job(step(n, "sample"), pad())
            for n in ("load_sample", "tune", "track_resonance")
        ),
        example_job(step("overview_scan", records="image [pm]"), pad()),
        example_job(step("measure_loops", "positions", records="loops [pm]", batch=3), target),
        example_job(step("measure_sweeps", "positions", records="sweeps [pm]", batch=3), target),
        example_job(
            step("run_program", records="overview [pm]", parameters={"program": free}), pad()
        ),
    ]


def small_stem() -> StemTwin:
    return StemTwin(pixels=48)


def test_the_stem_keeps_the_contract_of_workers() -> None:
    check_worker(small_stem, stem_jobs())


def test_the_spm_keeps_the_contract_of_workers() -> None:
    check_worker(SpmTwin, spm_jobs())


def test_the_microscope_of_the_campaign_keeps_it_and_is_replayable() -> None:
    target = pad().model_copy(update={"positions": SPOTS})
    names = ("load_sample", "tune", "overview_scan")
    check_worker(PfmTwin, [*(job(n, pad()) for n in names), job("measure_loops", target)])


def test_a_live_one_keeps_it_too() -> None:
    check_worker(lambda: LiveStem(pixels=48), stem_jobs())


def test_spectra_carry_the_pixels_that_were_asked_for() -> None:
    worker = small_stem()
    target = FILM.model_copy(update={"positions": SPOTS})
    outcome = worker.perform(example_job(SPECTRA, target))
    spectra = outcome.arrays["spectra"]
    assert spectra.axes[0].values.tolist() == [48 * r + c for r, c in SPOTS]
    assert spectra.metadata["n_cols"] == 48.0
    spots = outcome.commands[-2].command.at.points  # type: ignore[union-attr]
    assert [p.y_nm for p in spots] == pytest.approx([(r + 0.5) * 200.0 / 48 for r, _ in SPOTS])


def test_a_sample_is_loaded_once_and_a_step_may_set_fields_of_its_command() -> None:
    worker = small_stem()
    slow = IMAGE.model_copy(update={"parameters": {"dwell_s": 5e-6}})
    first = worker.perform(example_job(slow, FILM))
    again = worker.perform(example_job(slow, FILM, id="again", parameters={"dwell_s": 9e-6}))
    assert [e.command.verb for e in first.commands] == ["blank", "load", "overview", "blank"]
    assert [e.command.verb for e in again.commands] == ["overview", "blank"]
    assert first.commands[2].command.dwell_s == 5e-6  # type: ignore[union-attr]
    assert again.commands[0].command.dwell_s == 9e-6  # type: ignore[union-attr]
    assert again.dose_e_per_A2 == pytest.approx(9 / 5 * (first.dose_e_per_A2 or 0))
    assert {e.who for e in again.commands} == {"again"}


@pytest.mark.parametrize(
    "parameters", [{"dwel_s": 1e-6}, {"dwell_s": "long"}, {"pixels": 12}, {"dwell_s": -1.0}]
)
def test_parameters_that_are_none_are_refused(parameters: dict[str, Any]) -> None:
    outcome = small_stem().perform(example_job(IMAGE, FILM, parameters=parameters))
    assert outcome.failure is not None and outcome.failure.kind == "refused"
    assert outcome.cost_credits == 0.0


@pytest.mark.parametrize(
    "config", [{"pixels": 0}, {"pixels": "many"}, {"pixels": True}, {"field_of_view_nm": -5.0},
               {"field_of_view_nm": "wide"}, {"field_of_view_nm": float("nan")}],
)  # fmt: skip
def test_an_overview_that_cannot_be_is_refused_when_the_worker_is_made(config: Any) -> None:
    with pytest.raises(SpecError, match=next(iter(config))):
        StemTwin(**config)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (
            {"max_local_dose_e_per_A2": 10.0},
            r"a place would have got [\d.e+]+ e/A2; the limit is 10",
        ),
        ({"max_electrons": 1e6}, r"would have got [\d.e+]+ electrons; the limit is 1e\+06"),
    ],
)
def test_a_step_whose_dose_alone_is_too_much_is_refused_before_the_start(
    limits: dict[str, Any], said: str
) -> None:
    StemTwin(pixels=48).check(SPECTRA)
    tight = StemTwin(pixels=48, **limits)
    with pytest.raises(SpecError, match=said):
        tight.check(SPECTRA)
    field = {"set_field_of_view": {"field_of_view_nm": 200}}
    weak = [{"set_beam": {"current_pA": 1e-3}}, *PROGRAM[:1], field, {"overview": {"pixels": 32}}]
    fields = {"capability": "run_program", "records": "overview [count]"}
    tight.check(step("look", parameters={"program": weak}, **fields))
    strong = [*weak[1:], {"move_stage": {"x_nm": 900}}, *[{"overview": {"pixels": 128}}] * 40]
    with pytest.raises(SpecError, match="the limit is"):
        tight.check(step("look", parameters={"program": strong}, **fields))


def test_a_long_dwell_waits_for_who_vouches() -> None:
    long = example_job(IMAGE, FILM, parameters={"dwell_s": 40e-6})
    assert refused(small_stem().perform(long))
    outcome = StemTwin(pixels=48, vouched_by="Ada").perform(long)
    assert outcome.failure is None
    assert outcome.commands[2].verdict == "confirmed"


def refused(outcome: Outcome) -> bool:
    return outcome.failure is not None and outcome.failure.kind == "refused"


def test_limits_come_with_the_worker() -> None:
    tight = StemTwin(pixels=48, max_exposure_s=0.01)
    target = FILM.model_copy(update={"positions": SPOTS})
    outcome = tight.perform(example_job(SPECTRA, target))
    assert refused(outcome) and "exposure" in outcome.failure.message  # type: ignore[union-attr]
    with pytest.raises(SpecError, match="max_exposur"):
        StemTwin(max_exposur_s=1.0)


def test_what_was_refused_midway_was_told_until_there() -> None:
    wrong = [*PROGRAM[:2], {"set_focus": {"defocus_nm": 1e7}}, "blank"]
    free = step("run_program", parameters={"program": wrong})
    outcome = small_stem().perform(example_job(free, FILM))
    assert [e.outcome for e in outcome.commands] == ["done", "done", "refused", "done"]
    failure = outcome.failure
    assert failure is not None and failure.kind == "instrument", "time and dose were spent"
    assert "ended midway: defocus" in failure.message
    assert (outcome.cost_credits or 0) > 0 and (outcome.duration_h or 0) > 0


def test_of_a_series_that_broke_off_the_spectra_that_came_are_given() -> None:
    target = FILM.model_copy(update={"positions": SPOTS})
    outcome = LiveStem(pixels=48, once="series").perform(example_job(SPECTRA, target))
    assert outcome.failure is not None and outcome.failure.kind == "instrument"
    spectra = outcome.arrays["spectra"]
    assert spectra.data.shape == (1, 32) and np.isfinite(spectra.data).all()
    row, column = SPOTS[0]
    assert spectra.axes[0].values.tolist() == [48 * row + column]


def test_of_an_image_that_broke_off_the_rows_that_came_are_given() -> None:
    outcome = LiveStem(pixels=32, once="lost").perform(example_job(IMAGE, FILM))
    assert outcome.failure is not None
    image = outcome.arrays["overview"]
    assert image.data.shape == (16, 32) and np.isfinite(image.data).all()
    assert image.axes[0].values.tolist() == np.linspace(0, 200, 32)[:16].tolist()


def test_a_program_that_is_refused_at_once_gives_nothing() -> None:
    outcome = small_stem().perform(example_job(IMAGE, FILM, parameters={"dwell_s": 1.0}))
    assert refused(outcome) and outcome.arrays == {}


def test_the_commands_of_an_outcome_do_the_same_again() -> None:
    worker, other = small_stem(), small_stem()
    free = step("run_program", records="spectra [count]", parameters={"program": PROGRAM})
    first = worker.perform(example_job(free, FILM))
    again = program_of(first.commands)
    assert "detect" not in program_text(again)
    run = other.console.run(again, seed=1)
    assert run.failure is None
    np.testing.assert_array_equal(run.arrays["spectra"].data, first.arrays["spectra"].data)


def test_a_program_measures_the_sample_that_the_action_is_about() -> None:
    worker = small_stem()
    bare = step("run_program", records="overview [count]", parameters={"program": ["overview"]})
    for sample in ("film", "film", "other"):
        outcome = worker.perform(example_job(bare, Target(sample=sample, site=0)))
        assert outcome.failure is None
        state = worker.console.state()
        assert (state.sample, state.site) == (sample, 0)
    verbs = [e.command.verb for e in outcome.commands]
    assert verbs == ["blank", "load", "overview"]
    wrong = bare.model_copy(update={"parameters": {"program": PROGRAM}})
    outcome = worker.perform(example_job(wrong, Target(sample="other", site=0)))
    assert refused(outcome) and "for an action on 'other'" in outcome.failure.message  # type: ignore[union-attr]


def test_a_program_measures_the_site_that_the_action_is_about() -> None:
    there = [{"load": {"sample": "film", "site": 1}}, "overview"]
    free = step("run_program", records="overview [count]", parameters={"program": there})
    assert small_stem().perform(example_job(free, Target(sample="film", site=1))).failure is None
    outcome = small_stem().perform(example_job(free, Target(sample="film", site=0)))
    assert refused(outcome) and "'film', site 1" in outcome.failure.message  # type: ignore[union-attr]


@pytest.mark.parametrize("sample", ["", "x" * 81, None])
def test_a_sample_that_cannot_be_loaded_is_refused(sample: str | None) -> None:
    assert refused(small_stem().perform(example_job(IMAGE, Target(sample=sample, site=0))))


def test_an_account_is_given_from_the_log() -> None:
    worker = LiveStem()
    done = example_job(IMAGE, FILM)
    outcome = worker.perform(done)
    assert outcome.failure is None and outcome.duration_h is None
    account = worker.account(done.action.id)
    assert account.fate is Fate.DONE and account.outcome is outcome
    assert worker.account("never").fate is Fate.UNKNOWN


def test_safe_blanks_or_retracts() -> None:
    assert small_stem().safe() == "Blank the beam: done"
    assert SpmTwin().safe().startswith("Retract the tip")


def test_a_step_of_another_worker_is_an_error() -> None:
    with pytest.raises(WorkerError, match="dance"):
        small_stem().perform(example_job(step("dance"), FILM))


def test_a_worker_tells_the_truth_about_its_driver() -> None:
    class Lying(LiveStem):
        twin = True

    with pytest.raises(SpecError, match="twin"):
        Lying()


def test_pixels_become_nanometres_and_those_outside_none() -> None:
    geometry = Geometry(10, 100.0)
    assert [(p.y_nm, p.x_nm) for p in geometry.points(((0, 9),))] == [(5.0, 95.0)]
    assert Geometry(10, 100.0, corner=True).points(((0, 9),))[0].x_nm == 90.0
    for positions in ((), ((10, 0),), ((-1, 3),)):
        with pytest.raises(SpecError, match="positions"):
            geometry.points(positions)


def test_the_state_of_a_mute_instrument_is_a_failure_of_the_action() -> None:
    class Mute(LiveStem):
        def __init__(self) -> None:
            Microscope.__init__(self, LiveSmallStem("mute"), Geometry(16, 200.0))

    outcome = Mute().perform(example_job(IMAGE, FILM))
    assert outcome.failure is not None and outcome.failure.kind == "instrument"


@pytest.mark.parametrize("kind", [StemTwin, SpmTwin, PfmTwin])
def test_a_key_that_is_none_is_told_all_that_there_are(kind: Any) -> None:
    with pytest.raises(SpecError) as refusal:
        kind(world_sed=3)
    error = refusal.value
    assert "world_sed" in error.given and "did you mean 'world_seed'" in error.remedy
    for key in ("world_seed", "vouched_by", "limits_file", "max_dwell_s", "silence_s"):
        assert repr(key) in error.allowed
    with pytest.raises(SpecError, match="greater than or equal to 0"):
        kind(max_dwell_s=-1.0)


@pytest.mark.parametrize("kind", MICROSCOPES, ids=lambda k: k.__name__)
def test_the_keys_of_a_configuration_are_its_own_its_drivers_and_the_limits(
    kind: type[Microscope],
) -> None:
    keys = kind.config_keys()
    assert len(set(keys)) == len(keys)
    assert {"vouched_by", "limits_file", *Limits.model_fields} <= set(keys)
    own = set(signature(kind).parameters)
    assert own - {"limits", "more"} <= set(keys)
    assert kind.settings is None or set(kind.settings.model_fields) <= set(keys)


def test_a_setting_of_a_driver_that_cannot_be_is_named_with_its_range() -> None:
    with pytest.raises(SpecError) as refusal:
        ArrayServerScope("PYRO:array.server@localhost:1", dispersion_eV=-1.0)
    assert "dispersion_eV=-1.0" in refusal.value.given and "greater than 0" in refusal.value.allowed


def test_a_configuration_that_lacks_a_key_is_told_all_that_there_are() -> None:
    with pytest.raises(WorkerError) as refusal:
        make_worker(WorkerSpec(type="array-server", config={}), "scope")
    for key in ("uri (required)", "pixels=128", "dispersion_eV", "max_dwell_s", "vouched_by"):
        assert key in refusal.value.allowed
