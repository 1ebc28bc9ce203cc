"""The fault matrix, rows of disks, clocks and the tracking server."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import pytest
from support_campaigns import untrack
from support_faults import (
    begin,
    check,
    in_child,
    raw_spec,
    raw_twin_spec,
    same_course,
    take_up,
)
from support_mlflow import TrackingServer

from probewise.campaign import _journal as journal_module
from probewise.campaign import _tracking as tracking
from probewise.campaign._track_entries import Entries
from probewise.workflow import Event, Observed, StoreError

# Children are forked: not where tests are spread over processes whose other threads hold locks.
pytestmark = pytest.mark.slow


@pytest.fixture
def untracked(monkeypatch: pytest.MonkeyPatch) -> None:
    untrack(monkeypatch.setattr)


@pytest.fixture
def performed(tmp_path: Path) -> Path:
    return tmp_path / "performed.txt"


def no_file_over(size: int) -> None:
    """From now on this process meets a full disk in every file that grows beyond ``size``."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def broken_off(raw: dict[str, Any], folder: Path, size: int) -> int:
    """Exit code of a campaign that meets a full disk: 3 if it complained as it should."""

    def work() -> None:
        no_file_over(size)
        try:
            begin(raw, folder).run()
        except StoreError as error:
            assert "make room" in error.remedy, str(error)
            os._exit(3)

    return os.WEXITSTATUS(in_child(work))


@pytest.mark.usefixtures("untracked")
def test_disk_full_while_a_measurement_is_written(tmp_path: Path, performed: Path) -> None:
    """The campaign breaks off after the loss of one measurement, which was done and is paid."""
    folder = tmp_path / "run"
    raw = raw_spec(tmp_path, points=700_000)
    assert broken_off(raw, folder, size=5_000_000) == 3
    told = check(folder, performed, ended=False)
    assert list(told.failed().values()) == ["not_kept"]
    (lost,) = [o for o in told.state.observations if o.failure]
    assert lost.cost_credits > 0
    assert not list((folder / "data").iterdir()), "no half file"
    take_up(folder).run()
    assert list(check(folder, performed).failed().values()) == ["not_kept"]


@pytest.mark.usefixtures("untracked")
def test_disk_full_while_the_journal_is_written(tmp_path: Path, performed: Path) -> None:
    folder = tmp_path / "run"
    assert broken_off(raw_spec(tmp_path), folder, size=150_000) == 3
    assert len(check(folder, performed, ended=False).state.observations) > 0
    take_up(folder).run()
    assert check(folder, performed).failed() == {}, "the ledgers knew the results"


@pytest.mark.usefixtures("untracked")
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_torn_hdf5(tmp_path: Path, performed: Path, damage: str) -> None:
    """What needs the file fails at no cost; everything else goes on."""
    folder = tmp_path / "run"
    torn = ""
    for event in begin(raw_spec(tmp_path), folder):
        if isinstance(event, Observed) and event.observation.arrays and not torn:
            torn = event.observation.arrays["trace"].file
            spoil(folder / torn, damage)
    (folder / torn).unlink(missing_ok=True)
    with pytest.raises(StoreError, match=torn):
        check(folder, performed)
    told = check(folder, performed, arrays=False)
    assert set(told.failed().values()) == {"missing"}
    failures = [o for o in told.state.observations if o.failure]
    assert all(o.cost_credits == 0 for o in failures) and len(failures) <= 2


def spoil(path: Path, damage: str) -> None:
    raw = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(raw[: len(raw) // 2])
    else:
        with h5py.File(path, "r+") as file:
            file["Measurement_000/Channel_000/trace/trace"][0] += 1.0  # type: ignore[index]


@pytest.mark.usefixtures("untracked")
def test_half_written_files_of_a_killed_process_are_swept(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for count, _ in enumerate(begin(raw_spec(tmp_path), folder)):
        if count == 6:
            break
    half = folder / "data" / ".a00009-look.h5.x.part"
    half.write_bytes(b"half")
    take_up(folder).run()
    assert not half.exists()
    check(folder)


@pytest.mark.usefixtures("untracked")
def test_clock_jumps(tmp_path: Path, performed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of day leaps by days, forth and back; the campaign's hours run on as they did."""

    class Leaping(datetime):
        leaps = 0

        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            cls.leaps += 1
            return datetime.now(tz) + timedelta(days=(-3) ** (cls.leaps % 5))

    raw = raw_spec(tmp_path, sleep_s=0.002) | {"clock": "real", "answer_within_h": 0}
    for step in raw["workflow"]["steps"]:
        step |= {"latency_h": {"median": 0.5, "log_std": 0}}
    raw["workers"] = {k: w | {"timeout_s": 60} for k, w in raw["workers"].items()}
    monkeypatch.setattr(journal_module, "datetime", Leaping)
    monkeypatch.setattr(time, "time", lambda: 1e9 * (1 + Leaping.leaps % 3))
    folder = tmp_path / "run"
    before: list[Event] = []
    for event in begin(raw, folder):
        before.append(event)
        if len(before) == 20:
            break
    take_up(folder).run()
    told = check(folder, performed)
    assert Leaping.leaps > 20
    hours = [e.hour for e in told.events]
    assert hours == sorted(hours)
    assert told.failed() == {}


# -- tracking ------------------------------------------------------------------------------------


class Server:
    """A tracking server that is away at first, and what it is told."""

    away = True
    refused = 0

    def __init__(self, *given: object) -> None:
        self.told: list[tuple[int, int]] = []
        self.ended = ""

    def write(self, batch: Any) -> None:
        if Server.away:
            Server.refused += 1
            raise ConnectionError("no route to host")
        self.told += [(number, len(entries)) for number, entries in batch]

    def finish(self, report: Path | None, summary: Mapping[str, Any], status: str) -> None:
        self.ended = status


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Server]]:
    monkeypatch.setattr(tracking, "_Writer", Server)
    Server.away, Server.refused = True, 0
    yield Server
    Server.away = False


def test_tracking_server_away_for_an_hour(
    tmp_path: Path, server: type[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A campaign of sixty hours on the virtual clock passes meanwhile, and is the same."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    others = set(threading.enumerate())
    with monkeypatch.context() as patch:
        untrack(patch.setattr)
        reference = begin(raw_twin_spec(tmp_path / "a"), tmp_path / "a" / "run")
        reference.run()
    folder = tmp_path / "b" / "run"
    campaign = begin(raw_twin_spec(tmp_path / "b"), folder)
    sink: Any = None
    for _ in campaign:
        sink = campaign._sink
        sink._retry_s = 0.01
    same_course(reference.state, check(folder).state)
    assert reference.state.now_h > 1.0
    until = time.monotonic() + 20
    while server.refused < 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert server.refused >= 2 and "not everything was tracked" in str(sink.problem)
    server.away = False
    assert campaign.finish_tracking(None, {}) is None, "it has caught up"
    entries = Entries()
    expected = [(n, len(list(entries.take(e)))) for n, e in enumerate(campaign.seen, start=1)]
    assert sink._writer.told == expected, "everything once, in order"
    assert sink._writer.ended == "FINISHED"
    own = set(threading.enumerate()) - others
    assert not any(t.name == "tracking" and t.is_alive() for t in own)


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[TrackingServer]:
    server = TrackingServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.mark.slow
def test_real_tracking_server_killed_and_started_again(
    tmp_path: Path, mlflow_server: TrackingServer
) -> None:
    """Killed after a few results; the campaign ends without it, and then all is tracked."""
    from mlflow.tracking import MlflowClient  # slow to import

    campaign = begin(raw_twin_spec(tmp_path), tmp_path / "run", tracking_uri=mlflow_server.uri)
    sink: Any = None
    until = time.monotonic() + 120
    for event in campaign:
        sink = campaign._sink
        if len(campaign.state.observations) == 3 and isinstance(event, Observed):
            while not sink._writer._written and time.monotonic() < until:
                time.sleep(0.1)
            assert sink._writer._written, "it tracks while the server is there"
            mlflow_server.kill()
    assert campaign.state.stopped is not None
    while sink.problem is None and time.monotonic() < until:
        time.sleep(0.1)
    assert "not everything was tracked" in str(sink.problem)
    mlflow_server.start()
    assert campaign.finish_tracking(None, {}) is None, "it has caught up"
    client = MlflowClient(mlflow_server.uri)
    (experiment,) = [e for e in client.search_experiments() if e.name == campaign.spec.name]
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    assert {run.info.status for run in runs} == {"FINISHED"}
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert parent.data.tags["probewise.events"] == str(len(campaign.seen))
    fold = Entries()
    entries = [entry for event in campaign.seen for entry in fold.take(event)]
    for run in runs:
        key = run.data.tags.get("probewise.key", "")
        told = {m for e in entries if e.run == key for m in e.metrics}
        kept = {
            (name, metric.value, metric.step)
            for name in run.data.metrics
            for metric in client.get_metric_history(run.info.run_id, name)
        }
        assert kept == told, "nothing lost, nothing else"
