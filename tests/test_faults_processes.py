"""The fault matrix, rows of processes: whatever is killed, nothing is lost and nothing done twice.

The driver is a forked process with its workers inside; actors are the subject of
``test_faults_actors.py``.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support_campaigns import untrack
from support_faults import (
    begin,
    check,
    in_child,
    moments,
    raw_spec,
    raw_twin_spec,
    same_course,
    take_up,
    uncertain,
)

from probewise.campaign import Campaign, Journal
from probewise.workflow import RunFolderError, StoreError

# Children are forked: not where tests are spread over processes whose other threads hold locks.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def untracked() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        untrack(patch.setattr)
        yield


@pytest.fixture
def performed(tmp_path: Path) -> Path:
    return tmp_path / "performed.txt"


def whole(raw: dict[str, Any], folder: Path) -> Campaign:
    campaign = begin(raw, folder)
    campaign.run()
    return campaign


def test_the_campaign_itself_does_everything(tmp_path: Path, performed: Path) -> None:
    whole(raw_spec(tmp_path), tmp_path / "run")
    assert check(tmp_path / "run", performed).failed() == {}
    steps = {line.split()[0] for line in performed.read_text().splitlines()}
    assert steps == {"grow", "look", "reduce", "test", "simulate"}


def has_begun(folder: Path) -> bool:
    """Whether the run's journal holds an event."""
    journal = folder / "journal.sqlite"
    if not journal.exists():
        return False
    with closing(sqlite3.connect(journal)) as base:
        try:
            return bool(base.execute("SELECT count(*) FROM events").fetchone()[0])
        except sqlite3.OperationalError:  # the table is not there yet
            return False


def kill_and_resume(raw: dict[str, Any], folder: Path, times: list[float]) -> int:
    """Begin, and go on after every kill, until it ends; how often it was killed."""
    killed = 0
    for after_s in [*times, None]:
        begun = has_begun(folder)
        if folder.exists() and not begun:  # killed before the first event: nothing has happened yet
            shutil.rmtree(folder)
        status = in_child(
            lambda begun=begun: (take_up(folder) if begun else begin(raw, folder)).run() and None,
            after_s,
        )
        killed += os.WIFSIGNALED(status)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return killed


@pytest.mark.parametrize("step", ["grow", "look", "test", "reduce", "simulate"])
def test_driver_killed_in_an_action(tmp_path: Path, performed: Path, step: str) -> None:
    """The irreversible is charged in full and never repeated, the idempotent done again."""
    folder = tmp_path / "run"
    status = in_child(lambda: begin(raw_spec(tmp_path, dies_in=step), folder).run() and None)
    assert os.WIFSIGNALED(status)
    take_up(folder).run()
    told = check(folder, performed)
    lost = (tmp_path / f"performed.{step}").read_text().split()[1]
    if step in {"grow", "look", "test"}:
        assert uncertain(told.state) == [lost]
        assert told.failed() == {f"{step} {lost}": "uncertain"}
        (answer,) = [e for e in told.events if e.kind == "inquired" and e.action_id == lost]
        assert (answer.fate, answer.by) == ("unknown", "worker")
    else:
        assert told.failed() == {}


_TWIN_LASTS_S, _REAL_LASTS_S = 0.1, 0.15
"""How long an action lasts where drivers are killed within 0.15 s: no machine is done before most
kills fall. Real ones last longer, for what a kill loses is charged and a budget ends sooner.
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_driver_killed_at_twenty_moments_twins(tmp_path: Path, seed: int) -> None:
    """Twins are run again: the campaign ends like one that nobody killed."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    expected = whole(raw_twin_spec(tmp_path / "a"), tmp_path / "a" / "run")
    raw = raw_twin_spec(tmp_path / "b", sleep_s=_TWIN_LASTS_S)
    killed = kill_and_resume(raw, tmp_path / "b" / "run", moments(seed, 20, 0.15))
    told = check(tmp_path / "b" / "run")
    assert killed >= 10
    same_course(expected.state, told.state)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_driver_killed_at_twenty_moments_real(tmp_path: Path, performed: Path, seed: int) -> None:
    """Real instruments: what was begun is never begun again, and charged if nobody knows."""
    raw = raw_spec(tmp_path, sleep_s=_REAL_LASTS_S)
    killed = kill_and_resume(raw, tmp_path / "run", moments(seed, 20, 0.15))
    told = check(tmp_path / "run", performed)
    assert killed >= 10
    for action in uncertain(told.state):
        held = next(e for e in told.events if e.kind == "issued" and e.action.id == action)
        lost = next(o for o in told.state.observations if o.action_id == action)
        assert lost.cost_credits == held.commitment.credits
    assert len(uncertain(told.state)) <= killed


def test_two_drivers_on_one_run(tmp_path: Path, performed: Path) -> None:
    """The second is refused and changes nothing; when the first dies, the run can be taken up."""
    folder = tmp_path / "run"
    ready, release = os.pipe()

    def first() -> None:
        for count, _ in enumerate(begin(raw_spec(tmp_path), folder)):
            if count == 4:
                os.write(release, b"x")
                time.sleep(60)

    pid = os.fork()
    if pid == 0:
        try:
            first()
        finally:
            os._exit(1)
    try:
        assert os.read(ready, 1) == b"x"
        with Journal(folder / "journal.sqlite", read_only=True) as journal:
            before = list(journal.rows())
        with pytest.raises(RunFolderError, match=f"process {pid} "):
            take_up(folder).run()
        with pytest.raises(RunFolderError, match="not empty"):
            begin(raw_spec(tmp_path), folder).run()
        with Journal(folder / "journal.sqlite", read_only=True) as journal:
            assert list(journal.rows()) == before
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    take_up(folder).run()
    told = check(folder, performed)
    assert told.resumed() == 1


def test_journal_with_a_cut_last_page(tmp_path: Path, performed: Path) -> None:
    """The end of the write-ahead log is cut: events are forgotten that were already acted on.

    The same decisions come again with the same ids, and the seats' ledgers answer them.
    """
    folder = tmp_path / "run"
    status = in_child(
        lambda: begin(raw_spec(tmp_path, sleep_s=0.01, dies_in="test"), folder).run() and None
    )
    assert os.WIFSIGNALED(status)
    log = folder / "journal.sqlite-wal"
    with Journal(folder / "journal.sqlite", read_only=True) as journal:
        before = len(list(journal.rows()))
    os.truncate(log, log.stat().st_size - 3 * 4120)  # frames: a page of 4096 bytes and its head
    with Journal(folder / "journal.sqlite", read_only=True) as journal:
        after = len(list(journal.rows()))
    assert 0 < after < before
    take_up(folder).run()
    check(folder, performed)


def test_journal_with_a_cut_database_is_refused(tmp_path: Path) -> None:
    """No log to recover from: nothing is done, and the message says what to do."""
    folder = tmp_path / "run"
    whole(raw_spec(tmp_path), folder)
    path = folder / "journal.sqlite"
    os.truncate(path, path.stat().st_size - 4096)
    with pytest.raises(StoreError, match="restore the file"):
        take_up(folder)
