"""Campaigns on drivers: commands in the journal, explained and done again; live ones ask first."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from rich.console import Console as Terminal
from support_campaigns import spec_of, untrack
from support_drivers import raw_campaign, registered
from typer.testing import CliRunner

from probewise.campaign import Campaign, Hdf5Store
from probewise.campaign._cli_instrument import instrument_app
from probewise.campaign._event_model import documents
from probewise.campaign._explain import explain
from probewise.campaign._journal import Journal
from probewise.campaign._live_autonomy import with_live_autonomy
from probewise.campaign._verify import verify
from probewise.instruments import Console, StemTwinDriver
from probewise.workflow import (
    Approve,
    Awaiting,
    Decided,
    Event,
    Issued,
    Level,
    Observation,
    Observed,
    load_program,
    program_of,
)


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with registered(tmp_path_factory.mktemp("drivers")):
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, installed: None) -> tuple[Path, list[Event]]:
    """The folder and the events of a campaign with the twin."""
    folder = tmp_path_factory.mktemp("run") / "films"
    with pytest.MonkeyPatch.context() as patch:
        untrack(patch.setattr)
        events = list(Campaign(spec_of(raw_campaign("stem-twin")), out=folder))
    return folder, events


def looks(events: Sequence[Event]) -> list[Observed]:
    return [e for e in events if isinstance(e, Observed) and e.observation.commands]


def explained(events: list[Event], number: int) -> str:
    terminal = Terminal(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    terminal.print(explain(events, number))
    return terminal.export_text()


def test_the_commands_of_every_action_stand_in_the_journal(run: tuple[Path, list[Event]]) -> None:
    folder, events = run
    with Journal(folder / "journal.sqlite", read_only=True) as journal:
        kept = list(journal.events())
    assert [e.observation for e in looks(kept)] == [e.observation for e in looks(events)]
    look = next(e.observation for e in looks(kept) if e.observation.arrays)
    assert look.failure is None
    verbs = [entry.command.verb for entry in look.commands]
    assert verbs == ["overview", "detect", "spectrum"]
    assert len(look.commands[1].found) == 4
    assert {entry.who for entry in look.commands} == {look.action_id}
    assert look.dose_e_per_A2 == pytest.approx(sum(e.dose_e_per_A2 for e in look.commands))


def test_explain_shows_what_the_instrument_was_told(run: tuple[Path, list[Event]]) -> None:
    _, events = run
    decided = next(
        e.decision for e in events if isinstance(e, Decided) and e.decision.actions
        and e.decision.actions[0].step == "look"
    )  # fmt: skip
    text = explained(events, decided.number)
    assert "What the instrument was told" in text
    assert "Take spectra at 4 points" in text and "allowed" in text


def test_what_stands_in_the_journal_can_be_done_again(
    run: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    folder, events = run
    action = next(e.observation.action_id for e in looks(events) if e.observation.arrays)
    result = CliRunner().invoke(instrument_app, ["extract", str(folder), action])
    assert result.exit_code == 0, result.output
    file = tmp_path / "again.yaml"
    file.write_text(result.output)
    again = load_program(file)
    observation = next(e.observation for e in looks(events) if e.observation.action_id == action)
    assert again.commands == program_of(observation.commands).commands
    console = Console(StemTwinDriver(0))
    loaded = load_program_text("- load: {sample: film0}\n", tmp_path)
    assert console.run(loaded).failure is None
    ran = console.run(again, seed=3)
    assert ran.failure is None and ran.arrays["spectra"].data.shape == (4, 1024)


def load_program_text(text: str, folder: Path) -> Any:
    file = folder / "text.yaml"
    file.write_text(text)
    return load_program(file)


def test_extract_names_the_actions_there_are(run: tuple[Path, list[Event]]) -> None:
    result = CliRunner().invoke(instrument_app, ["extract", str(run[0]), "nothing"])
    assert result.exit_code == 2 and "allowed: one of" in result.stderr


def test_a_live_microscope_asks_first() -> None:
    spec = with_live_autonomy(spec_of(raw_campaign("live-stem")))
    assert spec.autonomy.levels == {Level.MICROSCOPY: "approve", Level.SAMPLES: "approve"}
    assert with_live_autonomy(spec) == spec
    campaign = Campaign(spec_of(raw_campaign("live-stem", autonomy={"timeout_s": 0.01})))
    waited = []
    for event in campaign:
        if isinstance(event, Awaiting):
            waited.append(event)
        if len(waited) == 2:
            break
    assert "level 4 is set to approve" in waited[0].reason
    assert not any(o.commands for o in campaign.state.observations), "nothing was done unasked"


def test_what_the_campaign_says_of_a_level_stands() -> None:
    levels = {"levels": {3: "auto", 4: "observe"}}
    spec = with_live_autonomy(spec_of(raw_campaign("live-stem", autonomy=levels)))
    assert spec.autonomy.levels == {Level.MICROSCOPY: "auto", Level.SAMPLES: "observe"}


def test_twins_and_recordings_ask_nobody() -> None:
    raw = spec_of(raw_campaign("stem-twin"))
    assert with_live_autonomy(raw) == raw


def test_a_driver_that_loses_its_connection_costs_the_campaign_that_action_only() -> None:
    raw = raw_campaign("live-stem", autonomy={"levels": {3: "auto", 4: "auto"}})
    raw["workers"]["stem"]["config"]["once"] = "lost"
    campaign = Campaign(spec_of(raw))
    result = campaign.run()
    looked = [o for o in campaign.state.observations if o.commands and len(o.commands) > 1]
    failed = [o for o in looked if o.failure is not None]
    (lost,) = [o for o in failed if o.failure is not None and "connection" in o.failure.message]
    assert lost.commands[-1].sentence == "Blank the beam" and lost.commands[-1].outcome == "done"
    assert failed == [lost]
    assert result.state.stopped is not None
    values = [o.values["brightness"].value for o in campaign.state.observations if o.values]
    assert values and np.allclose(values, 1.5)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, installed: None) -> tuple[Path, list[Event]]:
    """A campaign whose microscope loses its connection once, amid a series of spectra."""
    raw = raw_campaign("live-stem", autonomy={"levels": {3: "auto", 4: "auto"}})
    raw["workers"]["stem"]["config"]["once"] = "series"
    folder = tmp_path_factory.mktemp("broken") / "films"
    with pytest.MonkeyPatch.context() as patch:
        untrack(patch.setattr)
        events = list(Campaign(spec_of(raw), out=folder))
    return folder, events


def lost_look(events: Sequence[Event]) -> Observation:
    (lost,) = [e.observation for e in looks(events) if e.observation.failure is not None]
    return lost


def test_spectra_that_came_before_the_connection_was_lost_are_kept(
    broken: tuple[Path, list[Event]],
) -> None:
    folder, events = broken
    lost = lost_look(events)
    assert lost.failure is not None and "connection lost" in lost.failure.message
    assert {k: r.shape for k, r in lost.arrays.items()} == {
        "overview": (32, 32),
        "spectra": (2, 32),
    }
    spectra = Hdf5Store(folder).get(lost.arrays["spectra"])
    np.testing.assert_array_equal(spectra.data, np.repeat([[0.0], [1.0]], 32, axis=1))
    assert "connection lost" in str(spectra.metadata["failure"])


def test_what_came_before_a_failure_is_taken_by_no_step(broken: tuple[Path, list[Event]]) -> None:
    _, events = broken
    file = lost_look(events).arrays["spectra"].file
    taken = [
        ref.file
        for event in events
        if isinstance(event, Issued)
        for refs in event.action.inputs.values()
        for ref in refs
    ]
    assert taken and file not in taken


def test_verify_reads_what_came_before_a_failure_too(
    broken: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    folder, events = broken
    lost = lost_look(events)
    found = verify(folder)
    assert found.sound
    assert found.arrays == sum(len(e.observation.arrays) for e in events if isinstance(e, Observed))
    spoilt = Path(shutil.copytree(folder, tmp_path / "spoilt"))
    ref = lost.arrays["spectra"]
    with h5py.File(spoilt / ref.file, "r+") as file:
        file[ref.dataset][0, 0] += 1.0  # type: ignore[index]
    (fault,) = verify(spoilt).findings
    assert f"array 'spectra' of action {lost.action_id}" in fault.where and fault.fault


def test_explain_tells_where_that_lies_which_came_before_a_failure(
    broken: tuple[Path, list[Event]],
) -> None:
    _, events = broken
    lost = lost_look(events)
    decided = next(
        e.decision for e in events
        if isinstance(e, Decided) and lost.action_id in {a.id for a in e.decision.actions}
    )  # fmt: skip
    text = " ".join(explained(events, decided.number).split())
    assert f"is kept in {lost.arrays['spectra'].file}" in text
    assert "spectra (2, 32)" in text


def test_documents_of_a_run_name_what_came_before_a_failure(
    broken: tuple[Path, list[Event]],
) -> None:
    folder, events = broken
    lost = lost_look(events)
    failed = [d for kind, d in documents(folder) if kind == "event" and "failure" in d["data"]]
    assert [d["data"]["spectra"].endswith(f"{lost.action_id}.spectra") for d in failed] == [True]


def dwelling(autonomy: dict[str, Any]) -> Campaign:
    """A campaign whose overview dwells longer than the limits allow without a person's word."""
    raw = raw_campaign("live-stem", autonomy=autonomy, budget={"credits": 8, "hours": 20})
    look = next(s for s in raw["workflow"]["steps"] if s["name"] == "look")
    look["parameters"]["program"][0]["overview"]["dwell_s"] = 40e-6
    return Campaign(spec_of(raw))


def test_who_approves_an_action_vouches_for_its_long_dwell() -> None:
    campaign = dwelling({"levels": {3: "approve", 4: "auto"}})
    for event in campaign:
        if isinstance(event, Awaiting):
            campaign.order(Approve(actions=(event.action.id,)), "ada")
    issued = [e for e in campaign.seen if isinstance(e, Issued)]
    approved = {e.action.step: e.approved_by for e in issued}
    assert approved["look"] == "ada" and approved["load_sample"] == ""
    looked = next(e.observation for e in looks(campaign.seen) if len(e.observation.commands) > 2)
    assert looked.failure is None
    verdicts = {entry.command.verb: entry.verdict for entry in looked.commands}
    assert verdicts["overview"] == "confirmed" and verdicts["spectrum"] == "allowed"


@pytest.mark.parametrize(
    "autonomy",
    [
        {"levels": {3: "auto", 4: "auto"}},
        {"levels": {3: "approve", 4: "auto"}, "timeout_s": 0.01, "at_timeout": "approve"},
    ],
)
def test_where_no_person_approved_nobody_vouches(autonomy: dict[str, Any]) -> None:
    campaign = dwelling(autonomy)
    campaign.run()
    overviews = [
        entry
        for e in looks(campaign.seen)
        for entry in e.observation.commands
        if entry.command.verb == "overview"
    ]
    assert overviews and {entry.verdict for entry in overviews} == {"refused"}
    assert "vouch" in overviews[0].reason
