"""What tests of several rooms share: doubles that are registered as if installed, and Ray."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping

import pytest
from hypothesis import settings

from probewise.agents import InlineRuntime, RayRuntime, Runtime, connect, disconnect
from probewise.agents._testing import FolderStore
from probewise.workflow import WorkerSpec

# Examples are the same in every run, and none is failed for being slow.
settings.register_profile("house", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("house")

gc.disable()  # until all modules are imported: there is nothing to be found in between

MakeRuntime = Callable[..., Runtime]
"""``make(workers, guardian=..., store=...)``: a runtime that the fixture closes afterwards."""

_DOUBLES = """\
[probewise.workers]
echo = probewise.agents._testing:EchoInstrument
real-echo = probewise.agents._testing:RealEcho
notebook-echo = probewise.agents._testing:NotebookEcho
mortal-analysis = probewise.agents._mortal:MortalAnalysis
mortal-instrument = probewise.agents._mortal:MortalInstrument
mortal-synthesis = probewise.agents._mortal:MortalSynthesis
mortal-theory = probewise.agents._mortal:MortalTheory
mortal-twin = probewise.agents._mortal:MortalTwin
separate-guardian = probewise.agents._testing:SeparateGuardian
gone = probewise.agents._testing:NotThere
not-a-worker = probewise.agents._testing:FolderStore
"""


def pytest_collection_finish() -> None:
    """What is there now stays to the end: the collector need not walk it again and again."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def doubles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Register the test doubles as a distribution would: metadata in a folder on the path."""
    folder = tmp_path_factory.mktemp("installed")
    info = folder / "probewise_doubles-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: probewise-doubles\nVersion: 0\n")
    (info / "entry_points.txt").write_text(_DOUBLES)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), before]))
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield
    sys.path.remove(str(folder))
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(scope="session")
def ray_cluster(doubles: None) -> Iterator[None]:
    """One small cluster on this machine for all tests of the session."""
    connect(num_cpus=2)
    yield
    disconnect()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> FolderStore:
    """One folder of arrays; actions of all tests have different ids."""
    return FolderStore(tmp_path_factory.mktemp("arrays"))


@pytest.fixture(scope="session", params=["inline", pytest.param("ray", marks=pytest.mark.ray)])
def runtime(request: pytest.FixtureRequest, store: FolderStore) -> Iterator[MakeRuntime]:
    """Makes runtimes of either kind; a test that uses it runs on both.

    Runtimes of the same specifications are one, unless ``fresh``: processes take time to start.
    """
    kind: type[InlineRuntime] | type[RayRuntime] = InlineRuntime
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
        kind = RayRuntime
    made: dict[str, Runtime] = {}

    def make(
        workers: Mapping[str, WorkerSpec],
        guardian: WorkerSpec | None = None,
        fresh: bool = False,
    ) -> Runtime:
        limits = guardian or WorkerSpec(type="limits-guardian", config={"max_cost_credits": 1000})
        key = f"{len(made)}" if fresh else f"{workers}, {limits}"
        if key not in made:
            made[key] = kind(workers, limits, store)
        return made[key]

    yield make
    for one in made.values():
        one.close()
