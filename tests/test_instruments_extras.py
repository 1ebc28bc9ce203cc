"""Optional libraries: imported by nobody who does not need them, and missed in clear words."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from probewise.instruments import (
    ArrayServerScope,
    OphydInstrument,
    StemReplay,
    TangoScope,
    UsimScopeTwin,
    serve_array_server,
    serve_tango,
)
from probewise.instruments._claim import Claim
from probewise.workflow import WorkerError

OPTIONAL = ("Pyro5", "bluesky", "event_model", "igor2", "nion", "ophyd_async", "rsciio", "tango")


@pytest.mark.slow
def test_rooms_are_imported_without_them() -> None:
    code = "import sys, probewise.instruments, probewise.campaign; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = {name.partition(".")[0] for name in run.stdout.split()}
    assert not found & set(OPTIONAL)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("dm", lambda _: ArrayServerScope("PYRO:array.server@127.0.0.1:9")),
        ("dm", lambda _: serve_array_server()),
        ("tango", lambda folder: TangoScope("a", "b", "c", str(folder))),
        ("tango", lambda folder: serve_tango(folder).__enter__()),
        ("bluesky", lambda _: OphydInstrument("simulated-point", "y", "x", key="k")),
        ("usim", lambda _: UsimScopeTwin("O: 1")),
        ("files", lambda folder: StemReplay(str(folder / "a.dm4"))),
        ("files", lambda folder: StemReplay(str(folder / "a.ibw"))),
    ],
)
def test_a_missing_extra_is_said_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, make: Callable[[Path], Any]
) -> None:
    there = importlib.import_module

    def missing(module: str, package: str | None = None) -> Any:
        if module.partition(".")[0] in OPTIONAL:
            raise ModuleNotFoundError(f"No module named {module!r}")
        return there(module, package)

    monkeypatch.setattr(importlib, "import_module", missing)
    for suffix in ("dm4", "ibw"):
        (tmp_path / f"a.{suffix}").write_bytes(b"x")
    with pytest.raises(WorkerError) as caught:
        make(tmp_path)
    assert caught.value.remedy == f"pip install 'probewise[{name}]'"
    assert f"extra {name!r}" in caught.value.allowed


@pytest.mark.slow
def test_a_claim_ends_with_the_process_that_holds_it(tmp_path: Path) -> None:
    what = f"test:{tmp_path}"
    code = (
        "import sys, time; from probewise.instruments._claim import Claim;"
        "kept = Claim(sys.argv[1], 'child'); print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, what], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None and child.stdout.readline() == "held\n"
        with pytest.raises(WorkerError, match=f"process {child.pid}"):
            Claim(what, "parent")
    finally:
        child.kill()
        child.wait()
    claim = Claim(what, "parent")
    claim.release()
    claim.release()
