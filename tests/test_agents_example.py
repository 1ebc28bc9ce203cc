"""The example of a third-party package: built, installed beside, registered, conforming, in use."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from probewise.agents import worker_types
from probewise.campaign._campaign import Campaign
from probewise.workflow import WorkerError

SOURCE = Path(__file__).parents[1] / "examples" / "four_point_probe"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example in a folder of its own, put there by its own build, without a network."""
    pytest.importorskip("setuptools", reason="the example's build backend is not installed")
    pytest.importorskip("pip", reason="pip is not installed")
    copy = shutil.copytree(SOURCE, tmp_path_factory.mktemp("source") / SOURCE.name)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--target", str(folder), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def on_path(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(installed))
    importlib.invalidate_caches()


@pytest.mark.usefixtures("on_path")
def test_it_is_registered_under_its_own_name() -> None:
    found = worker_types()["four-point-probe"]
    assert (found.distribution, found.kind.value, found.twin) == (
        "four-point-probe",
        "instrument",
        True,
    )


def test_its_own_tests_pass(installed: Path, tmp_path: Path) -> None:
    """They run apart, as in its own repository; the conformance suite is among them."""
    copy = shutil.copytree(SOURCE, tmp_path / SOURCE.name)
    path = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "skipped" not in done.stdout


@pytest.mark.usefixtures("on_path")
def test_its_campaign_runs_with_its_own_steps() -> None:
    campaign = Campaign.load(SOURCE / "campaign.yaml", policy="random", budget={"credits": 40})
    result = campaign.run()
    steps = {a.step for a in result.state.actions.values()}
    assert steps <= {"touch", "sweep"} and "sweep" in steps
    assert result.recommendation is not None and result.recommendation.unit == "mS"
    assert all(o.failure is None for o in result.state.observations)
    assert 0 < result.state.spent_credits <= 40


def test_without_the_package_the_campaign_says_what_is_missing() -> None:
    with pytest.raises(WorkerError, match="unknown type 'four-point-probe'"):
        Campaign.load(SOURCE / "campaign.yaml", budget={"credits": 20}).run()
