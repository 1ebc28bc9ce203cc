"""The fault matrix, rows of actors: one process dies, hangs or stops in the middle of an action."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support_campaigns import untrack
from support_faults import Told, begin, check, raw_spec, uncertain

from probewise.agents import RayRuntime

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


@pytest.fixture(scope="module", autouse=True)
def untracked() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        untrack(patch.setattr)
        yield


def doomed(folder: Path, ends: dict[str, str], timeout_s: float = 60.0) -> dict[str, Any]:
    """A campaign in which the worker of each step meets its end once, in one of its actions."""
    raw = raw_spec(folder)
    for worker in raw["workers"].values():
        step = worker["config"]["capabilities"]
        if step in ends:
            at = 1 if step == "simulate" else 2
            worker["config"] |= {"dies_in": step, "dies_at": at, "how": ends[step]}
            worker["timeout_s"] = timeout_s
    return raw | {"budget": {"credits": 110, "hours": 200, "samples": 5}}


def run(raw: dict[str, Any], folder: Path) -> tuple[Told, Path]:
    """Run it with actors; what its journal tells, and where."""
    begin(raw, folder / "run", runtime="ray").run()
    return check(folder / "run", folder / "performed.txt"), folder


@pytest.fixture(scope="module")
def killed(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Told, Path]:
    """Every kind of actor is killed in the middle of an action."""
    folder = tmp_path_factory.mktemp("killed")
    steps = ("grow", "test", "reduce", "simulate")
    return run(doomed(folder, dict.fromkeys(steps, "kill")), folder)


@pytest.fixture(scope="module")
def hung(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Told, Path]:
    """Two actors are stopped by a signal, two never return."""
    folder = tmp_path_factory.mktemp("hung")
    ends = {"test": "stop", "grow": "hang", "reduce": "stop", "simulate": "hang"}
    return run(doomed(folder, ends, timeout_s=1.5), folder)


def expect(told: Told, folder: Path, step: str, kind: str) -> None:
    """The action failed in that way, once, at the price that goes with it."""
    lost = (folder / f"performed.{step}").read_text().split()[1]
    assert told.failed()[f"{step} {lost}"] == kind
    assert [f for f in told.failed() if f.startswith(step)] == [f"{step} {lost}"]
    (observation,) = [o for o in told.state.observations if o.action_id == lost]
    held = next(e for e in told.events if e.kind == "issued" and e.action.id == lost)
    charged = held.commitment.credits if kind == "uncertain" else 0.0
    assert observation.cost_credits == charged, "the irreversible in full, computations nothing"
    asked = [e.action_id for e in told.events if e.kind == "inquired"]
    assert (lost in asked) == (lost in uncertain(told.state)) == (kind == "uncertain")


@pytest.mark.parametrize(
    ("agent", "step", "kind"),
    [
        ("synthesis", "grow", "uncertain"),
        ("instrument", "test", "uncertain"),
        ("analysis", "reduce", "crashed"),
        ("theory", "simulate", "crashed"),
    ],
)
def test_actor_killed_in_an_action(
    killed: tuple[Told, Path], agent: str, step: str, kind: str
) -> None:
    expect(*killed, step, kind)


@pytest.mark.parametrize(
    ("agent", "step", "kind"),
    [
        ("synthesis", "grow", "uncertain"),
        ("instrument", "test", "uncertain"),
        ("analysis", "reduce", "timeout"),
        ("theory", "simulate", "timeout"),
    ],
)
def test_hung_actor(hung: tuple[Told, Path], agent: str, step: str, kind: str) -> None:
    """Given up after its time, and its process killed."""
    expect(*hung, step, kind)
    processes = psutil.Process().children(recursive=True)
    assert not [p for p in processes if _is_stopped(p)]


def _is_stopped(process: psutil.Process) -> bool:
    """Whether a process is there and stopped; one may end while it is asked."""
    try:
        return process.status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


def test_instrument_killed_between_two_actions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ledger says that the next action was never begun: not done, and not charged."""
    started: list[RayRuntime] = []
    start = RayRuntime.start
    monkeypatch.setattr(RayRuntime, "start", lambda self: started.append(self) or start(self))
    campaign = begin(doomed(tmp_path, {}), tmp_path / "run", runtime="ray")
    killed = 0
    for event in campaign:
        looked = event.kind == "observed" and event.observation.worker == "eye"
        if looked and not killed:
            killed = _kill_actor_of(started[-1], "eye")
    told = check(tmp_path / "run", tmp_path / "performed.txt")
    assert killed
    assert set(told.failed().values()) <= {"not_done"} and len(told.failed()) <= 1
    assert all(o.cost_credits == 0.0 for o in told.state.observations if o.failure)


def _kill_actor_of(runtime: RayRuntime, name: str) -> int:
    """Kill the process of a worker; its number."""
    pid = runtime.process_ids()[name]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=5)
    return pid
