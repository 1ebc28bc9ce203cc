"""A campaign in another process: commands, control server, kills; its logs and metrics."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import yaml
from support_campaigns import raw_spec, registered, shrink, spec_of, untrack
from typer.testing import CliRunner

from probewise.campaign import Campaign, Journal
from probewise.campaign._channel import TOKEN, TOKEN_FILE, HttpChannel, token
from probewise.campaign._cli import app
from probewise.campaign._log import EventLog
from probewise.campaign._metrics import Metrics
from probewise.campaign._serve import ControlServer
from probewise.campaign._webhook import WEBHOOK, webhook_from_environment
from probewise.workflow import Awaiting, Commanded, Pause, SpecError, Stop

SECRET = "a-token-for-tests-0123456789abcdef"
ASKED = raw_spec(autonomy={"levels": {4: "approve"}}, budget={"credits": 30})
PROGRAM = """
import sys
from support_campaigns import shrink, untrack
from probewise.campaign._cli import app
shrink()
untrack()
app(sys.argv[1:])
"""


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with (
        registered(tmp_path_factory.mktemp("installed")) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        shrink(patch.setattr)
        untrack(patch.setattr)
        yield folder


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(installed: Path) -> Iterator[Start]:
    """Runs a command in a process of its own, which does not outlive the test."""
    begun: list[subprocess.Popen[str]] = []
    paths = [str(installed), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]

    def begin(*arguments: object, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *map(str, arguments)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        process.kill()
        process.wait()


def said(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "250"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def wait_for(folder: Path, condition: str, timeout_s: float = 60.0) -> dict[str, Any]:
    """The status, as soon as the campaign is so."""
    end = time.monotonic() + timeout_s
    found: dict[str, Any] = {}
    while time.monotonic() < end:
        if (folder / "control" / "status.json").exists():
            found = json.loads(said("status", folder, "--json")[1])
            if found["condition"].startswith(condition) and found["process"] is not None:
                return found
        time.sleep(0.1)
    raise AssertionError(f"it is {found.get('condition')!r}, not {condition!r}")


def commands(folder: Path) -> list[Commanded]:
    with Journal(folder / "journal.sqlite", read_only=True) as journal:
        return [e for e in journal.events() if isinstance(e, Commanded)]


@pytest.mark.slow
def test_another_process_commands_a_campaign_also_after_a_kill(
    start: Start, tmp_path: Path
) -> None:
    folder, spec = tmp_path / "run", tmp_path / "peak.yaml"
    spec.write_text(yaml.safe_dump(ASKED))
    process = start("run", spec, "--out", folder, "--runtime", "inline")
    found = wait_for(folder, "waiting for approval")
    assert found["pid"] == process.pid and found["agents"]["rig"]["condition"] == "alive"
    (job,) = found["awaiting"]
    code, shown = said("status", folder)
    assert code == 0 and job["action"] in shown and "Waiting for approval" in shown
    assert said("approve", folder, "a99999")[0] == 1
    assert said("pause", folder, "--reason", "lunch") == (
        0,
        "nothing more is given out; 0 at work\n",
    )
    wait_for(folder, "paused")
    process.send_signal(signal.SIGKILL)
    process.wait()
    code, shown = said("status", folder)
    assert "interrupted (paused" in shown and "none is at work" in shown
    code, shown = said("resume", folder)
    assert code == 2 and "no process is at work" in shown

    process = start("run", "--resume", folder, "--runtime", "inline")
    wait_for(folder, "paused")
    assert said("set", folder, "budget.credits=20", "goal.worth_credits=1e6")[0] == 0
    code, shown = said("set", folder, "budget.credits=0")
    assert code == 1 and "refused: " in shown
    assert said("resume", folder)[0] == 0
    wait_for(folder, "waiting for approval")
    assert said("approve", folder, "all") == (0, f"approved: {job['action']}\n")
    assert said("stop", folder)[0] == 0
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "stopped by" in output
    verbs = [e.message.order.verb for e in commands(folder)]
    assert verbs == ["approve", "pause", "set", "set", "resume", "approve", "stop"]
    assert {e.message.who.split("@")[0] for e in commands(folder)} == {psutil.Process().username()}
    assert said("verify", folder)[0] == 0
    code, shown = said("replay", folder)
    assert code == 0 and "all the same" in shown
    code, shown = said("replay", folder, "--policy", "planner")
    assert code == 0 and "look on" in shown


def test_a_wrong_pair_and_a_wrong_run_are_complained_of(tmp_path: Path) -> None:
    code, shown = said("set", tmp_path, "budget.credits")
    assert code == 2 and "KEY=VALUE" in shown
    assert said("set", tmp_path, "budget.credits=2020-01-01")[0] == 2
    assert said("pause", tmp_path, "--reason", "x" * 3000)[0] == 2
    assert said("pause", tmp_path)[0] == 2
    assert said("status", "http://127.0.0.1:1")[0] == 2


# -- over HTTP ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_server_is_part_of_the_run_if_asked_for(start: Start, tmp_path: Path) -> None:
    """On loopback alone, with a token of its own, which never gets into the journal."""
    folder, spec = tmp_path / "run", tmp_path / "peak.yaml"
    spec.write_text(yaml.safe_dump(ASKED))
    process = start(
        "run", spec, "--out", folder, "--runtime", "inline", "--serve", 0, "--metrics-port", 0
    )
    wait_for(folder, "waiting for approval")
    ports = {
        c.laddr.port: c.laddr.ip
        for c in psutil.Process(process.pid).net_connections("inet")
        if c.status == psutil.CONN_LISTEN
    }
    assert len(ports) == 2 and set(ports.values()) == {"127.0.0.1"}
    file = folder / "control" / "token"
    assert file.stat().st_mode & 0o777 == 0o600
    secret = file.read_text().strip()
    pages = {port: requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5) for port in ports}
    metrics = next(p for p in pages.values() if p.ok)
    assert 'probewise_awaiting_approval{campaign="peak"} 1.0' in metrics.text
    port = next(p for p, page in pages.items() if not page.ok)
    channel = HttpChannel(f"http://127.0.0.1:{port}", secret)
    assert channel.status()["condition"] == "waiting for approval"
    assert channel.order(Stop(reason="from afar"), 10) == (True, "the campaign ends; 0 at work")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    (told,) = commands(folder)
    assert told.message.via == "http" and secret not in output
    with Journal(folder / "journal.sqlite") as journal:
        assert not any(secret in row[4] for row in journal.raw())


@pytest.mark.ray
def test_every_process_of_a_run_listens_on_loopback_alone(start: Start, tmp_path: Path) -> None:
    """Ray's own, the actors, metrics and control server; and an abort ends them all."""
    folder, spec = tmp_path / "run", tmp_path / "peak.yaml"
    spec.write_text(yaml.safe_dump(ASKED))
    process = start("run", spec, "--out", folder, "--serve", 0, "--metrics-port", 0)
    found = wait_for(folder, "waiting for approval", 120)
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    pids = {p.pid for p in family}
    assert {h["pid"] for h in found["agents"].values()} <= pids
    listening = [
        c.laddr.ip
        for p in family
        for c in p.net_connections("inet")
        if c.status == psutil.CONN_LISTEN
    ]
    assert len(listening) > 4
    assert {ip.removeprefix("::ffff:") for ip in listening} <= {"127.0.0.1", "::1"}
    assert said("abort", folder, "--wait", 60)[0] == 0
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """A control server of a run that ended; its address and the run."""
    folder = tmp_path / "run"
    for event in Campaign(spec_of(ASKED), out=folder):
        if isinstance(event, Awaiting):
            break
    monkeypatch.setenv(TOKEN, SECRET)
    server = ControlServer(folder)
    server.start()
    yield server.url, folder
    server.close()


def test_without_the_token_nothing_is_told(served: tuple[str, Path]) -> None:
    url, _ = served
    for path in ("/status", "/events", "/orders"):
        for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": SECRET + "x"}):
            method = "POST" if path == "/orders" else "GET"
            assert (
                requests.request(method, url + path, headers=headers, timeout=5).status_code == 401
            )
    for path in ("/docs", "/openapi.json", "/", "/control/token", "/../journal.sqlite"):
        assert requests.get(url + path, timeout=5).status_code == 404


def test_the_server_tells_and_refuses_in_words(served: tuple[str, Path]) -> None:
    url, folder = served
    channel = HttpChannel(url, SECRET)
    assert "interrupted" in channel.status()["condition"]
    with pytest.raises(SpecError, match=r"409.*no process is at work"):
        channel.order(Pause(), 0)
    headers = {"Authorization": f"Bearer {SECRET}"}
    events = requests.get(f"{url}/events?after=1", headers=headers, timeout=5).json()
    assert [e["kind"] for e in events][-1] == "awaiting" and events[0]["seq"] == 2
    for body in ({"order": {"verb": "fly"}}, {"order": {"verb": "pause"}, "more": 1}, "x" * 70_000):
        answer = requests.post(f"{url}/orders", json=body, headers=headers, timeout=5)
        assert answer.status_code in {413, 422}
    assert not list((folder / "control" / "new").iterdir())


def test_the_command_line_speaks_to_a_server(served: tuple[str, Path]) -> None:
    url, _ = served
    code, shown = said("status", url)
    assert code == 0 and "interrupted" in shown
    code, shown = said("pause", url)
    assert code == 2 and "no process is at work" in shown


def test_another_interface_needs_tls(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="without TLS"):
        ControlServer(tmp_path, host="0.0.0.0")


def test_a_taken_port_is_complained_of_before_anything_starts(tmp_path: Path) -> None:
    spec = tmp_path / "peak.yaml"
    spec.write_text(yaml.safe_dump(ASKED))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for option in ("--serve", "--metrics-port"):
            code, shown = said(
                "run", spec, "--out", tmp_path / "run", "--runtime", "inline", option, port
            )
            assert code == 2 and str(port) in shown
    assert not (tmp_path / "run").exists()


def test_tokens_come_from_the_environment_or_a_private_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    with pytest.raises(SpecError, match="no token"):
        token()
    path = tmp_path / "token"
    path.write_text(SECRET + "\n")
    path.chmod(0o644)
    monkeypatch.setenv(TOKEN_FILE, str(path))
    with pytest.raises(SpecError, match="others may read"):
        token()
    path.chmod(0o600)
    assert token() == SECRET
    monkeypatch.setenv(TOKEN, "short")
    with pytest.raises(SpecError, match="16 characters"):
        token()


# -- logs, metrics, alerts ------------------------------------------------------------------------


def test_logs_are_json_lines_with_ids(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    campaign = Campaign(spec_of(raw_spec(policy="planner", budget={"credits": 12})))
    log = EventLog(str(path), "peak")
    campaign.observers.append(log)
    campaign.run()
    logging.getLogger("probewise.elsewhere").warning("at https://me:secret@host/x")
    log.close()
    logging.getLogger("probewise.elsewhere").warning("not any more")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.get("kind") for line in lines[:-1]] == [e.kind for e in campaign.seen]
    assert {line["campaign"] for line in lines} == {"peak"}
    done = [line for line in lines if line.get("kind") == "observed"]
    assert done and all(
        {"action", "decision", "step", "worker", "credits"} <= line.keys() for line in done
    )
    assert "secret" not in lines[-1]["message"] and lines[-1]["level"] == "warning"


@pytest.mark.slow
def test_metrics_follow_the_state() -> None:
    campaign = Campaign(spec_of(raw_spec(policy="planner", budget={"credits": 45, "hours": 50})))
    metrics = Metrics("peak")
    campaign.observers.append(metrics)
    campaign.watch = metrics.watch
    campaign.run()
    state = campaign.state

    def value(name: str, **labels: str) -> float:
        found = metrics.registry.get_sample_value(name, {"campaign": "peak", **labels})
        assert found is not None, (name, labels)
        return found

    assert value("probewise_credits", what="spent") == state.spent_credits
    assert value("probewise_credits", what="budget") == 45
    assert value("probewise_queue", worker="rig") == 0
    busy = sum(o.duration_h for o in state.observations if o.worker == "rig")
    assert value("probewise_utilization", worker="rig") == pytest.approx(busy / state.now_h)
    issued = value("probewise_events_total", kind="issued")
    assert value("probewise_seconds_count", what="dispatch") >= issued / 2 > 0
    assert value("probewise_seconds_count", what="result_to_dispatch") > 0
    assert value("probewise_results_total", worker="rig", step="test", outcome="done") > 0


@pytest.fixture
def listener() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(500 if len(got) == 1 else 204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got
    server.shutdown()
    server.server_close()
    thread.join()


def test_alerts_are_events_and_go_to_a_webhook_that_may_fail(
    listener: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, got = listener
    monkeypatch.setenv(WEBHOOK, url)
    failing = raw_spec(budget={"credits": 60})
    failing["workers"]["rig"]["config"]["failure_rate"] = 1.0
    campaign = Campaign(spec_of(failing))
    webhook = webhook_from_environment("peak")
    assert webhook is not None
    campaign.observers.append(webhook)
    campaign.run()
    webhook.close()
    abouts = [e.about for e in campaign.seen if e.kind == "alerted"]
    assert abouts == ["failing/rig/a00000"], "a row of failures is told of once"
    assert [g["about"] for g in got] == [*abouts, "stopped"]
