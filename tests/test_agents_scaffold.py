"""What ``probewise agents new`` writes works as it stands; and it overwrites nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from probewise.agents import new_worker
from probewise.workflow import WorkerError

KINDS = ("instrument", "analysis", "theory", "synthesis")


@pytest.mark.slow
def test_worker_and_test_of_every_kind_pass_as_they_stand(tmp_path: Path) -> None:
    for kind in KINDS:
        worker, test = new_worker(f"my-{kind}", kind, tmp_path / kind)
        assert (worker.name, test.name) == (f"my_{kind}.py", f"test_my_{kind}.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "."],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 passed" in done.stdout


def test_both_files_keep_the_house_style(tmp_path: Path) -> None:
    for kind in KINDS:
        new_worker(f"my_{kind}", kind, tmp_path)
    config = Path(__file__).parents[1] / "pyproject.toml"
    ruff = [sys.executable, "-m", "ruff"]
    # How imports are sorted depends on the folder that the files end up in.
    for command in (["check", "--ignore", "I001"], ["format", "--check"]):
        done = subprocess.run(
            [*ruff, *command, "--config", str(config), "--no-cache", "."],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        if "No module named ruff" in done.stderr:
            pytest.skip("ruff is not installed")
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("there", ["my_afm.py", "test_my_afm.py"])
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("precious")
    with pytest.raises(WorkerError, match="choose another name or folder"):
        new_worker("my_afm", "instrument", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "precious"


@pytest.mark.parametrize(
    "name",
    ["", "My_afm", "1afm", "../afm", "afm.py", "afm-", "a b", "class", "a" * 61, "afm\n", "äfm"],
)
def test_names_that_cannot_be_modules_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WorkerError, match="small letters"):
        new_worker(name, "instrument", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["guardian", "human", ""])
def test_other_kinds_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(WorkerError, match="'instrument', 'analysis', 'theory', 'synthesis'"):
        new_worker("my_afm", kind, tmp_path)
