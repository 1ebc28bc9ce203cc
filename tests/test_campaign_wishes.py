"""People steer a running session: its next decision obeys, and the journal replays alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from support_campaigns import untrack
from support_cubes import write_nsid
from support_films import quicken

from probewise.campaign import Campaign, load_spec
from probewise.campaign._change import resolve_change
from probewise.campaign._check_spec import check_heeded
from probewise.campaign._replay import redecide
from probewise.campaign._wording import resumed_text
from probewise.workflow import Commanded, Decided, Decision, Region, Set, SpecError, Wishes

SIDE = 16
BEFORE = 9
"""Spectra that are taken before somebody says something."""


def recording(path: Path) -> Path:
    """A hill in the current that the image shows, with a little of each pixel's own."""
    rng = np.random.default_rng(5)
    row, column = np.mgrid[:SIDE, :SIDE]
    hill = np.exp(-((row - 4) ** 2 + (column - 11) ** 2) / 12.0)
    field = np.linspace(0.0, 1.0, 40)
    cube = hill[..., None] * (1.0 + field) + 0.02 * rng.standard_normal((SIDE, SIDE, 40))
    return write_nsid(path, cube)


@pytest.fixture(scope="module", autouse=True)
def untracked() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        untrack(patch.setattr)
        quicken(patch.setattr)
        yield


def steered(folder: Path, changes: dict[str, object]) -> tuple[Campaign, list[Decision]]:
    """A campaign in which ada says something after some spectra, and the spectra from then on."""
    data = recording(folder / "cube.h5")
    campaign = Campaign(load_spec("bfo-replay", data=data, budget={"credits": 34, "hours": 4}))
    taken, told, after = 0, False, []
    for event in campaign:
        if isinstance(event, Commanded):
            assert event.accepted, event.answer
            told = True
        if isinstance(event, Decided) and event.decision.actions:
            measures = event.decision.actions[0].step == "measure_spectra"
            taken += measures
            if measures and told:
                after.append(event.decision)
            if taken == BEFORE and measures:
                campaign.order(Set(changes=changes), "ada")  # type: ignore[arg-type]
    assert told and after
    return campaign, after


def places(decisions: list[Decision]) -> list[tuple[int, int]]:
    return [d.actions[0].target.positions[0] for d in decisions]


def test_a_forbidden_area_is_not_measured_from_the_next_decision_on(tmp_path: Path) -> None:
    campaign, after = steered(tmp_path, {"session.forbid": "0,6,10,15"})
    assert campaign.state.wishes.forbid == (Region(top=0, left=6, bottom=10, right=15),)
    assert not any(r <= 10 and c >= 6 for r, c in places(after))
    found = list(redecide(campaign.spec, campaign.seen))
    assert found and all(f.same for f in found), "the journal gives the same decisions once more"


def test_exploiting_takes_the_largest_believed_value(tmp_path: Path) -> None:
    _, after = steered(tmp_path, {"session.exploit": True})
    assert "exploiting" in after[0].reason
    expected = [d.expected["log_current"].value for d in after]
    assert all(a.value <= after[0].value + 1e-9 for a in after[0].alternatives)
    assert np.mean(expected) > 0.8


def test_another_reward_is_sought_and_the_answer_stays_the_goals(tmp_path: Path) -> None:
    campaign, after = steered(tmp_path, {"session.reward": "-log_current"})
    top = [r <= 7 and c >= 8 for r, c in places(after)]
    assert not any(top[2:]), "the hill is avoided"
    assert after[0].expected == {}, "what is believed of the reward is not the goal's"
    recommendation = campaign.state.recommendation
    assert recommendation is not None and recommendation.estimate.value > 0.3


def test_more_of_a_place_goes_to_what_looks_like_it(tmp_path: Path) -> None:
    _, liked = steered(
        tmp_path, {"session.more_like": "13,2", "session.liking": 1e6, "session.explore": 1}
    )
    assert not any(r <= 7 and c >= 8 for r, c in places(liked))


def test_a_wish_that_cannot_be_is_refused_in_words(tmp_path: Path) -> None:
    campaign, _ = steered(tmp_path, {"session.exploit": True})
    for key, value, word in (
        ("forbid", "1,2,3", "4 whole numbers"),
        ("reward", "no_such * 2", "no_such"),
        ("more_like", "99,99", "overview"),
        ("exploit", "perhaps", "exploit"),
        ("speed", 3, "speed"),
        ("maximize", -1, "maximize"),
        ("forbid", "5,5,1,1", "bottom from top on"),
        ("reward", "log_current - image_contrast", "image_contrast"),
        ("reward", "log_current - log_current_std", "log_current_std"),
        ("reward", "1 / (log_current - log_current)", "no finite number"),
    ):
        with pytest.raises(SpecError, match=word):
            resolve_change(campaign.spec, campaign.state, {f"session.{key}": value})


def test_several_regions_and_a_place_as_text() -> None:
    wishes = Wishes.model_validate({"forbid": "0,0,1,1; 5,5,6,7", "more_like": "3, 4"})
    assert wishes.more_like == (3, 4)
    assert [wishes.allows(*p) for p in ((1, 1), (2, 1), (6, 7), (6, 8))] == [
        False,
        True,
        False,
        True,
    ]
    assert Wishes.model_validate_json(wishes.model_dump_json()) == wishes
    with pytest.raises(ValidationError, match="at least one"):
        Wishes(maximize=0.0)


@pytest.mark.slow
def test_an_interrupted_campaign_goes_on_with_the_same_decisions(tmp_path: Path) -> None:
    data = recording(tmp_path / "cube.h5")
    spec = load_spec("bfo-replay", data=data, budget={"credits": 36, "hours": 4})
    uninterrupted = Campaign(spec, out=tmp_path / "whole")
    whole = [e.decision for e in uninterrupted if isinstance(e, Decided)]
    broken = Campaign(spec, out=tmp_path / "run")
    for event in broken:
        if isinstance(event, Decided) and event.decision.number == 33:
            break
    resumed = Campaign.resume(tmp_path / "run")
    for _ in resumed:
        pass
    found = [e.decision for e in resumed.seen if isinstance(e, Decided)]
    assert [d.number for d in found] == [d.number for d in whole] and len(whole) > 40
    assert found == whole


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"session": {"reward": "no_such * log_current"}}, ("no_such", "log_current", "f0")),
        ({"session": {"reward": "log_current - image_contrast"}}, ("image_contrast", "f7")),
        ({"goal": {"kind": "maximize", "quantity": "image_contrast", "over": "positions"}},
         ("image_contrast", "describe_patches", "f0")),
    ],
)  # fmt: skip
def test_what_no_table_gives_is_refused_before_the_start(
    tmp_path: Path, changes: dict[str, object], words: tuple[str, ...]
) -> None:
    spec = load_spec("bfo-replay", data=recording(tmp_path / "cube.h5"))
    wrong = type(spec).model_validate({**spec.model_dump(), **changes})
    out = tmp_path / "run"
    with pytest.raises(SpecError) as caught:
        Campaign(wrong, out=out).run()
    assert all(word in str(caught.value) for word in words) and caught.value.remedy
    assert not out.exists(), "nothing is begun"


@pytest.mark.parametrize(
    "wish",
    [{"reward": "coercive_bias"}, {"exploit": True}, {"forbid": "0,0,4,4"}, {"explore": 1}],
    ids=lambda wish: next(iter(wish)),
)
def test_wishes_that_no_session_heeds_are_refused(wish: dict[str, Any]) -> None:
    spec = load_spec("sm-bfo")
    raw = {**spec.model_dump(), "session": wish}
    with pytest.raises(SpecError, match=rf"session\.{next(iter(wish))}.*goal over designs"):
        check_heeded(type(spec).model_validate(raw))


def test_a_run_begun_with_wishes_that_nothing_heeds_can_still_be_changed() -> None:
    """They were let pass once: its budget is not to hang on them, only its goal and wishes do."""
    spec = load_spec("sm-bfo")
    old = type(spec).model_validate({**spec.model_dump(), "session": {"explore": 1}})
    state = old.initial_state()
    assert resolve_change(old, state, {"budget.credits": 900.0}).budget is not None
    assert resolve_change(old, state, {"session.explore": 0}).session is not None
    with pytest.raises(SpecError, match=r"session\.explore and session\.exploit.*heeds them"):
        resolve_change(old, state, {"session.exploit": True})


def test_who_takes_a_session_up_again_is_told_what_is_learnt_once_more(tmp_path: Path) -> None:
    campaign, _ = steered(tmp_path, {"session.explore": 1})
    said = resumed_text(campaign.state)
    count = sum(bool(o.tables) and "log_current" in o.values for o in campaign.state.observations)
    assert f"models learn {count} tables of {count} measured positions" in said
    assert f"{len(campaign.state.observations)} observations read again" in said
