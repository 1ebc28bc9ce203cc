"""A microscope behind an array server: contract, faults, and the specimen's own answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from probewise.instruments import (
    ArrayServerScope,
    Driver,
    Run,
    check_driver,
    serve_array_server,
)
from probewise.instruments._claim import Claim
from probewise.instruments._dm import ArrayServerDriver, ArrayServerSettings
from probewise.instruments._dm_client import ArrayServer
from probewise.instruments._dm_twin import ArrayServerTwin
from probewise.instruments._particle_bench import ParticleBench
from probewise.workflow import SpecError, WorkerError, program_from

pytest.importorskip("Pyro5", reason="the extra 'dm' is not installed")

OVERVIEW = {"verb": "overview", "pixels": 32, "dwell_s": 5e-6}
AT = [[20.0, 30.0], [100.0, 50.0], [150.0, 160.0]]
SPECTRA = {"verb": "spectrum", "at": AT, "exposure_s": 0.01}
ENERGY = {"energy_offset_eV": -0.5, "dispersion_eV": 0.005}
Twin = Callable[..., ArrayServerTwin]
Scope = Callable[..., ArrayServerScope]


@pytest.fixture
def twin() -> Iterator[Twin]:
    made: list[ArrayServerTwin] = []

    def make(*faults: str, **options: Any) -> ArrayServerTwin:
        made.append(serve_array_server(speed=0, faults=faults, form="bytes", **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def scope() -> Iterator[Scope]:
    made: list[ArrayServerScope] = []

    def make(uri: str, **config: Any) -> ArrayServerScope:
        made.append(ArrayServerScope(uri, **{"patience_s": 5.0, **ENERGY, **config}))
        return made[-1]

    yield make
    for each in made:
        each.close()


def run(instrument: ArrayServerScope, *commands: dict[str, Any]) -> Run:
    start = [{"verb": "blank"}, {"verb": "load", "sample": "S1"}]
    return instrument.console.run(program_from([*start, *commands]))


def test_it_keeps_the_contract_of_drivers(twin) -> None:
    uri = twin().uri

    def make() -> Driver:
        return ArrayServerDriver(ArrayServer(uri), Claim(uri, "test"), ArrayServerSettings())

    check_driver(make)


def test_what_arrives_is_what_stands_under_the_beam(twin, scope) -> None:
    found = run(scope(twin(seed=3).uri), OVERVIEW, SPECTRA)
    assert found.failure is None
    image, spectra = found.arrays["overview"], found.arrays["spectra"]
    truth = ParticleBench(3)
    expected = truth.image(32, 0.0, 0.0, 200.0, 5e-6)
    np.testing.assert_allclose(image.data.mean(), expected.mean(), rtol=0.05)
    assert np.corrcoef(image.data.ravel(), expected.ravel())[0, 1] > 0.8
    for (y, x), counts in zip(AT, spectra.data, strict=True):
        np.testing.assert_allclose(counts.sum(), truth.spectrum(y, x, 0.01).sum(), rtol=0.02)
    peak = spectra.axes[1].values[np.argmax(spectra.data, axis=1)]
    np.testing.assert_allclose(peak, 0.0, atol=0.02)  # the zero-loss peak


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("refuse", "refused", "viewing screen is in"),
        ("drop", "uncertain", "may or may not have been done"),
        ("hang", "timeout", "no answer to"),
        ("shape", "bad_data", "for shape"),
        ("dtype", "bad_data", "the dtype 'object'"),
        ("nan", "bad_data", "no numbers"),
        ("saturate", "bad_data", "detector's end"),
    ],
)
@pytest.mark.parametrize("number", [1, 3], ids=["frame", "spectrum"])
def test_a_fault_ends_the_program_keeps_what_came_and_the_next_works(
    twin, scope, fault, kind, words, number
) -> None:
    server = twin(f"{fault}:{number}")
    instrument = scope(server.uri, patience_s=0.4)
    found = run(instrument, OVERVIEW, SPECTRA)
    assert found.failure is not None and found.failure.kind == kind, found.failure
    assert words in found.failure.message
    ahead = 2 if fault in {"nan", "saturate"} else 0  # the driver may be so far before who looks
    assert server.conduct.taken <= number + ahead, "after a fault it goes on by itself"
    if number == 3:  # the frame and the first spectrum had come before
        assert np.isfinite(found.arrays["overview"].data).all()
        assert np.isfinite(found.arrays["spectra"].data[0]).all()
    assert run(instrument, OVERVIEW, SPECTRA).failure is None, "the next one does not work"


def test_the_beam_rests_beside_the_field_of_view_after_spectra(twin, scope) -> None:
    server = twin()
    instrument = scope(server.uri)
    assert run(instrument, OVERVIEW, SPECTRA).failure is None
    proxy = instrument.console.driver._server._proxy  # type: ignore[attr-defined]
    proxy._pyroClaimOwnership()
    x, y = proxy.get_beam_pos()
    assert x < 0 and y < 0
    assert "done" in instrument.safe()


def test_a_program_ended_early_leaves_the_servers_beam_off_the_specimen(twin, scope) -> None:
    console = scope(twin().uri, pixels=32).console
    load = {"verb": "load", "sample": "S1"}

    def enough(command: Any, chunk: Any) -> str | None:
        return "enough" if command.verb == "spectrum" else None

    found = console.run(program_from([load, OVERVIEW, SPECTRA, OVERVIEW]), watch=enough)
    assert found.failure is None and found.stopped == "enough"
    assert [e.command.verb for e in found.entries] == ["load", "overview", "spectrum", "blank"]
    assert found.entries[-1].outcome == "done" and console.state().blanked
    proxy = console.driver._server._proxy  # type: ignore[attr-defined]
    proxy._pyroClaimOwnership()
    x, y = proxy.get_beam_pos()
    assert x < 0 and y < 0, "the beam still stands on the specimen"


def test_a_beam_that_may_still_be_on_the_specimen_counts_as_on(twin, scope) -> None:
    instrument = scope(twin("gone:3").uri, patience_s=1.0)
    assert instrument.console.state().blanked
    found = run(instrument, OVERVIEW, SPECTRA)
    assert found.failure is not None and found.failure.kind == "uncertain"
    assert np.isfinite(found.arrays["spectra"].data[0]).all()
    assert not instrument.console.state().blanked
    assert "FAILED" in instrument.safe()


def test_places_need_a_frame_and_lie_inside_of_it(twin, scope) -> None:
    server = twin()
    instrument = scope(server.uri)
    found = run(instrument, SPECTRA)
    assert found.failure is not None and "take an overview first" in found.failure.remedy
    found = run(instrument, OVERVIEW, {"verb": "spectrum", "at": [[10.0, 250.0]]})
    assert found.failure is not None and "outside the field of view" in found.failure.message
    assert server.conduct.taken == 1


def test_only_the_mounted_specimen_can_be_loaded(twin, scope) -> None:
    instrument = scope(twin().uri, sample="lamella")
    found = run(instrument, OVERVIEW)
    assert found.failure is not None and "'lamella' is mounted" in found.failure.message


def test_the_same_microscope_is_driven_by_one_worker_at_a_time(twin, scope) -> None:
    uri = twin().uri
    first = scope(uri)
    with pytest.raises(WorkerError, match="driven by process"):
        scope(uri)
    first.close()
    assert run(scope(uri), OVERVIEW).failure is None


def test_the_dose_counts_the_time_of_the_readout(twin, scope) -> None:
    instrument = scope(twin().uri, readout_s=0.03, current_pA=10.0)
    entry = run(instrument, OVERVIEW, SPECTRA).entries[-1]
    assert entry.electrons == pytest.approx(3 * 0.04 * 10e-12 / 1.602176634e-19, rel=1e-6)


def test_no_server_is_a_failure_and_no_crash(scope) -> None:
    found = run(scope("PYRO:array.server@127.0.0.1:9", patience_s=1.0), OVERVIEW)
    assert found.failure is not None and "cannot be reached" in found.failure.message


@pytest.mark.parametrize("wrong", [{"current_pA": "much"}, {"serializer": "pickle"}, {"colour": 1}])
def test_wrong_settings_are_refused_before_a_word_is_sent(scope, wrong) -> None:
    with pytest.raises(SpecError):
        scope("PYRO:array.server@127.0.0.1:9", **wrong)
