from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest
from support_events import campaign

from probewise.campaign._redact import redact
from probewise.campaign._track_entries import PARENT, Entries, Entry
from probewise.campaign._tracking import MlflowSink
from probewise.workflow import Event

STORY = campaign(strips=2)
SECRET = "corr3ct-h0rse"


def entries(events: list[Event]) -> list[Entry]:
    fold = Entries()
    return [entry for event in events for entry in fold.take(event)]


def metric(found: list[Entry], run: str, name: str) -> list[tuple[float, int]]:
    return [(v, s) for e in found if e.run == run for n, v, s in e.metrics if n == name]


def test_the_best_is_given_against_cost_and_against_time() -> None:
    found = entries(STORY.events)
    assessed = [e for e in STORY.events if e.kind == "assessed"]
    values = [e.recommendation.estimate.value for e in assessed]
    assert metric(found, PARENT, "best_vs_cost") == [
        (v, round(e.credits)) for v, e in zip(values, assessed, strict=True)
    ]
    assert metric(found, PARENT, "best_vs_minutes") == [
        (v, round(60 * e.hour)) for v, e in zip(values, assessed, strict=True)
    ]


def test_credits_are_counted_for_the_execution_each_session_and_each_sample() -> None:
    found = entries(STORY.events)
    assert metric(found, PARENT, "spent_credits")[-1][0] == pytest.approx(STORY.state.spent_credits)
    for name, session in STORY.state.sessions.items():
        spent = metric(found, f"session/{name}", "spent_credits")
        assert spent[-1][0] == pytest.approx(session.spent_credits)
    runs = {e.run for e in found}
    assert runs == {PARENT, "session/s000", "session/s001", "sample/strip-1", "sample/strip-2"}
    assert {e.run for e in found if e.ends} == {"session/s000", "session/s001"}


def test_parameters_are_the_seed_the_policy_the_goal_and_the_budget() -> None:
    params = entries(STORY.events)[0].params
    assert params["seed"] == "0" and params["policy"] == "planner"
    assert params["goal.quantity"] == "switchable_polarization"
    assert params["budget.credits"] == "5000"
    assert not any("workers" in name or "workflow" in name for name in params)


@pytest.mark.parametrize(
    "uri",
    [
        f"http://me:{SECRET}@example.org:5000",
        f"postgresql://me:{SECRET}@db/mlflow",
        f"http://example.org/?token={SECRET}",
    ],
)
def test_secrets_of_an_address_are_hidden(uri: str) -> None:
    assert SECRET not in redact(uri)
    assert SECRET not in redact(f"cannot reach {uri}/api: denied", uri)
    if "@" in uri:
        assert SECRET not in redact(f"login me with {SECRET} denied", uri)
    assert redact("plain: text, a@b.org") == "plain: text, a@b.org"


def test_an_unreachable_server_disturbs_nobody_and_learns_no_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    caplog.set_level(logging.DEBUG)
    sink = MlflowSink(f"http://me:{SECRET}@127.0.0.1:{port}", tmp_path, "c", retry_s=0.01)
    sink.feed(*STORY.events)
    problem = sink.finish(timeout_s=60.0)
    assert problem is not None and problem == sink.problem
    assert "not everything was tracked at http://***@127.0.0.1" in problem
    ours = [r for r in caplog.records if "tracking fails" in r.getMessage()]
    assert len(ours) == 1
    assert SECRET not in problem + caplog.text + "".join(capfd.readouterr())


@pytest.mark.slow
def test_a_resumed_run_goes_on_in_the_same_runs_without_repetition(tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    first = MlflowSink(None, tmp_path, "sm-bfo", "run-7")
    first.feed(*STORY.events[:40])
    assert first.finish(status="KILLED") is None
    second = MlflowSink(None, tmp_path, "sm-bfo", "run-7")
    second.feed(*STORY.events)
    report = tmp_path / "report.html"
    report.write_text("<p>report</p>")
    assert second.finish(report, {"campaign": "sm-bfo", "cost_credits": 12.5}) is None

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.sqlite'}")
    experiment = client.get_experiment_by_name("sm-bfo")
    assert experiment is not None
    runs = {r.data.tags["probewise.key"]: r for r in client.search_runs([experiment.experiment_id])}
    parent = runs.pop(PARENT)
    assert set(runs) == {e.run for e in entries(STORY.events)} - {PARENT}
    assert {r.data.tags["mlflow.parentRunId"] for r in runs.values()} == {parent.info.run_id}
    assert {r.info.status for r in (parent, *runs.values())} == {"FINISHED"}
    history = client.get_metric_history(parent.info.run_id, "decisions")
    assert [m.value for m in history] == [d + 1 for d in range(STORY.state.decisions)]
    assert parent.data.params["policy"] == "planner"
    assert parent.data.metrics["final_cost_credits"] == 12.5
    assert runs["sample/strip-1"].data.params["design.temperature_C"]
    names = {a.path for a in client.list_artifacts(parent.info.run_id)}
    assert names == {"report.html", "summary.json"}
    assert (tmp_path / "artifacts").is_dir()


def test_a_bug_in_tracking_is_reported_and_not_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Entries, event: Event) -> list[Entry]:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Entries, "take", broken)
    sink = MlflowSink(None, tmp_path, "c")
    sink.feed(*STORY.events)
    assert "ZeroDivisionError" in (sink.finish() or "")


def test_finishing_waits_no_longer_than_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from threading import Event as Flag

    forever = Flag()
    sink = MlflowSink(None, tmp_path, "c")
    monkeypatch.setattr(sink._writer, "write", lambda batch: forever.wait(30))
    sink.feed(*STORY.events)
    problem = sink.finish(timeout_s=0.1)
    forever.set()
    assert problem is not None and "no answer within 0.1 s" in problem
