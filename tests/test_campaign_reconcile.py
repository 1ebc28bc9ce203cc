"""After a crash: repeated, accepted, charged, or asked about; budgets hold either way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support_campaigns import BEST, kinds, raw_spec, registered, spec_of

from probewise.agents import Finding, Health
from probewise.campaign import Campaign
from probewise.campaign._loop import Loop
from probewise.campaign._reconcile import Answer
from probewise.workflow import (
    Action,
    ActionState,
    Commitment,
    Decision,
    Event,
    Failure,
    Fate,
    Issued,
    Observation,
    Offer,
    RealClock,
    Recommendation,
    SpecError,
    State,
    Step,
    Target,
    Verdict,
    VirtualClock,
)


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with registered(tmp_path_factory.mktemp("installed")):
        yield


ACTION = Action(id="a0", step="test", target=Target(design=BEST))
HELD = Issued(hour=1.0, action=ACTION, worker="rig", commitment=Commitment(credits=12.0, hours=1.5))


class Once:
    """Does the action, unless it was given out before, and stops."""

    name = "once"

    def __init__(self, acts: bool) -> None:
        self.acts = acts

    def decide(self, state: State) -> Decision:
        acts, self.acts = self.acts, False
        kind, actions = ("act", (ACTION,)) if acts else ("stop", ())
        return Decision.model_validate(
            {"number": state.decisions, "kind": kind, "actions": actions, "reason": "so"}
        )

    def recommend(self, state: State) -> Recommendation | None:
        return None


class Asked:
    """A runtime whose workers say what they are told to say."""

    def __init__(self, finding: Finding, lost: bool = False) -> None:
        self.finding, self.lost = finding, lost
        self.submitted: list[str] = []
        self.inquiries = 0

    def start(self) -> dict[str, tuple[Offer, ...]]:
        return {}

    def review(
        self, action: Action, step: Step, commitment: Commitment, worker: str | None = None
    ) -> Verdict:
        return Verdict(allowed=True, reason="")

    def submit(self, issued: Issued, step: Step) -> None:
        self.submitted.append(issued.action.id)

    def inquire(self, issued: Issued, step: Step) -> Finding:
        self.inquiries += 1
        return self.finding

    def collect(self, everything: bool, timeout_s: float | None) -> list[Observation]:
        done, self.submitted = self.submitted, []
        if not self.lost:
            return [Observation(action_id=i, worker="rig", cost_credits=7.0) for i in done]
        failure = Failure(kind="uncertain", message="it died")
        return [Observation(action_id=i, worker="rig", failure=failure) for i in done]

    def secure(self) -> dict[str, str]:
        return {}

    def halt(self) -> None: ...

    def health(self) -> dict[str, Health]:
        return {}

    def close(self) -> None: ...


class Taken:
    """A campaign of one action, taken up again with it in flight; or one whose worker dies."""

    def __init__(
        self,
        finding: Finding,
        repeat: Any = "irreversible",
        *,
        real: bool = False,
        patience_h: float = 1.0,
        live: bool = False,
    ) -> None:
        raw = raw_spec(budget={"credits": 40}, answer_within_h=patience_h)
        step = dict(raw["workflow"]["steps"][1]) | {"repeat": repeat}
        raw["workflow"] = raw["workflow"] | {"steps": [raw["workflow"]["steps"][0], step]}
        spec = spec_of(raw)
        self.state = spec.initial_state({"look": ("eye",), "test": ("rig",)})
        self.runtime = Asked(finding, lost=live)
        policy = Once(acts=live)
        clock = RealClock(1.0) if real else VirtualClock(1.0)
        self.written: list[Event] = []
        self.loop = Loop(self.state, policy, self.runtime, clock, self._write, spec)
        if not live:
            self.state.apply(HELD)

    def _write(self, *events: Event) -> None:
        self.written.extend(events)

    def go(self, most: int = 50) -> State:
        for _ in self.loop.reconciler.after_a_crash():
            pass
        for count, _ in enumerate(self.loop.events(), start=1):
            if count == most:
                break
        return self.state

    @property
    def spent(self) -> float:
        assert self.state.committed_credits == 0.0
        return self.state.spent_credits


def finding(fate: Fate, observation: Observation | None = None) -> Finding:
    return Finding(fate=fate, by="worker", observation=observation)


RESULT = Observation(action_id="a0", worker="rig", cost_credits=5.0, start_h=1.0, end_h=2.0)
CHARGED = RESULT.model_copy(update={"failure": Failure(kind="crashed", message="lost")})


@pytest.mark.parametrize("repeat", ["idempotent", "repeatable", "irreversible"])
@pytest.mark.parametrize("real", [False, True])
def test_what_is_known_is_taken_in_or_repeated(repeat: Any, real: bool) -> None:
    for said, cost, state in (
        (finding(Fate.DONE, RESULT), 5.0, ActionState.COMPLETED),
        (finding(Fate.DONE_WITHOUT_RESULT, CHARGED), 5.0, ActionState.FAILED),
        (finding(Fate.NOT_DONE), 7.0, ActionState.COMPLETED),
    ):
        taken = Taken(said, repeat, real=real)
        assert taken.go().states["a0"] == state
        assert taken.spent == cost
        assert kinds(taken.written)[:2] == ["inquired", "observed"]


@pytest.mark.parametrize(
    ("repeat", "cost", "state"),
    [
        ("idempotent", 7.0, ActionState.COMPLETED),
        ("repeatable", 12.0, ActionState.UNCERTAIN),
        ("irreversible", 12.0, ActionState.UNCERTAIN),
    ],
)
def test_what_nobody_knows_is_repeated_where_harmless_and_charged_otherwise(
    repeat: Any, cost: float, state: ActionState
) -> None:
    taken = Taken(finding(Fate.UNKNOWN), repeat)
    assert taken.go().states["a0"] == state
    assert taken.spent == cost


@pytest.mark.parametrize(
    ("said", "cost", "state"),
    [
        (finding(Fate.DONE, RESULT), 5.0, ActionState.COMPLETED),
        (finding(Fate.DONE_WITHOUT_RESULT, CHARGED), 5.0, ActionState.FAILED),
        (finding(Fate.NOT_DONE), 0.0, ActionState.FAILED),
        (finding(Fate.UNKNOWN), 12.0, ActionState.UNCERTAIN),
    ],
)
def test_a_worker_that_dies_over_it_is_asked_too_and_it_is_not_repeated(
    said: Finding, cost: float, state: ActionState
) -> None:
    taken = Taken(said, live=True)
    assert taken.go().states["a0"] == state
    assert taken.spent == cost and taken.runtime.inquiries == 1
    assert kinds(taken.written).count("issued") == 1


def test_an_uncertain_result_from_the_ledger_is_not_asked_about_for_ever() -> None:
    unsure = RESULT.model_copy(update={"failure": Failure(kind="uncertain", message="foggy")})
    taken = Taken(finding(Fate.DONE, unsure), live=True)
    assert taken.go().states["a0"] == ActionState.UNCERTAIN
    assert taken.runtime.inquiries == 1


@pytest.mark.parametrize(
    ("fate", "cost", "state"),
    [
        (Fate.NOT_DONE, 0.0, ActionState.FAILED),
        (Fate.DONE_WITHOUT_RESULT, 8.0, ActionState.FAILED),
        (Fate.UNKNOWN, 12.0, ActionState.UNCERTAIN),
    ],
)
def test_a_human_is_asked_and_the_action_stays_committed(
    monkeypatch: pytest.MonkeyPatch, fate: Fate, cost: float, state: ActionState
) -> None:
    monkeypatch.setattr("probewise.campaign._loop._POLL_S", 0.0)
    taken = Taken(finding(Fate.UNKNOWN), real=True)
    assert list(taken.loop.reconciler.after_a_crash()) == taken.written
    assert kinds(taken.written) == ["inquired", "asked"]
    question = taken.state.questions["a0"]
    assert "'rig'" in question.question and question.until_h == pytest.approx(2.0, abs=0.01)
    assert taken.state.states["a0"] == ActionState.UNCERTAIN
    assert (
        taken.state.committed_credits == 12.0
        and taken.state.free_worker(taken.state.workflow.step("test")) is None
    ), "the instrument is left alone"
    taken.loop.reconciler.answers.append(Answer("a0", fate, "Ada", "I looked"))
    assert taken.go().states["a0"] == state
    assert taken.spent == cost and not taken.state.questions
    (said,) = [e for e in taken.written if e.kind == "answered"]
    assert (said.by, said.note) == ("Ada", "I looked")


def test_without_an_answer_in_time_it_is_charged_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("probewise.campaign._loop._POLL_S", 0.0)
    taken = Taken(finding(Fate.UNKNOWN), real=True, patience_h=1e-9)
    assert taken.go().states["a0"] == ActionState.UNCERTAIN
    assert taken.spent == 12.0
    assert [e.by for e in taken.written if e.kind == "answered"] == ["nobody"]


def test_a_question_outlives_another_crash() -> None:
    taken = Taken(finding(Fate.UNKNOWN), real=True)
    first = list(taken.loop.reconciler.after_a_crash())
    assert len(first) == 2 and list(taken.loop.reconciler.after_a_crash()) == []
    assert taken.runtime.inquiries == 1


def test_nobody_answers_what_nobody_asked() -> None:
    campaign = Campaign(spec_of(raw_spec()))
    with pytest.raises(SpecError, match="no open question"):
        campaign.answer("a0", Fate.DONE, "Ada")
