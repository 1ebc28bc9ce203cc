"""``probewise instrument``: list, dry-run, run."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest
from typer.testing import CliRunner

from probewise.campaign._cli import app
from probewise.campaign._cli_instrument import _pair
from probewise.campaign._nsid import dataset_name
from probewise.campaign._store import Hdf5Store
from probewise.instruments import DriverFault, StemTwinDriver, Watchdogs
from probewise.workflow import ArrayRef, StoreError, load_program

PROGRAM = """\
name: spectra_at_edges
commands:
  - load: {sample: film}
  - overview: {pixels: 128, dwell_s: 4.0e-6}
  - detect: {find: edges, count: 6}
  - spectrum: {at: detected, exposure_s: 0.02}
  - blank
"""
LONG = "- load: {sample: film}\n- scan: {rows: 32, columns: 32, dwell_s: 50.0e-6}\n"


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["instrument", *arguments], env={"COLUMNS": "220"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "program.yaml"
    file.write_text(PROGRAM)
    return file


def test_list_shows_the_microscopes_and_no_other_workers() -> None:
    code, shown, _ = run("list")
    assert code == 0
    assert "stem-twin" in shown and "spm-twin" in shown and "spectrum" in shown
    assert "capacitor-twin" not in shown and "landau-theory" not in shown


def test_a_dry_run_tells_commands_time_dose_and_verdicts(program: Path) -> None:
    code, shown, _ = run("dry-run", str(program), "--driver", "stem-twin")
    assert code == 0
    assert "nothing is touched" in shown
    assert "Take spectra at every place of 'detected', 20 ms each" in shown
    assert "600 s" in shown and "electrons" in shown and shown.count("allowed") == 5


def test_a_dry_run_ends_with_1_where_something_would_be_refused(tmp_path: Path) -> None:
    file = tmp_path / "long.yaml"
    file.write_text(LONG + "- set_focus: {defocus_nm: 1.0e+7}\n")
    code, shown, _ = run("dry-run", str(file), "--driver", "stem-twin")
    assert code == 1
    assert "confirm: a dwell of 50 us" in shown and "refused: defocus" in shown


def test_a_run_keeps_arrays_program_and_log(program: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, shown, _ = run("run", str(program), "--driver", "stem-twin", "--out", str(out))
    assert code == 0, shown
    assert load_program(out / "program.yaml") == load_program(program)
    lines = [json.loads(t) for t in (out / "commands.jsonl").read_text().splitlines()]
    assert [x["command"]["verb"] for x in lines] == [
        "load",
        "overview",
        "detect",
        "spectrum",
        "blank",
    ]
    assert lines[3]["outcome"] == "done" and lines[3]["electrons"] > 0
    (file,) = (out / "data").glob("*.h5")
    ref = ArrayRef(
        file=f"data/{file.name}", dataset=dataset_name("spectra"), sha256="", shape=(6, 1024)
    )
    with pytest.raises(StoreError, match="checksum"):
        Hdf5Store(out).get(ref)
    with h5py.File(file) as found:
        spectra = found[dataset_name("spectra")]
        assert isinstance(spectra, h5py.Dataset) and spectra.shape == (6, 1024)
        assert found[dataset_name("overview")].attrs["units"] == "count"


@pytest.mark.parametrize(
    ("name", "driver"),
    [("overview_and_spectra", "stem-twin"), ("along_a_path", "spm-twin")],
)
def test_programs_that_are_shown_run_and_give_data(tmp_path: Path, name: str, driver: str) -> None:
    file = Path(__file__).parents[1] / "examples" / "programs" / f"{name}.yaml"
    code, shown, _ = run("run", str(file), "--driver", driver, "--out", str(tmp_path / "out"))
    assert code == 0, shown
    lines = (tmp_path / "out" / "commands.jsonl").read_text().splitlines()
    assert [json.loads(t)["outcome"] for t in lines] == ["done"] * len(load_program(file).commands)


def test_the_device_of_ophyd_that_is_shown_runs_the_program_that_is_shown(tmp_path: Path) -> None:
    pytest.importorskip("ophyd_async", reason="the extra 'bluesky' is not installed")
    file = Path(__file__).parents[1] / "examples" / "programs" / "point_by_point.yaml"
    parts = ("y=axes.y", "x=axes.x", "detector=counter", "key=sim-counter-channel-1-value")
    config = [a for c in ("device=simulated-point", *parts) for a in ("--config", c)]
    out = str(tmp_path / "out")
    code, shown, _ = run("run", str(file), "--driver", "ophyd", "--out", out, *config)
    assert code == 0, shown
    assert "overview, spectra" in shown


def test_who_watches_sees_quality_and_the_time_left_as_spectra_arrive(tmp_path: Path) -> None:
    file = tmp_path / "line.yaml"
    at = "{line: {start: [20, 20], end: [180, 180], points: 100}}"
    frames = "{at: [[50, 50]], frames: 3, name: frames}"
    file.write_text(f"- load: {{sample: f}}\n- spectrum: {{at: {at}}}\n- spectrum: {frames}\n")
    given = ("run", str(file), "--driver", "stem-twin", "--out")
    code, shown, _ = run(*given, str(tmp_path / "seen"), "--watch")
    assert code == 0, shown
    told = [t for t in shown.splitlines() if t.startswith("spectrum ")]
    assert "of 100: keep" in told[0] and "of 3: keep" in told[-1]
    assert any(t.endswith("left") for t in told) and not told[-1].endswith("left")
    code, shown, _ = run(*given, str(tmp_path / "unseen"))
    assert code == 0 and "of 100" not in shown


def test_a_person_vouches_for_a_long_dwell(tmp_path: Path) -> None:
    file = tmp_path / "long.yaml"
    file.write_text(LONG)
    given = ("run", str(file), "--driver", "stem-twin")
    code, shown, _ = run(*given, "--out", str(tmp_path / "a"))
    assert code == 1 and "a person must vouch" in shown
    code, shown, _ = run(*given, "--out", str(tmp_path / "b"), "--vouch", "Ada")
    assert code == 0 and "confirmed" in shown


def test_limits_and_seeds_are_given_as_config(program: Path, tmp_path: Path) -> None:
    given = ("run", str(program), "--driver", "stem-twin")
    tight = ("--config", "max_exposure_s=0.001")
    code, shown, _ = run(*given, "--out", str(tmp_path / "a"), *tight)
    assert code == 1 and "exposure" in shown
    code, _, wrong = run(*given, "--out", str(tmp_path / "b"), "--config", "max_exposur_s=1")
    assert code == 2 and "max_exposur_s" in wrong


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--driver", "iv-analysis"), "stands on no driver"),
        (("--driver", "nothing"), "no microscope 'nothing'"),
        (("--driver", "stem-twin", "--config", "world_seed"), "KEY=VALUE"),
        (("--driver", "stem-twin", "--config", "max_dwell_s=.nan"), "max_dwell_s=nan"),
        (("--driver", "stem-twin", "--config", "forbidden=[1]"), "limits_file"),
    ],
)
def test_what_is_no_microscope_is_refused(
    program: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    code, _, wrong = run("run", str(program), "--out", str(tmp_path / "o"), *arguments)
    assert code == 2
    assert said in wrong and "remedy" in wrong


def test_a_config_that_only_looks_like_yaml_is_a_text(tmp_path: Path) -> None:
    """Compositions and sample names, as one writes them."""
    assert _pair("composition=O: 3; Bi: 1 - sm") == ("composition", "O: 3; Bi: 1 - sm")
    assert _pair("composition=Fe: 1") == ("composition", "Fe: 1")
    assert _pair("sample=2024-01-31") == ("sample", "2024-01-31")
    assert _pair("max_dwell_s=1.0e-3") == ("max_dwell_s", 1.0e-3)
    assert _pair("forbidden=[1]") == ("forbidden", [1])


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("place_beam: {at: [[50, 50]]}", "[y, x] in nm"),
        ("place_beam: {at: [1, 2, 3]}", "[y, x] in nm"),
        ("spectrum: {at: [[1, 2, 3]]}", "[y, x] in nm"),
        ("spectrum: {at: []}", "none or several of these at once"),
    ],
)
def test_a_wrong_place_is_told_with_its_command_and_form(
    tmp_path: Path, command: str, said: str
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(f"- load: {{sample: film}}\n- {command}\n")
    code, _, wrong = run("dry-run", str(file), "--driver", "stem-twin")
    assert code == 2
    assert said in wrong and "command 2" in wrong


def test_a_folder_that_cannot_be_made_is_named(program: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    out = tmp_path / "file" / "run"
    code, _, wrong = run("run", str(program), "--driver", "stem-twin", "--out", str(out))
    assert code == 2 and "file/run" in wrong and "remedy" in wrong


@pytest.fixture
def heeded() -> Iterator[None]:
    """Ctrl-C as a terminal's programs know it; those begun in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_measured_before_ctrl_c_is_kept_and_the_beam_blanked(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def pressed(self: Watchdogs, command: Any, *rest: Any) -> None:
        if command.verb == "spectrum":
            signal.raise_signal(number)

    monkeypatch.setattr(Watchdogs, "after", pressed)
    out = tmp_path / "o"
    code, _, _ = run("run", str(program), "--driver", "stem-twin", "--out", str(out))
    assert code == 130
    told = [json.loads(line) for line in (out / "commands.jsonl").read_text().splitlines()]
    assert told[-1]["command"]["verb"] == "blank" and told[-1]["outcome"] == "done"
    assert told[-1]["who"] == "instrument run, after an interruption"
    assert list((out / "data").glob("*.h5"))
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_nothing_is_overwritten(program: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    code, _, wrong = run("run", str(program), "--driver", "stem-twin", "--out", str(tmp_path))
    assert code == 2 and "new folder" in wrong


def test_an_instrument_that_does_not_tell_its_state_is_a_complaint(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mute(driver: object) -> None:
        raise DriverFault("instrument", "the server is gone", "start it again")

    monkeypatch.setattr(StemTwinDriver, "state", mute)
    code, _, said = run("dry-run", str(program), "--driver", "stem-twin")
    assert code == 2 and "the server is gone" in said and "start it again" in said
