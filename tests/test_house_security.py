"""What must not happen: code from files, ways out of the run folder, secrets on the disk."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError
from support_campaigns import PeakTwin, raw_spec, registered, shrink, spec_of, untrack

import probewise
from probewise.agents import make_worker
from probewise.agents._secrets import PREFIX, reveal
from probewise.campaign import Campaign, Hdf5Store, load_spec
from probewise.campaign._channel import TOKEN
from probewise.campaign._finish import finish
from probewise.campaign._inbox import FolderInbox
from probewise.campaign._load_spec import read_step_values
from probewise.campaign._serve import server_token
from probewise.campaign._webhook import WEBHOOK
from probewise.instruments import StemTwin
from probewise.instruments._recording_files import load_recording
from probewise.workflow import (
    ArrayRef,
    ProbewiseError,
    SpecError,
    WorkerSpec,
    load_program,
    parse_unit,
)

ROOT = Path(probewise.__file__).parent
ROOMS = ("agents", "analysis", "campaign", "instruments", "matter", "planner", "synthesis",
         "theory", "workflow")  # fmt: skip
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
BANNED_CALLS = {"eval", "exec", "compile", "__import__", "system", "popen"}
BANNED_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
MAY_PICKLE = {"_conformance.py"}
"""Pickles in memory what a worker gave, and reads it back at once; no file, no wire."""


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with (
        registered(tmp_path_factory.mktemp("installed")),
        pytest.MonkeyPatch.context() as patch,
    ):
        shrink(patch.setattr)
        untrack(patch.setattr)
        yield


def called(node: ast.Call) -> str:
    function = node.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


@pytest.mark.slow
def test_no_source_runs_text_or_reads_pickles() -> None:
    assert len(SOURCES) > 100
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            where = f"{path.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call):
                regex = (
                    isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "re"
                )
                assert called(node) not in BANNED_CALLS or regex, where
                words = {k.arg: ast.unparse(k.value) for k in node.keywords}
                assert words.get("shell") != "True", where
                assert words.get("allow_pickle") != "True", where
                text = ast.unparse(node.func)
                assert text not in {"yaml.load", "yaml.unsafe_load", "torch.load"}, where
            if isinstance(node, ast.Import | ast.ImportFrom) and path.name not in MAY_PICKLE:
                names = {a.name.split(".")[0] for a in node.names}
                names.add((getattr(node, "module", "") or "").split(".")[0])
                assert not names & BANNED_MODULES, where


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch {mark}']",
        "name: !!python/object/new:subprocess.Popen [['touch', '{mark}']]",
        "workers: {{a: !!python/name:os.system }}",
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "\n".join(f"{b}: &{b} [{', '.join(['*' + a] * 9)}]" for a, b in pairwise("abcdefg")),
        "a: &a [*a]",
        "\x00",
        "[" * 5000,
    ],
)  # fmt: skip
def test_hostile_yaml_is_refused_and_runs_nothing(tmp_path: Path, text: str) -> None:
    mark, path = tmp_path / "mark", tmp_path / "campaign.yaml"
    path.write_text(text.format(mark=mark))
    with pytest.raises(SpecError):
        load_spec(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "kind", ["os:system", "os.system", "subprocess", "../../evil", "support_campaigns:PeakTwin"]
)
def test_workers_and_truths_come_from_registered_names_only(tmp_path: Path, kind: str) -> None:
    raw = raw_spec()
    raw["workers"]["eye"]["type"] = kind
    path = tmp_path / "campaign.yaml"
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(ProbewiseError, match=r"type|unknown"):
        Campaign(load_spec(path)).run()
    raw = raw_spec(truth=kind)
    with pytest.raises(ProbewiseError, match="truth"):
        Campaign(spec_of(raw)).truth()


@pytest.mark.parametrize("name", ["../up", "a/b", "/etc/x", "a\\b", "..", "a\n", ""])
def test_names_cannot_be_paths(name: str) -> None:
    for change in ({"name": name}, {"specimens": {name: {}}}, {"workers": {name: {"type": "x"}}}):
        with pytest.raises(ValidationError):
            spec_of(raw_spec(**change))


@pytest.mark.parametrize("file", ["../x.h5", "/etc/passwd", "data/../../x", "a\\..\\x", "", "a\0b"])
def test_references_to_arrays_stay_inside(file: str) -> None:
    with pytest.raises(ValidationError, match="inside the run folder"):
        ArrayRef(file=file, dataset="d", sha256="", shape=(1,))


def test_a_link_does_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "outside.h5").write_bytes(b"x")
    run = tmp_path / "run"
    (run / "data").mkdir(parents=True)
    (run / "data" / "a.h5").symlink_to(tmp_path / "outside.h5")
    with pytest.raises(ProbewiseError, match="leaves the run folder"):
        Hdf5Store(run).get(ArrayRef(file="data/a.h5", dataset="d", sha256="", shape=(1,)))


@pytest.mark.parametrize(
    "unit", ["9**9**9**9", "2**(10**10)", "m**2**9", "m**1000", "1e999*m", "m*" * 100 + "m",
             "__import__('os').getcwd()"],
)  # fmt: skip
def test_units_are_names_and_no_sums_to_work_out(unit: str) -> None:
    with pytest.raises(SpecError):
        parse_unit(unit)


# -- secrets --------------------------------------------------------------------------------------


def test_a_secret_in_a_specification_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    for key in ("password", "api_key", "afm_token"):
        raw = raw_spec()
        raw["workers"]["eye"]["config"][key] = "hunter2"
        path.write_text(yaml.safe_dump(raw))
        with pytest.raises(SpecError, match=r"\$secret:NAME") as caught:
            load_spec(path)
        assert "hunter2" not in str(caught.value)


def test_a_worker_is_given_what_the_environment_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = WorkerSpec(type="peak-twin", config={"capabilities": "$secret:WORDS"})
    with pytest.raises(ProbewiseError, match=f"{PREFIX}WORDS"):
        make_worker(spec, "eye")
    monkeypatch.setenv(f"{PREFIX}WORDS", "look-at-this-hidden-place")
    worker = make_worker(spec, "eye")
    assert [o.capability for o in worker.offers()] == ["look-at-this-hidden-place"]
    others = {str(n): t for n, t in enumerate(("$secret:../X", "$secret:HOME ", "$HOME", "$X"))}
    assert reveal(others, "eye") == others


@pytest.mark.slow
def test_no_secret_gets_into_a_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when a worker shouts it out in a failure."""
    secrets = {
        f"{PREFIX}LOG": "s3cret-of-the-worker",
        TOKEN: "s3cret-of-the-control-server",
        WEBHOOK: "http://127.0.0.1:9/s3cret-of-the-webhook",
        "RAY_AUTH_TOKEN": "s3cret-of-ray-0123456789",
        "MLFLOW_TRACKING_PASSWORD": "s3cret-of-mlflow",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)

    def shout(self: PeakTwin, job: object) -> None:
        raise OSError(f"cannot log in with {self._log}")

    monkeypatch.setattr(PeakTwin, "perform", shout)
    raw = raw_spec(budget={"credits": 20})
    raw["workers"]["rig"]["config"]["log"] = "$secret:LOG"
    folder = tmp_path / "run"
    campaign = Campaign(
        spec_of(raw), out=folder, tracking_uri="http://me:s3cret-in-uri@127.0.0.1:9"
    )
    campaign.run()
    finish(campaign, folder)
    assert server_token(folder)[0] == secrets[TOKEN]
    FolderInbox(folder / "control")
    failures = [o.failure.message for o in campaign.state.observations if o.failure is not None]
    assert failures and all("cannot log in with ***" in m for m in failures)
    files = [p for p in folder.rglob("*") if p.is_file()]
    assert {"journal.sqlite", "summary.json", "status.json"} <= {p.name for p in files}
    for path in files:
        assert b"s3cret" not in path.read_bytes(), path


def test_the_servers_own_token_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    folder = tmp_path / "run"
    Campaign(spec_of(raw_spec(budget={"credits": 9})), out=folder).run()
    first, path = server_token(folder)
    assert path is not None and path.stat().st_mode & 0o777 == 0o600 and len(first) == 64
    assert server_token(folder) == (first, path), "it stays"
    assert os.stat(folder / "control").st_mode & 0o077 == 0
    assert first not in json.dumps([str(p) for p in folder.rglob("*")])


FOREIGN = {
    "passwords": "HIDDEN:x:0:0:HIDDEN:/root:/bin/sh\nother HIDDEN:x:1\n",
    "a mapping": "hidden_key: HIDDEN\nother: {key: HIDDEN}\n",
    "a list": "[HIDDEN, HIDDEN]\n",
    "broken": "name: [HIDDEN\n: : HIDDEN {{\n",
    "a tag": "a: !HIDDEN b\n",
    "an alias": "a: *HIDDEN\n",
}


@pytest.mark.parametrize("text", FOREIGN.values(), ids=list(FOREIGN))
def test_of_a_file_that_is_another_nothing_is_told(tmp_path: Path, text: str) -> None:
    for name in ("foreign", "foreign.h5", "foreign.dm4"):
        (tmp_path / name).write_text(text)
    path = tmp_path / "foreign"
    readers: dict[str, Callable[[], object]] = {
        "limits_file": lambda: StemTwin(limits_file=path),
        "program": lambda: load_program(path),
        "campaign": lambda: load_spec(path),
        "step values": lambda: read_step_values(path),
        "recording": lambda: load_recording(tmp_path / "foreign.h5"),
    }
    if importlib.util.find_spec("rsciio") is not None:
        readers["vendor's"] = lambda: load_recording(tmp_path / "foreign.dm4")
    for name, read in readers.items():
        with pytest.raises(ProbewiseError) as caught:
            read()
        assert "hidden" not in str(caught.value).lower(), f"{name}: {caught.value}"
        assert str(path) in str(caught.value) or "foreign" in str(caught.value)


def test_a_limit_that_is_misspelt_in_its_file_is_told_without_its_value(tmp_path: Path) -> None:
    path = tmp_path / "limits.yaml"
    path.write_text("max_dwel_s: 12345\n")
    with pytest.raises(SpecError, match="did you mean 'max_dwell_s'") as caught:
        StemTwin(limits_file=path)
    assert "12345" not in str(caught.value)
    with pytest.raises(SpecError, match="which is no file"):
        StemTwin(limits_file="/dev/zero")
