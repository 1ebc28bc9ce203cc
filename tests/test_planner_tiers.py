"""Tiers: sessions opened, held to their rate and closed; the campaign waits, acts, stops."""

from __future__ import annotations

from typing import Any

import pytest
from support_campaigns import (
    DESIGNS,
    SAMPLES,
    Bench,
    height,
    raw_library_spec,
    shrink,
)

from probewise.planner import HierarchicalPlanner
from probewise.planner._campaign_tier import CampaignTier
from probewise.workflow import (
    Action,
    Decided,
    Decision,
    Explore,
    Goal,
    Grant,
    LocateBoundary,
    Maximize,
    Workflow,
)

GOAL = Maximize(quantity="height")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch.setattr)


class Play(Bench):
    """A bench that obeys the planner and answers with the truth."""

    def __init__(self, flow: Workflow = SAMPLES, goal: Goal = GOAL, **budget: Any) -> None:
        super().__init__(flow, goal, **({"credits": 120} | budget))
        self.planner = HierarchicalPlanner(flow, goal)
        self.decisions: list[Decision] = []

    def decide(self) -> Decision:
        return self.planner.decide(self.state)

    def take(self, decision: Decision) -> Action | None:
        """Take a decision in; its action runs afterwards."""
        self.decisions.append(decision)
        if not decision.actions:
            self.state.apply(Decided(hour=self.state.now_h, decision=decision))
            return None
        (action,) = decision.actions
        return self.begin(action.step, action.target, action.session, decision.grant)

    def finish(self, action: Action) -> None:
        name = {"look": "rough", "test": "height"}.get(action.step)
        self.end(action, {name: (height(action.target.design), 0.05)} if name else None)

    def until(self, step: str | None = None, kind: str = "act", most: int = 120) -> Decision:
        """Play until a decision of that step, or that kind, is due; it is not taken in."""
        for _ in range(most):
            decision = self.decide()
            wanted = step is None or (decision.actions and decision.actions[0].step == step)
            if decision.kind == kind and wanted:
                return decision
            if decision.kind == "stop":
                raise AssertionError(f"it stopped: {decision.reason}")
            if decision.kind == "wait":
                self.finish(next(iter(self.state.running.values())).action)
            else:
                self.take(decision)
        raise AssertionError(f"no {kind} of {step}")


def test_a_session_comes_with_a_grant_within_the_budget() -> None:
    play = Play()
    decision = play.until("load")
    grant = decision.grant
    assert grant is not None and decision.session == grant.session == "session-001"
    assert decision.tier == "campaign" and decision.actions[0].session == grant.session
    assert 2.0 < grant.credits <= play.state.free_credits
    assert grant.reservation_rate >= 0.0 and grant.hours > 0.0
    assert decision.value > 0.0 and decision.index > 0.0


def test_what_a_session_was_granted_is_not_spent_elsewhere() -> None:
    play = Play()
    play.take(play.until("load"))
    state = play.state
    assert state.granted_credits > 0.0
    mount = next(i.action for i in state.running.values() if i.action.step == "load")
    while (decision := play.decide()).kind == "act":
        action = decision.actions[0]
        assert action.session is None
        assert state.affordable(state.commitment(action))
        play.take(decision)
    total = state.spent_credits + state.committed_credits + state.granted_credits
    assert total <= 120 + 1e-9
    play.finish(mount)


def in_session(rate: float, credits: float = 50.0, hours: float = 50.0) -> Play:
    """A sample just loaded, with a grant of this rate."""
    play = Play()
    play.do("grow", play.until("grow").actions[0].target)
    sample = next(iter(play.state.inventory.samples.values()))
    grant = Grant(
        session="q", sample=sample.id, credits=credits, hours=hours, reservation_rate=rate
    )
    target = play.until("load").actions[0].target
    play.finish(play.begin("load", target, "q", grant))
    return play


def test_a_session_looks_while_that_is_worth_its_rate() -> None:
    decision = in_session(rate=0.0).decide()
    assert (decision.kind, decision.tier, decision.session) == ("act", "session", "q")
    assert decision.actions[0].step == "look" and decision.actions[0].session == "q"
    assert "reservation rate of 0" in decision.reason
    assert "rough" in decision.expected and decision.expected["rough"].std > 0.0


def test_a_session_ends_when_its_next_step_is_worth_less_than_its_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(CampaignTier, "rate_elsewhere", lambda *_: 1e6)
    decision = in_session(rate=1e6).decide()
    assert (decision.kind, decision.session) == ("close", "q")
    assert "less than the reservation rate" in decision.reason
    assert "credits go back" in decision.reason
    assert decision.alternatives and decision.alternatives[0].index < 1e6


def test_a_session_goes_on_when_what_is_offered_elsewhere_has_become_worth_less() -> None:
    decision = in_session(rate=1e6).decide()
    assert (decision.kind, decision.actions[0].step) == ("act", "look")


def test_what_the_same_sample_offers_later_is_no_rival_to_its_session() -> None:
    """The test of a site waits for what looking at the site tells."""
    play = Play()
    play.do("grow", play.until("grow").actions[0].target)
    decision = play.until("load")
    view = play.planner.view(play.state)
    own = [o for o in CampaignTier(GOAL).options(view) if o.sample == "S001" and o.kind == "site"]
    assert decision.grant is not None and own
    assert decision.grant.reservation_rate == pytest.approx(
        CampaignTier(GOAL).rate_elsewhere(view, "S001")
    )


def test_a_session_ends_with_its_money_or_its_hours() -> None:
    poor = in_session(rate=0.0, credits=3.2).decide()
    assert poor.kind == "close" and "grant does not bear" in poor.reason
    late = in_session(rate=0.0, hours=0.01).decide()
    assert late.kind == "close" and "hours are over" in late.reason


def test_a_session_ends_when_every_site_is_gone() -> None:
    play = in_session(rate=0.0)
    sample = next(iter(play.state.inventory.samples.values()))
    target = play.decide().actions[0].target
    for number, design in enumerate(sample.sites):
        gone = target.model_copy(update={"site": number, "design": design})
        play.do("test", gone, {"height": (0.2, 0.02)})
    assert "every site is measured" in play.decide().reason


def test_a_session_has_one_action_at_a_time_and_the_campaign_goes_on() -> None:
    play = in_session(rate=0.0)
    play.take(play.decide())
    following = play.decide()
    assert following.tier == "campaign" and following.session in {None, "session-002"}


def test_a_closed_session_frees_its_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CampaignTier, "rate_elsewhere", lambda *_: 1e6)
    play = in_session(rate=1e6)
    sample = next(iter(play.state.inventory.samples.values()))
    assert sample.mounted_on == "load"
    play.take(play.decide())
    assert sample.mounted_on is None and not play.state.open_sessions()
    following = play.decide()
    assert following.session is None  # not the same sample again: nothing was learnt since


SCANNED = Workflow.model_validate(
    raw_library_spec()["workflow"]
    | {
        "steps": [
            *raw_library_spec()["workflow"]["steps"][:2],
            {
                "name": "scan",
                "level": 3,
                "acts_on": "site",
                "requires": "load",
                "records": "image [nm]",
                "cost_credits": 1,
            },
            {
                "name": "look",
                "level": 1,
                "acts_on": "site",
                "consumes": "image",
                "produces": "rough [V]",
                "cost_credits": 0.1,
            },
            raw_library_spec()["workflow"]["steps"][3],
        ]
    }
)


def test_what_was_recorded_is_looked_at_before_anything_else() -> None:
    play = Play(SCANNED)
    play.take(play.until("scan"))
    play.finish(next(i.action for i in play.state.running.values() if i.action.step == "scan"))
    decision = play.decide()
    assert decision.tier == "follow-up" and decision.actions[0].step == "look"
    assert "not yet looked at" in decision.reason


def test_a_follow_up_that_is_refused_or_keeps_failing_is_given_up() -> None:
    for trouble in ("refused", "failed"):
        play = Play(SCANNED)
        play.take(play.until("scan"))
        play.finish(next(i.action for i in play.state.running.values() if i.action.step == "scan"))
        target = play.decide().actions[0].target
        if trouble == "refused":
            play.refuse("look", target)
        else:
            play.fail("look", target, times=3)
        following = play.decide()
        same = following.actions and following.actions[0].target.site == target.site
        assert not (same and following.actions[0].step == "look")


def test_the_campaign_waits_for_the_better_option_of_a_busy_worker() -> None:
    play = Play(DESIGNS, credits=20)
    kinds = set()
    for _ in range(100):
        decision = play.decide()
        kinds.add(decision.kind)
        if decision.kind == "wait":
            assert play.state.running and "waiting for" in decision.reason
            play.finish(next(iter(play.state.running.values())).action)
        elif decision.kind == "act":
            play.take(decision)
        else:
            break
    assert kinds == {"act", "wait", "stop"}


def test_it_stops_when_nothing_is_worth_its_price() -> None:
    dear = Play(goal=Maximize(quantity="height", worth_credits=1e-3))
    decision = dear.decide()
    assert decision.kind == "stop" and "is worth 0" in decision.reason
    worthy = Play(goal=Maximize(quantity="height", worth_credits=1e4))
    assert worthy.decide().kind == "act"


def test_it_stops_when_the_budget_is_used_up() -> None:
    play = Play(DESIGNS, credits=1.0)
    decision = play.decide()
    assert decision.kind == "stop" and "budget is used up" in decision.reason


@pytest.mark.slow
def test_it_goes_on_after_the_peak_only_to_confirm_it() -> None:
    def stops(std: float | None) -> Play:
        goal = Maximize(quantity="height", worth_credits=60.0, confirm_std=std)
        play = Play(DESIGNS, goal, credits=400)
        for _ in range(120):
            decision = play.decide()
            if decision.kind == "stop":
                break
            if decision.kind == "wait":
                play.finish(next(iter(play.state.running.values())).action)
            else:
                play.take(decision)
        return play

    unsure, sure = stops(None), stops(0.02)
    confirmed = [d for d in sure.decisions if "to confirm the recommendation" in d.reason]
    assert not [d for d in unsure.decisions if "to confirm" in d.reason]
    found = sure.planner.recommend(sure.state)
    assert found.estimate.std <= unsure.planner.recommend(unsure.state).estimate.std + 1e-9
    assert found.estimate.std <= 0.02 or confirmed


def test_a_decision_names_what_was_not_taken() -> None:
    decision = Play().decide()
    assert 1 <= len(decision.alternatives) <= 5
    assert all(a.index <= decision.index for a in decision.alternatives)
    assert decision.alternatives[0].label in decision.reason
    assert decision.expected.keys() == {"rough", "height"}


def test_decisions_are_a_function_of_the_state_and_change_nothing() -> None:
    play = Play()
    for _ in range(3):
        play.take(play.until())
        first = play.decide()
        fresh = HierarchicalPlanner(SAMPLES, GOAL)
        assert fresh.decide(play.state) == play.decide() == first


@pytest.mark.slow
@pytest.mark.parametrize(
    "goal",
    [
        Explore(quantity="height"),
        LocateBoundary(quantity="height", variable="x", level=0.5),
    ],
    ids=lambda g: g.kind,
)
def test_other_goals_become_more_certain(goal: Goal) -> None:
    play = Play(DESIGNS, goal, credits=90)
    before = play.planner.recommend(play.state)
    for _ in range(60):
        decision = play.decide()
        if decision.kind == "stop":
            break
        if decision.kind == "wait":
            play.finish(next(iter(play.state.running.values())).action)
        else:
            play.take(decision)
    after = play.planner.recommend(play.state)
    if isinstance(goal, Explore):
        assert after.unit == "V"
        assert after.estimate.value < 0.6 * before.estimate.value
    else:
        assert after.estimate.std < 0.6 * before.estimate.std
        # along y = 0.6, half of the peak is reached at 0.3 + sqrt(ln 2 / 6)
        assert after.estimate.value == pytest.approx(0.64, abs=0.1)
        assert after.design["x"] == after.estimate.value
