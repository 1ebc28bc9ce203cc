"""Structure-property sessions: which model is believed, and what is worth measuring."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probewise.planner import ProbePrices, StructureProperty, Visit
from probewise.planner._session_belief import LocalBelief, Views
from probewise.planner._session_gp import LocalProcess, Readings
from probewise.planner._session_prices import distances, shortest_path
from probewise.planner._session_reward import reward_of
from probewise.planner._session_value import LocalValue, Overview
from probewise.workflow import Estimate, Formula, SpecError, Wishes

SIDE = 14
PLACES = np.stack([g.ravel() for g in np.meshgrid(range(SIDE), range(SIDE), indexing="ij")], axis=1)
RNG = np.random.default_rng(0)
PATCHES = RNG.standard_normal((SIDE**2, 6)) * np.array([3.0, 2.0, 1.0, 0.5, 0.3, 0.2])
HIDDEN = np.tanh(PATCHES[:, 0] / 2.0) + 0.3 * PATCHES[:, 1]
"""A property that the patches tell, and the place does not."""
SMOOTH = np.sin(PLACES[:, 0] / 3.0) + PLACES[:, 1] / SIDE
"""A property that the place tells, and the patches do not."""
QUICK = ("place", "structure")


def session(**options: object) -> StructureProperty:
    return StructureProperty(PLACES, PATCHES, "y", **({"models": QUICK} | options))  # type: ignore[arg-type]


def play(made: StructureProperty, truth: np.ndarray, count: int, batch: int = 4) -> list[Visit]:
    visits: list[Visit] = []
    while made.measured < count:
        for visit in made.suggest(batch):
            row = visit.position[0] * SIDE + visit.position[1]
            made.ingest(visit.position, {"y": (float(truth[row]), 0.05)})
            visits.append(visit)
    return visits


def readings(truth: np.ndarray, rows: np.ndarray) -> Readings:
    return Readings(rows, truth[rows], np.full(len(rows), 0.02))


def learnt(truth: np.ndarray, models: tuple[str, ...], count: int = 60) -> LocalBelief:
    belief = LocalBelief(Views.of(PLACES, PATCHES), 0, models)
    rows = np.random.default_rng(1).permutation(SIDE**2)[:count]
    for end in range(10, count + 1, 10):
        belief.learn(readings(truth, rows[:end]), 10)
    return belief


@pytest.mark.slow
@pytest.mark.parametrize(("truth", "best"), [(HIDDEN, "structure"), (SMOOTH, "place")])
def test_the_model_that_foretells_is_believed(truth: np.ndarray, best: str) -> None:
    belief = learnt(truth, QUICK)
    assert belief.leader == best and belief.weights[best] > 0.8
    assert sum(belief.weights.values()) == pytest.approx(1.0)
    own = belief.predictions[best]
    np.testing.assert_allclose(belief.mixed().mean, own.mean, atol=0.4)


def test_scores_forget() -> None:
    belief = LocalBelief(Views.of(PLACES, PATCHES), 0, QUICK)
    rows, early = np.arange(60) * 3, 0.0
    changing = np.concatenate([SMOOTH[rows[:30]], HIDDEN[rows[30:]]])
    for end in range(10, 61, 10):
        values = Readings(rows[:end], changing[:end], np.full(end, 0.02))
        belief.learn(values, 10)
        if end == 30:
            early = belief.scores["place"] - belief.scores["structure"]
    assert belief.scores["place"] - belief.scores["structure"] < early


@pytest.mark.slow
@pytest.mark.parametrize("model", ["structure", "deep", "trees"])
def test_models_of_structure_predict_what_they_have_not_seen(model: str) -> None:
    belief = learnt(HIDDEN, ("place", model))
    rows = np.random.default_rng(1).permutation(SIDE**2)[60:]
    p = belief.predictions[model]
    error = HIDDEN[rows] - p.mean[rows]
    assert np.mean(error**2) < 0.5 * HIDDEN.var(), np.mean(error**2) / HIDDEN.var()
    z = error / p.total_std[rows]
    assert 0.25 < z.std() < 2.0


def test_a_training_goes_on_from_the_last_one_and_only_where_it_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps: list[int] = []
    original = LocalProcess._train
    monkeypatch.setattr(
        LocalProcess, "_train", lambda s: (steps.append(len(s._readings.rows)), original(s))[1]
    )
    views = Views.of(PLACES, PATCHES)
    model = LocalProcess("deep", views.components, views.patches, 0)
    rows = np.random.default_rng(2).permutation(SIDE**2)
    for n in range(5, 41):
        model.learn(readings(HIDDEN, rows[:n]))
    assert steps[0] == 5 and len(steps) < 12
    assert all(b >= 1.25 * a for a, b in itertools.pairwise(steps))


@pytest.mark.slow
def test_a_wished_overview_teaches_more_than_the_search_for_the_largest() -> None:
    maps = {}
    for explore in (0.0, 1.0):
        made = session(wishes=Wishes(maximize=1.0 - explore, explore=explore))
        play(made, HIDDEN, 40)
        maps[explore] = float(np.mean((made.map()[0] - HIDDEN) ** 2))
    assert maps[1.0] < maps[0.0]


@pytest.mark.slow
def test_the_search_finds_a_large_value_and_says_how_sure_it_is() -> None:
    made = session()
    play(made, HIDDEN, 40)
    position, estimate = made.best()
    assert HIDDEN[position[0] * SIDE + position[1]] >= np.quantile(HIDDEN, 0.97)
    assert 0.0 < estimate.std < 0.06, "it was measured with 0.05"


@pytest.mark.slow
def test_the_same_seed_and_answers_give_the_same_visits() -> None:
    a, b = (play(session(models=("structure", "deep"), seed=3), HIDDEN, 24) for _ in range(2))
    assert a == b
    assert a != play(session(models=("structure", "deep"), seed=4), HIDDEN, 24)


def test_minutes_are_those_of_way_settling_and_dwell() -> None:
    prices = ProbePrices(speed_px_per_s=2.0, settle_s=3.0, dwells_s=(5.0,))
    made = session(prices=prices)
    visits = play(made, HIDDEN, 12)
    way = sum(
        float(np.hypot(*np.subtract(a.position, b.position))) for a, b in itertools.pairwise(visits)
    )
    assert made.minutes == pytest.approx((way / 2.0 + 12 * 8.0) / 60.0)


@pytest.mark.slow
def test_where_ways_are_long_the_next_place_is_near() -> None:
    def way(speed: float) -> float:
        prices = ProbePrices(speed_px_per_s=speed, settle_s=0.1, dwells_s=(0.1,))
        made = session(prices=prices, wishes=Wishes(maximize=0.0, explore=1.0))
        visits = play(made, HIDDEN, 30, batch=1)[10:]
        steps = [
            np.hypot(*np.subtract(a.position, b.position)) for a, b in itertools.pairwise(visits)
        ]
        return float(np.mean(steps))

    assert way(0.5) < 0.7 * way(1e4)


def dwell(noise_at_1s: float, settle_s: float) -> float:
    prices = ProbePrices(settle_s=settle_s, dwells_s=(0.1, 1.0, 10.0), noise_at_1s=noise_at_1s)
    return float(np.mean([v.dwell_s for v in play(session(prices=prices), HIDDEN, 24)[8:]]))


@pytest.mark.slow
def test_a_dwell_is_as_long_as_its_noise_and_the_way_make_it_worth() -> None:
    assert dwell(0.01, 0.1) < 0.5, "almost without noise the shortest"
    assert dwell(2.0, 20.0) > 5.0, "much noise after a dear move: stay"


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=7, unique=True)
)
def test_a_short_path_visits_each_place_once_and_is_near_the_shortest(
    places: list[tuple[int, int]],
) -> None:
    order = shortest_path((0, 0), places)
    assert sorted(order) == list(range(len(places)))

    def length(path: tuple[int, ...]) -> float:
        stops = np.array([(0, 0), *(places[i] for i in path)])
        return float(np.diagonal(distances(stops[:-1], stops[1:])).sum())

    if len(places) <= 6:
        best = min(length(p) for p in itertools.permutations(range(len(places))))
        assert length(tuple(order)) <= 1.25 * best + 1e-9


def test_gains_fall_with_noise_and_near_what_was_chosen() -> None:
    mean, std = np.zeros(3), np.ones(3)
    covariance = np.array([1.0, 0.9, 0.0])
    overview = Overview(np.arange(3), np.eye(3))
    value = LocalValue(mean, std, 0.1, 0.5, 1.0, np.zeros(3), overview)
    both = Wishes(maximize=1.0, explore=1.0)
    assert np.all(value.gain(both, 0.1) > value.gain(both, 1.0))
    after = value.given(0, covariance, 0.1)
    gain = after.gain(Wishes(), 0.1)
    assert gain[0] < gain[1] < gain[2] == pytest.approx(value.gain(Wishes(), 0.1)[2])


def test_wishes_are_heeded_by_the_next_suggestion() -> None:
    made = session(rewards={"darkest": lambda v: -v["y"]})
    play(made, HIDDEN, 24)
    made.wish(Wishes.model_validate({"forbid": f"0,0,6,{SIDE - 1}"}))
    visits = made.suggest(4)
    assert all(v.position[0] > 6 for v in visits)
    for v in visits:
        made.ingest(v.position, failure=True)
    assert not {v.position for v in visits} & {v.position for v in made.suggest(4)}


def test_exploiting_takes_the_largest_believed_value() -> None:
    made = session()
    play(made, HIDDEN, 24)
    made.wish(Wishes(exploit=True))
    (visit,) = made.suggest(1)
    mean, _ = made.map()
    done = [r * SIDE + c for r, c in made.told()]
    mean[done] = -np.inf
    assert visit.position[0] * SIDE + visit.position[1] == int(np.argmax(mean))


def test_more_like_a_place_goes_to_what_looks_like_it() -> None:
    made = session()
    play(made, HIDDEN, 16)
    row = int(np.argmin(PATCHES[:, 0]))
    made.wish(Wishes(more_like=(row // SIDE, row % SIDE), liking=9.0))
    (visit,) = made.suggest(1)
    assert PATCHES[visit.position[0] * SIDE + visit.position[1], 0] < -2.0


@pytest.mark.slow
def test_another_reward_sees_what_was_measured_anew() -> None:
    made = session(rewards={"lowest": lambda v: -v["y"]})
    play(made, HIDDEN, 24)
    before = made.best()[0]
    made.wish(Wishes.model_validate({"reward": "lowest"}))
    assert made.best()[1].value > 0 > HIDDEN[before[0] * SIDE + before[1]] * -1
    assert made.best()[0] != before
    with pytest.raises(SpecError, match="no_such"):
        made.wish(Wishes.model_validate({"reward": "no_such"}))
    assert made.wishes.reward is not None and made.wishes.reward.expression == "lowest"


def test_a_rewards_uncertainty_is_that_of_its_values_to_first_order() -> None:
    values = {"a": Estimate(value=3.0, std=0.1), "b": Estimate(value=2.0, std=0.2)}
    mean, std = reward_of(Formula(expression="a * b**2"), values)
    assert mean == pytest.approx(12.0)
    assert std == pytest.approx(np.hypot(4.0 * 0.1, 12.0 * 0.2), rel=1e-3)
    with pytest.raises(SpecError, match="finite"):
        reward_of(lambda v: float("nan"), values)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: StructureProperty(PLACES, PATCHES[:-1], "y"), "same N"),
        (lambda: StructureProperty(PLACES[[0, 0]], PATCHES[:2], "y"), "twice"),
        (lambda: StructureProperty(PLACES, PATCHES * np.nan, "y"), "NaN"),
        (lambda: session(models=("trees",)), "but trees"),
        (lambda: session().best(), "no measurement"),
        (lambda: session().ingest((0, 0), {"y": 1.0}), "suggest first"),
        (lambda: session().learn((99, 0), {"y": 1.0}), "a position of the session"),
    ],
)
def test_mistakes_are_refused_in_words(make: Callable[[], object], word: str) -> None:
    with pytest.raises(SpecError, match=word):
        make()


def test_each_visit_is_told_once_before_the_next_question() -> None:
    made = session()
    visit = made.suggest(1)[0]
    with pytest.raises(SpecError, match="first"):
        made.suggest(1)
    with pytest.raises(SpecError):
        made.ingest(visit.position, {"y": float("nan")})
    made.ingest(visit.position, {"y": 1.0})
    with pytest.raises(SpecError, match="once"):
        made.ingest(visit.position, {"y": 1.0})
