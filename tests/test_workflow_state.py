"""State as a fold over events: budgets committed and settled, grants, sessions, clocks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from probewise.workflow import (
    Action,
    ActionState,
    Alternative,
    Assessed,
    Budget,
    Commitment,
    Decided,
    Decision,
    Estimate,
    Failure,
    Grant,
    Issued,
    Maximize,
    Observation,
    Observed,
    Quality,
    RealClock,
    Recommendation,
    Refused,
    Score,
    State,
    Step,
    Stopped,
    Target,
    VirtualClock,
    Workflow,
)

DESIGN = {"x": 0.5}
FLOW = Workflow.model_validate(
    {
        "space": [{"name": "x", "low": 0, "high": 1}],
        "steps": [
            {
                "name": "grow",
                "level": 4,
                "makes": {"sites": 2},
                "cost_credits": {"median": 100, "cap_factor": 1.2},
                "latency_h": {"median": 5, "cap_factor": 2},
            },
            {
                "name": "load",
                "level": 4,
                "acts_on": "sample",
                "requires": "grow",
                "mounts": True,
                "cost_credits": {"median": 10, "cap_factor": 1.5},
            },
            {
                "name": "probe",
                "level": 3,
                "acts_on": "positions",
                "requires": "load",
                "produces": "height",
                "cost_credits": {"median": 2, "per_position": 3, "cap_factor": 2},
                "latency_h": {"median": 0.5, "cap_factor": 1},
            },
        ],
    }
)
GOAL = Maximize(quantity="height")


def new_state(**budget: Any) -> State:
    return State(
        workflow=FLOW,
        goal=GOAL,
        budget=Budget(**budget),
        capacity={"oven": 1, "afm": 2, "spare": 1},
        offers={"grow": ("oven",), "probe": ("spare", "afm")},
    )


def action(step: str, number: int = 0, session: str | None = None, positions: int = 0) -> Action:
    spots = tuple((k, 0) for k in range(positions))
    target = Target(design=DESIGN, sample="s1", site=None if step == "load" else 0, positions=spots)
    return Action(id=f"a{number}", step=step, target=target, session=session)


def issue(state: State, what: Action, worker: str = "afm") -> None:
    commitment = state.commitment(what)
    state.apply(Issued(hour=state.now_h, action=what, worker=worker, commitment=commitment))


def observe(
    state: State, what: Action, cost: float, hours: float = 0.0, failure: Failure | None = None
) -> None:
    seen = Observation(action_id=what.id, worker="afm", cost_credits=cost, failure=failure)
    state.apply(Observed(hour=state.now_h + hours, observation=seen))


def open_session(state: State, credits: float, name: str = "q1", sample: str = "s1") -> None:
    grant = Grant(session=name, sample=sample, credits=credits, hours=9, reservation_rate=0.0)
    decision = Decision(number=state.decisions, kind="act", grant=grant, reason="it is worth it")
    state.apply(Decided(hour=state.now_h, decision=decision))


def close_session(state: State, name: str = "q1") -> None:
    decision = Decision(number=state.decisions, kind="close", session=name, reason="nothing left")
    state.apply(Decided(hour=state.now_h, decision=decision))


def test_commitment_is_the_most_that_the_step_may_take() -> None:
    state = new_state()
    grown = state.commitment(action("grow"))
    assert (grown.credits, grown.hours, grown.samples) == (120.0, 10.0, 1)
    probed = state.commitment(action("probe", positions=4))
    assert (probed.credits, probed.hours, probed.samples) == (28.0, 0.5, 0)


def test_issued_is_committed_and_observed_is_settled() -> None:
    state = new_state(credits=500)
    grow = action("grow")
    issue(state, grow, "oven")
    assert (state.spent_credits, state.committed_credits, state.free_credits) == (0, 120, 380)
    assert state.states["a0"] is ActionState.RUNNING and state.samples_begun == 1
    observe(state, grow, cost=93.5, hours=4.0)
    assert (state.spent_credits, state.committed_credits, state.free_credits) == (93.5, 0, 406.5)
    assert state.states["a0"] is ActionState.COMPLETED and state.now_h == 4.0
    assert len(state.inventory.samples["s1"].sites) == 2


def test_failure_costs_too_and_an_uncertain_one_stays_uncertain() -> None:
    state = new_state(credits=500)
    for number, kind in enumerate(("instrument", "uncertain")):
        what = action("grow", number)
        issue(state, what, "oven")
        failure = Failure.model_validate({"kind": kind, "message": "silence"})
        observe(state, what, cost=50, failure=failure)
    assert state.spent_credits == 100
    assert state.states == {"a0": ActionState.FAILED, "a1": ActionState.UNCERTAIN}
    assert "s1" not in state.inventory.samples


def test_second_delivery_of_an_issue_is_recognized() -> None:
    state = new_state(credits=500)
    for _ in range(2):
        issue(state, action("grow"), "oven")
    assert state.committed_credits == 120 and state.samples_begun == 1


@pytest.mark.parametrize(
    ("budget", "fits"),
    [
        ({}, True),
        ({"credits": 240.0}, True),
        ({"credits": 239.0}, False),
        ({"hours": 10.0}, True),
        ({"hours": 9.9}, False),
        ({"samples": 2}, True),
        ({"samples": 1}, False),
    ],
)
def test_every_hard_limit_counts_what_is_in_flight(budget: dict[str, Any], fits: bool) -> None:
    state = new_state(**budget)
    issue(state, action("grow"), "oven")
    assert state.affordable(state.commitment(action("grow", 1))) is fits


def test_whole_ways_keep_credits_and_hours_with_what_is_in_flight() -> None:
    state = new_state(credits=200.0, hours=12.0)
    issue(state, action("grow"), "oven")
    free = state.free_credits
    keeps = state.bears_price([free, free + 0.1, 0.0], [12.0, 0.0, 12.1])
    assert keeps.tolist() == [True, False, False]
    open_session(state, credits=50)
    assert not state.bears_price(free, 0.0) and state.bears_price(free - 50, 0.0)
    assert new_state().bears_price(1e9, 1e9)


def test_time_that_has_passed_is_gone() -> None:
    state = new_state(hours=12.0)
    grow = action("grow")
    assert state.affordable(state.commitment(grow))
    issue(state, grow, "oven")
    observe(state, grow, cost=100, hours=3.0)
    assert not state.affordable(state.commitment(action("grow", 1)))


def test_grant_is_a_cap_for_its_session_and_kept_from_others() -> None:
    state = new_state(credits=200)
    open_session(state, credits=50)
    small, large = action("probe", 1, "q1", 6), action("probe", 2, "q1", 9)
    assert state.affordable(state.commitment(small), "q1")
    assert not state.affordable(state.commitment(large), "q1")
    assert state.granted_credits == 50
    assert state.affordable(state.commitment(action("grow")))
    issue(state, small)
    assert state.session_free("q1") == pytest.approx(50 - 40)
    observe(state, small, cost=22)
    assert state.session_free("q1") == pytest.approx(28)
    assert state.affordable(state.commitment(action("probe", 3, positions=24)))
    assert not state.affordable(state.commitment(action("probe", 3, positions=25)))


def test_closing_returns_what_was_not_spent_and_takes_the_sample_off() -> None:
    state = new_state(credits=200)
    for number, (step, session) in enumerate((("grow", None), ("load", "q1"))):
        if session:
            open_session(state, credits=60)
        what = action(step, number, session)
        issue(state, what)
        observe(state, what, cost=10)
    probe, here = FLOW.step("probe"), action("probe").target
    assert state.inventory.samples["s1"].mounted_on == "afm"
    assert [s.name for s in FLOW.open_steps(probe, here, state.inventory)] == ["probe"]
    assert list(state.open_sessions()) == ["q1"] and state.granted_credits == 50
    close_session(state)
    assert not state.open_sessions() and state.granted_credits == 0
    assert state.sessions["q1"].reason == "nothing left"
    assert state.inventory.samples["s1"].mounted_on is None
    assert [s.name for s in FLOW.open_steps(probe, here, state.inventory)] == ["load", "probe"]


def test_worker_with_room_and_least_load_is_taken() -> None:
    state = new_state()
    assert state.free_worker(Step.model_validate({"name": "polish", "level": 3})) is None
    assert state.free_worker(FLOW.step("probe")) == "afm"
    issue(state, action("probe", 1), "afm")
    assert state.free_worker(FLOW.step("probe")) == "spare"
    issue(state, action("probe", 2), "spare")
    assert state.free_worker(FLOW.step("probe")) == "afm"
    issue(state, action("probe", 3), "afm")
    assert state.free_worker(FLOW.step("probe")) is None


def test_decisions_number_actions_and_refusals_are_remembered() -> None:
    state = new_state()
    option = Alternative(label="grow", step="grow", value=1.0, price_credits=100.0, index=0.01)
    decision = Decision(
        number=0, kind="act", actions=(action("grow"),), reason="best", alternatives=(option,)
    )
    state.apply(Decided(hour=1.0, decision=decision))
    assert (state.decisions, state.actions_numbered, state.now_h) == (1, 1, 1.0)
    assert state.states["a0"] is ActionState.PROPOSED and not state.running
    state.apply(Refused(hour=0.5, action_id="a0", by="guardian", reason="too hot"))
    assert state.states["a0"] is ActionState.ABANDONED and state.refused["a0"].reason == "too hot"
    assert state.now_h == 1.0


def test_the_last_recommendation_is_kept_when_the_campaign_stops() -> None:
    state = new_state()
    answer = Recommendation(goal=GOAL, design=DESIGN, estimate=Estimate(value=3.0, std=0.2))
    state.apply(Assessed(hour=1.0, credits=0.0, recommendation=answer))
    state.apply(Stopped(hour=2.0, reason="budget"))
    assert state.recommendation == answer and state.stopped == "budget"


@settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)
class Affordable(RuleBasedStateMachine):
    """Any order of decisions and results: what is affordable never breaks a limit."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0

    @initialize(credits=st.floats(0, 600), hours=st.floats(0, 60), samples=st.integers(0, 3))
    def begin(self, credits: float, hours: float, samples: int) -> None:
        self.state = new_state(credits=credits, hours=hours, samples=samples)

    @rule(share=st.floats(0, 1))
    def grant(self, share: float) -> None:
        free = self.state.free_credits - self.state.granted_credits
        name = f"q{len(self.state.sessions)}"
        open_session(self.state, max(free, 0.0) * share, name, sample="s1")

    @rule(
        step=st.sampled_from(["grow", "load", "probe"]),
        positions=st.integers(0, 8),
        data=st.data(),
    )
    def try_to_issue(self, step: str, positions: int, data: st.DataObject) -> None:
        session = data.draw(st.sampled_from([None, *self.state.open_sessions()]))
        if step == "load" and "s1" not in self.state.inventory.samples:
            return
        what = action(step, self.number, session, positions)
        commitment = self.state.commitment(what)
        if self.state.affordable(commitment, session):
            self.number += 1
            issue(self.state, what)
            assert self.state.budget.hours is not None
            assert self.state.now_h + commitment.hours <= self.state.budget.hours

    @precondition(lambda self: self.state.running)
    @rule(share=st.floats(0, 1), failed=st.booleans(), data=st.data())
    def settle(self, share: float, failed: bool, data: st.DataObject) -> None:
        issued = self.state.running[data.draw(st.sampled_from(sorted(self.state.running)))]
        failure = Failure(kind="timeout", message="no answer") if failed else None
        before = self.state.spent_credits
        cost = issued.commitment.credits * share
        observe(self.state, issued.action, cost, issued.commitment.hours * share, failure)
        assert self.state.spent_credits == pytest.approx(before + cost)

    @precondition(lambda self: self.state.open_sessions())
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        close_session(self.state, data.draw(st.sampled_from(sorted(self.state.open_sessions()))))

    @invariant()
    def no_limit_is_broken(self) -> None:
        if not hasattr(self, "state"):
            return
        state = self.state
        assert state.budget.credits is not None and state.budget.samples is not None
        assert state.spent_credits + state.committed_credits <= state.budget.credits + 1e-6
        assert state.samples_begun <= state.budget.samples
        assert all(state.session_free(name) >= -1e-6 for name in state.sessions)

    @invariant()
    def grants_are_covered(self) -> None:
        if hasattr(self, "state"):
            assert self.state.granted_credits <= self.state.free_credits + 1e-6


TestAffordable = Affordable.TestCase


def test_virtual_clock_jumps_and_never_runs_back() -> None:
    clock = VirtualClock(start_h=2.0)
    assert clock.virtual and clock.now_h() == 2.0
    clock.advance_to(5.0)
    clock.advance_to(3.0)
    assert clock.now_h() == 5.0


def test_real_clock_goes_on_where_it_stopped_and_cannot_be_moved() -> None:
    clock = RealClock(start_h=7.0)
    clock.advance_to(1e6)
    first, second = clock.now_h(), clock.now_h()
    assert not clock.virtual and 7.0 <= first <= second < 1e5


def test_score_runs_from_the_baseline_to_the_best() -> None:
    score = Score(true_value=6.0, best=8.0, baseline=4.0)
    assert (score.regret, score.gain) == (2.0, 0.5)
    assert Score(true_value=4.0, best=4.0, baseline=4.0).gain == 1.0


def test_a_sample_is_measured_where_it_is_mounted_and_shares_the_instrument_with_none() -> None:
    state = new_state(credits=500)
    state.offers = {**state.offers, "load": ("afm",), "probe": ("afm", "spare")}
    for number, (step, session) in enumerate((("grow", None), ("load", "q1"))):
        if session:
            open_session(state, credits=60)
        what = action(step, number, session)
        issue(state, what)
        observe(state, what, cost=10)
    here = action("probe").target
    other = here.model_copy(update={"sample": "s2"})
    assert state.free_worker(FLOW.step("probe"), here) == "afm"
    assert state.free_worker(FLOW.step("load"), other) is None
    assert state.free_worker(FLOW.step("load"), here) == "afm"
    close_session(state)
    assert state.free_worker(FLOW.step("load"), other) == "afm"


def test_verdict_stop_asks_for_preparation_again_but_leaves_the_sample_mounted() -> None:
    flow = FLOW.model_copy(
        update={
            "steps": (
                *FLOW.steps,
                Step.model_validate(
                    {"name": "tune", "level": 3, "acts_on": "sample", "requires": "load"}
                ),
                Step.model_validate(
                    {"name": "judge", "level": 2, "acts_on": "site", "requires": "tune"}
                ),
            )
        }
    )
    flow = Workflow.model_validate(flow.model_dump())
    state = new_state(credits=500)
    state.workflow = flow
    for number, (step, session) in enumerate((("grow", None), ("load", "q1"))):
        if session:
            open_session(state, credits=60)
        what = action(step, number, session)
        issue(state, what)
        observe(state, what, cost=10)
    here = action("probe").target
    whole = here.model_copy(update={"site": None})
    for number, (step, target) in enumerate((("tune", whole), ("judge", here)), start=5):
        what = action("probe", number, "q1").model_copy(update={"step": step, "target": target})
        state.apply(
            Issued(hour=0, action=what, worker="afm", commitment=Commitment(credits=0, hours=0))
        )
        assert state.inventory.is_done("tune", here) is (step == "judge")
        verdict = Quality(verdict="stop", score=0.0) if step == "judge" else None
        state.apply(
            Observed(
                hour=0, observation=Observation(action_id=what.id, worker="afm", quality=verdict)
            )
        )
    assert not state.inventory.is_done("tune", here)
    assert state.inventory.is_done("load", here)
    assert state.inventory.samples["s1"].mounted_on == "afm"
