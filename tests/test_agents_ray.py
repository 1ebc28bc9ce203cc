"""What only processes can do: die, hang, be killed and come back; and that they stay small."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from probewise.agents import RayRuntime, _health, map_tasks
from probewise.agents._testing import FolderStore
from probewise.workflow import (
    Action,
    Commitment,
    Fate,
    Issued,
    Observation,
    Step,
    WorkerError,
    WorkerSpec,
)

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

STEP = Step.model_validate(
    {
        "name": "echo",
        "level": 3,
        "produces": "loudness [V]",
        "cost_credits": 2,
        "latency_h": 0.5,
    }
)
ONCE = STEP.model_copy(update={"repeat": "irreversible"})
LIMITS = WorkerSpec(
    type="separate-guardian",
    config={"max_cost_credits": 1000, "allow_live_irreversible": True},
)
WORKERS = {
    "echo": WorkerSpec(type="echo", timeout_s=300),
    "pair": WorkerSpec(type="echo", capacity=2),
    "brief": WorkerSpec(type="real-echo", timeout_s=1.0),
}
"""Besides these, ``noted`` is an instrument that keeps a record of what it did."""


@pytest.fixture(scope="module")
def crew(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayRuntime]:
    """One runtime for this file; every test leaves its workers able to work."""
    folder = tmp_path_factory.mktemp("arrays")
    (folder / "notebook").mkdir()
    (folder / "ledgers").mkdir()
    noted = WorkerSpec(type="notebook-echo", config={"notebook": str(folder / "notebook")})
    crew = WORKERS | {"noted": noted}
    runtime = RayRuntime(crew, LIMITS, FolderStore(folder), folder / "ledgers")
    runtime.start()
    yield runtime
    runtime.close()


def issued(action_id: str, worker: str = "echo", **parameters: Any) -> Issued:
    return Issued(
        hour=1.0,
        action=Action(id=action_id, step="echo", parameters=parameters),
        worker=worker,
        commitment=Commitment(credits=3, hours=0.75),
    )


def only(crew: RayRuntime, one: Issued, step: Step = STEP) -> Observation:
    crew.submit(one, step)
    (observation,) = crew.collect(everything=True, timeout_s=None)
    return observation


def kind_of(observation: Observation) -> str | None:
    return None if observation.failure is None else observation.failure.kind


def test_a_killed_actor_is_a_crash_and_comes_back_for_the_next_action(crew: RayRuntime) -> None:
    before = crew.process_ids()["echo"]
    lost = only(crew, issued("k1", fault="kill"))
    assert kind_of(lost) == "crashed"
    assert (lost.cost_credits, lost.duration_h) == (2.0, 0.5)
    after = only(crew, issued("k2", tell_pid=True))
    assert kind_of(after) is None
    assert after.notes["pid"] == crew.process_ids()["echo"] != before


def test_an_actor_killed_from_outside_between_two_actions(crew: RayRuntime) -> None:
    assert kind_of(only(crew, issued("o1"))) is None
    pid = crew.process_ids()["echo"]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=5)
    kinds = [kind_of(only(crew, issued(f"o{i}"))) for i in (2, 3)]
    assert kinds[0] in {None, "crashed"} and kinds[1] is None


def test_what_cannot_be_repeated_is_uncertain_after_a_crash(crew: RayRuntime) -> None:
    assert kind_of(only(crew, issued("u1", "brief", fault="kill"), ONCE)) == "uncertain"
    assert kind_of(only(crew, issued("u2", "brief", fault="kill"))) == "crashed"
    assert kind_of(only(crew, issued("u3", fault="kill"), ONCE)) == "crashed", "a twin may repeat"


@pytest.mark.parametrize(
    ("dies", "fate", "by", "cost"),
    [
        ("before", Fate.NOT_DONE, "worker", None),
        ("amid", Fate.UNKNOWN, "worker", None),
        ("done", Fate.DONE_WITHOUT_RESULT, "worker", 2.0),
        ("after", Fate.DONE, "worker", None),
    ],
)
def test_the_next_process_says_what_became_of_it(
    crew: RayRuntime, dies: str, fate: Fate, by: str, cost: float | None
) -> None:
    one = issued(f"n-{dies}", "noted", dies=dies)
    assert kind_of(only(crew, one, ONCE)) == "uncertain"
    found = crew.inquire(one, ONCE)
    assert (found.fate, found.by) == (fate, by)
    if fate in {Fate.NOT_DONE, Fate.UNKNOWN}:
        assert found.observation is None
        return
    assert found.observation is not None
    assert (found.observation.failure is None) == (fate is Fate.DONE)
    assert cost is None or found.observation.cost_credits == cost
    assert crew.inquire(one, ONCE).by == "ledger"


def test_what_never_reached_a_worker_was_not_done(crew: RayRuntime) -> None:
    assert kind_of(only(crew, issued("n1", "noted"), ONCE)) is None
    found = crew.inquire(issued("n2", "noted"), ONCE)
    assert (found.fate, found.by) == (Fate.NOT_DONE, "ledger")
    assert crew.inquire(issued("n2"), ONCE).fate is Fate.NOT_DONE, "of a twin"


def test_a_worker_that_hangs_is_killed_after_its_timeout(crew: RayRuntime) -> None:
    kinds = [
        kind_of(only(crew, issued("t1", "brief", fault="hang"))),
        kind_of(only(crew, issued("t2", "brief", fault="hang"), ONCE)),
        kind_of(only(crew, issued("t3", "brief"))),
    ]
    assert kinds == ["timeout", "uncertain", None]


def test_a_stopped_process_is_killed_too(crew: RayRuntime) -> None:
    assert kind_of(only(crew, issued("s1", "brief"))) is None
    pid = crew.process_ids()["brief"]
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert kind_of(only(crew, issued("s2", "brief"))) == "timeout"
    gone, _ = psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=5)
    assert gone or not psutil.pid_exists(pid)
    assert kind_of(only(crew, issued("s3", "brief"))) is None


def test_calls_beside_a_crash_are_lost_and_what_waits_is_done(crew: RayRuntime) -> None:
    crew.submit(issued("p1", "pair", sleep_s=30), STEP)
    crew.submit(issued("p2", "pair", fault="kill", sleep_s=0.5), STEP)
    crew.submit(issued("p3", "pair"), STEP)
    found = crew.collect(everything=True, timeout_s=None)
    assert {o.action_id: kind_of(o) for o in found} == {
        "p1": "crashed",
        "p2": "crashed",
        "p3": None,
    }


def test_collect_returns_what_is_finished_and_leaves_the_rest(crew: RayRuntime) -> None:
    assert crew.collect(everything=False, timeout_s=None) == []
    crew.submit(issued("c1", sleep_s=2), STEP)
    assert crew.collect(everything=False, timeout_s=0.0) == []
    assert crew.collect(everything=True, timeout_s=0.01) == []
    crew.submit(issued("c2", "pair"), STEP)
    first = crew.collect(everything=False, timeout_s=None)
    assert first[0].action_id == "c2"
    rest = crew.collect(everything=True, timeout_s=None)
    assert {o.action_id for o in first + rest} == {"c1", "c2"}


def test_the_idle_are_asked_to_be_safe_and_the_busy_are_not(crew: RayRuntime) -> None:
    crew.submit(issued("safe1", "pair", sleep_s=1.5), STEP)
    answers = crew.secure()
    assert answers["pair"] == "FAILED: busy" and answers["echo"] == "nothing to do"
    assert len(crew.collect(everything=True, timeout_s=None)) == 1
    assert crew.secure()["pair"] == "nothing to do"


def test_health_tells_the_busy_the_idle_and_the_dead(crew: RayRuntime) -> None:
    crew.secure()  # all are there
    crew.submit(issued("health1", "pair", sleep_s=1.0), STEP)
    assert crew.health()["pair"].busy == 1
    crew.collect(everything=True, timeout_s=None)
    pid = crew.process_ids()["echo"]
    assert pid is not None
    end = time.monotonic() + 20
    while crew.health()["echo"].last_answer is None and time.monotonic() < end:
        time.sleep(0.05)
    found = crew.health()["echo"]
    assert found.condition == "alive" and found.pid == pid and found.last_answer is not None
    os.kill(pid, signal.SIGKILL)
    while crew.health()["echo"].condition != "dead" and time.monotonic() < end:
        time.sleep(0.05)
    assert crew.health()["echo"].condition == "dead"
    assert kind_of(only(crew, issued("health2"))) is None, "another was started for it"


def test_an_idle_process_that_hangs_is_silent_until_it_answers(
    crew: RayRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_health, "SILENT_S", 0.3)
    crew.secure()
    pid = crew.process_ids()["echo"]
    assert pid is not None

    def becomes(condition: str) -> bool:
        end = time.monotonic() + 20
        while crew.health()["echo"].condition != condition and time.monotonic() < end:
            time.sleep(0.05)
        return time.monotonic() < end

    os.kill(pid, signal.SIGSTOP)
    assert becomes("silent") and crew.health()["pair"].condition == "alive"
    os.kill(pid, signal.SIGCONT)
    assert becomes("alive")


def test_a_halt_ends_what_runs_at_once(crew: RayRuntime) -> None:
    crew.secure()
    crew.submit(issued("halt1", sleep_s=60), STEP)
    crew.submit(issued("halt2", "pair", fault="hang"), STEP)
    pids = crew.process_ids()
    crew.halt()
    assert crew.collect(everything=True, timeout_s=None) == []
    for name in ("echo", "pair"):
        pid = pids[name]
        assert pid is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait(timeout=10)
    assert set(crew.secure().values()) == {"nothing to do"}, "fresh ones are asked to be safe"


def test_a_pure_guardian_is_asked_here(ray_cluster: None) -> None:
    limits = WorkerSpec(type="limits-guardian", config={"max_cost_credits": 2})
    crew = RayRuntime({"echo": WorkerSpec(type="echo")}, limits)
    crew.start()
    try:
        assert crew.process_ids()["guardian"] == os.getpid()
        verdict = crew.review(issued("pure").action, STEP, Commitment(credits=3, hours=1))
        assert not verdict.allowed and "the limit is 2" in verdict.reason
        assert kind_of(only(crew, issued("pure"))) == "refused"
    finally:
        crew.close()


def test_a_dead_guardian_refuses_and_comes_back(crew: RayRuntime) -> None:
    action, commitment = issued("g1").action, Commitment(credits=3, hours=1)
    pid = crew.process_ids()["guardian"]
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    verdicts = [crew.review(action, STEP, commitment) for _ in range(3)]
    assert all(v.allowed or "did not answer" in v.reason for v in verdicts)
    assert verdicts[-1].allowed


def test_processes_are_light(crew: RayRuntime) -> None:
    for name, pid in crew.process_ids().items():
        assert pid is not None
        maps = {m.path for m in psutil.Process(pid).memory_maps()}
        heavy = [p for p in maps if "/torch/" in p or "/mlflow/" in p or "/scipy/stats" in p]
        assert not heavy, f"{name} imported {heavy[:3]}"


def test_every_socket_is_on_the_loopback_interface(crew: RayRuntime) -> None:
    listening = [
        c.laddr.ip
        for process in psutil.Process().children(recursive=True)
        for c in process.net_connections("inet")
        if c.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert {ip.removeprefix("::ffff:") for ip in listening} <= {"127.0.0.1", "::1"}


def test_ray_asks_for_a_secret(crew: RayRuntime) -> None:
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64


def test_workers_of_one_host_share_a_process(ray_cluster: None) -> None:
    """A hundred light workers in one process; when it dies, all are there again for the next."""
    light = WorkerSpec(type="echo", host="bench")
    crew = RayRuntime({f"w{i}": light for i in range(100)}, LIMITS)
    crew.start()
    try:
        assert len(set(crew.process_ids().values()) - {crew.process_ids()["guardian"]}) == 1
        for i in range(100):
            crew.submit(issued(f"h{i}", f"w{i}"), STEP)
        found = crew.collect(everything=True, timeout_s=None)
        assert [kind_of(o) for o in found] == [None] * 100
        assert {o.worker for o in found} == {f"w{i}" for i in range(100)}
        assert kind_of(only(crew, issued("hk", "w7", fault="kill"))) == "crashed"
        assert kind_of(only(crew, issued("ha", "w8"))) is None
    finally:
        crew.close()


def test_resources_that_no_node_has_are_reported_at_once() -> None:
    workers = {"stem": WorkerSpec(type="echo", resources={"stem": 1})}
    with pytest.raises(WorkerError, match=r"'stem': 1.*'stem': 0"):
        RayRuntime(workers, LIMITS).start()


def test_map_tasks_yields_every_item_with_its_result() -> None:
    found = dict(map_tasks(math.factorial, range(6), parallel=2))
    assert found == {i: math.factorial(i) for i in range(6)}


def test_map_tasks_runs_with_one_thread() -> None:
    assert list(map_tasks(os.getenv, ["OMP_NUM_THREADS"], 1)) == [("OMP_NUM_THREADS", "1")]


def test_map_tasks_raises_the_error_of_the_function() -> None:
    with pytest.raises(ValueError, match=r"domain|negative"):
        list(map_tasks(math.sqrt, [4.0, -1.0], parallel=1))
