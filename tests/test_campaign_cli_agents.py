"""The commands ``agents list`` and ``agents new``, and how commands complain."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from probewise.campaign._cli_agents import agents_app
from probewise.campaign._cli_errors import EXIT_CODE, complain
from probewise.workflow import WorkerError

WIDE = {"COLUMNS": "200"}


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(agents_app, list(arguments), env=WIDE)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def row(table: str, name: str) -> str:
    (found,) = [line for line in table.splitlines() if f" {name} " in line]
    return found


def test_list_shows_every_type_with_what_it_is() -> None:
    code, shown, _ = run("list")
    assert code == 0
    assert "twin" in row(shown, "pfm-twin") and "load_sample" in row(shown, "pfm-twin")
    assert "computation" in row(shown, "landau-theory")
    assert "replay" in row(shown, "iv-replay")
    assert "depends on the config" in row(shown, "limits-guardian")
    assert "real" in row(shown, "real-echo") and "depends on the device" in row(shown, "real-echo")


def test_list_goes_on_past_a_broken_registration() -> None:
    _, shown, _ = run("list")
    assert "cannot be imported" in shown and "gone" in shown


def test_new_writes_two_files_and_says_how_to_go_on(tmp_path: Path) -> None:
    code, shown, _ = run("new", "my_afm", "--kind", "theory", "--folder", str(tmp_path))
    assert code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my_afm.py", "test_my_afm.py"]
    assert 'my-afm = "my_afm:MyAfm"' in shown
    assert '[project.entry-points."probewise.workers"]' in shown


def test_new_complains_with_code_2_and_no_traceback(tmp_path: Path) -> None:
    run("new", "my_afm", "--folder", str(tmp_path))
    code, shown, complaint = run("new", "my_afm", "--folder", str(tmp_path))
    assert (code, shown) == (EXIT_CODE, "") == (2, "")
    assert "remedy:" in complaint and "Traceback" not in complaint


def test_complain_keeps_brackets_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        complain(WorkerError("me", "[red]", "['a']", "write [1]"))
    assert caught.value.exit_code == 2
    shown = capsys.readouterr().err
    assert "me: [red]" in shown and "['a']" in shown and "write [1]" in shown
