"""The way to a new instrument: the example package, and the one that the guide leads to."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from probewise.agents import new_worker, worker_types
from probewise.campaign._campaign import Campaign
from probewise.workflow import WorkerError

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "examples" / "four_point_probe"


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


@pytest.mark.slow
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


def test_the_guide_leads_to_a_campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its campaign file and its registration, word for word, with the worker from the template."""
    guide = (ROOT / "docs" / "add-an-instrument.md").read_text()
    (campaign,) = re.findall(r"```yaml\n(name: first-light.*?)```", guide, flags=re.DOTALL)
    (registration,) = re.findall(r"```toml\n(.*?)```", guide, flags=re.DOTALL)
    new_worker("my_afm", "instrument", tmp_path)
    info = tmp_path / "my_afm_station-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-afm-station\nVersion: 0\n")
    points = tomllib.loads(registration)["project"]["entry-points"]["probewise.workers"]
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[probewise.workers]", *lines]))
    (tmp_path / "first-light.yaml").write_text(campaign)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    result = Campaign.load(tmp_path / "first-light.yaml", policy="random").run()
    assert [o.failure for o in result.state.observations].count(None) >= 4
    assert result.recommendation is not None and set(result.recommendation.design) == {"bias_V"}
