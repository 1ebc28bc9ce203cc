"""Ctrl-C and SIGTERM in the middle of a program: the instrument is made safe, nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support_campaigns import spec_of, untrack
from support_drivers import raw_campaign, registered

from probewise.campaign import Campaign
from probewise.campaign._journal import Journal
from probewise.campaign._verify import Finding, verify
from probewise.instruments import Watchdogs
from probewise.workflow import Event, Issued, Observed, Secured

UNATTENDED = {"levels": {3: "auto", 4: "auto"}}
PROGRAM = """
import sys
from support_campaigns import untrack
from probewise.campaign._cli import app
untrack()
app(sys.argv[1:])
"""


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("drivers")
    with registered(folder), pytest.MonkeyPatch.context() as patch:
        untrack(patch.setattr)
        yield folder


def films(log: Path, **config: Any) -> dict[str, Any]:
    raw = raw_campaign("live-stem", autonomy=UNATTENDED, clock="real")
    raw["workers"]["stem"]["config"] |= {"log": str(log), **config}
    return raw


def journalled(folder: Path) -> list[Event]:
    with Journal(folder / "journal.sqlite", read_only=True) as journal:
        return list(journal.events())


def faults(folder: Path) -> list[Finding]:
    return [f for f in verify(folder).findings if f.fault]


def test_ctrl_c_in_a_program_makes_safe_keeps_what_came_and_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, log = tmp_path / "run", tmp_path / "log"
    usual, pressed = Watchdogs.after, [True]

    def after(self: Watchdogs, command: Any, *rest: Any) -> Any:
        if command.verb == "spectrum" and pressed and pressed.pop():
            raise KeyboardInterrupt
        return usual(self, command, *rest)

    monkeypatch.setattr(Watchdogs, "after", after)
    campaign = Campaign(spec_of(films(log)), out=out)
    with pytest.raises(KeyboardInterrupt):
        campaign.run()
    assert log.read_text().split()[-2:] == ["blank", "blank"], "after the program, and once more"
    events = journalled(out)
    assert isinstance(events[-1], Secured) and events[-1].answers.keys() == {"stem"}
    assert campaign.secured == events[-1].answers
    assert "done" in campaign.secured["stem"]
    (cut,) = {e.action.id for e in events if isinstance(e, Issued)} - {
        e.observation.action_id for e in events if isinstance(e, Observed)
    }
    assert not faults(out)
    Campaign.resume(out).run()
    seen = [e.observation for e in journalled(out) if isinstance(e, Observed)]
    found = {o.action_id: o for o in seen}
    failure = found[cut].failure
    assert failure is not None and failure.message == "interrupted, and made safe"
    assert found[cut].arrays and [c.command.verb for c in found[cut].commands][-1] == "blank"
    assert sum(o.failure is None for o in found.values()) > 3, "it went on"
    assert not faults(out)


def until(condition: Any, timeout_s: float = 120.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come so far"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
@pytest.mark.parametrize("runtime", ["inline", pytest.param("ray", marks=pytest.mark.ray)])
def test_a_process_that_is_to_end_leaves_its_instrument_safe(
    installed: Path, tmp_path: Path, runtime: str, number: signal.Signals
) -> None:
    out, log, spec = tmp_path / "run", tmp_path / "log", tmp_path / "films.yaml"
    spec.write_text(yaml.safe_dump(films(log, row_s=0.1)))
    paths = [str(installed), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "run", str(spec), "--out", str(out), "--runtime", runtime],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "250"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until(lambda: log.exists() and "overview" in log.read_text())
        child.send_signal(number)
        said, _ = child.communicate(timeout=120)
    finally:
        child.kill()
    assert child.returncode == 130, said
    assert "go on with: probewise run --resume" in said and "stem: Blank the beam: done" in said
    told = log.read_text().split()
    assert told.count("overview") == 1 and told[-1] == "blank", "the beam was left on"
    events = journalled(out)
    assert isinstance(events[-1], Secured) and not faults(out)
    Campaign.resume(out).run()
    ended = journalled(out)
    assert ended[: len(events)] == events and ended[-1].kind == "stopped"
    assert not faults(out)
