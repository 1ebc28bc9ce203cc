"""The house: packages, wheel, entry points, light imports, and the way it is linked for tools."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
HEAVY = {"botorch", "gpytorch", "matplotlib", "mlflow", "ray", "sklearn", "skimage", "torch"}


def rooms(folder: Path = ROOT, name: str = "probewise") -> set[str]:
    """What Python would import as packages: folders with an ``__init__.py``, from the root down."""
    inner = [p.parent for p in folder.glob("[a-z]*/__init__.py")]
    return {name}.union(*(rooms(p, f"{name}.{p.name}") for p in inner))


def test_listed_packages_are_the_folders() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted(rooms())
    assert SETUPTOOLS["packages"] == sorted(SETUPTOOLS["packages"])


def test_tests_and_root_hold_no_modules_of_the_package() -> None:
    assert not (ROOT / "tests" / "__init__.py").exists()
    assert not (ROOT / "conftest.py").exists()
    assert [p.name for p in ROOT.glob("*.py")] == ["__init__.py"]


def test_every_room_has_its_layer() -> None:
    names = {p.split(".")[1] for p in SETUPTOOLS["packages"] if "." in p}
    layers = next(c for c in PROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    listed = {room.strip() for layer in layers["layers"] for room in layer.split("|")}
    assert listed == names and layers["exhaustive"]


def test_bans_name_every_room_that_they_do_not_allow() -> None:
    names = {p for p in SETUPTOOLS["packages"] if p.count(".") == 1}
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    bans = [c for c in contracts if c["type"] == "forbidden"]
    by_ban = {tuple(c["forbidden_modules"]): set(c["source_modules"]) for c in bans}
    assert by_ban[("ray",)] == names - {"probewise.agents"}
    assert by_ban[("mlflow",)] == names


def test_version_is_said_once() -> None:
    text = (ROOT / "__init__.py").read_text()
    match = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert match is not None and match[1] == PROJECT["project"]["version"]


@pytest.mark.parametrize("group", ["probewise.workers", "probewise.truths"])
def test_entry_points_lead_to_classes(group: str) -> None:
    for name, place in PROJECT["project"]["entry-points"][group].items():
        module, _, attribute = place.partition(":")
        found = getattr(importlib.import_module(module), attribute, None)
        assert isinstance(found, type), f"{name}: {place}"


def imported_with(*modules: str) -> set[str]:
    """Top-level names in ``sys.modules`` of a fresh interpreter that imports ``modules``."""
    code = f"import sys, {', '.join(modules)}; print(*{{m.split('.')[0] for m in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.slow
def test_the_language_is_light() -> None:
    assert not imported_with("probewise", "probewise.workflow") & HEAVY


@pytest.mark.slow
def test_workers_are_light() -> None:
    workers = ("analysis", "instruments", "matter", "synthesis", "theory")
    found = imported_with(*(f"probewise.{room}" for room in workers))
    assert not found & {"botorch", "matplotlib", "mlflow", "ray", "torch"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files in a wheel built from a copy of the packages, without a network."""
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("setuptools is not installed, and without a network it cannot be fetched")
    if int(metadata.version("setuptools").split(".")[0]) < 77:
        pytest.skip("the installed setuptools is older than 77")
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE", "__init__.py", "py.typed"):
        shutil.copy(ROOT / name, folder)
    for room in {p.split(".")[1] for p in SETUPTOOLS["packages"] if "." in p}:
        shutil.copytree(ROOT / room, folder / room)
    code = "from setuptools import build_meta; build_meta.build_wheel('.')"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    (path,) = folder.glob("probewise-*.whl")
    return set(zipfile.ZipFile(path).namelist())


def test_wheel_holds_every_module_and_nothing_else(wheel: set[str]) -> None:
    expected = {
        "/".join(("probewise", *p.relative_to(ROOT).parts))
        for package in SETUPTOOLS["packages"]
        for p in ROOT.joinpath(*package.split(".")[1:]).glob("*.py")
    }
    assert {n for n in wheel if n.endswith(".py")} == expected
    assert {n.split("/")[0] for n in wheel if ".dist-info" not in n} == {"probewise"}


def test_wheel_holds_scenarios_templates_and_the_typing_marker(wheel: set[str]) -> None:
    data = {
        "/".join(("probewise", *p.relative_to(ROOT).parts))
        for folder in (
            "agents/templates",
            "analysis/weights",
            "campaign/scenarios",
            "campaign/templates",
        )
        for p in (ROOT / folder).glob("*")
        if p.is_file()
    }
    assert "probewise/campaign/scenarios/sm-bfo.yaml" in data
    assert data | {"probewise/py.typed"} <= wheel


def test_wheel_carries_the_licence(wheel: set[str]) -> None:
    assert any(name.endswith("licenses/LICENSE") for name in wheel)
