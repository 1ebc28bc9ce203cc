"""The example campaign on the double of an array server, by the real clock, end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from probewise.agents import worker_types
from probewise.campaign import Campaign, Hdf5Store
from probewise.campaign._event_model import documents
from probewise.campaign._journal import Journal
from probewise.instruments import serve_array_server
from probewise.workflow import Observation, Observed

pytest.importorskip("Pyro5", reason="the extra 'dm' is not installed")

EXAMPLE = Path(__file__).parents[1] / "examples" / "campaigns" / "array_server.yaml"
WAITS = "PYRO:array.server@127.0.0.1:9091"

pytestmark = pytest.mark.slow


def run_example(folder: Path, *faults: str) -> list[Observation]:
    if "spectrum-analysis" not in worker_types():
        pytest.skip("no analysis of spectra is registered as 'spectrum-analysis'")
    text = EXAMPLE.read_text()
    assert text.count(WAITS) == 1
    twin = serve_array_server(seed=4, speed=4.0, form="bytes", faults=faults)
    try:
        spec = folder / "campaign.yaml"
        spec.write_text(text.replace(WAITS, twin.uri))
        campaign = Campaign.load(str(spec), out=folder / "run", runtime="inline")
        assert list(campaign)
    finally:
        twin.close()
    with Journal(folder / "run" / "journal.sqlite", read_only=True) as journal:
        return [e.observation for e in journal.events() if isinstance(e, Observed)]


def test_overview_edges_spectra_and_the_energy_of_the_plasmon(tmp_path) -> None:
    observations = run_example(tmp_path)
    assert all(o.failure is None for o in observations)
    values = [o.values["plasmon_energy"] for o in observations if o.values]
    assert len(values) == 2 and all(1.0 < v.value < 4.5 and v.std > 0 for v in values)
    measured = [o for o in observations if o.arrays]
    for observation in measured:
        verbs = [entry.command.verb for entry in observation.commands]
        assert verbs[-4:] == ["overview", "detect", "spectrum", "blank"]
        spectra = Hdf5Store(tmp_path / "run").get(observation.arrays["spectra"])
        assert spectra.data.shape[1] == 1024 and np.isfinite(spectra.data).all()
        assert len(spectra.data) == len(observation.commands[-3].found)
    told = list(documents(tmp_path / "run"))
    events = [doc["data"] for name, doc in told if name == "event"]
    assert sum("commands" in data for data in events) == 4, "loads and measurements, twice"
    names = [name for name, _ in told]
    assert names.count("event") == len(observations) and names.count("resource") == len(measured)


@pytest.mark.parametrize("fault", ["refuse:2", "drop:3"])
def test_after_a_fault_the_campaign_goes_on_with_what_works(tmp_path, fault) -> None:
    observations = run_example(tmp_path, fault)
    failed = [o for o in observations if o.failure is not None]
    assert len(failed) == 1 and failed[0].failure is not None
    assert "array server PYRO:" in failed[0].failure.message
    assert any(o.values for o in observations), "no value came of the rest"
    if fault == "drop:3":
        store = Hdf5Store(tmp_path / "run")
        kept = {name: store.get(ref) for name, ref in failed[0].arrays.items()}
        assert kept["overview"].data.shape == (128, 128)
        assert len(kept["spectra"].data) >= 1, "what came before the connection was lost"
