"""Runs as event-model documents: valid, whole, pointing at the arrays, the same every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support_events import campaign
from typer.testing import CliRunner

from probewise.campaign import Hdf5Store
from probewise.campaign._cli import app
from probewise.campaign._event_model import Document, documents
from probewise.campaign._journal import Journal
from probewise.campaign._run_folder import RunFolder
from probewise.workflow import ArrayRef, Event, Observed, Stopped

event_model = pytest.importorskip("event_model", reason="the extra 'bluesky' is not installed")


def write_run(path: Path, events: list[Event]) -> Path:
    with RunFolder.create(path) as folder, Journal(folder.journal_path) as journal:
        folder.spec_path.write_text("{}")
        journal.append(*events)
    return path


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event], list[Document]]:
    path = tmp_path_factory.mktemp("export") / "run"
    shelf = tmp_path_factory.mktemp("arrays")
    story = campaign(shelf)
    write_run(path, story.events)
    for file in (shelf / "data").iterdir():
        file.rename(path / "data" / file.name)
    return path, story.events, list(documents(path))


def named(docs: list[Document], name: str) -> list[dict[str, Any]]:
    return [doc for kind, doc in docs if kind == name]


def test_every_document_is_valid_by_the_schemas_of_event_model(told) -> None:
    docs = told[2]
    kinds = {name for name, _ in docs}
    assert kinds == {"start", "descriptor", "resource", "datum", "event", "stop"}
    for name, doc in docs:
        event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)


def test_they_hang_together(told) -> None:
    docs = told[2]
    (start,), (stop,) = named(docs, "start"), named(docs, "stop")
    assert docs[0][0] == "start" and docs[-1][0] == "stop"
    assert stop["run_start"] == start["uid"] and stop["exit_status"] == "success"
    streams = {d["uid"]: d for d in named(docs, "descriptor")}
    seen: dict[str, int] = {}
    resources, datums = set(), set()
    for name, doc in docs:  # what is referred to has been told before
        if name == "resource":
            resources.add(doc["uid"])
        if name == "datum":
            assert doc["resource"] in resources
            datums.add(doc["datum_id"])
        if name == "event":
            keys = streams[doc["descriptor"]]["data_keys"]
            assert set(doc["data"]) == set(keys) == set(doc["timestamps"])
            stream = streams[doc["descriptor"]]["name"]
            seen[stream] = seen.get(stream, 0) + 1
            assert doc["seq_num"] == seen[stream]
            assert {doc["data"][k] for k in doc["filled"]} <= datums
    assert stop["num_events"] == seen
    assert len({doc.get("uid", doc.get("datum_id")) for _, doc in docs}) == len(docs)


def test_no_observation_is_lost_and_numbers_are_those_of_the_journal(told) -> None:
    _, events, docs = told
    observations = [e.observation for e in events if isinstance(e, Observed)]
    by_action = {doc["data"]["action_id"]: doc["data"] for doc in named(docs, "event")}
    assert len(by_action) == len(observations)
    for seen in observations:
        data = by_action[seen.action_id]
        assert data["cost_credits"] == seen.cost_credits
        for name, estimate in seen.values.items():
            assert (data[name], data[f"{name}_std"]) == (estimate.value, estimate.std)
        for name, table in seen.tables.items():
            for column, values in table.columns.items():
                assert tuple(data[f"{name}_{column}"]) == values
        if seen.failure is not None:
            assert data["message"] == seen.failure.message


def test_units_come_from_the_workflow_and_shapes_from_the_data(told) -> None:
    descriptors = named(told[2], "descriptor")
    keys = {k: v for d in descriptors for k, v in d["data_keys"].items()}
    assert keys["switchable_polarization"]["units"] == "uC/cm**2"
    grid = keys["theory_polarization"]
    assert grid["dtype"] == "array" and grid["shape"] == [3, 64]
    assert keys["domain_image"]["shape"] == [64, 64]
    assert keys["domain_image"]["external"].startswith("FILESTORE:")


def test_a_datum_leads_to_the_array(told) -> None:
    path, events, docs = told
    resources = {doc["uid"]: doc for doc in named(docs, "resource")}
    store, found = Hdf5Store(path), 0
    refs = {
        (ref.file, ref.dataset): ref
        for e in events
        if isinstance(e, Observed)
        for ref in e.observation.arrays.values()
    }
    for datum in named(docs, "datum"):
        resource = resources[datum["resource"]]
        dataset = datum["datum_kwargs"]["dataset"]
        with h5py.File(Path(resource["root"]) / resource["resource_path"]) as file:
            data = np.asarray(file[dataset])
        ref: ArrayRef = refs[resource["resource_path"], dataset]
        np.testing.assert_array_equal(data, store.get(ref).data)
        found += 1
    assert found == len(refs) > 0


def test_event_models_own_reader_takes_them(told) -> None:
    names: list[str] = []

    class Reader(event_model.DocumentRouter):
        def event(self, doc: dict[str, Any]) -> None:
            names.append(doc["uid"])

    for name, doc in told[2]:
        Reader()(name, doc)
    assert len(names) == len(named(told[2], "event"))


def test_the_same_run_is_told_alike_and_an_unended_one_as_aborted(told, tmp_path) -> None:
    path, events, docs = told
    assert list(documents(path)) == docs
    running = write_run(tmp_path / "r", [e for e in events if not isinstance(e, Stopped)])
    assert named(list(documents(running)), "stop")[0]["exit_status"] == "abort"


def test_the_command_writes_a_line_for_each_document(told, tmp_path) -> None:
    path, _, docs = told
    out = tmp_path / "run.jsonl"
    arguments = ["export", str(path), "--format", "event-model", "--out", str(out)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [tuple(line) for line in lines] == docs
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2 and "there already" in again.output
    missing = CliRunner().invoke(app, ["export", str(tmp_path / "nothing")])
    assert missing.exit_code == 2
