from __future__ import annotations

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support_events import Story, campaign

from probewise.campaign._journal import Journal, replay
from probewise.workflow import Budget, Event, Resumed, RunFolderError, State, StoreError

STORY = campaign()

WRITE = """
import sys
from probewise.campaign._journal import Journal
from probewise.workflow import Resumed
journal = Journal(sys.argv[1])
hour = 0
while True:
    journal.append(Resumed(hour=hour), Resumed(hour=hour + 0.5))
    print(hour, flush=True)
    hour += 1
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def filled(path: Path, events: list[Event] = STORY.events) -> Path:
    with Journal(path) as journal:
        journal.append(*events)
    return path


def test_every_kind_of_event_comes_back_equal_and_in_order(path: Path) -> None:
    assert len({e.kind for e in STORY.events}) == 8
    with Journal(filled(path)) as journal:
        assert list(journal.events()) == STORY.events


def test_rows_number_events_and_say_when_they_were_written(path: Path) -> None:
    with Journal(path) as journal:
        assert journal.append() == 0
        assert journal.append(Resumed(hour=1), Resumed(hour=2)) == 2
        assert journal.append(Resumed(hour=3)) == 3
        rows = list(journal.rows())
    assert [r.seq for r in rows] == [1, 2, 3]
    assert rows[0].wall == rows[1].wall <= rows[2].wall
    assert abs(rows[2].wall - datetime.now(UTC)) < timedelta(minutes=5)


def test_the_tail_starts_after_a_number(path: Path) -> None:
    with Journal(filled(path)) as journal:
        assert journal.tail(0) == STORY.events
        assert journal.tail(len(STORY.events) - 2) == STORY.events[-2:]
        assert journal.tail(len(STORY.events)) == []


def test_reading_goes_on_over_many_portions(path: Path) -> None:
    events: list[Event] = [Resumed(hour=h) for h in range(1203)]
    with Journal(filled(path, events)) as journal:
        assert list(journal.events()) == events


def test_replaying_gives_the_state_that_was(path: Path) -> None:
    now = STORY.state
    empty = State(
        workflow=now.workflow,
        goal=now.goal,
        budget=Budget.model_validate(STORY.spec["budget"]),
        capacity=now.capacity,
        offers=now.offers,
    )
    with Journal(filled(path)) as journal:
        assert replay(empty, journal.events()) == now


def test_events_can_neither_be_changed_nor_deleted_nor_replaced(path: Path) -> None:
    filled(path)
    with sqlite3.connect(path) as db:
        for statement in (
            "UPDATE events SET hour = 0",
            "DELETE FROM events",
            "REPLACE INTO events SELECT 1, hour, wall, kind, body, link FROM events WHERE seq = 2",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(statement)
    with Journal(path) as journal:
        assert list(journal.events()) == STORY.events


def test_a_group_is_written_whole_or_not_at_all(path: Path) -> None:
    with Journal(path) as journal:
        with pytest.raises(AttributeError):
            journal.append(Resumed(hour=1), "no event")  # type: ignore[arg-type]
        assert journal.tail(0) == []
        journal.append(Resumed(hour=1))
        assert len(journal.tail(0)) == 1


@pytest.mark.slow
def test_what_was_appended_outlives_a_kill(path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(20)]
    writer.kill()
    acknowledged += [int(line) for line in writer.communicate()[0].splitlines()]
    with Journal(path) as journal:
        hours = [e.hour for e in journal.events()]
    assert len(hours) % 2 == 0 and len(hours) >= 2 * len(acknowledged)
    assert hours == [i / 2 for i in range(len(hours))]


@pytest.mark.parametrize("size", [0, 100, 4096, 20_000])
def test_a_cut_file_is_refused(path: Path, size: int) -> None:
    filled(path)
    assert path.stat().st_size > 20_000
    with path.open("r+b") as file:
        file.truncate(size)
    with pytest.raises(StoreError, match="Remedy: restore"):
        Journal(path)


def test_foreign_files_are_refused(path: Path) -> None:
    path.write_text("name: sm-bfo\n" * 500)
    with pytest.raises(StoreError, match="not a database"):
        Journal(path)
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE events (seq INTEGER)")
    with pytest.raises(StoreError, match="something else"):
        Journal(path)


def test_another_version_is_refused(path: Path) -> None:
    filled(path)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="version 99"):
        Journal(path)


def test_a_missing_or_unreadable_event_is_found(path: Path) -> None:
    with sqlite3.connect(filled(path)) as db:
        db.execute("DROP TRIGGER events_no_delete")
        db.execute("DROP TRIGGER events_no_update")
        db.execute('UPDATE events SET body = \'{"kind": "observed"}\' WHERE seq = 9')
    with Journal(path) as journal, pytest.raises(StoreError, match="event 9 is not what was"):
        list(journal.events())
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM events WHERE seq = 9")
    with Journal(path) as journal, pytest.raises(StoreError, match="event 9 is missing"):
        list(journal.events())


def test_a_locked_file_names_the_trouble(path: Path) -> None:
    filled(path)
    with Journal(path, busy_timeout_s=0.05) as journal:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunFolderError, match="held by another process"):
            journal.append(Resumed(hour=1))
        other.execute("ROLLBACK")
        other.close()
        assert journal.append(Resumed(hour=1)) == len(STORY.events) + 1


def test_a_reader_sees_a_running_campaign_and_cannot_write(path: Path) -> None:
    with pytest.raises(StoreError, match="no such file"):
        Journal(path, read_only=True)
    with Journal(path) as writer, Journal(path, read_only=True) as reader:
        writer.append(Resumed(hour=1))
        assert len(reader.tail(0)) == 1
        writer.append(Resumed(hour=2))
        assert len(reader.tail(1)) == 1
        with pytest.raises(StoreError, match="readonly"):
            reader.append(Resumed(hour=3))
    with Journal(path, read_only=True) as reader:
        assert len(reader.tail(0)) == 2


def test_a_run_keeps_its_name(path: Path) -> None:
    with Journal(path) as journal:
        name = journal.run_id
    moved = path.rename(path.with_name("elsewhere.sqlite"))
    with Journal(moved) as journal:
        assert journal.run_id == name
    with Journal(path) as other:
        assert other.run_id != name


def test_an_interrupted_story_replays(path: Path) -> None:
    story = Story()
    action = story.decide("simulate_landau")
    assert action is not None
    story.issue(action)
    with Journal(filled(path, story.events)) as journal:
        state = replay(Story().state, journal.events())
    assert list(state.running) == [action.id]


def test_a_process_killed_while_it_makes_a_journal_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.sqlite"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", killed)
        Journal(path)
    assert not path.exists() and any(tmp_path.iterdir())
    with Journal(path) as journal:
        assert journal.run_id and journal.head.seq == 0
    assert [p.name for p in tmp_path.iterdir()] == ["journal.sqlite"]
