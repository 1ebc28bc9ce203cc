"""A step that its worker could never do is refused before the campaign begins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support_campaigns import spec_of
from support_drivers import raw_campaign, registered

from probewise.agents import make_worker
from probewise.campaign import Campaign, load_spec
from probewise.campaign._check_spec import check_spec
from probewise.campaign._forecast import starting_state
from probewise.instruments import SpmTwin, StemTwin
from probewise.workflow import ProbewiseError, SpecError, Step


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with registered(tmp_path_factory.mktemp("drivers")):
        yield


def step(needs: str, acts_on: str = "site", **more: Any) -> Step:
    raw = {"name": "look", "level": 3, "acts_on": acts_on, "capability": needs}
    return Step.model_validate(raw | more)


def program(*commands: Any) -> dict[str, Any]:
    return {"program": list(commands)}


UNFIT = {
    "name": ("overview_scan", {"dwel_s": 1e-5}, "'dwel_s'", "did you mean 'dwell_s'?"),
    "unit": ("overview_scan", {"dwell_us": 10.0}, "'dwell_us'", "did you mean 'dwell_s'?"),
    "unit in the value": ("overview_scan", {"dwell_s": "10 us"}, "10 us", "valid number"),
    "range": ("overview_scan", {"dwell_s": -1e-5}, "-1e-05", "greater than 0"),
    "fixed": ("overview_scan", {"pixels": 64}, "'pixels'", "'dwell_s'"),
    "limit": ("overview_scan", {"dwell_s": 0.5}, "dwell 0.5 s; at most 0.001 s", "limits"),
    "kind": ("measure_spectra", {"exposure_s": "long"}, "long", "valid number"),
    "limit of spectra": ("measure_spectra", {"exposure_s": 60}, "at most 5 s", "limits"),
    "none at all": ("load_sample", {"speed": 3}, "'speed'", "no parameters"),
    "no program": ("run_program", {"dwell_s": 1e-5}, "'dwell_s'", "'program' alone"),
    "foreign verb": ("run_program", program("retract"), "has no 'retract'", "Retract the tip"),
    "verb": ("run_program", program({"scann": {"rows": 8}}), "scann", "one of"),
    "detector": (
        "run_program", program("overview", {"detect": {"find": "cats"}}), "'cats'", "'edges'",
    ),
    "outside": (
        "run_program",
        program({"set_field_of_view": {"field_of_view_nm": 50}}, {"spectrum": {"at": [[60, 0]]}}),
        "outside the field of view of 50 nm",
        "Take spectra at (60, 0) nm",
    ),
    "of another technique": (
        "run_program", program({"tune": {"what": "dart"}}), "no dart", "focus or aberrations",
    ),
    "two samples": (
        "run_program", program({"load": {"sample": "A"}}, {"load": {"sample": "B"}}),
        "'B', site 0", "'A'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNFIT)
def test_a_step_that_does_not_fit_its_command_is_refused(case: str) -> None:
    needs, parameters, given, more = UNFIT[case]
    acts_on = "positions" if needs == "measure_spectra" else "site"
    fit = step(needs, acts_on, parameters=program("overview") if needs == "run_program" else {})
    worker = StemTwin()
    worker.check(fit)
    with pytest.raises(SpecError) as refusal:
        worker.check(fit.model_copy(update={"parameters": parameters}))
    error = refusal.value
    assert "step 'look'" in error.who and error.remedy
    assert given in error.given
    assert more in f"{error.who} {error.given} {error.allowed} {error.remedy}"


@pytest.mark.parametrize(
    ("needs", "parameters", "given"),
    [
        ("measure_loops", {"bias_V": 30.0}, "bias 30 V; at most 20 V"),
        ("measure_loops", {"bias_mV": 30.0}, "'bias_mV'"),
        ("measure_loops", {"points": 4}, "4"),
        ("measure_sweeps", {"max_V": 11.0}, "drive 11 V; at most 10 V"),
        ("overview_scan", {"dwell_s": 2.0}, "dwell 2 s; at most 1 s"),
        ("track_resonance", {"span_nm": "wide"}, "wide"),
        ("run_program", program("blank"), "has no 'blank'"),
    ],
)
def test_so_it_is_with_a_scanning_probe(needs: str, parameters: Any, given: str) -> None:
    placed = needs in {"measure_loops", "measure_sweeps"}
    with pytest.raises(SpecError, match="step 'look'") as refusal:
        SpmTwin().check(step(needs, "positions" if placed else "site", parameters=parameters))
    assert given in refusal.value.given


def test_a_limit_of_the_workers_own_counts() -> None:
    fit = step("overview_scan", parameters={"dwell_s": 1e-5})
    StemTwin().check(fit)
    with pytest.raises(SpecError, match="at most 5e-06 s"):
        StemTwin(max_dwell_s=5e-6).check(fit)


def test_every_dwell_that_may_be_chosen_counts() -> None:
    timed = {"parameters": {"exposure_s": 0.1}, "dwell": "exposure_s"}
    StemTwin().check(step("measure_spectra", "positions", **timed, dwells_s=[0.1, 5.0]))
    with pytest.raises(SpecError, match="exposure 50 s; at most 5 s"):
        StemTwin().check(step("measure_spectra", "positions", **timed, dwells_s=[0.1, 50.0]))


def test_what_records_needs_a_command_that_takes_data() -> None:
    with pytest.raises(SpecError, match="its commands take no data"):
        StemTwin().check(step("load_sample", "sample", records="image"))


def test_what_only_a_later_state_forbids_is_not_refused_beforehand() -> None:
    """A field of view and a stage may change until the step comes."""
    far = {"spectrum": {"at": [[900.0, 900.0]], "exposure_s": 5.0}}
    for commands in (
        [far],
        [{"set_focus": {"defocus_nm": 1900.0}}],
        [{"move_stage": {"y_nm": 4e5}}],
    ):
        StemTwin().check(step("run_program", parameters=program(*commands)))


def test_asking_touches_nothing() -> None:
    worker = StemTwin()
    before = worker.console.state()
    worker.check(step("overview_scan", records="image"))
    assert worker.console.state() == before and not worker.console.log


@pytest.mark.parametrize("name", ["sm-bfo", "stem-plasmon"])
def test_the_built_in_campaigns_fit_their_workers(name: str) -> None:
    spec = load_spec(name)
    for worker_name, worker_spec in spec.workers.items():
        worker = make_worker(worker_spec, worker_name)
        offered = {o.capability for o in worker.offers()}
        for one in spec.workflow.steps:
            if one.needs in offered:
                worker.check(one)


def unfit_campaign(worker: str = "live-stem") -> dict[str, Any]:
    raw = raw_campaign(worker)
    steps = [dict(s) for s in raw["workflow"]["steps"]]
    steps[1]["parameters"] = program({"overview": {"dwell_ms": 1}})
    return raw | {"workflow": raw["workflow"] | {"steps": steps}}


def mistyped(worker: str = "live-stem") -> dict[str, Any]:
    """The campaign with an overview in the place of a program, one of its parameters wrong."""
    raw = raw_campaign(worker)
    steps = [dict(s) for s in raw["workflow"]["steps"]]
    steps[1] |= {"capability": "overview_scan", "parameters": {"dwell_us": 10}}
    return raw | {"workflow": raw["workflow"] | {"steps": steps}}


def test_the_campaign_does_not_begin_and_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(SpecError) as refusal:
        Campaign(spec_of(mistyped()), out=out).run()
    assert refusal.value.who == "worker 'stem', step 'look'"
    assert "dwell_us" in refusal.value.given and "dwell_s" in refusal.value.allowed
    assert not out.exists()


def test_nor_does_one_in_memory() -> None:
    campaign = Campaign(spec_of(mistyped()))
    with pytest.raises(SpecError, match="worker 'stem', step 'look'"):
        campaign.run()
    assert not campaign.seen


def test_nor_is_it_forecast() -> None:
    with pytest.raises(SpecError, match="worker 'stem', step 'look'"):
        starting_state(spec_of(mistyped("stem-twin")))


def test_a_wrong_command_in_a_program_is_found_when_the_campaign_is_read() -> None:
    with pytest.raises(ProbewiseError, match="dwell_ms"):
        check_spec(spec_of(unfit_campaign()))
