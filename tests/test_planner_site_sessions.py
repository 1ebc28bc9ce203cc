"""Sessions over positions in campaigns: the same journal gives the same decisions, dwells and
places that are measured again."""

from __future__ import annotations

import numpy as np
import pytest
from support_films import GRID, SIDE, SITE, SMOOTH, STRUCTURE, WATCHED, Film, quicken

from probewise.planner._position_search import Use
from probewise.planner._retakes import MOST_TIMES
from probewise.workflow import (
    Change,
    Commanded,
    Decision,
    Formula,
    Message,
    Quality,
    Set,
    SpecError,
    Step,
    Wishes,
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quicken(monkeypatch.setattr)


def say(film: Film, **wishes: object) -> None:
    """People wish something."""
    message = Message(
        id=f"m{film.state.decisions}",
        who="ada",
        said="2026-01-01T00:00:00Z",
        order=Set(changes={"session.explore": 0}),
    )
    change = Change(session=Wishes.model_validate(wishes))
    film.state.apply(
        Commanded(hour=film.state.now_h, message=message, accepted=True, answer="", change=change)
    )


def where(decision: Decision) -> tuple[int, int]:
    return decision.actions[0].target.positions[0]


@pytest.mark.slow
@pytest.mark.parametrize("use", ["structure", "place", "random"])
def test_a_fresh_policy_decides_as_the_one_that_lived_through_everything(use: Use) -> None:
    film = Film(STRUCTURE + 0.3 * SMOOTH, use)
    for _ in range(4 + 2 * 11):
        lived = film.search.decide(film.state)
        assert lived == film.search.decide(film.state), "asking changes nothing"
        if film.state.decisions in {8, 19, 24, 25}:
            assert film.fresh().decide(film.state) == lived
            assert film.search.recommend(film.state) == film.fresh().recommend(film.state)
        film.obey(lived)


@pytest.mark.slow
def test_wishes_hold_from_the_next_decision_on_and_fresh_policies_agree() -> None:
    film = Film(SMOOTH)
    film.measure(9)
    plain = film.search.decide(film.state)
    for wish in ({"reward": "-height"}, {"explore": 2.0}, {"more_like": (0, 0)}, {"exploit": True}):
        say(film, **wish)
        wished = film.search.decide(film.state)
        assert film.fresh().decide(film.state) == wished
        assert (wished.reason, wished.index) != (plain.reason, plain.index)
        film.measure(1)
    say(film)
    assert film.fresh().decide(film.state) == film.search.decide(film.state)
    best = film.search.recommend(film.state)
    assert best is not None and best.estimate.value > SMOOTH.mean(), "the answer is the goal's"


@pytest.mark.slow
def test_another_reward_turns_the_search_round_and_back() -> None:
    film = Film(SMOOTH)
    film.measure(12)
    say(film, reward="-height")
    low = [SMOOTH[GRID.index(where(d))] for d in film.measure(5)]
    say(film)
    high = [SMOOTH[GRID.index(where(d))] for d in film.measure(5)]
    assert np.mean(low) < SMOOTH.mean() < np.mean(high)


@pytest.mark.slow
def test_a_reward_may_be_no_number_at_some_places() -> None:
    film = Film(SMOOTH)
    film.measure(12)
    heights = [e.value for e in film.search._for_goal.of(film.state, SITE).told().values()]  # type: ignore[union-attr]
    assert min(heights) < 1.0 < max(heights)
    say(film, reward="log(height - 1)")
    for _ in range(3):
        lived = film.search.decide(film.state)
        assert lived.kind == "act" and film.fresh().decide(film.state) == lived
        film.measure(1)
    told = film.search._for_reward.of(film.state, SITE, Formula(expression="log(height - 1)"))
    assert told is not None and 0 < told.measured < 15


def test_a_reward_may_name_the_local_structure() -> None:
    film = Film(SMOOTH)
    film.measure(12)
    say(film, reward="height - 100 * f0")
    low = [STRUCTURE[GRID.index(where(d))] for d in film.measure(5)]
    assert max(low) < np.median(STRUCTURE)


def test_a_wish_for_a_place_that_is_not_there_ends_no_session() -> None:
    film = Film(SMOOTH)
    film.measure(9)
    plain = film.search.decide(film.state)
    say(film, more_like=(500, 500))
    assert film.search.decide(film.state).actions == plain.actions


@pytest.mark.slow
def test_a_policy_that_is_asked_about_another_campaign_starts_anew() -> None:
    first, second = Film(SMOOTH, seed=1), Film(STRUCTURE, seed=2)
    for film in (first, second):
        film.measure(9)
    expected = second.search.decide(second.state)
    assert first.search.decide(second.state) == expected
    assert first.search.decide(first.state) == first.fresh().decide(first.state)


@pytest.mark.slow
def test_a_longer_dwell_costs_more_and_is_chosen_where_noise_hides_what_is_sought() -> None:
    quiet, noisy = (Film(STRUCTURE * scale, flow=WATCHED, credits=60) for scale in (100.0, 0.05))
    dwells = []
    for film in (quiet, noisy):
        found = film.measure(14)[8:]
        dwells.append([d.actions[0].parameters["dwell_s"] for d in found])
        for d in found:
            dose = film.state.commitment(d.actions[0]).dose_e_per_A2
            assert dose == pytest.approx(1.5 * 2.0 * d.actions[0].parameters["dwell_s"])
    assert set(dwells[0]) == {0.25}, "the shortest, where noise is nothing"
    assert min(dwells[1]) >= 1.0


@pytest.mark.slow
def test_dwells_that_a_limit_does_not_bear_are_not_chosen() -> None:
    free, tight = (Film(0.05 * STRUCTURE, flow=WATCHED, credits=60, dose_e_per_A2=d)
                   for d in (None, 28.0))  # fmt: skip
    chosen = []
    for film in (free, tight):
        film.measure(8)
        found: list[float] = []
        while (decision := film.step()).kind == "act":
            if decision.actions[0].target.positions:
                found.append(decision.actions[0].parameters["dwell_s"])
            if len(found) == 8:
                break
        chosen.append(found)
    assert 4.0 in chosen[0] and 4.0 not in chosen[1]
    assert (tight.state.largest_dose or (0.0,))[0] <= 28.0


@pytest.mark.slow
def test_a_place_with_a_bad_spectrum_may_be_measured_again_but_not_for_ever() -> None:
    film = Film(SMOOTH, flow=WATCHED, credits=200)
    film.measure(10)
    (decision,) = (film.search.decide(film.state),)
    place = where(decision)
    film.bad.add(place)
    bad = Quality(verdict="retake", score=0.0, reason="spikes", again=(place,))
    film.verdicts = [bad] * 40
    visited = [where(d) for d in film.measure(40)]
    assert 2 <= visited.count(place) <= MOST_TIMES


def test_what_is_worth_another_look_gets_it_next_for_as_long_as_it_is_worth() -> None:
    film = Film(SMOOTH, flow=WATCHED, credits=60)
    film.measure(10)
    place = where(film.search.decide(film.state))
    film.verdicts = [
        Quality(verdict="retake", score=1.0, reason="promising", again=(place,), dwell_s=3.5)
    ]
    film.measure(1)
    again = film.search.decide(film.state)
    assert where(again) == place and again.actions[0].parameters == {"dwell_s": 3.5}
    assert "again" in again.reason and "promising" in again.reason
    assert film.fresh().decide(film.state) == again
    film.measure(1)
    assert where(film.search.decide(film.state)) != place, "once is enough"


def test_another_look_that_is_forbidden_or_not_affordable_is_left_out() -> None:
    for limit in ("area", "dose"):
        film = Film(SMOOTH, flow=WATCHED, credits=60, dose_e_per_A2=60.0)
        film.measure(10)
        place = where(film.search.decide(film.state))
        film.verdicts = [
            Quality(verdict="retake", score=1.0, reason="promising", again=(place,), dwell_s=30.0)
        ]
        film.measure(1)
        if limit == "area":
            r, c = place
            say(film, forbid=[{"top": r, "left": c, "bottom": r, "right": c}])
        decision = film.search.decide(film.state)
        assert not decision.actions or where(decision) != place


def test_the_stake_of_a_measurement_goes_with_it_and_with_those_who_watch_it() -> None:
    film = Film(SMOOTH, flow=WATCHED, credits=60, worth_credits=1000.0)
    early = film.measure(8)
    assert all(d.actions[0].stake is None for d in early), "nothing can be weighed yet"
    decision = film.step()
    stake = decision.actions[0].stake
    assert stake is not None and stake.quantity == "height"
    assert stake.believed[0] == pytest.approx(decision.expected["height"].value)
    assert stake.rival <= SMOOTH.max() + 0.2 and stake.credits_per_unit <= 1000.0
    assert stake.longest_s == 4.0 and stake.credits_per_s > 0.0
    watched = film.search.decide(film.state).actions[0]
    assert watched.step == "look" and watched.stake == stake
    say(film, reward="-height")
    film.measure(1)
    last = [a for a in film.state.actions.values() if a.target.positions][-1]
    assert last.stake is None, "a formula cannot be read off a spectrum"


@pytest.mark.parametrize(
    "changes",
    [
        {"dwell": "dwell_s"},
        {"dwell": "dwell_s", "parameters": {"dwell_s": 0}},
        {"dwell": "dwell_s", "parameters": {"dwell_s": 1}, "dwells_s": [2, 1]},
        {"dwell": "dwell_s", "parameters": {"dwell_s": 1}, "acts_on": "site"},
        {"dwells_s": [1.0]},
        {"cost_credits": {"median": 1, "per_s": 1}},
    ],
)
def test_a_dwell_that_does_not_fit_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(SpecError, match="dwell") as caught:
        Step.model_validate({"name": "probe", "level": 3, "acts_on": "positions", **changes})
    assert "usual dwell" in caught.value.remedy


def test_a_reward_that_positions_do_not_give_is_left_aside() -> None:
    film = Film(SMOOTH)
    film.measure(9)
    plain = film.search.decide(film.state)
    film.state.wishes = Wishes(reward=Formula(expression="2 * nothing"))
    assert where(film.search.decide(film.state)) == where(plain)


@pytest.mark.parametrize("use", ["structure", "random"])
def test_a_session_that_may_measure_nowhere_says_who_forbade_it(use: Use) -> None:
    film = Film(STRUCTURE, use)
    while film.state.actions_numbered < 3 + 2 * 5:
        film.obey(film.search.decide(film.state))
    say(film, forbid=f"0,0,{SIDE},{SIDE}")
    while (last := film.search.decide(film.state)).kind == "act":
        film.obey(last)
    assert last.kind == "close"
    assert "positions left are forbidden" in last.reason
    assert f"session.forbid=0,0,{SIDE},{SIDE} of ada at hour" in last.reason
    assert "forbid less" in last.reason and "every position" not in last.reason
