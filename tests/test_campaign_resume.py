"""Interrupted campaigns: broken off anywhere, killed in the middle of an action, taken up again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support_campaigns import (
    DIE_AT,
    kinds,
    raw_library_spec,
    raw_spec,
    registered,
    shrink,
    spec_of,
    untrack,
)

from probewise.campaign import Campaign, Journal, load_spec
from probewise.workflow import (
    ActionState,
    Assessed,
    Decided,
    Event,
    Observed,
    Resumed,
    RunFolderError,
    State,
    StoreError,
    Target,
)

Raw = dict[str, Any]

DEAR = raw_library_spec(policy="planner", budget={"credits": 48, "hours": 40})
"""Sessions, grants, several workers."""
PLAIN = raw_spec(policy="planner", budget={"credits": 15, "hours": 40})


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The tiny workers, few worlds, and no tracking."""
    with (
        registered(tmp_path_factory.mktemp("installed")) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        shrink(patch.setattr)
        untrack(patch.setattr)
        yield folder


def told(state: State) -> list[tuple[Any, ...]]:
    """What was decided and what came of it, without the times of day."""
    return [
        (
            action.id,
            action.step,
            action.target,
            action.seed,
            action.session,
            action.hours,
            state.states[action.id],
        )
        for action in state.actions.values()
    ]


def decisions(events: tuple[Event, ...]) -> list[tuple[Any, ...]]:
    return [
        (d.number, d.kind, d.tier, d.reason, d.value, d.index, d.grant, d.alternatives)
        for d in (e.decision for e in events if isinstance(e, Decided))
    ]


def same(one: Campaign, other: Campaign) -> None:
    """The same campaign, whatever happened to the process that ran it."""
    assert told(one.state) == told(other.state)
    assert decisions(one.seen) == decisions(other.seen)
    assert one.state.observations == other.state.observations
    assert one.state.recommendation == other.state.recommendation
    assert one.state.stopped == other.state.stopped
    assert one.state.spent_credits == other.state.spent_credits
    assessed = [[e for e in c.seen if isinstance(e, Assessed)] for c in (one, other)]
    assert assessed[0] == assessed[1]


@pytest.fixture(scope="module", params=["plain", "samples"])
def whole(request: pytest.FixtureRequest) -> Campaign:
    """A campaign that nobody interrupts."""
    raw = {"plain": PLAIN, "samples": DEAR}[request.param]
    campaign = Campaign(spec_of(raw))
    campaign.run()
    return campaign


def begin(whole: Campaign, folder: Path, most: int) -> int:
    """Run the same until so many events have come."""
    count = 0
    for count, _ in enumerate(Campaign(whole.spec, out=folder), start=1):
        if count == most:
            break
    return count


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.2, 0.45, 0.7, 1.0])
def test_a_campaign_goes_on_where_it_was_broken_off(
    whole: Campaign, tmp_path: Path, share: float
) -> None:
    most = max(1, round(share * len(whole.seen)))
    assert begin(whole, tmp_path / "run", most) == most
    resumed = Campaign.resume(tmp_path / "run")
    resumed.run()
    same(whole, resumed)
    marks = [e for e in resumed.seen if isinstance(e, Resumed)]
    assert len(marks) == (0 if share == 1.0 else 1)
    with Journal(tmp_path / "run" / "journal.sqlite", read_only=True) as journal:
        assert tuple(journal.events()) == resumed.seen


def test_a_campaign_may_be_broken_off_after_every_few_events(
    whole: Campaign, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    begin(whole, folder, 5)
    resumed = Campaign.resume(folder)
    while resumed.state.stopped is None:
        resumed = Campaign.resume(folder)
        for count, _ in enumerate(resumed, start=1):
            if count == 9:
                break
    same(whole, resumed)
    assert kinds(resumed.seen).count("resumed") > 2


@pytest.mark.slow
@pytest.mark.parametrize("out", [True, False])
def test_iterating_again_goes_on_in_the_same_process(
    whole: Campaign, tmp_path: Path, out: bool
) -> None:
    campaign = Campaign(whole.spec, out=tmp_path / "run" if out else None)
    for most in (2, 7, 11):
        for count, _ in enumerate(campaign, start=1):
            if count == most:
                break
    campaign.run()
    same(whole, campaign)


@pytest.mark.slow
def test_a_finished_campaign_stays_as_it_is(whole: Campaign, tmp_path: Path) -> None:
    first = Campaign(whole.spec, out=tmp_path / "run")
    first.run()
    again = Campaign.resume(tmp_path / "run")
    assert list(again) == []
    assert again.seen == first.seen
    assert again.result().summary["stop_reason"] == whole.state.stopped


def test_two_processes_do_not_work_on_one_run(whole: Campaign, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    at_work = iter(Campaign(whole.spec, out=folder))
    next(at_work)
    second = iter(Campaign.resume(folder))
    with pytest.raises(RunFolderError, match="already in use") as caught:
        next(second)
    assert str(os.getpid()) in caught.value.given
    at_work.close()  # type: ignore[attr-defined]
    assert next(iter(Campaign.resume(folder))).kind == "resumed"


def test_a_new_campaign_does_not_overwrite_an_old_run(whole: Campaign, tmp_path: Path) -> None:
    begin(whole, tmp_path / "run", 3)
    with pytest.raises(RunFolderError, match="not empty"):
        next(iter(Campaign(whole.spec, out=tmp_path / "run")))


def test_resuming_needs_a_run_with_a_beginning(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="journal"):
        Campaign.resume(tmp_path)
    Journal(tmp_path / "journal.sqlite").close()
    with pytest.raises(StoreError, match="beginning"):
        Campaign.resume(tmp_path)


@pytest.mark.slow
def test_refused_proposals_are_remembered(tmp_path: Path) -> None:
    raw = raw_spec(policy="planner", budget={"credits": 14})
    raw["guardian"]["config"] |= {"min_x": 0.1, "max_x": 0.9}
    first = Campaign(spec_of(raw))
    first.run()
    refused = kinds(first.seen).count("refused")
    assert refused > 0
    place = kinds(first.seen).index("refused") + 1
    begin(first, tmp_path / "run", place)
    resumed = Campaign.resume(tmp_path / "run")
    resumed.run()
    same(first, resumed)
    places = [first.state.actions[i].target.design["x"] for i in first.state.refused]
    assert all(not 0.1 <= x <= 0.9 for x in places)


# -- processes that are killed -------------------------------------------------------------------

PROGRAM = """
import sys
from pathlib import Path
from support_campaigns import shrink, untrack
from probewise.campaign import Campaign, load_spec
shrink()
untrack()
spec, folder = sys.argv[1:]
campaign = Campaign(load_spec(spec), out=folder)
for event in campaign:
    print(event.kind, flush=True)
"""


@pytest.fixture
def kill(installed: Path, tmp_path: Path) -> Callable[[Raw, str], Path]:
    """Run a campaign in a process of its own whose worker kills it in the middle of an action."""

    def run(raw: Raw, action: str) -> Path:
        spec, folder = tmp_path / "campaign.yaml", tmp_path / "run"
        spec.write_text(yaml.safe_dump(raw))
        paths = [str(Path(__file__).parent), str(installed), os.environ.get("PYTHONPATH", "")]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(spec), str(folder)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), DIE_AT: action},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert done.stdout.split()[0] == "started"
        return folder

    return run


@pytest.mark.slow
def test_a_killed_campaign_of_twins_ends_like_one_that_was_not(
    kill: Callable[[Raw, str], Path],
) -> None:
    whole = Campaign(spec_of(DEAR))
    whole.run()
    folder = kill(DEAR, "a00007")
    with Journal(folder / "journal.sqlite", read_only=True) as journal:
        events = list(journal.events())
    seen = [e.observation.action_id for e in events if isinstance(e, Observed)]
    assert "a00007" not in seen and events[-1].kind == "issued"
    resumed = Campaign.resume(folder)
    resumed.run()
    same(whole, resumed)


@pytest.mark.slow
def test_what_a_killed_device_may_have_done_is_charged_and_not_repeated(
    kill: Callable[[Raw, str], Path], tmp_path: Path
) -> None:
    log = tmp_path / "performed.txt"
    raw = raw_library_spec(policy="random", budget={"credits": 80, "hours": 40})
    raw["workers"]["oven"] |= {"type": "peak-device"}
    raw["workers"]["oven"]["config"] |= {"log": str(log)}
    raw["guardian"]["config"]["allow_live_irreversible"] = True
    folder = kill(raw, "a00000")
    assert log.read_text().split() == ["a00000"]
    resumed = Campaign.resume(folder)
    resumed.run()
    performed = log.read_text().split()
    assert performed.count("a00000") == 1 and len(performed) > 1
    state = resumed.state
    assert state.states["a00000"] == ActionState.UNCERTAIN
    lost = state.observations[0]
    assert lost.action_id == "a00000" and lost.cost_credits == 15.0
    assert lost.failure is not None and lost.failure.kind == "uncertain"
    assert "not repeated" in lost.failure.remedy
    assert state.spent_credits <= 80
    assert not state.inventory.is_done("grow", Target(sample="S001"))


# -- actors --------------------------------------------------------------------------------------


@pytest.mark.ray
def test_actors_and_one_process_give_the_same_campaign(ray_cluster: None, tmp_path: Path) -> None:
    """Broken off with some actions in flight, taken up by new actors."""
    spec = load_spec("sm-bfo", policy="random", budget={"credits": 900.0})
    whole = Campaign(spec, out=tmp_path / "whole")
    whole.run()
    folder = tmp_path / "run"
    for count, _ in enumerate(Campaign(spec, out=folder, runtime="ray"), start=1):
        if count == 12:
            break
    resumed = Campaign.resume(folder, runtime="ray")
    resumed.run()
    same(whole, resumed)
