"""Workers on live instruments keep the contract of workers: asked, crashed, made safe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from probewise.agents import check_worker, example_job, worker_types
from probewise.instruments import (
    ArrayServerScope,
    Microscope,
    TangoScope,
    UsimScopeTwin,
    serve_array_server,
    serve_tango,
)
from probewise.workflow import Job, SpecError, Step, Target

SITE = Target(sample="S1", site=0, design={"la": 0.2})
PLACES = SITE.model_copy(update={"positions": ((3, 4), (10, 12))})


def job(name: str, target: Target = SITE, **more: Any) -> Job:
    acts_on = "positions" if target.positions else "site"
    raw = {"name": name, "level": 3, "acts_on": acts_on, "cost_credits": 5, "latency_h": 1}
    return example_job(Step.model_validate({**raw, **more}), target)


def jobs(microscope: Microscope) -> list[Job]:
    known = {
        "load_sample": job("load_sample"),
        "tune": job("tune"),
        "overview_scan": job("overview_scan", records="image"),
        "measure_spectra": job("measure_spectra", PLACES, records="spectra", batch=2),
        "run_program": job("run_program", parameters={"program": ["blank"]}),
    }
    return [known[name] for name in microscope.procedures()]


def test_the_array_servers_worker_keeps_the_contract() -> None:
    pytest.importorskip("Pyro5", reason="the extra 'dm' is not installed")
    twin = serve_array_server(speed=0, form="bytes")
    made = [ArrayServerScope(twin.uri, pixels=16)]
    try:
        check_worker(lambda: made[0], jobs(made[0]))
    finally:
        twin.close()


def test_the_tango_devices_worker_keeps_the_contract(tmp_path: Path) -> None:
    pytest.importorskip("tango", reason="the extra 'tango' is not installed")
    with serve_tango(tmp_path, speed=0) as devices:
        config: dict[str, Any] = {**devices, "data_folder": str(tmp_path), "pixels": 16}
        made = TangoScope(**config)
        check_worker(lambda: made, jobs(made))


@pytest.mark.slow
def test_the_simulators_worker_keeps_the_contract() -> None:
    pytest.importorskip("nion.usim_device", reason="the extra 'usim' is not installed")
    made = UsimScopeTwin("O: 3; Ti: 1; Ba: 1 - la; La: la", pixels=16, composition_steps=25)
    check_worker(lambda: made, jobs(made))


@pytest.mark.parametrize(
    ("name", "twin", "replayable"),
    [
        ("array-server", False, False),
        ("tango-stem", False, False),
        ("ophyd", False, False),
        ("usim-twin", True, False),
        ("stem-replay", False, True),
        ("spm-replay", False, True),
    ],
)
def test_each_is_registered_as_what_it_is(name: str, twin: bool, replayable: bool) -> None:
    registered = worker_types()[name]
    assert (registered.twin, registered.replayable) == (twin, replayable)
    assert issubclass(registered.load(), Microscope)


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"max_dwell_s": -1.0}, "max_dwell_s"),
        ({"pixels": -3}, "pixels"),
        ({"judge": "nobody"}, "judge"),
        ({"patience_s": 0.0}, "patience_s"),
        ({"patience_s": "long"}, "patience_s"),
    ],
)
def test_a_worker_that_could_not_be_made_leaves_its_instrument_to_others(
    config: dict[str, Any], word: str
) -> None:
    pytest.importorskip("Pyro5", reason="the extra 'dm' is not installed")
    uri = "PYRO:array.server@127.0.0.1:9"
    with pytest.raises(SpecError, match=word) as caught:
        ArrayServerScope(uri, **config)
    ArrayServerScope(uri).close()
    assert caught.value.remedy
