"""People's authority: autonomy, approvals, orders, changes; all of it in the journal."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from support_campaigns import (
    GROW,
    LOOK,
    TEST,
    kinds,
    raw_library_spec,
    raw_spec,
    registered,
    shrink,
    spec_of,
    untrack,
)

from probewise.campaign import Campaign, _intake
from probewise.campaign._change import resolve_change
from probewise.campaign._explain import explain
from probewise.campaign._history import History
from probewise.campaign._inbox import FolderInbox, new_message
from probewise.campaign._journal import replay
from probewise.campaign._replay import redecide
from probewise.campaign._report_tables import people_rows
from probewise.workflow import (
    Abort,
    ActionState,
    Alerted,
    Approve,
    Autonomy,
    Awaiting,
    Commanded,
    Commitment,
    Continue,
    Decided,
    Deny,
    Estimate,
    Event,
    Issued,
    Level,
    Observed,
    Order,
    Pause,
    ProbewiseError,
    Refused,
    Secured,
    Set,
    SpecError,
    State,
    Step,
    Stop,
)

Raw = dict[str, Any]
DEAR = raw_library_spec(policy="planner", budget={"credits": 60, "hours": 40})
ASKED = raw_spec(autonomy={"levels": {4: "approve"}}, budget={"credits": 30})


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with (
        registered(tmp_path_factory.mktemp("installed")),
        pytest.MonkeyPatch.context() as patch,
    ):
        shrink(patch.setattr)
        untrack(patch.setattr)
        patch.setattr(_intake, "_POLL_S", 0.01)
        yield


React = Callable[[Event, Campaign], Order | None]


def live(raw: Raw, react: React, most: int = 400, out: Path | None = None) -> Campaign:
    """Run, giving an order after events that call for one; the order is of ada's."""
    campaign = Campaign(spec_of(raw), out=out)
    for count, event in enumerate(campaign):
        assert count < most, "it does not end"
        order = react(event, campaign)
        if order is not None:
            campaign.order(order, "ada")
    return campaign


def once(when: Callable[[Event], bool], order: Order) -> React:
    """Give one order at the first event that is so."""
    orders = [order]
    return lambda event, _: orders.pop() if orders and when(event) else None


def of(campaign: Campaign, kind: type) -> list[Any]:
    return [e for e in campaign.seen if isinstance(e, kind)]


def is_observed(event: Event) -> bool:
    return isinstance(event, Observed)


# -- autonomy -------------------------------------------------------------------------------------


def test_what_waits_for_approval_is_held_and_then_done() -> None:
    def react(event: Event, campaign: Campaign) -> Order | None:
        if not isinstance(event, Awaiting):
            return None
        state, action = campaign.state, event.action.id
        assert state.states[action] is ActionState.AWAITING_APPROVAL
        assert state.committed_credits >= event.commitment.credits
        assert action not in state.at_work and state.load_of(event.worker) == 1
        return Approve(actions=(action,))

    campaign = live(ASKED, react)
    waited = [e.action.id for e in of(campaign, Awaiting)]
    assert waited and waited == [e.action.id for e in of(campaign, Issued)]
    assert all(campaign.state.states[i] is ActionState.COMPLETED for i in waited)
    told = of(campaign, Commanded)
    assert [e.message.order.actions for e in told] == [(i,) for i in waited]
    assert {e.message.who for e in told} == {"ada"} and all(e.accepted for e in told)


def test_who_denies_is_named_and_the_planner_hears_why() -> None:
    react: React = lambda event, _: (  # noqa: E731
        Deny(actions=(event.action.id,), reason="not today")
        if isinstance(event, Awaiting)
        else None
    )
    campaign = live(ASKED, react)
    refused = of(campaign, Refused)
    assert refused and {(e.by, e.reason) for e in refused} == {("ada", "not today")}
    assert not of(campaign, Issued) and campaign.state.spent_credits == 0
    assert campaign.state.committed_credits == 0 and not campaign.state.running
    assert "refused" in (campaign.state.stopped or "")


@pytest.mark.parametrize("at_timeout", ["deny", "approve"])
def test_at_the_time_out_it_is_denied_unless_told_otherwise(at_timeout: str) -> None:
    autonomy = {"levels": {4: "approve"}, "timeout_s": 0.01}
    if at_timeout == "approve":
        autonomy["at_timeout"] = "approve"
    campaign = Campaign(spec_of(ASKED | {"autonomy": autonomy, "budget": {"credits": 13}}))
    for event in campaign:
        if isinstance(event, Refused) and not campaign.state.heard:
            campaign.order(Stop(), "ada")
    done = [e.action.id for e in of(campaign, Issued)]
    if at_timeout == "deny":
        assert not done and of(campaign, Refused)[0].by == "time-out"
    else:
        assert done and not of(campaign, Refused)
        assert any("approved by time-out" in e.message for e in of(campaign, Alerted))


def test_what_is_only_observed_is_proposed_and_never_done() -> None:
    campaign = live(raw_spec(autonomy={"levels": {4: "observe"}}), lambda e, c: None)
    assert not of(campaign, Issued)
    refused = of(campaign, Refused)
    assert refused and {e.by for e in refused} == {"autonomy"}
    assert "only proposed" in refused[0].reason


def test_the_strictest_of_level_and_rules_counts() -> None:
    autonomy = Autonomy.model_validate(
        {
            "levels": {"4": "auto", 3: "approve"},
            "rules": [
                {"irreversible": True},
                {"dearer_than_credits": 5, "longer_than_h": 1, "mode": "observe"},
                {"std_above": {"height": 0.2}},
                {"steps": ["look"], "mode": "observe"},
            ],
        }
    )
    step = Step.model_validate({"name": "test", "level": 4, "produces": "height [V]"})
    oven = Step.model_validate(GROW)
    look = step.model_copy(update={"name": "look", "level": Level(3)})

    def mode(step: Step, credits: float, hours: float, std: float = 0.1) -> tuple[str, str]:
        expected = {"height": Estimate(value=1, std=std)}
        return autonomy.mode(step, Commitment(credits=credits, hours=hours), expected)

    assert mode(step, 1, 1) == ("auto", "level 4 is set to auto")
    assert mode(oven, 1, 1) == ("approve", "cannot be undone")
    assert mode(step, 6, 1)[0] == "auto", "every condition of a rule must hold"
    assert mode(step, 6, 2) == ("observe", "may cost 6 credits, may last 2 h")
    assert mode(step, 1, 1, 0.3) == ("approve", "height is known to ±0.3 only")
    assert mode(look, 1, 1)[0] == "observe"


def test_a_rule_needs_a_condition_and_names_what_is_there() -> None:
    with pytest.raises(SpecError, match="without a condition"):
        Autonomy.model_validate({"rules": [{"mode": "approve"}]})
    spec = spec_of(raw_spec())
    for rule in ({"steps": ["fly"]}, {"std_above": {"weight": 1}}):
        with pytest.raises(SpecError, match=r"fly|weight"):
            resolve_change(spec, spec.initial_state(), {"autonomy.rules": [rule]})


# -- pause, stop, abort ---------------------------------------------------------------------------


def test_a_pause_lets_run_out_asks_to_be_safe_and_gives_out_nothing() -> None:
    orders: list[tuple[Callable[[Event], bool], Order]] = [
        (lambda e: isinstance(e, Issued), Pause(reason="lunch")),
        (lambda e: isinstance(e, Secured), Continue()),
    ]

    def react(event: Event, campaign: Campaign) -> Order | None:
        return orders.pop(0)[1] if orders and orders[0][0](event) else None

    campaign = live(raw_spec(), react)
    shown = kinds(campaign.seen)
    paused = next(i for i, e in enumerate(campaign.seen) if isinstance(e, Commanded))
    gone_on = next(i for i, e in enumerate(campaign.seen) if i > paused and e.kind == "commanded")
    between = shown[paused + 1 : gone_on]
    assert "issued" not in between and between[-1] == "secured" and "observed" in between
    assert set(of(campaign, Secured)[0].answers) == {"eye", "rig"}
    assert "issued" in shown[gone_on:]
    assert of(campaign, Commanded)[0].message.order.reason == "lunch"


def test_a_pause_survives_the_process(tmp_path: Path) -> None:
    out = tmp_path / "run"
    campaign = Campaign(spec_of(raw_spec()), out=out)
    for event in campaign:
        if isinstance(event, Issued) and campaign.state.paused is None:
            campaign.order(Pause())
        if isinstance(event, Secured):
            break
    again = Campaign.resume(out)
    seen: list[Event] = []
    for event in again:
        seen.append(event)
        if isinstance(event, Secured):
            again.order(Continue())
    assert kinds(seen)[:3] == ["resumed", "secured", "commanded"]
    assert again.state.stopped is not None and again.state.paused is None


def test_a_stop_waits_for_what_runs_and_says_who() -> None:
    campaign = live(DEAR, once(lambda e: isinstance(e, Issued), Stop(reason="enough")))
    assert campaign.state.stopped == "stopped by ada: enough"
    assert not campaign.state.running and len(of(campaign, Observed)) == len(of(campaign, Issued))
    assert not campaign.state.open_sessions()


def test_a_stop_ends_a_pause_and_refuses_what_waits() -> None:
    def react(event: Event, campaign: Campaign) -> Order | None:
        if isinstance(event, Awaiting):
            return Pause()
        return Stop() if isinstance(event, Secured) else None

    campaign = live(ASKED, react)
    assert (campaign.state.stopped or "").startswith("stopped by ada")
    assert [e.by for e in of(campaign, Refused)] == ["ada"]


def test_an_abort_ends_at_once_and_what_ran_is_uncertain() -> None:
    campaign = live(DEAR, once(lambda e: isinstance(e, Issued), Abort(reason="smoke")))
    assert campaign.state.stopped == "aborted by ada: smoke"
    (issued,), (observed,) = of(campaign, Issued), of(campaign, Observed)
    assert observed.observation.failure.kind == "uncertain"
    assert observed.observation.cost_credits == issued.commitment.credits
    assert campaign.state.states[issued.action.id] is ActionState.UNCERTAIN
    assert kinds(campaign.seen).index("secured") < kinds(campaign.seen).index("stopped")


def test_an_abort_that_a_killed_process_left_is_carried_out(tmp_path: Path) -> None:
    out = tmp_path / "run"
    campaign = Campaign(spec_of(DEAR), out=out)
    for event in campaign:
        if isinstance(event, Issued):
            campaign.order(Abort(), "ada")
        if isinstance(event, Commanded):
            break
    again = Campaign.resume(out)
    again.run()
    assert len(of(again, Issued)) == 1
    assert (again.state.stopped or "").startswith("aborted by ada")


def test_on_the_real_clock_too_people_are_asked_and_heeded() -> None:
    quick = [LOOK | {"latency_h": 1e-6}, TEST | {"latency_h": 1e-6}]
    raw = ASKED | {"clock": "real", "budget": {"credits": 30, "hours": 1}}
    raw["workflow"] = raw["workflow"] | {"steps": quick}

    def react(event: Event, campaign: Campaign) -> Order | None:
        if isinstance(event, Awaiting):
            return Pause() if not campaign.state.heard else Approve(actions=("all",))
        if isinstance(event, Secured):
            campaign.order(Approve(actions=("all",)), "ada")
            return Continue()
        return None

    campaign = live(raw, react)
    verbs = [e.message.order.verb for e in of(campaign, Commanded)]
    assert verbs[:3] == ["pause", "approve", "resume"] and all(
        e.accepted for e in of(campaign, Commanded)
    )
    assert len(of(campaign, Observed)) == len(of(campaign, Awaiting)) >= 2


def test_explanations_and_reports_name_who_said_what(tmp_path: Path) -> None:
    def react(event: Event, campaign: Campaign) -> Order | None:
        if not isinstance(event, Awaiting):
            return None
        first = event.action.id == "a00000"
        return Approve(actions=("a00000",)) if first else Deny(actions=("all",), reason="dear")

    campaign = live(ASKED, react)
    console = Console(width=200, file=StringIO())
    console.print(explain(campaign.seen, 0))
    console.print(explain(campaign.seen, 1))
    told = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert "waited for approval: level 4 is set to approve" in told
    assert "approve by ada at" in told and "deny by ada at" in told and "refused by ada" in told
    rows = people_rows(History.of(campaign.seen, campaign.spec.workflow))
    assert rows.rows[0][2:] == ("ada", "approve", "approved: a00000")


# -- changes --------------------------------------------------------------------------------------


def test_a_budget_may_grow_and_shrink_but_not_below_what_is_held() -> None:
    campaign = live(raw_spec(), once(is_observed, Set(changes={"budget.credits": 25})))
    assert campaign.state.budget.credits == 25 and campaign.state.spent_credits <= 25
    assert campaign.state.budget.hours == 50, "the rest stays"
    campaign = live(raw_spec(), once(is_observed, Set(changes={"budget.credits": 1})))
    (told,) = of(campaign, Commanded)
    assert not told.accepted and "spent and committed" in told.answer and told.change is None
    assert campaign.state.budget.credits == 60
    campaign = live(raw_spec(), once(is_observed, Set(changes={"budget.credits": 90})))
    assert 60 < campaign.state.spent_credits <= 90


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"seed": 3}, "goal, budget, policy"),
        ({"workers.eye.type": "x"}, "goal, budget, policy"),
        ({"policy": "psychic"}, "psychic"),
        ({"goal": "riches"}, "riches"),
        ({"goal.quantity": "luck"}, "luck"),
        ({"budget.credits": -1}, "budget.credits"),
        ({"budget.cents": 1}, "budget.cents"),
        ({"budget.credits.much": 1}, "budget.credits.much"),
        ({"autonomy.levels.4": "sometimes"}, "autonomy"),
        ({"autonomy.levels.9": "auto"}, "autonomy"),
    ],
)
def test_a_wrong_change_is_refused_in_words(changes: dict[str, Any], word: str) -> None:
    spec = spec_of(raw_spec())
    with pytest.raises(ProbewiseError, match=word):
        resolve_change(spec, spec.initial_state(), changes)


def test_policy_and_goal_change_from_the_next_decision_on() -> None:
    goals = {"know": {"kind": "explore", "quantity": "height"}}
    order = Set(changes={"policy": "random", "goal": "know", "autonomy.timeout_s": 60})

    def when(event: Event) -> bool:
        return isinstance(event, Decided) and event.decision.grant is not None

    campaign = live(DEAR | {"goals": goals}, once(when, order), 4000)
    (told,) = of(campaign, Commanded)
    assert told.accepted and told.change.policy == "random"
    state = campaign.state
    assert (state.policy, state.goal.kind) == ("random", "explore")
    assert state.autonomy.timeout_s == 60
    after = campaign.seen[campaign.seen.index(told) :]
    closings = [
        e.decision
        for e in after
        if isinstance(e, Decided) and e.decision.reason == "policy or goal was changed"
    ]
    assert [d.kind for d in closings] == ["close"], "a session of the old policy is closed"
    recommended = [e.recommendation.goal.kind for e in after if e.kind == "assessed"]
    assert set(recommended) == {"explore"}


def test_a_changed_campaign_goes_on_as_changed(tmp_path: Path) -> None:
    order = Set(changes={"policy": "random", "budget.credits": 30})
    raw = raw_spec(policy="planner")
    whole = live(raw, once(is_observed, order))
    out = tmp_path / "run"
    campaign = Campaign(spec_of(raw), out=out)
    for event in campaign:
        if is_observed(event) and not campaign.state.heard:
            campaign.order(order, "ada")
        if isinstance(event, Commanded):
            break
    again = Campaign.resume(out)
    assert again.run().summary["policy"] == "random"
    assert again.state.budget.credits == 30
    actions = [(e.action.step, e.action.target) for e in of(again, Issued)]
    assert actions == [(e.action.step, e.action.target) for e in of(whole, Issued)]


def test_impossible_orders_are_refused_and_noted() -> None:
    orders: list[Order] = [Approve(actions=("a99",)), Deny(actions=("a99",)), Continue()]
    campaign = live(raw_spec(), lambda e, c: orders.pop() if orders and is_observed(e) else None)
    told = of(campaign, Commanded)
    assert len(told) == 3 and not any(e.accepted for e in told)
    assert {e.answer.split(":")[0] for e in told} == {"a99", "the campaign is not paused"}


# -- the folder -----------------------------------------------------------------------------------


def test_orders_from_elsewhere_arrive_by_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "run"
    sent: list[str] = []

    def react(event: Event, campaign: Campaign) -> Order | None:
        if is_observed(event) and not sent:
            other = FolderInbox(out / "control")
            message = new_message(Set(changes={"budget.credits": 40}))
            sent.append(message.id)
            other.send(message)
        return None

    campaign = live(raw_spec(), react, out=out)
    (told,) = of(campaign, Commanded)
    assert told.message.id == sent[0] and told.message.via == "file"
    assert FolderInbox(out / "control").wait(sent[0], 0) == (True, "changed: budget")
    assert not list((out / "control" / "new").iterdir())
    assert (out / "control").stat().st_mode & 0o077 == 0


def test_an_order_delivered_twice_is_obeyed_once(tmp_path: Path) -> None:
    """The process may be killed after the journal has it and before the file is gone."""
    out = tmp_path / "run"
    message = new_message(Pause())

    def react(event: Event, campaign: Campaign) -> Order | None:
        if is_observed(event) and not campaign.state.heard:
            FolderInbox(out / "control").send(message)
        if isinstance(event, Secured):
            FolderInbox(out / "control").send(message)
            return Continue()
        return None

    campaign = live(raw_spec(), react, out=out)
    assert [e.message.order.verb for e in of(campaign, Commanded)] == ["pause", "resume"]
    assert not list((out / "control" / "new").iterdir())


def test_what_is_no_order_is_put_away(tmp_path: Path) -> None:
    inbox = FolderInbox(tmp_path / "control")
    new = tmp_path / "control" / "new"
    (new / "a.json").write_text("!!python/object/apply:os.system ['true']")
    (new / "b.json").write_text('{"id": "b", "who": "x", "said": "", "order": {"verb": "fly"}}')
    (new / "c.json").write_text(" " * 100_000)
    (new / "d.json").symlink_to("/etc/hostname")
    (new / "e.json").mkdir()
    good = new_message(Stop())
    (new / "f.json").write_text(good.model_dump_json())
    (new / ".half.json").write_text("{")
    assert inbox.messages() == []
    answers = tmp_path / "control" / "answers"
    assert {p.stem for p in answers.iterdir()} == {"a", "b", "c", "d", "e", "f"}
    assert "another name" in (answers / "f.json").read_text()
    escape = new_message(Pause(), "x").model_dump(mode="json") | {"who": "\x1b[2Jboss"}
    (new / f"{escape['id']}.json").write_text(json.dumps(escape))
    assert inbox.messages() == [] and "printed" in (answers / f"{escape['id']}.json").read_text()
    inbox.send(good.model_copy(update={"who": "x" * 200}))
    (long,) = inbox.messages()
    assert type(long).model_validate(long.model_dump()) == long, "the journal takes it back"
    inbox.send(good)
    assert [m.id for m in inbox.messages()] == [good.id]


def test_who_says_to_be_somebody_else_is_named_too(tmp_path: Path) -> None:
    inbox = FolderInbox(tmp_path / "control")
    inbox.send(new_message(Stop(), "the director"))
    (message,) = inbox.messages()
    assert message.who.startswith("the director (file of ")


def test_an_order_from_another_thread_wakes_a_campaign_that_only_waits() -> None:
    campaign = Campaign(spec_of(ASKED))

    def answer() -> None:
        while not campaign.state.awaiting:
            time.sleep(0.01)
        campaign.order(Stop(), "ada")

    thread = threading.Thread(target=answer)
    thread.start()
    campaign.run()
    thread.join()
    assert (campaign.state.stopped or "").startswith("stopped by ada")


# -- all together ---------------------------------------------------------------------------------

ORDERS = st.sampled_from(
    [
        Pause(),
        Continue(),
        Approve(actions=("all",)),
        Deny(actions=("all",), reason="no"),
        Set(changes={"budget.credits": 45}),
        Set(changes={"budget.credits": 80}),
        Set(changes={"policy": "planner"}),
        Set(changes={"policy": "random"}),
        Set(changes={"policy": "fixed"}),
        Set(changes={"policy": "single-source"}),
        Set(changes={"goal": "know"}),
        Set(changes={"goal": "maximize"}),
        Set(changes={"autonomy.levels.4": "approve"}),
        Set(changes={"autonomy.levels.4": "auto"}),
    ]
)


@pytest.mark.slow
@settings(max_examples=5)
@given(st.lists(st.tuples(st.integers(0, 40), ORDERS), max_size=10))
def test_whatever_people_say_the_journal_tells_all(said: list[tuple[int, Order]]) -> None:
    """Budgets hold, nothing leaks, the fold gives the state, and the same decisions come again."""
    goals = {"know": {"kind": "explore", "quantity": "height"}}
    autonomy = {"timeout_s": 0.02}
    raw = raw_library_spec(goals=goals, autonomy=autonomy, policy="random")
    campaign = Campaign(spec_of(raw))
    for count, event in enumerate(campaign):
        for when, order in said:
            if when == count:
                campaign.order(order, "ada")
        if isinstance(event, Secured):
            campaign.order(Continue(), "ada")
        state = campaign.state
        limit = state.budget.credits
        assert limit is not None and state.spent_credits + state.committed_credits <= limit + 1e-6
        assert state.awaiting.keys() <= state.running.keys()
        for worker, load in state.load.items():
            assert load == sum(i.worker == worker for i in state.running.values())
        assert state.open == {k: s for k, s in state.sessions.items() if s.is_open}
        assert count < 2000
    assert not campaign.state.running and campaign.state.stopped is not None
    assert campaign.state.samples_begun == sum(e.commitment.samples for e in of(campaign, Issued))
    again: State = replay(campaign.spec.initial_state(), campaign.seen)
    assert again == campaign.state
    decided = list(redecide(campaign.spec, campaign.seen))
    assert decided and all(d.same for d in decided)
