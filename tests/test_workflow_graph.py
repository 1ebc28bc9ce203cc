"""Steps as a checked graph: ports and units, what is refused, chains of open steps, freshness."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Any

import numpy as np
import pytest
import yaml

from probewise.workflow import (
    Action,
    Amount,
    ArrayRef,
    Correlation,
    Estimate,
    Failure,
    Inventory,
    Level,
    Observation,
    Port,
    Prior,
    SpecError,
    Step,
    Target,
    Workflow,
    _quantity,
    parse_unit,
    same_unit,
)


def scenario(name: str) -> Workflow:
    text = resources.files("probewise.campaign").joinpath(f"scenarios/{name}.yaml").read_text()
    return Workflow.model_validate(yaml.safe_load(text)["workflow"])


SM_BFO = scenario("sm-bfo")
DESIGN = {"composition_sm": 0.1, "temperature_C": 650.0, "pressure_mTorr": 20.0}
PAD = Target(design=DESIGN, sample="s1", site=3)
STRIP = Target(design=DESIGN, sample="s1")


def workflow(*steps: dict[str, Any], **more: Any) -> Workflow:
    space = [{"name": "x", "low": 0, "high": 1}]
    filled = [{"level": 1, **s} for s in steps]
    return Workflow.model_validate({"space": space, "steps": filled, **more})


class Bench:
    """An inventory that steps are done in, one after the other."""

    def __init__(self, flow: Workflow = SM_BFO) -> None:
        self.flow, self.inventory = flow, Inventory()

    def do(self, step: str, target: Target = PAD, failure: Failure | None = None) -> None:
        spec, number = self.flow.step(step), self.inventory.count
        if spec.acts_on == "sample":
            target = target.model_copy(update={"site": None})
        action = Action(id=f"a{number}", step=step, target=target)
        observation = Observation(
            action_id=action.id,
            worker="w",
            arrays={
                p.name: ArrayRef(file=f"{number}.h5", dataset=p.name, sha256="0", shape=(1,))
                for p in spec.records
            },
            values={p.name: Estimate(value=1.0, std=0.1) for p in spec.produces},
            failure=failure,
        )
        made = tuple(spec.makes.designs(DESIGN, self.flow.space)) if spec.makes else ()
        self.inventory.apply(action, spec, observation, made)

    def open(self, step: str, target: Target = PAD) -> list[str]:
        return [s.name for s in self.flow.open_steps(self.flow.step(step), target, self.inventory)]


SESSION = ["load_sample", "tune", "overview_scan", "segment_domains"]
LOOPS = ["measure_loops", "check_quality", "fit_loops"]

# -- quantities and units -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "unit"),
    [
        ("loops [pm]", "loops", "pm"),
        (" loops[uC/cm**2] ", "loops", "uC/cm**2"),
        ("loops []", "loops", ""),
        ("loops", "loops", None),
    ],
)
def test_port_is_read_from_text(text: str, name: str, unit: str | None) -> None:
    port = Port.model_validate(text)
    assert (port.name, port.unit) == (name, unit)
    assert Port.model_validate(port.model_dump()) == port


@pytest.mark.parametrize("text", ["", "9loops [pm]", "loops [pm", "loops pm", "loops [pm] [pm]"])
def test_text_that_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="name \\[unit\\]"):
        Port.model_validate(text)


def test_unknown_unit_is_refused_with_examples() -> None:
    with pytest.raises(SpecError, match="uC/cm\\*\\*2"):
        Port.model_validate("loops [furlongz]")


def test_units_are_the_same_with_their_factor() -> None:
    assert same_unit("uC/cm**2", "microcoulomb / centimeter**2")
    assert same_unit("1", "") and same_unit("a_u", "arbitrary_unit")
    assert not same_unit("nm", "pm") and not same_unit("V", "pm")
    assert str(parse_unit("mV")) == "millivolt"


def test_a_registry_of_units_is_built_once_by_however_many_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[int] = []
    build = _quantity.pint.UnitRegistry

    def slowly() -> object:
        built.append(1)
        time.sleep(0.05)
        return build()

    with monkeypatch.context() as patch:
        patch.setattr(_quantity.pint, "UnitRegistry", slowly)
        _quantity._units.cache_clear()
        parse_unit.cache_clear()
        assert same_unit("V", "V") and not built, "one text is one unit: nothing is looked up"
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(same_unit, ["mV"] * 8, ["millivolt"] * 8))
    assert len(built) == 1


def test_units_that_do_not_meet_name_both_steps() -> None:
    with pytest.raises(SpecError) as caught:
        workflow(
            {"name": "scan", "records": "image [pm]"}, {"name": "fit", "consumes": "image [V]"}
        )
    assert caught.value.who == "step 'fit'"
    assert "'V'" in caught.value.given and "'scan'" in caught.value.allowed


def test_consumer_may_leave_the_unit_away_or_write_it_otherwise() -> None:
    flow = workflow(
        {"name": "scan", "records": "image [pm]"},
        {"name": "fit", "consumes": ["image"], "produces": "height [nm]"},
        {"name": "check", "consumes": ["image [picometer]"]},
    )
    assert flow.unit("image") == "pm" and flow.unit("height") == "nm"


# -- what is refused ------------------------------------------------------------------------------

A = {"name": "a", "produces": "p"}


@pytest.mark.parametrize(
    ("steps", "more", "message"),
    [
        ([A, {"name": "a"}], {}, "every step name once"),
        ([A, {"name": "b", "produces": "p"}], {}, "one producer, which is 'a'"),
        ([A, {"name": "b", "records": "p"}], {}, "one producer, which is 'a'"),
        ([{"name": "b", "requires": "a"}], {}, "requires unknown step 'a'"),
        ([{"name": "b", "consumes": "p"}], {}, "consumes 'p', which no step gives"),
        ([{"name": "b", "optional": "p"}], {}, "consumes 'p', which no step gives"),
        ([{"name": "b", "controls": ["x", "y"]}], {}, "control 'y'"),
        ([{"name": "b", "requires": "b"}], {}, "the cycle b"),
        (
            [{"name": "a", "requires": "b", "produces": "p"}, {"name": "b", "consumes": "p"}],
            {},
            "the cycle",
        ),
        ([A], {"priors": {"q": {"mean": 0, "std": 1}}}, "prior or source for 'q'"),
        ([A], {"sources": {"p": ["q"]}}, "prior or source for 'q'"),
        ([{"name": "a", "records": "p"}], {"sources": {"p": ["p"]}}, "prior or source for 'p'"),
        ([{"name": "a", "noise": {"p": 1.0}}], {}, "noise for \\['p'\\]"),
        ([{"name": "a", "acts_on": "site", "makes": {"sites": 2}}], {}, "acts_on: design"),
    ],
)
def test_workflow_that_cannot_work_is_refused(
    steps: list[dict[str, Any]], more: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        workflow(*steps, **more)
    assert caught.value.remedy


SOURCES = [{"name": q, "produces": q} for q in ("look", "scan", "truth")]
CHAIN = {"truth": ["look", "scan"]}


def test_correlations_of_sources_may_be_told() -> None:
    told = {"look": 0.6, "scan": {"r": 0.8, "std": 0.05}}
    flow = workflow(*SOURCES, sources=CHAIN, correlations=told)
    assert flow.correlation("look", "truth") == Correlation(r=0.6, std=0.1)
    assert flow.correlation("scan", "truth") == Correlation(r=0.8, std=0.05)
    between = flow.correlation("look", "scan")
    assert between is not None and between.r == pytest.approx(0.48)
    assert between.std == pytest.approx(np.hypot(0.6 * 0.05, 0.8 * 0.1))
    assert flow.correlation("truth", "look") is None
    assert Workflow.model_validate_json(flow.model_dump_json()) == flow
    half = workflow(*SOURCES, sources=CHAIN, correlations={"scan": 0.8})
    assert half.correlation("look", "truth") is None and half.correlation("look", "scan") is None


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ({"truth": 0.5}, "correlation for 'truth'"),
        ({"nothing": 0.5}, "correlation for 'nothing'"),
        ({"look": 1.0}, "r=1.0"),
        ({"look": {"r": 0.5, "std": 0.0}}, "std=0.0"),
        ({"look": {"r": 0.5, "std": 1e-12}}, "0.001 <= std"),
    ],
)
def test_correlations_that_cannot_be_are_refused(told: dict[str, Any], what: str) -> None:
    with pytest.raises(SpecError, match=re.escape(what)):
        workflow(*SOURCES, sources=CHAIN, correlations=told)


def test_a_correlation_of_a_source_of_two_quantities_is_refused() -> None:
    sources = {"truth": ["look"], "scan": ["look"]}
    with pytest.raises(SpecError, match="a source of"):
        workflow(*SOURCES, sources=sources, correlations={"look": 0.6})
    assert workflow(*SOURCES, sources=sources).correlations == {}


def test_sources_that_run_in_a_circle_are_refused() -> None:
    flow = workflow(A, {"name": "b", "consumes": "p", "produces": "q"}, sources={"p": ["q"]})
    with pytest.raises(SpecError, match="circle"):
        _ = flow.scalars


def test_prior_needs_a_spread() -> None:
    with pytest.raises(SpecError, match="std > 0"):
        Prior(mean=1.0, std=0.0)


def test_unknown_step_or_quantity_says_which_there_are() -> None:
    with pytest.raises(SpecError, match="measure_loops"):
        SM_BFO.step("measure_loop")
    with pytest.raises(SpecError, match="loop_polarization"):
        SM_BFO.producer("loop_polarisation")


@pytest.mark.parametrize("field", [{"median": float("nan")}, {"median": -1}, {"cap_factor": 0.5}])
def test_amount_that_cannot_be_is_refused(field: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Amount.model_validate({"median": 1.0, **field})


# -- what the scenarios mean ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sm-bfo", "bfo-replay", "stem-plasmon"])
def test_workflow_survives_json(name: str) -> None:
    flow = scenario(name)
    assert Workflow.model_validate_json(flow.model_dump_json()) == flow


def test_scalars_come_after_their_parents_and_cheaper_sources() -> None:
    flow = workflow(
        {"name": "test", "consumes": "height", "produces": "charge"},
        {"name": "fit", "produces": "height"},
        {"name": "simulate", "acts_on": "space", "consumes": "height", "predicts": "theory"},
        {"name": "proxy", "produces": "apparent"},
        sources={"charge": ["theory", "apparent"]},
    )
    assert flow.scalars.index("height") < flow.scalars.index("charge")
    sources = ["theory", "apparent", "charge"]
    assert [q for q in flow.scalars if q in sources] == sources
    assert flow.cheaper("charge") == ("apparent",) and flow.cheaper("apparent") == ("theory",)
    assert flow.cheaper("theory") == () and flow.cheaper("height") == ()
    assert flow.parents("charge") == ("height",) and flow.parents("theory") == ()


def test_scalars_are_modelled_and_arrays_are_not() -> None:
    assert SM_BFO.is_scalar("coercive_bias") and not SM_BFO.is_scalar("loops")


def test_a_session_is_what_needs_a_mounted_sample() -> None:
    assert SM_BFO.session_steps == {*SESSION, *LOOPS}
    assert SM_BFO.unmount_undoes == {"load_sample", "tune"}
    assert "refit_theory" not in SM_BFO.session_steps
    assert workflow(A).session_steps == frozenset()


def test_chain_from_nothing_starts_with_the_synthesis() -> None:
    bench = Bench()
    assert bench.open("fit_loops") == ["grow_strip", *SESSION, *LOOPS]
    assert bench.open("capacitor_test") == ["grow_strip", "capacitor_test"]
    assert bench.open("simulate_landau", Target()) == ["simulate_landau"]


def test_sample_that_was_made_is_not_made_again() -> None:
    bench = Bench()
    bench.do("grow_strip", STRIP)
    assert bench.open("capacitor_test") == ["capacitor_test"]
    assert bench.open("fit_loops") == [*SESSION, *LOOPS]
    other = Target(design=DESIGN, sample="s2", site=0)
    assert bench.open("capacitor_test", other) == ["grow_strip", "capacitor_test"]


def test_failed_synthesis_leaves_no_sample() -> None:
    bench = Bench()
    bench.do("grow_strip", STRIP, Failure(kind="instrument", message="the laser stopped"))
    assert "s1" not in bench.inventory.samples
    assert bench.open("capacitor_test") == ["grow_strip", "capacitor_test"]
    status = bench.inventory.status(("", None, tuple(DESIGN.values())))
    assert status.failures == {"grow_strip": 1}


def loaded() -> Bench:
    bench = Bench()
    for step in ("grow_strip", *SESSION):
        bench.do(step)
    return bench


def test_chain_shrinks_as_steps_are_done() -> None:
    bench = loaded()
    assert bench.open("fit_loops") == LOOPS
    bench.do("measure_loops")
    assert bench.open("fit_loops") == LOOPS[1:]
    bench.do("check_quality")
    assert bench.open("fit_loops") == LOOPS[2:]


def test_array_that_was_used_is_no_longer_fresh() -> None:
    bench = loaded()
    for step in LOOPS:
        bench.do(step)
    assert not bench.inventory.is_fresh("loops", SM_BFO.step("fit_loops"), PAD)
    assert bench.open("fit_loops") == LOOPS
    bench.do("measure_loops")
    assert bench.inventory.is_fresh("loops", SM_BFO.step("fit_loops"), PAD)
    assert bench.open("fit_loops") == LOOPS[1:]
    assert len(bench.inventory.arrays("loops", PAD)) == 2


def test_arrays_of_a_failure_are_never_taken_for_a_measurement() -> None:
    bench = loaded()
    bench.do("measure_loops", failure=Failure(kind="instrument", message="connection lost"))
    assert bench.inventory.arrays("loops", PAD) == ()
    assert not bench.inventory.is_fresh("loops", SM_BFO.step("check_quality"), PAD)
    assert bench.open("fit_loops") == LOOPS
    bench.do("measure_loops")
    bench.do("measure_loops", failure=Failure(kind="bad_data", message="saturated"))
    assert len(bench.inventory.arrays("loops", PAD)) == 1


def test_mask_older_than_the_loops_is_made_again() -> None:
    bench = loaded()
    for step in ("measure_loops", "check_quality", "measure_loops"):
        bench.do(step)
    assert bench.open("fit_loops") == ["check_quality", "fit_loops"]


def test_failed_step_is_still_open_and_counted_until_it_succeeds() -> None:
    bench = loaded()
    pad = ("s1", 3, ())
    for n in (1, 2):
        bench.do("measure_loops", failure=Failure(kind="bad_data", message="noise"))
        assert bench.inventory.status(pad).failures["measure_loops"] == n
    assert bench.open("fit_loops") == LOOPS
    bench.do("measure_loops")
    assert "measure_loops" not in bench.inventory.status(pad).failures


def test_other_pads_need_their_own_scan_but_not_their_own_loading() -> None:
    other = PAD.model_copy(update={"site": 5})
    assert loaded().open("fit_loops", other) == ["overview_scan", "segment_domains", *LOOPS]


def test_unmounting_undoes_loading_and_tuning_only() -> None:
    bench = loaded()
    assert bench.inventory.samples["s1"].mounted_on == "w"
    bench.inventory.unmount("s1", SM_BFO.unmount_undoes)
    assert bench.inventory.samples["s1"].mounted_on is None
    assert bench.open("fit_loops") == ["load_sample", "tune", *LOOPS]
    assert bench.open("capacitor_test") == ["capacitor_test"]


def test_destroyed_pad_is_gone_and_the_others_stay() -> None:
    bench = loaded()
    bench.do("capacitor_test")
    assert not bench.inventory.alive(PAD)
    assert bench.inventory.alive(PAD.model_copy(update={"site": 5}))


def test_probed_positions_add_up_at_the_site() -> None:
    bench = loaded()
    for positions in (((1, 2), (3, 4)), ((5, 6),)):
        bench.do("measure_loops", PAD.model_copy(update={"positions": positions}))
    assert bench.inventory.status(("s1", 3, ())).probed == [(1, 2), (3, 4), (5, 6)]


def test_values_are_found_from_the_pad_up_to_the_whole_space() -> None:
    bench = loaded()
    bench.do("simulate_landau", Target())
    assert bench.inventory.value("domain_contrast", PAD) == Estimate(value=1.0, std=0.1)
    assert bench.inventory.value("domain_contrast", STRIP) is None
    assert bench.inventory.is_done("simulate_landau", PAD)


def test_step_needs_its_capability_or_its_own_name() -> None:
    assert Step(name="scan", level=Level.MICROSCOPY).needs == "scan"
    imaging = Step(name="scan", level=Level.MICROSCOPY, capability="image")
    assert imaging.needs == "image"
