"""After a crash: repeated, accepted, charged, or asked about; budgets hold either way."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType
from support_campaigns import BEST, kinds, raw_spec, registered, spec_of
from typer.testing import CliRunner

from probewise.agents import Finding, Health
from probewise.campaign import Campaign
from probewise.campaign._alerts import alerts_after, alerts_of
from probewise.campaign._cli import app
from probewise.campaign._explain import explain
from probewise.campaign._inbox import MemoryInbox, new_message
from probewise.campaign._live import LiveView, draw
from probewise.campaign._loop import Loop
from probewise.campaign._status import status_of
from probewise.campaign._status_view import status_view
from probewise.workflow import (
    Abort,
    Action,
    ActionState,
    Alerted,
    Answer,
    Commanded,
    Commitment,
    Continue,
    Decided,
    Decision,
    Event,
    Failure,
    Fate,
    Issued,
    Observation,
    Offer,
    Order,
    Pause,
    RealClock,
    Recommendation,
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

    def check(self, steps: Sequence[Step]) -> None: ...

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
        self.spec = spec_of(raw)
        self.state = self.spec.initial_state({"look": ("eye",), "test": ("rig",)})
        self.runtime = Asked(finding, lost=live)
        policy = Once(acts=live)
        clock = RealClock(1.0) if real else VirtualClock(1.0)
        self.written: list[Event] = []
        self.inbox = MemoryInbox()
        self.loop = Loop(
            self.state, policy, self.runtime, clock, self._write, self.spec, self.inbox
        )
        if not live:
            self.state.apply(HELD)

    def _write(self, *events: Event) -> None:
        self.written.extend(events)

    def tell(self, order: Order) -> None:
        self.inbox.send(new_message(order, "Ada"))

    def go(self, most: int = 50) -> State:
        for _ in self.loop.take_up(None):
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
    monkeypatch.setattr("probewise.campaign._intake._POLL_S", 0.0)
    taken = Taken(finding(Fate.UNKNOWN), real=True)
    assert list(taken.loop.take_up(None)) == taken.written
    assert kinds(taken.written) == ["inquired", "asked"]
    question = taken.state.questions["a0"]
    assert "'rig'" in question.question and question.until_h == pytest.approx(2.0, abs=0.01)
    assert taken.state.states["a0"] == ActionState.UNCERTAIN
    assert (
        taken.state.committed_credits == 12.0
        and taken.state.free_worker(taken.state.workflow.step("test")) is None
    ), "the instrument is left alone"
    taken.tell(Answer(action="a0", fate=fate, reason="I looked"))
    assert taken.go().states["a0"] == state
    assert taken.spent == cost and not taken.state.questions
    (said,) = [e for e in taken.written if e.kind == "answered"]
    assert (said.by, said.note) == ("Ada", "I looked")


def test_without_an_answer_in_time_it_is_charged_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("probewise.campaign._intake._POLL_S", 0.0)
    taken = Taken(finding(Fate.UNKNOWN), real=True, patience_h=1e-9)
    assert taken.go().states["a0"] == ActionState.UNCERTAIN
    assert taken.spent == 12.0
    assert [e.by for e in taken.written if e.kind == "answered"] == ["nobody"]


def test_a_question_outlives_another_crash() -> None:
    taken = Taken(finding(Fate.UNKNOWN), real=True)
    first = list(taken.loop.take_up(None))
    assert len(first) == 2 and list(taken.loop.take_up(None)) == []
    assert taken.runtime.inquiries == 1


def test_a_paused_campaign_is_safe_though_a_question_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("probewise.campaign._intake._POLL_S", 0.0)
    taken = Taken(finding(Fate.UNKNOWN), real=True)
    taken.tell(Pause())
    for event in taken.loop.take_up(None):
        assert event.kind in {"inquired", "asked"}
    for event in taken.loop.events():
        if event.kind == "secured":
            taken.tell(Answer(action="a0", fate=Fate.NOT_DONE))
        if event.kind == "answered":
            assert taken.state.paused is not None, "an answer is taken in while it rests"
            taken.tell(Continue())
    shown = kinds(taken.written)
    assert shown[:7] == [
        *("inquired", "asked", "commanded", "secured", "commanded", "answered", "observed")
    ]
    assert taken.spent == 0.0 and taken.state.stopped is not None


def test_an_abort_ends_questions_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probewise.campaign._intake._POLL_S", 0.0)
    taken = Taken(finding(Fate.UNKNOWN), real=True)
    list(taken.loop.take_up(None))
    taken.tell(Abort(reason="fire"))
    list(taken.loop.events())
    assert kinds(taken.written)[2:] == ["commanded", "observed", "secured", "decided", "stopped"]
    assert not taken.state.questions and not taken.state.running and taken.spent == 12.0


def test_the_status_shows_what_is_asked() -> None:
    taken = Taken(finding(Fate.UNKNOWN), real=True)
    list(taken.loop.take_up(None))
    status = status_of(taken.spec, taken.state)
    assert status["condition"] == "waiting for an answer"
    (question,) = status["questions"]
    assert question["action"] == "a0" and "What became of it?" in question["question"]
    assert "What became of it?" in rendered(status_view({**status, "process": None}))
    (alert,) = alerts_after(taken.state, taken.written[-1])
    assert alert.about == "question/a0"


def test_the_live_view_shows_what_is_asked_and_how_to_answer() -> None:
    taken = Taken(finding(Fate.UNKNOWN), real=True)
    list(taken.loop.take_up(None))
    view = LiveView("peak", Console(file=io.StringIO()))
    view.update(taken.state)
    text = " ".join(rendered(draw(view._shown, "peak")).split())
    assert "test: nobody knows whether it was done" in text
    assert "What became of it?" in text and "probewise answer RUN a0 done" in text


def test_explain_tells_what_was_asked_and_answered() -> None:
    taken = Taken(finding(Fate.UNKNOWN), real=True)
    list(taken.loop.take_up(None))
    told = Decision(number=0, kind="act", actions=(ACTION,), reason="told to")
    decided = Decided(hour=1.0, decision=told)
    text = rendered(explain([decided, *taken.written], 0))
    assert "nobody knows whether it was done, says worker; a human is asked" in text
    assert "What became of it?" in text and "still running" in text
    taken.tell(Answer(action="a0", fate=Fate.NOT_DONE, reason="I looked"))
    taken.go()
    text = rendered(explain([decided, HELD, *taken.written[:4]], 0))
    assert "answered by Ada: it was not done (I looked)" in text


def test_idle_agents_that_do_not_answer_are_an_alert() -> None:
    """Each once, and not those that are at work."""
    taken = Taken(finding(Fate.UNKNOWN), real=True)
    how = {
        "eye": Health(condition="silent", last_answer="2026-01-01T00:00:00.000+00:00"),
        "rig": Health(condition="silent", busy=1),
        "oven": Health(condition="dead"),
        "desk": Health(condition="starting"),
    }
    taken.runtime.health = lambda: how  # type: ignore[method-assign]
    heard = list(taken.loop._desk.heed())
    alerts = [e for e in heard if isinstance(e, Alerted)]
    assert [e.about.split("/")[:2] for e in alerts] == [["silent", "eye"], ["dead", "oven"]]
    assert heard == alerts == taken.written
    assert alerts_of(taken.state, how) == []


def rendered(shown: RenderableType) -> str:
    console = Console(record=True, width=200, file=io.StringIO())
    console.print(shown)
    return console.export_text()


def test_the_command_line_gives_an_answer(tmp_path: Path) -> None:
    given = ["answer", str(tmp_path / "run"), "a0", "not_done", "--reason", "shut", "--wait", "0"]
    campaign = Campaign(spec_of(raw_spec()), out=tmp_path / "run")
    for event in campaign:
        if event.kind == "started":
            found = CliRunner().invoke(app, given)
            assert found.exit_code == 3 and "no answer yet" in found.output
    (told,) = [e for e in campaign.seen if isinstance(e, Commanded)]
    assert told.message.order == Answer(action="a0", fate=Fate.NOT_DONE, reason="shut")
    assert not told.accepted


def test_nobody_answers_what_nobody_asked() -> None:
    campaign = Campaign(spec_of(raw_spec()))
    said = campaign.order(Answer(action="a0", fate=Fate.DONE), "Ada")
    campaign.run()
    (told,) = [e for e in campaign.seen if isinstance(e, Commanded)]
    assert told.message.id == said and not told.accepted and "nobody asks" in told.answer
    assert not any(e.kind == "answered" for e in campaign.seen)
