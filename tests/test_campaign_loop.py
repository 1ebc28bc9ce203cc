"""The decision cycle: order of events, refusals, failures, several actions in flight, budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_campaigns import (
    BEST,
    GROW,
    LOAD,
    LOOK,
    TEST,
    VARIABLES,
    kinds,
    raw_library_spec,
    raw_spec,
    registered,
    run_in_memory,
    shrink,
    spec_of,
)

from probewise.agents import Finding, Health, InlineRuntime, MemoryStore
from probewise.campaign import Campaign
from probewise.campaign._decider import dead_end
from probewise.campaign._loop import Loop
from probewise.campaign._offers import offers_by_capability
from probewise.workflow import (
    Action,
    ActionState,
    Clock,
    Commitment,
    Decided,
    Decision,
    Event,
    Fate,
    Grant,
    Issued,
    Observation,
    Observed,
    Offer,
    RealClock,
    Recommendation,
    Refused,
    SpecError,
    State,
    Step,
    Target,
    Verdict,
    VirtualClock,
)

Raw = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with registered(tmp_path_factory.mktemp("installed")), pytest.MonkeyPatch.context() as patch:
        shrink(patch.setattr)
        yield


class Script:
    """A policy that says what it was told to, one decision after the other, then stops."""

    name = "script"

    def __init__(self, *steps: Callable[[State], Decision]) -> None:
        self.steps = list(steps)
        self.seen: list[int] = []

    def decide(self, state: State) -> Decision:
        self.seen.append(len(state.observations))
        return self.steps.pop(0)(state) if self.steps else say("stop", "done")(state)

    def recommend(self, state: State) -> Recommendation | None:
        return None


def say(kind: Any, reason: str = "so") -> Callable[[State], Decision]:
    return lambda state: Decision(number=state.decisions, kind=kind, reason=reason)


def act(
    *steps: str, grant: Grant | None = None, session: str | None = None, **target: Any
) -> Callable[[State], Decision]:
    """Do steps at :data:`BEST`, all in one decision."""

    def decide(state: State) -> Decision:
        actions = tuple(
            Action(
                id=f"a{state.actions_numbered + k}",
                step=step,
                target=Target.model_validate({"design": BEST} | target),
                seed=k + state.decisions,
                session=session,
            )
            for k, step in enumerate(steps)
        )
        return Decision(
            number=state.decisions,
            kind="act",
            actions=actions,
            grant=grant,
            session=session,
            reason="told to",
        )

    return decide


def close(session: str) -> Callable[[State], Decision]:
    return lambda state: Decision(
        number=state.decisions, kind="close", session=session, reason="enough"
    )


class Run:
    """A loop with everything that it talks to."""

    def __init__(self, raw: Raw, *steps: Callable[[State], Decision], clock: Clock | None = None):
        spec = self.spec = spec_of(raw)
        self.written: list[Event] = []
        self.runtime = InlineRuntime(spec.workers, spec.guardian, MemoryStore())
        offers = {w: tuple(o.capability for o in f) for w, f in self.runtime.start().items()}
        self.state = spec.initial_state(offers_by_capability(offers, spec.workflow.steps))
        self.policy = Script(*steps)
        self.clock = clock or VirtualClock()
        self.loop = Loop(self.state, self.policy, self.runtime, self.clock, self.write, spec)

    def write(self, *events: Event) -> None:
        self.written.extend(events)

    def all(self) -> list[Event]:
        return list(self.loop.events())


def observed(events: Iterable[Event]) -> list[Observation]:
    return [e.observation for e in events if isinstance(e, Observed)]


def test_results_come_in_the_order_of_their_virtual_ends() -> None:
    """A test takes about an hour, a look twelve minutes: the looks come first."""
    run = Run(raw_spec(), act("test"), act("look"), say("wait"), act("look"), say("wait"))
    events = run.all()
    assert kinds(events) == [
        *("decided", "issued") * 2,
        "observed",
        *("decided", "issued", "observed"),
        *("observed", "decided", "stopped"),
    ]
    steps = [run.state.actions[o.action_id].step for o in observed(events)]
    assert steps == ["look", "look", "test"]
    hours = [e.hour for e in events]
    assert hours == sorted(hours) and run.clock.now_h() == hours[-1]
    ends = [o.end_h for o in observed(events)]
    assert ends == sorted(ends) and ends[0] == pytest.approx(0.2, rel=0.4)


def test_a_result_is_taken_in_before_the_next_decision() -> None:
    run = Run(raw_spec(), act("look"), say("wait"), act("look"), say("wait"))
    run.all()
    assert run.policy.seen == [0, 0, 1, 1, 2]


def test_events_are_written_before_a_worker_sees_the_action() -> None:
    run = Run(raw_spec(), act("look"), say("wait"))
    submitted: list[list[str]] = []
    submit = run.runtime.submit

    def watched(issued: Issued, step: Step) -> None:
        assert issued in run.written
        submitted.append(kinds(run.written))
        submit(issued, step)

    run.runtime.submit = watched  # type: ignore[method-assign]
    events = run.all()
    assert submitted == [["decided", "issued"]]
    assert events == run.written


def test_an_event_is_in_the_state_when_it_is_shown() -> None:
    run = Run(raw_spec(), act("look"), say("wait"))
    for event in run.loop.events():
        if isinstance(event, Issued):
            assert event.action.id in run.state.running
        if isinstance(event, Observed):
            assert event.observation in run.state.observations


def test_when_the_journal_fails_nothing_is_done() -> None:
    run = Run(raw_spec(), act("look"))
    performed: list[object] = []

    def full(*events: Event) -> None:
        raise OSError("disk full")

    run.loop = Loop(run.state, run.policy, run.runtime, run.clock, full, run.spec)
    run.runtime.submit = lambda *a: performed.append(a)  # type: ignore[method-assign]
    with pytest.raises(OSError, match="disk full"):
        run.all()
    assert not performed and not run.written


def test_several_actions_are_in_flight_at_once() -> None:
    raw = raw_spec()
    raw["workers"]["eye"]["capacity"] = 2
    run = Run(raw, act("look"), act("look"), act("test"), say("wait"), say("wait"), say("wait"))
    most = max(len(run.state.running) for _ in run.loop.events())
    assert most == 3
    assert not run.state.running and len(run.state.observations) == 3


def test_several_actions_of_one_decision_share_the_budget() -> None:
    """Each test may cost 12; together they may not take 40."""
    raw = raw_spec(budget={"credits": 40})
    raw["workers"]["rig"]["capacity"] = 5
    run = Run(raw, act(*["test"] * 5))
    events = run.all()
    refused = [e for e in events if isinstance(e, Refused)]
    assert len(observed(events)) == 3 and len(refused) == 2
    assert {r.by for r in refused} == {"budget"}
    assert "12 credits" in refused[0].reason
    assert run.state.spent_credits <= 40


def test_several_actions_of_one_decision_share_the_workers() -> None:
    with pytest.raises(RuntimeError, match="busy worker"):
        Run(raw_spec(), act("test", "test")).all()


def test_samples_of_one_decision_are_counted_together() -> None:
    raw = raw_library_spec(budget={"credits": 1000, "samples": 2})
    raw["workers"]["oven"]["capacity"] = 3
    events = Run(raw, act("grow", "grow", "grow")).all()
    assert kinds(events).count("issued") == 2 and kinds(events).count("refused") == 1


def test_an_action_beyond_the_hours_is_refused() -> None:
    raw = raw_spec(budget={"hours": 1.0})
    (refused,) = [e for e in Run(raw, act("test")).all() if isinstance(e, Refused)]
    assert refused.by == "budget"


def test_the_guardian_refuses_and_the_reason_goes_back() -> None:
    raw = raw_spec()
    raw["guardian"]["config"]["max_cost_credits"] = 5
    run = Run(raw, act("test"), act("look"), say("wait"))
    events = run.all()
    refused = run.state.refused["a0"]
    assert refused.by == "guardian" and "12 credits; the limit is 5" in refused.reason
    assert run.state.states["a0"] == ActionState.ABANDONED
    assert [o.action_id for o in observed(events)] == ["a1"]


def test_a_policy_that_is_only_refused_is_stopped() -> None:
    raw = raw_spec()
    raw["guardian"]["config"]["max_cost_credits"] = 5
    run = Run(raw, *[act("test")] * 60)
    events = run.all()
    assert kinds(events).count("refused") == 25
    assert "25 proposals in a row were refused" in (run.state.stopped or "")
    assert "the limit is 5" in (run.state.stopped or "")


def test_what_still_runs_is_awaited_before_a_dead_end_is_one() -> None:
    raw = raw_spec()
    raw["guardian"]["config"]["allowed_steps"] = "look"
    run = Run(raw, act("look"), *[act("test")] * 60)
    events = run.all()
    assert kinds(events)[-3:] == ["observed", "decided", "stopped"]
    assert run.state.committed_credits == 0.0


def test_failures_are_values_and_the_campaign_goes_on() -> None:
    raw = raw_spec()
    raw["workers"]["eye"]["config"]["failure_rate"] = 1.0
    run = Run(raw, act("look"), say("wait"), act("test"), say("wait"))
    failed, worked = observed(run.all())
    assert failed.failure is not None and failed.failure.message == "it slipped"
    assert failed.cost_credits > 0 and worked.failure is None
    assert run.state.states["a0"] == ActionState.FAILED
    assert run.state.spent_credits == failed.cost_credits + worked.cost_credits


@pytest.mark.slow
def test_a_broken_worker_does_not_keep_a_campaign_going_for_ever() -> None:
    """It refuses at no cost and in no time, so no budget would ever end this."""
    for policy in ("random", "planner"):
        raw = raw_spec(policy=policy)
        for worker in raw["workers"].values():
            worker["config"]["refuses"] = worker["config"]["capabilities"]
        state = run_in_memory(raw).state
        assert "25 actions in a row failed, the last: out of order" in (state.stopped or "")
        assert state.spent_credits == 0.0


def test_dead_ends_need_an_unbroken_row() -> None:
    raw = raw_spec()
    raw["guardian"]["config"]["allowed_steps"] = "look"
    row = [act("test")] * 24
    run = Run(raw, *row, act("look"), say("wait"), *row)
    run.all()
    assert run.state.stopped == "done"
    assert dead_end(run.state) is None


def test_stopping_waits_for_what_runs_and_closes_sessions() -> None:
    grant = Grant(session="s1", sample="S1", credits=30, hours=9, reservation_rate=0.1)
    run = Run(
        raw_library_spec(),
        act("grow", sample="S1"),
        say("wait"),
        act("load", grant=grant, session="s1", sample="S1"),
    )
    events = run.all()
    assert kinds(events)[-3:] == ["decided", "decided", "stopped"]
    closing, last = (e.decision for e in events[-3:-1] if isinstance(e, Decided))
    assert (closing.kind, closing.session, last.kind) == ("close", "s1", "stop")
    assert last.number == closing.number + 1 == run.state.decisions - 1
    assert run.state.sessions["s1"].reason == "the campaign stops"
    assert run.written[-3:] == events[-3:]


def test_a_closed_session_gives_back_what_it_did_not_spend() -> None:
    grant = Grant(session="s1", sample="S1", credits=60, hours=9, reservation_rate=0.1)
    run = Run(
        raw_library_spec(budget={"credits": 100}),
        act("grow", sample="S1"),
        say("wait"),
        act("load", grant=grant, session="s1", sample="S1"),
        say("wait"),
        act("test", "test", "test", sample="S1", site=0),
        close("s1"),
        act("test", sample="S1", site=0),
        say("wait"),
    )
    run.loop.state.capacity["rig"] = 3
    events = run.all()
    refused = [e for e in events if isinstance(e, Refused)]
    assert len(refused) == 1 and refused[0].by == "budget"
    assert len(observed(events)) == 2 + 2 + 1


def test_a_policy_that_waits_for_nothing_is_a_bug() -> None:
    with pytest.raises(RuntimeError, match="waits for nothing"):
        Run(raw_spec(), say("wait")).all()


def test_recommendations_are_assessed_after_news_only() -> None:
    campaign = run_in_memory(raw_spec())
    shown = kinds(campaign.seen)
    after = [shown[i - 1] for i, kind in enumerate(shown) if kind == "assessed"]
    assert after and set(after) == {"observed"}
    spent = [e.credits for e in campaign.seen if e.kind == "assessed"]
    assert spent == sorted(spent) and spent[-1] <= campaign.state.spent_credits


class SlowRuntime:
    """Results come only now and then, as from real instruments."""

    def __init__(self, ready: list[list[Observation]]) -> None:
        self.ready = ready
        self.asked: list[tuple[bool, float | None]] = []

    def start(self) -> dict[str, tuple[Offer, ...]]:
        return {}

    def check(self, steps: Sequence[Step]) -> None: ...

    def review(
        self, action: Action, step: Step, commitment: Commitment, worker: str | None = None
    ) -> Verdict:
        return Verdict(allowed=True, reason="")

    def submit(self, issued: Issued, step: Step) -> None: ...

    def inquire(self, issued: Issued, step: Step) -> Finding:
        return Finding(fate=Fate.UNKNOWN, by="nobody")

    def collect(self, everything: bool, timeout_s: float | None) -> list[Observation]:
        self.asked.append((everything, timeout_s))
        return self.ready.pop(0)

    def secure(self) -> dict[str, str]:
        return {}

    def halt(self) -> None: ...

    def health(self) -> dict[str, Health]:
        return {}

    def close(self) -> None: ...


def test_in_real_time_results_are_taken_as_they_come() -> None:
    def result(action: str, end_h: float) -> Observation:
        return Observation(action_id=action, worker="w", cost_credits=1.0, end_h=end_h)

    run = Run(raw_spec(), act("look"), act("test"), *[say("wait")] * 2, clock=RealClock(5.0))
    runtime = SlowRuntime([[], [result("a1", 5.2)], [], [result("a0", 5.1)]])
    run.loop = Loop(run.state, run.policy, runtime, run.clock, run.write, run.spec)
    events = run.all()
    assert [o.action_id for o in observed(events)] == ["a1", "a0"]
    assert not any(everything for everything, _ in runtime.asked)
    assert all(timeout is not None for _, timeout in runtime.asked)
    hours = [e.hour for e in events]
    assert all(h >= 5.0 for h in hours) and run.state.now_h >= 5.2


def test_capabilities_are_turned_around() -> None:
    flow = spec_of(raw_spec()).workflow
    able = offers_by_capability({"a": ("look", "test"), "b": ("look",)}, flow.steps)
    assert able == {"look": ("a", "b"), "test": ("a",)}
    with pytest.raises(SpecError, match="'test', which no worker offers"):
        offers_by_capability({"b": ("look",)}, flow.steps)


def test_reissuing_repeats_what_is_harmless_and_reports_the_rest() -> None:
    raw = raw_library_spec()
    run = Run(raw, act("grow", sample="S1"), act("test", sample="S0", site=0))
    for event in run.loop.events():
        if isinstance(event, Issued) and event.action.step == "test":
            break
    again = Run(raw)
    for event in run.written:
        again.state.apply(event)
    offered = {
        s.needs: ("oven" if s.name == "grow" else "rig",) for s in again.state.workflow.steps
    }
    again.state.offers = offered
    ask = again.runtime.inquire

    def real_rig(issued: Issued, step: Step) -> Finding:
        unknown = Finding(fate=Fate.UNKNOWN, by="nobody")
        return unknown if issued.worker == "rig" else ask(issued, step)

    again.runtime.inquire = real_rig  # type: ignore[method-assign]
    events = list(again.loop.take_up(None))
    (lost,) = observed(events)
    assert again.state.actions[lost.action_id].step == "test"
    assert lost.failure is not None and lost.failure.kind == "uncertain"
    assert lost.cost_credits == 12.0 and "not repeated" in lost.failure.remedy
    assert again.state.states[lost.action_id] == ActionState.UNCERTAIN
    grown = again.runtime.collect(everything=True, timeout_s=None)
    assert [again.state.actions[o.action_id].step for o in grown] == ["grow"]


# -- budgets, whatever happens ------------------------------------------------------------------

amounts = st.fixed_dictionaries(
    {
        "median": st.floats(0.5, 12),
        "log_std": st.floats(0, 0.5),
        "cap_factor": st.floats(1, 3),
    }
)


@st.composite
def campaigns(draw: st.DrawFn) -> Raw:
    """Small workflows, with samples or without, workers that fail, any policy and budget."""
    samples = draw(st.booleans())
    base = raw_library_spec() if samples else raw_spec()
    steps = [GROW, LOAD, LOOK, TEST] if samples else [LOOK, TEST]
    priced = [
        given | {"cost_credits": draw(amounts), "latency_h": draw(amounts)}
        for given in (base["workflow"]["steps"] if samples else steps)
    ]
    base["workflow"] = base["workflow"] | {"steps": priced, "space": VARIABLES}
    for worker in base["workers"].values():
        worker["config"]["failure_rate"] = draw(st.sampled_from([0.0, 0.3, 1.0]))
        worker["capacity"] = draw(st.integers(1, 3))
    limit = st.none() | st.floats(1, 60)
    credits = draw(st.floats(5, 90))
    base["budget"] = {"credits": credits, "hours": draw(limit), "samples": draw(st.just(3))}
    policy = draw(st.sampled_from(["planner", "fixed", "random", "single-source"]))
    return base | {"policy": policy, "seed": draw(st.integers(0, 9))}


def check_budgets(state: State) -> None:
    """What must hold after every single event."""
    limit = state.budget
    assert limit.credits is not None
    assert state.spent_credits + state.committed_credits <= limit.credits + 1e-6
    assert state.spent_credits == pytest.approx(sum(o.cost_credits for o in state.observations))
    assert limit.samples is None or state.samples_begun <= limit.samples
    for worker, capacity in state.capacity.items():
        assert state.load_of(worker) <= capacity
    inside = 0.0
    for name, session in state.sessions.items():
        own = [i for i in state.running.values() if i.action.session == name]
        committed = sum(i.commitment.credits for i in own)
        assert session.spent_credits + committed <= session.grant.credits + 1e-6
        assert session.is_open or not own
        inside += session.spent_credits
    assert inside <= state.spent_credits + 1e-6


@settings(max_examples=12)
@given(campaigns())
def test_budgets_hold_after_every_event(raw: Raw) -> None:
    campaign = Campaign(spec_of(raw))
    folded = campaign.spec.initial_state()
    issued: list[str] = []
    for event in campaign:
        folded.apply(event)
        check_budgets(folded)
        if isinstance(event, Issued):
            issued.append(event.action.id)
    assert len(issued) == len(set(issued)) == len(folded.observations)
    assert folded.stopped and not folded.running and not folded.open_sessions()
    returned = sum(s.grant.credits - s.spent_credits for s in folded.sessions.values())
    granted = sum(s.grant.credits for s in folded.sessions.values())
    spent = sum(s.spent_credits for s in folded.sessions.values())
    assert granted == pytest.approx(spent + returned) and returned >= -1e-6
    hours = folded.budget.hours
    assert hours is None or folded.now_h <= hours + 1e-6
    assert folded.spent_credits == campaign.state.spent_credits
