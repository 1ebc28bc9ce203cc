"""A campaign on three nodes, and the rows of the fault matrix that need a cluster of their own."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support_campaigns import untrack
from support_cluster import pinned
from support_faults import begin, check, raw_twin_spec, same_course, take_up

from probewise.campaign import Campaign

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def untracked() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        untrack(patch.setattr)
        yield


@pytest.fixture
def program(tmp_path: Path, doubles: None) -> Iterator[Any]:
    """Runs a program of ``support_cluster`` with its own Ray; nothing of it is left behind."""
    here = Path(__file__).parent
    strange = ("RAY_AUTH", "RAY_ADDRESS", "RAY_ENABLE_WINDOWS")
    env = {k: v for k, v in os.environ.items() if not k.startswith(strange)}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(here), env.get("PYTHONPATH", "")]))
    env |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    env["PROBEWISE_TEST_MARK"] = mark = str(tmp_path)

    def run(what: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(here / "support_cluster.py"), what, str(tmp_path)],
            env=env, capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip

    yield run
    for process in psutil.process_iter():
        try:
            if process.environ().get("PROBEWISE_TEST_MARK") == mark:
                process.kill()
        except psutil.Error:
            continue


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_three_nodes_give_the_campaign_of_one_process(program: Any, tmp_path: Path) -> None:
    """Instruments sit on the node that has them, computations where processors are."""
    nodes = told(program("three"))["nodes"]
    assert nodes["eye"] == nodes["rig"] != nodes["oven"]
    assert nodes["desk"] == nodes["mind"] == nodes["oven"], "the only node with processors"
    (tmp_path / "one").mkdir()
    one: Campaign = begin(pinned(raw_twin_spec(tmp_path / "one")), tmp_path / "one" / "run")
    one.run()
    same_course(one.state, check(tmp_path / "run").state)


def test_code_that_a_node_lacks_comes_as_a_wheel(program: Any, tmp_path: Path) -> None:
    found = told(program("ship"))
    assert found["failure"] == "None"
    assert "py_modules" in found["file"], "not from the driver's own folder"


def test_node_lost_and_another_joins(program: Any, tmp_path: Path) -> None:
    """What ran there is not repeated; the instruments go on from the node that has come."""
    nodes = told(program("lost"))
    found = check(tmp_path / "run", tmp_path / "performed.txt")
    assert nodes["before"]["eye"] != nodes["after"]["eye"]
    assert nodes["before"]["desk"] == nodes["after"]["desk"]
    assert set(found.failed().values()) <= {"uncertain", "not_done"} and len(found.failed()) <= 2
    lost_at = 12
    later = [e for e in found.events[lost_at:] if e.kind == "observed"]
    assert [e for e in later if e.observation.worker == "eye" and e.observation.failure is None]


def test_gcs_killed(program: Any, tmp_path: Path) -> None:
    """Ray ends the driver without an exception; the journal knows where to go on."""
    done = program("head")
    assert done.returncode != 0 and "Traceback" not in done.stderr
    folder = tmp_path / "run"
    assert check(folder, ended=False).state.stopped is None
    take_up(folder).run()
    found = check(folder)
    assert found.resumed() == 1 and found.failed() == {}
