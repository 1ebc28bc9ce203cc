"""The policy that rehearses the others: when it races, whom it takes, and what it remembers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from support_campaigns import DESIGNS, SAMPLES, Bench, raw_library_spec, registered, shrink, spec_of

from probewise.campaign import Campaign
from probewise.planner import (
    Contender,
    Planner,
    PlannerSettings,
    Playthrough,
    RehearsalTask,
    Rehearsed,
    _rehearsed,
    make_policy,
    rehearse,
)
from probewise.planner._rehearsed import default_contenders
from probewise.workflow import Budget, Decided, Issued, Maximize, SpecError, State

GOAL = Maximize(quantity="height")
LIGHT = PlannerSettings(worlds=32, space_points=12, local_points=8, libraries=3, quick_fit=True)
AMONG = tuple(
    Contender(label=n, policy=n, settings=LIGHT) for n in ("planner", "fixed", "single-source")
)


@pytest.fixture(autouse=True, scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, registered(tmp_path_factory.mktemp("peak")):
        shrink(patch.setattr)
        patch.setattr(PlannerSettings, "light", lambda self: LIGHT)
        yield


class Fake:
    """Rehearsals that come to what is told: gain by label, with some luck of the world."""

    def __init__(self, luck: float = 0.01, **gains: float) -> None:
        self.gains, self.luck, self.calls = gains, luck, 0

    def __call__(self, tasks: Sequence[RehearsalTask]) -> list[Playthrough]:
        self.calls += 1
        return [self.played(t) for t in tasks][::-1]  # in any order

    def played(self, task: RehearsalTask) -> Playthrough:
        label = task.contender.label
        rng = np.random.default_rng([task.world, task.place])
        gain = self.gains[label.replace("-", "_")] + self.luck * float(rng.standard_normal())
        return Playthrough(
            contender=label,
            place=task.place,
            world=task.world,
            gain=gain,
            true_value=gain,
            best=1,
            credits_to_target=None,
            hours_to_target=None,
            credits=task.state.spent_credits + 10,
            hours=1,
            samples=0,
            decisions=9,
            stopped="",
            steps={},
            curve=(),
            regret=1 - gain,
        )


def rehearsed(play: Any, every: int = 5) -> Rehearsed:
    return Rehearsed(SAMPLES, GOAL, LIGHT, among=AMONG, every=every, play=play)


def go_on(policy: Rehearsed, bench: Bench, decisions: int) -> list[str]:
    """Who decided, decision by decision; what runs ends at once."""
    said: list[str] = []
    state = bench.state
    while len(said) < decisions:
        decision = policy.decide(state)
        if decision.kind == "wait":
            action = next(iter(state.running.values())).action
            step = state.workflow.step(action.step)
            bench.end(action, {p.name: (0.3, 0.05) for p in step.produces})
            continue
        said.append(decision.contender)
        state.apply(Decided(hour=state.now_h, decision=decision))
        for action in decision.actions:
            step = state.workflow.step(action.step)
            held = state.commitment(action)
            state.apply(Issued(hour=state.now_h, action=action, worker=step.needs, commitment=held))
            bench.end(action, {p.name: (0.3, 0.05) for p in step.produces})
    return said


def test_it_races_at_the_start_and_then_every_few_decisions() -> None:
    fake, bench = Fake(planner=0.9, fixed=0.2, single_source=0.3), Bench(SAMPLES, credits=500.0)
    assert go_on(rehearsed(fake), bench, 11) == ["planner"] * 11
    assert fake.calls == 3 * 2  # two rounds each


def test_a_clear_winner_takes_over_and_the_reason_says_so() -> None:
    fake, bench = Fake(planner=0.5, fixed=0.8, single_source=0.1), Bench(SAMPLES, credits=500.0)
    decision = rehearsed(fake).decide(bench.state)
    assert decision.contender == "fixed" and "takes over" in decision.reason
    assert decision.actions[0] == make_policy("fixed", SAMPLES, GOAL).decide(bench.state).actions[0]


def test_luck_is_not_enough_to_change() -> None:
    fake = Fake(luck=0.3, planner=0.50, fixed=0.51, single_source=0.1)
    decision = rehearsed(fake).decide(Bench(SAMPLES, credits=500.0).state)
    assert decision.contender == "planner"


def test_who_decides_is_part_of_the_state_and_survives_a_new_process() -> None:
    fake, bench = Fake(planner=0.5, fixed=0.8, single_source=0.1), Bench(SAMPLES, credits=500.0)
    go_on(rehearsed(fake), bench, 2)
    nobody = Fake(planner=9.0, fixed=0.0, single_source=0.0)
    assert rehearsed(nobody).decide(bench.state).contender == "fixed"
    assert nobody.calls == 0


def test_a_worth_is_set_against_what_is_spent() -> None:
    """With a unit worth little, the cheap way is taken though it finds less."""
    goal = Maximize(quantity="height", worth_credits=30)
    fake = Fake(luck=0.0, planner=0.9, fixed=0.8, single_source=0.1)
    played = fake.played

    def priced(task: RehearsalTask) -> Playthrough:
        cost = {"planner": 90.0, "fixed": 5.0, "single-source": 5.0}[task.contender.label]
        return played(task).model_copy(update={"credits": cost})

    fake.played = priced  # type: ignore[method-assign]
    policy = Rehearsed(SAMPLES, goal, LIGHT, among=AMONG, play=fake)
    assert policy.decide(Bench(SAMPLES, goal, credits=500.0).state).contender == "fixed"


@pytest.fixture
def few_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real rehearsals take their time."""
    monkeypatch.setattr(_rehearsed, "_FIRST_WORLDS", 2)
    monkeypatch.setattr(_rehearsed, "_MORE_WORLDS", 1)


@pytest.mark.slow
@pytest.mark.usefixtures("few_worlds")
def test_the_same_state_gives_the_same_choice_with_real_rehearsals() -> None:
    def decide() -> Any:
        bench = Bench(SAMPLES, credits=26.0, hours=30.0)
        return rehearsed(lambda tasks: map(rehearse, tasks)).decide(bench.state)

    first = decide()
    assert first == decide() and first.contender in {c.label for c in AMONG}


def test_contenders_fit_the_workflow() -> None:
    labels = [c.label for c in default_contenders(SAMPLES, GOAL)]
    assert labels == ["planner", "planner, wide", "planner, narrow", "fixed", "single-source"]
    assert [c.label for c in default_contenders(DESIGNS, GOAL)] == [
        "planner",
        "fixed",
        "single-source",
    ]
    with pytest.raises(SpecError):
        make_policy("rehearsed", SAMPLES, Maximize(quantity="height", over="positions"))


@pytest.mark.slow
@pytest.mark.usefixtures("few_worlds")
def test_a_campaign_and_the_planner_by_itself_can_be_rehearsed() -> None:
    raw = raw_library_spec(policy="rehearsed", budget={"credits": 26, "hours": 30})
    campaign = Campaign(spec_of(raw))
    campaign.run()
    said = {e.decision.contender for e in campaign.seen if isinstance(e, Decided)}
    assert said - {""} and campaign.state.spent_credits <= 26
    planner = Planner(SAMPLES, GOAL, Budget(credits=26.0, hours=30.0), policy="rehearsed")
    assert planner.suggest(1) and planner.last is not None and planner.last.contender
    state: State = planner.state
    assert state.last_decision is not None and "rehearsed worlds" in state.last_decision.reason
