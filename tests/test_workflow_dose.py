"""Dose: committed when issued, settled when observed, a hard limit for every site."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_campaigns import raw_library_spec, raw_spec, registered, shrink, spec_of

from probewise.agents._settle import settle
from probewise.campaign import Campaign
from probewise.campaign._check_spec import check_spec
from probewise.workflow import (
    Action,
    Budget,
    BudgetError,
    Failure,
    Issued,
    Maximize,
    Observation,
    Observed,
    Outcome,
    SpecError,
    State,
    Step,
    Target,
    Workflow,
)

FLOW = Workflow.model_validate(
    {
        "space": [{"name": "x", "low": 0, "high": 1}],
        "steps": [
            {"name": "grow", "level": 4, "makes": {"sites": 2}},
            {"name": "survey", "level": 3, "acts_on": "sample", "dose_e_per_A2": 4},
            {
                "name": "probe",
                "level": 3,
                "acts_on": "positions",
                "produces": "height",
                "dose_e_per_A2": {"median": 1, "per_position": 2, "cap_factor": 1.5},
            },
        ],
    }
)


def new_state(limit: float | None) -> State:
    return State(FLOW, Maximize(quantity="height"), Budget(dose_e_per_A2=limit))


def act(number: int, step: str, site: int | None = 0, positions: int = 1) -> Action:
    spots = tuple((k, 0) for k in range(positions))
    target = Target(design={"x": 0.5}, sample="s1", site=site, positions=spots)
    return Action(id=f"a{number}", step=step, target=target)


def issue(state: State, what: Action) -> Issued:
    issued = Issued(hour=0, action=what, worker="stem", commitment=state.commitment(what))
    state.apply(issued)
    return issued


def settled(state: State, what: Action, dose: float, failure: Failure | None = None) -> None:
    seen = Observation(action_id=what.id, worker="stem", dose_e_per_A2=dose, failure=failure)
    state.apply(Observed(hour=0, observation=seen))


SITE = ("s1", 0, ())


def test_dose_is_committed_at_its_cap_and_settled_at_what_fell() -> None:
    state = new_state(20.0)
    probe = act(0, "probe", positions=3)
    issue(state, probe)
    assert state.dose_at(SITE) == 10.5
    settled(state, probe, dose=6.5)
    assert state.dose_at(SITE) == 6.5 and state.dose_at(("s1", 1, ())) == 0.0
    assert state.largest_dose == (6.5, SITE)


def test_a_failed_exposure_counts_too() -> None:
    state = new_state(20.0)
    probe = act(0, "probe")
    issue(state, probe)
    settled(state, probe, 3.0, Failure(kind="bad_data", message="drift"))
    assert state.dose_at(SITE) == 3.0


def test_what_falls_on_a_sample_falls_on_each_of_its_sites() -> None:
    state = new_state(10.0)
    for number, (step, dose) in enumerate((("survey", 4.0), ("probe", 3.0))):
        what = act(number, step, None if step == "survey" else 0)
        issue(state, what)
        settled(state, what, dose)
    assert state.dose_at(SITE) == 7.0 and state.dose_at(("s1", 1, ())) == 4.0
    assert state.dose_at(("s1", None, ())) == 7.0
    assert not state.affordable(state.commitment(act(2, "survey", None)))
    assert state.affordable(state.commitment(act(2, "probe", site=1)))
    assert not state.affordable(state.commitment(act(2, "probe", site=0)))


def test_what_is_in_flight_counts_against_the_limit() -> None:
    state = new_state(9.0)
    issue(state, act(0, "probe"))
    assert state.affordable(state.commitment(act(1, "probe")))
    issue(state, act(1, "probe"))
    assert not state.affordable(state.commitment(act(2, "probe")))
    assert new_state(None).affordable(state.commitment(act(2, "probe", positions=999)))


@pytest.mark.parametrize(
    ("outcome", "dose"),
    [
        (Outcome(), 5.0),
        (Outcome(dose_e_per_A2=2.5), 2.5),
        (Outcome(dose_e_per_A2=99.0), 99.0),
        (Outcome(failure=Failure(kind="refused", message="no")), 0.0),
        (Outcome(failure=Failure(kind="bad_data", message="blurred")), 5.0),
        (Outcome(failure=Failure(kind="timeout", message="gone")), 7.5),
    ],
)
def test_seat_fills_in_a_dose_that_is_not_stated(outcome: Outcome, dose: float) -> None:
    from probewise.agents._testing import EchoInstrument

    state = new_state(None)
    issued = issue(state, act(0, "probe", positions=2))
    seen = settle(issued, FLOW.step("probe"), EchoInstrument, outcome, elapsed_h=0.0)
    assert seen.dose_e_per_A2 == dose


def test_a_dose_needs_a_specimen() -> None:
    with pytest.raises(SpecError, match="no specimen"):
        Step.model_validate({"name": "think", "level": 5, "acts_on": "space", "dose_e_per_A2": 1})


@settings(max_examples=60)
@given(
    limit=st.floats(0, 40),
    moves=st.lists(
        st.tuples(
            st.sampled_from(["survey", "probe"]),
            st.integers(0, 1),
            st.integers(1, 4),
            st.floats(0, 1),
        ),
        max_size=30,
    ),
)
def test_no_order_of_exposures_breaks_the_limit(
    limit: float, moves: list[tuple[str, int, int, float]]
) -> None:
    state = new_state(limit)
    for number, (step, site, positions, share) in enumerate(moves):
        what = act(number, step, None if step == "survey" else site, positions)
        commitment = state.commitment(what)
        if state.affordable(commitment):
            issue(state, what)
        if state.running and share < 0.5:
            first = next(iter(state.running.values()))
            settled(state, first.action, first.commitment.dose_e_per_A2 * share * 2)
        assert all(state.dose_at(("s1", i, ())) <= limit + 1e-9 for i in (0, 1))


def dosed(**budget: float) -> dict[str, Any]:
    raw = raw_library_spec(name="dosed")
    steps = json.loads(json.dumps(raw["workflow"]["steps"]))
    for step in steps:
        step["dose_e_per_A2"] = {"load": 1, "look": 6, "test": 2}.get(step["name"], 0)
    return raw | {"workflow": raw["workflow"] | {"steps": steps}, "budget": budget}


@settings(max_examples=25)
@given(
    credits=st.floats(25, 130),
    hours=st.floats(6, 40),
    samples=st.integers(1, 3),
    dose=st.floats(4.6, 30),
    seed=st.integers(0, 99),
    policy=st.sampled_from(["fixed", "random", "planner", "single-source"]),
)
def test_no_budget_is_ever_exceeded_pending_included(
    credits: float, hours: float, samples: int, dose: float, seed: int, policy: str
) -> None:
    raw = dosed(credits=credits, hours=hours, samples=samples, dose_e_per_A2=dose)
    campaign = Campaign(spec_of(raw | {"policy": policy, "seed": seed}))
    for _ in campaign:
        state = campaign.state
        assert state.spent_credits + state.committed_credits <= credits + 1e-9
        assert state.now_h <= hours + 1e-9
        assert all(i.hour + i.commitment.hours <= hours + 1e-9 for i in state.running.values())
        assert state.samples_begun <= samples
        largest = state.largest_dose
        assert largest is None or largest[0] <= dose + 1e-9
    assert campaign.state.stopped


@pytest.fixture(autouse=True, scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Any:
    patch = pytest.MonkeyPatch()
    shrink(patch.setattr)
    with registered(tmp_path_factory.mktemp("dosed")):
        yield
    patch.undo()


def test_summary_and_report_name_the_most_exposed_site() -> None:
    campaign = Campaign(
        spec_of(dosed(credits=100, hours=40, dose_e_per_A2=20) | {"policy": "fixed"})
    )
    summary = campaign.run().summary
    dose = summary["largest_dose"]
    assert dose["limit"] == 20 and 6 < dose["e_per_A2"] <= 20 and dose["at"].startswith("S001 pad")
    assert Campaign(spec_of(raw_spec())).run().summary["largest_dose"] is None


def test_a_dose_budget_below_one_way_to_the_goal_is_refused() -> None:
    with pytest.raises(BudgetError, match="dose_e_per_A2"):
        check_spec(spec_of(dosed(credits=100, hours=40, dose_e_per_A2=2.9)))
