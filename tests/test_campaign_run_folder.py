from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from probewise.campaign._journal import Journal
from probewise.campaign._run_folder import RunFolder, move_aside, write_atomically
from probewise.workflow import RunFolderError

HOLD = """
import sys, time
from probewise.campaign._run_folder import RunFolder
run = RunFolder.open(sys.argv[1])
print("locked", flush=True)
time.sleep(60)
"""


def begun(path: Path) -> Path:
    with RunFolder.create(path) as run:
        Journal(run.journal_path).close()
    return path


def test_create_makes_the_folder_and_its_data(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "a" / "run") as run:
        assert run.writable
        assert run.data_path.is_dir()
    assert not run.writable


def test_a_folder_with_something_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(RunFolderError, match="not empty"):
        RunFolder.create(tmp_path)
    with pytest.raises(RunFolderError, match="not a run"):
        move_aside(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(RunFolderError, match="a file"):
        RunFolder.create(tmp_path / "run")


def test_moving_aside_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "run"
    assert move_aside(path) is None
    (tmp_path / "run-2").mkdir()
    for expected in ("run-1", "run-3"):
        begun(path)
        (path / "mark").write_text(expected)
        moved = move_aside(path)
        assert moved is not None and moved == tmp_path / expected
        assert (moved / "mark").read_text() == expected
        assert not path.exists()
    assert not any((tmp_path / "run-2").iterdir())


def test_opening_what_is_no_run_says_so(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        for opening in (RunFolder.open, RunFolder.read):
            with pytest.raises(RunFolderError, match="start a new run"):
                opening(path)


def test_a_second_owner_is_refused_and_a_reader_is_not(tmp_path: Path) -> None:
    path = begun(tmp_path / "run")
    with RunFolder.open(path):
        with pytest.raises(RunFolderError, match=f"process {os.getpid()}"):
            RunFolder.open(path)
        with pytest.raises(RunFolderError, match="already in use"):
            move_aside(path)
        assert not RunFolder.read(path).writable
    RunFolder.open(path).close()


@pytest.mark.slow
def test_the_lock_of_another_process_names_it_and_dies_with_it(tmp_path: Path) -> None:
    path = begun(tmp_path / "run")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
        with pytest.raises(RunFolderError, match=f"process {holder.pid} on "):
            RunFolder.open(path)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    RunFolder.open(path).close()


def test_opening_sweeps_up_torn_files(tmp_path: Path) -> None:
    path = begun(tmp_path / "run")
    torn, whole = path / "data" / ".a.h5.xyz.part", path / "data" / "a.h5"
    torn.write_bytes(b"half")
    whole.write_bytes(b"whole")
    RunFolder.open(path).close()
    assert not torn.exists() and whole.exists()


def test_atomic_writing_replaces_and_leaves_no_crumbs(tmp_path: Path) -> None:
    target = tmp_path / "summary.json"
    write_atomically(target, "one")
    write_atomically(target, "zwei µ")
    assert target.read_text("utf-8") == "zwei µ"
    assert [p.name for p in tmp_path.iterdir()] == ["summary.json"]
