"""Nion's simulator as an instrument: contract, focus, and compositions from designs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from probewise.instruments import Run, UsimScopeTwin, check_driver
from probewise.instruments._edges import parse_composition
from probewise.instruments._shadow_focus import focus_of, symmetry
from probewise.instruments._usim import UsimDriver
from probewise.workflow import SpecError, program_from

pytest.importorskip("nion.usim_device", reason="the extra 'usim' is not installed")

COMPOSITION = "O: 3; Ti: 1; Ba: 1 - la; La: la"


def run(instrument: UsimScopeTwin, *commands: dict[str, Any], seed: int = 1) -> Run:
    load = {"verb": "load", "sample": "film", "design": {"la": 0.4}}
    return instrument.console.run(program_from([{"verb": "blank"}, load, *commands]), seed=seed)


@pytest.mark.slow
def test_it_keeps_the_contract_of_drivers() -> None:
    composition = parse_composition("O: 3; Ti: 1; Ba: 1")
    check_driver(lambda: UsimDriver(composition, composition_steps=10))


@pytest.mark.slow
def test_overview_detect_spectra_show_the_edges_of_the_design() -> None:
    instrument = UsimScopeTwin(COMPOSITION, world_seed=2)
    found = run(
        instrument,
        {"verb": "overview", "pixels": 64, "dwell_s": 8e-6},
        {"verb": "detect", "find": "brightest", "count": 1},
        {"verb": "spectrum", "at": "detected", "exposure_s": 2.0},
    )
    assert found.failure is None
    spectra = found.arrays["spectra"]
    energy, counts = spectra.axes[1].values, spectra.data[0]
    stairs = counts / (1.0 - energy / 4000.0) ** 7

    def step(edge: float) -> float:
        above, below = (energy > edge + 12) & (energy < edge + 22), energy < edge - 12
        return float(stairs[above].mean() - stairs[below & (energy > edge - 22)].mean())

    assert step(532) / step(456) == pytest.approx(3.0, rel=0.1)  # O : Ti
    assert step(832) / step(456) == pytest.approx(0.4, abs=0.1)  # La : Ti
    assert instrument.console.state().blanked, "what takes data blanks the beam again"


@pytest.mark.slow
def test_focus_is_found_to_within_some_tens_of_nanometres() -> None:
    instrument = UsimScopeTwin(COMPOSITION, world_seed=2)
    tune = {"verb": "tune", "what": "focus", "span_nm": 1600, "steps": 15}
    found = run(instrument, tune, {**tune, "span_nm": 1400})
    assert found.failure is None
    state = instrument.console.state()
    assert abs(state.defocus_nm) < 100.0 and "focus" in state.tuned
    assert found.arrays["tune"].axes[0].unit == "nm"
    refused = run(instrument, {"verb": "tune", "what": "aberrations"})
    assert refused.failure is not None and "cannot tune 'aberrations'" in refused.failure.message


def test_symmetry_is_found_between_the_places_and_a_slope_is_no_focus() -> None:
    at = np.linspace(-800, 800, 17)
    for centre in (-130.0, 0.0, 47.0):
        assert symmetry(at, (at - centre) ** 2) == pytest.approx(centre, abs=20.0)
    assert focus_of(at, (at + 2000.0) ** 2) == (-800.0, False)
    assert focus_of(at, np.zeros(17)) == (0.0, False)


def test_a_design_that_the_composition_does_not_know_is_refused() -> None:
    instrument = UsimScopeTwin(COMPOSITION)
    program = program_from([{"verb": "blank"}, {"verb": "load", "sample": "film"}])
    found = instrument.console.run(program)
    assert found.failure is not None and found.failure.kind == "refused"
    assert "['la']" in found.failure.message
    with pytest.raises(SpecError):
        UsimScopeTwin("Unobtainium: 1")
