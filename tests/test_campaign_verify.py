"""Tampering is found, and where: rows, the end of the journal, arrays, files."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import pytest
from support_campaigns import LOOK, TEST, raw_spec, registered, shrink, spec_of, untrack
from typer.testing import CliRunner

from probewise.campaign import Campaign, Journal
from probewise.campaign._chain import link
from probewise.campaign._cli import app
from probewise.campaign._finish import finish
from probewise.campaign._journal import Head
from probewise.campaign._verify import verify
from probewise.workflow import RunFolderError, StoreError

RAW = raw_spec(budget={"credits": 60})
RAW["workflow"] = RAW["workflow"] | {"steps": [LOOK, TEST | {"records": "trace [V]"}]}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run with arrays."""
    with (
        registered(tmp_path_factory.mktemp("installed")),
        pytest.MonkeyPatch.context() as patch,
    ):
        shrink(patch.setattr)
        untrack(patch.setattr)
        patch.setattr("probewise.campaign._report._pictures", lambda *anything: ([], ""))
        folder = tmp_path_factory.mktemp("runs") / "run"
        campaign = Campaign(spec_of(RAW), out=folder)
        campaign.run()
        finish(campaign, folder)
        yield folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy that may be spoiled."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


Forge = Callable[[sqlite3.Connection], object]


def forge(run: Path, change: Forge) -> None:
    """As somebody would who knows SQLite: away with the triggers first."""
    with sqlite3.connect(run / "journal.sqlite") as db:
        for name in ("events_no_update", "events_no_delete", "events_no_replace"):
            db.execute(f"DROP TRIGGER {name}")
        change(db)
        db.commit()
    db.close()


def faults(run: Path, noted: Head | None = None) -> list[tuple[str, str]]:
    return [(f.where, f.what) for f in verify(run, noted).findings if f.fault]


def test_a_run_that_nobody_touched_is_sound(whole: Path) -> None:
    found = verify(whole)
    assert found.sound and not found.findings
    assert found.arrays > 3 and found.events > 20
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["journal"] == {"events": found.events, "head": found.head}


def test_an_altered_row_is_named(run: Path) -> None:
    forge(
        run, lambda db: db.execute("UPDATE events SET body = replace(body, '1', '2') WHERE seq=9")
    )
    found = faults(run)
    assert [where for where, _ in found] == ["journal.sqlite, event 9"]
    assert "altered" in found[0][1]
    with Journal(run / "journal.sqlite") as journal, pytest.raises(StoreError, match="event 9"):
        list(journal.events())


@pytest.mark.parametrize("column, value", [("hour", "0.125"), ("wall", "'2020-01-01'")])
def test_times_belong_to_the_row(run: Path, column: str, value: str) -> None:
    forge(run, lambda db: db.execute(f"UPDATE events SET {column} = {value} WHERE seq = 7"))
    assert [where for where, _ in faults(run)] == ["journal.sqlite, event 7"]


def test_a_row_with_a_new_link_betrays_itself_in_the_next(run: Path) -> None:
    def change(db: sqlite3.Connection) -> None:
        before = db.execute("SELECT link FROM events WHERE seq = 8").fetchone()[0]
        row = db.execute("SELECT seq, hour, wall, kind, body FROM events WHERE seq=9").fetchone()
        seq, hour, wall, kind, body = row
        body = body.replace("1", "2")
        new = link(before, seq, hour, wall, kind, body)
        db.execute("UPDATE events SET body = ?, link = ? WHERE seq = 9", (body, new))

    forge(run, change)
    assert [where for where, _ in faults(run)] == ["journal.sqlite, event 10"]


def test_a_journal_written_anew_is_told_by_what_was_noted_elsewhere(run: Path) -> None:
    kept = verify(run)

    def change(db: sqlite3.Connection) -> None:
        last = db.execute("SELECT link FROM events WHERE seq = 8").fetchone()[0]
        rows = db.execute("SELECT seq, hour, wall, kind, body FROM events WHERE seq > 8").fetchall()
        for seq, hour, wall, kind, body in rows:
            body = body + " " if seq == 9 else body
            last = link(last, seq, hour, wall, kind, body)
            db.execute("UPDATE events SET body = ?, link = ? WHERE seq = ?", (body, last, seq))

    forge(run, change)
    places = {where for where, _ in faults(run)}
    assert places == {f"journal.sqlite, event {kept.events}"}
    (run / "summary.json").unlink()
    shutil.rmtree(run / "control")
    assert faults(run) == [], "who can write everything can forge everything,"
    found = faults(run, Head(kept.events, kept.head))
    assert "written anew" in found[0][1], "except for what lies elsewhere"


@pytest.mark.parametrize("gone, named", [("= 5", "event 5"), ("BETWEEN 5 AND 7", "event 5 to 7")])
def test_missing_rows_are_named(run: Path, gone: str, named: str) -> None:
    forge(run, lambda db: db.execute(f"DELETE FROM events WHERE seq {gone}"))
    assert faults(run) == [(f"journal.sqlite, {named}", "missing")]


@pytest.mark.parametrize("keeps", ["summary.json", "control/status.json"])
def test_a_cut_end_is_found_by_what_was_noted(run: Path, keeps: str) -> None:
    other = {"summary.json", "control/status.json"} - {keeps}
    (run / other.pop()).unlink()
    last = verify(run).events
    forge(run, lambda db: db.execute(f"DELETE FROM events WHERE seq > {last - 2}"))
    found = dict(faults(run))
    told = found["journal.sqlite, end"]
    assert f"{last} events" in told and f"{last - 2} are there" in told


def test_an_altered_array_a_missing_file_and_a_strange_one_are_named(run: Path) -> None:
    files = sorted((run / "data").glob("*.h5"))
    with h5py.File(files[0], "r+") as file:
        data = file["Measurement_000/Channel_000/trace/trace"]
        assert isinstance(data, h5py.Dataset)
        data[1] = data[1] + 1e-9
    files[1].unlink()
    files[2].write_bytes(files[2].read_bytes()[:-100])
    shutil.copy(files[3], run / "data" / "a99999-test.h5")
    found = dict(faults(run))
    places = {where.split(",")[0]: what for where, what in found.items()}
    assert "checksum" in places[f"data/{files[0].name}"]
    assert places[f"data/{files[1].name}"] == "missing"
    assert f"data/{files[2].name}" in places
    assert "no event" in places["data/a99999-test.h5"]
    assert len(places) == 4


def test_another_specification_is_found(run: Path) -> None:
    text = (run / "campaign.yaml").read_text()
    (run / "campaign.yaml").write_text(text.replace("credits: 60", "credits: 6000"))
    assert [where for where, _ in faults(run)] == ["campaign.yaml"]


def test_a_damaged_file_is_a_finding(run: Path) -> None:
    path = run / "journal.sqlite"
    content = bytearray(path.read_bytes())
    content[5000:9000] = b"\0" * 4000
    path.write_bytes(content)
    assert not verify(run).sound


def test_what_a_killed_process_leaves_is_only_noted(run: Path) -> None:
    (run / "data" / ".a1-look.h5.x.part").write_bytes(b"half")
    found = verify(run)
    assert found.sound and len(found.findings) == 1


def test_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError):
        verify(tmp_path)


def test_the_command_says_what_is_wrong(run: Path) -> None:
    good = CliRunner().invoke(app, ["verify", str(run)])
    assert good.exit_code == 0 and "sound" in good.stdout
    head = good.stdout.split("head ")[1].split()[0]
    assert CliRunner().invoke(app, ["verify", str(run), "--head", head]).exit_code == 0
    forge(run, lambda db: db.execute("DELETE FROM events WHERE seq = 3"))
    bad = CliRunner().invoke(app, ["verify", str(run)])
    assert bad.exit_code == 1
    assert "WRONG  journal.sqlite, event 3: missing" in bad.stdout
