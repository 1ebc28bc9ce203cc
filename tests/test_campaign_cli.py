"""The commands: a small campaign from YAML to report, resumed, explained; and how they complain."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from support_campaigns import raw_spec, registered, shrink, untrack
from typer.testing import CliRunner

from probewise.campaign import Campaign, Comparison, _cli_compare, _cli_run
from probewise.campaign._cli import app
from probewise.campaign._live import LiveView

WIDE = {"COLUMNS": "250"}


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The tiny workers, few worlds, and no tracking."""
    with (
        registered(tmp_path_factory.mktemp("installed")),
        pytest.MonkeyPatch.context() as patch,
    ):
        shrink(patch.setattr)
        untrack(patch.setattr)
        yield


@pytest.fixture
def unpictured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without their pictures, for tests that only want reports to be there."""
    monkeypatch.setattr("probewise.campaign._report._pictures", lambda *anything: ([], ""))


def run(*arguments: object) -> tuple[int, str, str]:
    """Exit code, what was printed and what was complained of."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], env=WIDE)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("specs") / "peak.yaml"
    path.write_text(yaml.safe_dump(raw_spec(policy="planner", budget={"credits": 14})))
    return path


@pytest.fixture(scope="module")
def done(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished run and what the command printed."""
    folder = tmp_path_factory.mktemp("runs") / "peak"
    code, shown, complaint = run("run", spec, "--out", folder, "--runtime", "inline")
    assert (code, complaint) == (0, "")
    return folder, shown


def test_run_leaves_a_summary_a_report_and_a_journal(done: tuple[Path, str], spec: Path) -> None:
    folder, shown = done
    names = {p.name for p in folder.iterdir()}
    assert {"campaign.yaml", "journal.sqlite", "report.html", "summary.json"} <= names
    summary = json.loads((folder / "summary.json").read_text())
    whole = Campaign.load(spec)
    whole.run()
    found = whole.state.recommendation
    assert found is not None
    assert summary["recommendation"] == found.model_dump(mode="json")
    assert summary["cost_credits"] == whole.state.spent_credits <= 14
    assert summary["stop_reason"] == whole.state.stopped
    assert 0.0 <= summary["gain"] <= 1.0
    assert "peak" in shown and str(folder / "report.html") in shown
    assert "best found" in shown and "in truth" in shown


def test_options_replace_what_the_file_says(spec: Path, tmp_path: Path, unpictured: None) -> None:
    code, _, _ = run(
        "run", spec, "--out", tmp_path / "r", "--runtime", "inline", "--policy", "random",
        "--seed", 4, "--credits", 12.5, "--hours", 20,
    )  # fmt: skip
    assert code == 0
    kept = yaml.safe_load((tmp_path / "r" / "campaign.yaml").read_text())
    assert (kept["policy"], kept["seed"]) == ("random", 4)
    assert (kept["budget"]["credits"], kept["budget"]["hours"]) == (12.5, 20)


def test_a_run_goes_to_runs_and_an_earlier_one_aside(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unpictured: None
) -> None:
    monkeypatch.chdir(tmp_path)
    fast = ("--runtime", "inline", "--policy", "random")
    assert run("run", spec, *fast)[0] == 0
    assert (tmp_path / "runs" / "peak" / "report.html").is_file()
    code, _, complaint = run("run", spec, *fast)
    assert code == 2 and "not empty" in complaint
    code, shown, _ = run("run", spec, *fast, "--move-aside")
    assert code == 0 and "peak-1" in shown
    assert (tmp_path / "runs" / "peak-1" / "report.html").is_file()


@pytest.mark.slow
def test_an_interrupted_run_is_taken_up_again(
    spec: Path,
    tmp_path: Path,
    done: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
    unpictured: None,
) -> None:
    count = 0

    def interrupt(self: LiveView, *anything: Any) -> None:
        nonlocal count
        count += 1
        if count == 9:
            raise KeyboardInterrupt

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(_cli_run.LiveView, "update", interrupt)
        code, shown, _ = run("run", spec, "--out", folder, "--runtime", "inline")
    assert code == 130 and f"probewise run --resume {folder}" in shown
    assert "it was interrupted" in shown
    assert json.loads((folder / "summary.json").read_text())["stop_reason"] is None
    code, shown, _ = run("run", "--resume", folder, "--runtime", "inline")
    assert re.search(r"resumed: \d+ observations? read again from the journal", shown)
    assert code == 0
    ours, theirs = (json.loads((f / "summary.json").read_text()) for f in (folder, done[0]))
    for key in ("recommendation", "cost_credits", "decisions", "stop_reason", "actions_by_step"):
        assert ours[key] == theirs[key]


@pytest.mark.slow
def test_resuming_a_finished_run_writes_the_same_again(done: tuple[Path, str]) -> None:
    folder, _ = done
    before = json.loads((folder / "summary.json").read_text())
    assert run("run", "--resume", folder, "--runtime", "inline")[0] == 0
    after = json.loads((folder / "summary.json").read_text())
    assert {k: v for k, v in after.items() if k != "wall_s"} == {
        k: v for k, v in before.items() if k != "wall_s"
    }


def test_explain_tells_why_and_what_came_of_it(done: tuple[Path, str]) -> None:
    code, shown, _ = run("explain", done[0], "--decision", 0)
    assert code == 0
    assert "Decision 0" in shown and "Because" in shown and "per credit" in shown
    code, shown, complaint = run("explain", done[0], "--decision", 999)
    assert (code, shown) == (2, "") and "decision 999" in complaint


@pytest.mark.slow
def test_report_is_written_again_from_the_journal_alone(
    done: tuple[Path, str], tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(done[0], folder)
    (folder / "report.html").unlink()
    code, shown, _ = run("report", folder)
    assert code == 0 and shown.strip() == str(folder / "report.html")
    assert "peak" in (folder / "report.html").read_text()


def test_schema_describes_the_campaigns_that_load(spec: Path) -> None:
    code, shown, _ = run("schema")
    assert code == 0
    schema = json.loads(shown)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert {"goal", "budget", "workflow", "workers"} <= set(schema["required"])
    assert "colour" not in schema["properties"]


def test_compare_shows_a_table_and_keeps_records(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def records(spec: Any, policies: list[str], seeds: list[int], parallel: int) -> Iterator[Any]:
        asked.append((policies, seeds, parallel, spec.budget.credits))
        for seed in seeds:
            for policy in reversed(policies):
                yield Comparison(
                    policy=policy, seed=seed, reached=True, cost_to_95=10.0, hours_to_95=1.0,
                    cost_credits=14.0, elapsed_h=3.0, regret=0.01, gain=0.99, stop_reason="done",
                    wall_s=0.1,
                )  # fmt: skip

    monkeypatch.setattr(_cli_compare, "compare", records)
    kept = tmp_path / "records.json"
    code, shown, _ = run(
        "compare", spec, "--policies", "random, fixed", "--seeds", "0-1", "--json", kept,
        "--parallel", 3, "--credits", 20,
    )  # fmt: skip
    assert code == 0 and asked == [(["random", "fixed"], [0, 1], 3, 20.0)]
    order = [(r["policy"], r["seed"]) for r in map(json.loads, kept.read_text().splitlines())]
    assert order == [("random", 0), ("random", 1), ("fixed", 0), ("fixed", 1)]
    assert "credits to 95 %" in shown and "100%" in shown
    assert "fixed, seed 0: gain 0.990 for 14 credits, 3 h" in shown
    run("compare", spec, "--seeds", "0")
    others = ["fixed", "random", "single-source", "cheap-first", "cost-blind"]
    assert asked[-1][0] == ["planner", *others], "all that are quickly asked"


BAD = {
    "no campaign": (("run",), "neither a campaign nor --resume", "give one of them"),
    "both": (("run", "sm-bfo", "--resume", "x"), "both a campaign and --resume", "give one"),
    "no such file": (("run", "sm-bfoo"), "'sm-bfoo', which is no file", "sm-bfo"),
    "no such run": (("run", "--resume", "nowhere"), "no such folder", "start a new run"),
    "more beside resume": (
        ("run", "--resume", "nowhere", "--seed", "3", "--policy", "random"),
        "--seed, --policy as well",
        "leave the others out",
    ),
    "unknown policy": (("run", "SPEC", "--policy", "clever"), "'clever'", "planner"),
    "unknown goal": (("run", "SPEC", "--goal", "minimize"), "'minimize'", "'maximize'"),
    "small budget": (("run", "SPEC", "--credits", "3"), "budget of 3 credits", "budget.credits"),
    "no data": (("run", "bfo-replay"), "no data", "--data PATH"),
    **{
        f"data nowhere, {command}": (
            (command, "bfo-replay", "--data", "nowhere.h5"),
            "'nowhere.h5', where nothing is",
            "correct the path",
        )
        for command in ("run", "compare", "forecast")
    },
    "explain nothing": (("explain", "nowhere", "--decision", "0"), "no such folder", "path"),
    "report nothing": (("report", "nowhere"), "no such folder", "path"),
    "bad seeds": (("compare", "SPEC", "--seeds", "x"), "'x'", "0-9"),
    "bad policies": (("compare", "SPEC", "--policies", "fixed,clever"), "'clever'", "name"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_get_one_clear_message_and_exit_code_2(
    name: str, spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, given, remedy = BAD[name]
    code, shown, complaint = run(*(spec if a == "SPEC" else a for a in arguments))
    assert code == 2 and shown == ""
    assert given in complaint and remedy in complaint
    assert "allowed:" in complaint and "remedy:" in complaint
    assert "Traceback" not in complaint and len(complaint.splitlines()) == 3
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "SPEC", "--seed", "-1"),
        ("run", "SPEC", "--credits", "lots"),
        ("run", "SPEC", "--runtime", "abacus"),
        ("run", "SPEC", "--colour", "red"),
        ("compare", "SPEC", "--parallel", "0"),
        ("compare",),
        ("explain", "run"),
        ("dance",),
    ],
)
def test_wrong_usage_is_exit_code_2_too(arguments: tuple[str, ...], spec: Path) -> None:
    code, _, complaint = run(*(spec if a == "SPEC" else a for a in arguments))
    assert code == 2 and "Usage" in complaint and "Traceback" not in complaint


def test_a_step_that_nobody_offers_is_complained_of(tmp_path: Path) -> None:
    raw = raw_spec()
    raw["workers"]["rig"]["config"]["capabilities"] = "dream"
    path = tmp_path / "campaign.yaml"
    path.write_text(yaml.safe_dump(raw))
    code, _, complaint = run("run", path, "--out", tmp_path / "run", "--runtime", "inline")
    assert code == 2 and "which no worker offers" in complaint


def test_every_command_says_what_it_is_for() -> None:
    code, shown, _ = run("--help")
    assert code == 0
    for command in ("run", "compare", "explain", "report", "schema", "agents"):
        assert command in shown
        assert run(command, "--help")[0] == 0


def test_what_was_left_on_the_table_is_told(done: tuple[Path, str]) -> None:
    folder, shown = done
    left = json.loads((folder / "summary.json").read_text())["left_on_the_table"]
    assert 0 <= left["spread"]["low"] <= left["expected"] <= left["spread"]["high"]
    assert left["option"]["value"] > 0 and left["option"]["price_credits"] > 0
    report = (folder / "report.html").read_text()
    for text in (shown, report):
        assert "still to be gained" in text and "next would have been" in text
