"""Cryo-EM sessions: what is believed of holes, which are worth their minutes, in what time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probewise.planner import Hole, HoleSession, MoveCosts
from probewise.planner._hole_belief import HoleBelief
from probewise.planner._hole_plan import HolePlan
from probewise.workflow import SpecError

COSTS = MoveCosts(hole_min=1, patch_min=2, square_min=6, grid_min=8)
POLICIES = ("planner", "greedy", "nearest-first", "random")


def grids(
    seed: int, squares: int = 4, patches: int = 3, holes: int = 6
) -> tuple[tuple[Hole, ...], dict[str, float]]:
    """Squares on two grids with effects of their own on what a network predicts."""
    rng = np.random.default_rng(seed)
    made: list[Hole] = []
    truth: dict[str, float] = {}
    for s in range(squares):
        level, bias = rng.uniform(1.3, 2.4), 0.2 * rng.standard_normal()
        for p, h in itertools.product(range(patches), range(holes)):
            predicted = level + 0.2 * rng.standard_normal()
            name = f"s{s}p{p}h{h}"
            made.append(
                Hole(
                    name=name,
                    grid=f"g{s % 2}",
                    square=f"s{s}",
                    patch=f"p{p}",
                    predicted_A=float(np.exp(predicted)),
                )
            )
            truth[name] = float(np.exp(predicted + bias + 0.15 * rng.standard_normal()))
    return tuple(made), truth


def played(
    holes: tuple[Hole, ...],
    truth: Mapping[str, float],
    policy: str,
    horizon_min: float = 25.0,
    seed: int = 0,
) -> HoleSession:
    session = HoleSession(
        holes,
        COSTS,
        horizon_min,
        start=holes[0].name,
        policy=policy,  # type: ignore[arg-type]
        seed=seed,
    )
    while (choice := session.suggest()) is not None:
        session.ingest(choice.hole, truth[choice.hole])
    return session


@pytest.mark.parametrize("policy", POLICIES)
def test_the_horizon_is_kept_and_no_hole_is_imaged_twice(policy: str) -> None:
    holes, truth = grids(1)
    session = played(holes, truth, policy)
    path = [next(h for h in holes if h.name == n) for n in session.measured_A]
    taken = sum(COSTS.between(a, b) for a, b in itertools.pairwise([holes[0], *path]))
    assert taken == pytest.approx(session.spent_min) and taken <= 25.0
    assert len(set(path)) == len(path) and holes[0] not in path
    assert session.found == sum(truth[h.name] < 6.0 for h in path)


@pytest.mark.parametrize("policy", POLICIES)
def test_what_was_not_imaged_changes_nothing(policy: str) -> None:
    holes, truth = grids(2)
    path = list(played(holes, truth, policy).measured_A)
    other = {n: v if n in path else 40.0 - v for n, v in truth.items()}
    assert list(played(holes, other, policy).measured_A) == path


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.5, 40.0))
def test_any_horizon_ends(seed: int, horizon_min: float) -> None:
    holes, truth = grids(seed, squares=2, patches=2, holes=3)
    session = played(holes, truth, "planner", horizon_min)
    assert session.spent_min <= horizon_min + 1e-6
    assert len(session.measured_A) == 11 or session.spent_min > horizon_min - COSTS.grid_min


def test_whole_stretches_are_weighed_against_the_way() -> None:
    """Two fair holes here against a rich square far away: greedy stays, the planner goes."""
    here = [Hole(name=f"a{i}", grid="g", square="a", patch="p", predicted_A=6.5) for i in range(9)]
    rich = [Hole(name=f"b{i}", grid="g", square="b", patch="p", predicted_A=3.2) for i in range(20)]
    first = {
        policy: HoleSession(
            [*here, *rich],
            COSTS,
            20,
            start="a0",
            policy=policy,  # type: ignore[arg-type]
        ).suggest()
        for policy in ("planner", "greedy")
    }
    assert first["planner"] is not None and first["planner"].hole.startswith("b")
    assert first["greedy"] is not None and first["greedy"].hole.startswith("a")


def test_with_little_time_left_the_way_is_not_worth_it() -> None:
    here = [Hole(name=f"a{i}", grid="g", square="a", patch="p", predicted_A=6.5) for i in range(9)]
    rich = [Hole(name=f"b{i}", grid="g", square="b", patch="p", predicted_A=3.2) for i in range(20)]
    choice = HoleSession([*here, *rich], COSTS, 6.5, start="a0").suggest()
    assert choice is not None and choice.hole.startswith("a")


def test_the_plan_at_known_probabilities_is_the_best_order_of_patches() -> None:
    """Against trying every set of patches and counts, where moves within a square cost alike."""
    rng = np.random.default_rng(3)
    for _ in range(5):
        holes = [
            Hole(name=f"{p}{i}", grid="g", square="s", patch=p, predicted_A=5.0)
            for p in "abc"
            for i in range(3)
        ]
        probability = rng.uniform(size=9)
        gained, here, left, minutes = 0.0, 0, set(range(1, 9)), 7.0
        while (
            plan := HolePlan(holes, probability, sorted(left), here, COSTS, minutes).best()
        ) is not None:
            minutes -= COSTS.between(holes[here], holes[plan.holes[0]])
            here = plan.holes[0]
            left.discard(here)
            gained += probability[here]
        assert gained >= 0.85 * exhaustive(probability)


def exhaustive(probability: np.ndarray) -> float:
    """The best total of seven minutes from the first hole of the first of three patches."""
    best = 0.0
    patches = (probability[1:3], probability[3:6], probability[6:])
    ordered = [sorted(p, reverse=True) for p in patches]
    for counts in itertools.product(range(3), range(4), range(4)):
        minutes = counts[0] + sum(c + 1 for c in counts[1:] if c)
        if minutes <= 7:
            best = max(best, sum(sum(o[:c]) for o, c in zip(ordered, counts, strict=True)))
    return best


def test_a_square_that_disappoints_is_believed_less_and_others_are_not() -> None:
    holes, _ = grids(4)
    alike = [h.model_copy(update={"predicted_A": 5.0}) for h in holes]
    before = HoleBelief(alike, {}).probability(6.0)
    after = HoleBelief(alike, dict.fromkeys(range(5), 9.0)).probability(6.0)
    fall = before - after
    same_patch, same_square, elsewhere = fall[5], fall[6:18].mean(), fall[18:].mean()
    assert same_patch > same_square > elsewhere > 0.0


def test_probabilities_are_calibrated_on_holes_of_the_model() -> None:
    claimed, good = [], []
    for seed in range(12):
        holes, truth = grids(seed)
        known = {i: truth[holes[i].name] for i in range(0, len(holes), 4)}
        rest = [i for i in range(len(holes)) if i not in known]
        claimed.append(HoleBelief(holes, known).probability(6.0)[rest])
        good.append([truth[holes[i].name] < 6.0 for i in rest])
    p, hit = np.concatenate(claimed), np.concatenate(good)
    for low, high in ((0.0, 0.2), (0.2, 0.8), (0.8, 1.0)):
        inside = (p >= low) & (p <= high)
        assert abs(p[inside].mean() - hit[inside].mean()) < 0.1


def test_one_failed_image_does_not_condemn_its_patch() -> None:
    holes, _ = grids(5)
    alike = [h.model_copy(update={"predicted_A": 4.5}) for h in holes]
    good = dict.fromkeys(range(4), 4.5)
    belief = HoleBelief(alike, good | {4: 25.0}).probability(6.0)
    assert belief[5] > 0.7


def test_mistakes_are_refused_in_words() -> None:
    holes, _ = grids(6)
    with pytest.raises(SpecError, match="more than once"):
        HoleSession([holes[0], holes[0]], COSTS, 10, start=holes[0].name)
    with pytest.raises(SpecError, match="no hole"):
        HoleSession([], COSTS, 10, start="x")
    with pytest.raises(SpecError, match="'x'"):
        HoleSession(holes, COSTS, 10, start="x")
    with pytest.raises(ValueError, match="do not rise"):
        MoveCosts(hole_min=3, patch_min=2, square_min=6, grid_min=8)
    session = HoleSession(holes, COSTS, 10, start=holes[0].name)
    choice = session.suggest()
    assert choice is not None
    with pytest.raises(SpecError, match="result"):
        session.suggest()
    with pytest.raises(SpecError, match="positive"):
        session.ingest(choice.hole, float("nan"))
    with pytest.raises(SpecError, match="last suggested"):
        session.ingest(holes[0].name, 5.0)
    session.ingest(choice.hole, None)
    again = session.suggest()
    assert again is not None and again.hole != choice.hole and not session.measured_A
