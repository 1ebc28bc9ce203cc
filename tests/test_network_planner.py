"""The planner on networks of functions: what it finds, what it refuses, what it survives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probewise.planner import NetworkPlanner, NetworkSettings, Planner
from probewise.planner._network_belief import Memory, NetworkBelief
from probewise.planner._network_graph import Network, is_network
from probewise.planner._network_options import proposals
from probewise.planner._network_points import make_pool
from probewise.planner._prices import Prices
from probewise.workflow import Budget, Explore, Maximize, SpecError, Workflow

AB = [{"name": "a", "low": 0, "high": 1}, {"name": "b", "low": 0, "high": 1}]
MAKE = {"name": "make", "level": 4, "controls": "a", "produces": "y1", "cost_credits": 1}
TEST = {
    "name": "test",
    "level": 3,
    "controls": "b",
    "consumes": "y1",
    "produces": "y2",
    "cost_credits": 5,
}


def flow(*steps: dict[str, Any], space: Any = AB, **more: Any) -> Workflow:
    return Workflow.model_validate({"space": space, "steps": list(steps)} | more)


def truth(design: Mapping[str, float]) -> dict[str, float]:
    y1 = float(np.sin(5 * design["a"]))
    return {"y1": y1, "y2": y1 - 3 * (design["b"] - 0.3) ** 2}


def drive(planner: Planner, answer: Any = truth, most: int = 80) -> list[str]:
    steps: list[str] = []
    for _ in range(most):
        actions = planner.suggest()
        if not actions:
            return steps
        (action,) = actions
        steps.append(action.step)
        step = planner.state.workflow.step(action.step)
        told = answer(action.target.design)
        planner.ingest(action, {p.name: told[p.name] for p in step.produces})
    return steps


@pytest.mark.slow
def test_a_chain_is_driven_to_its_top() -> None:
    planner = Planner(flow(MAKE, TEST), Maximize(quantity="y2"), Budget(credits=80))
    steps = drive(planner)
    found = planner.recommend()
    assert found is not None and truth(found.design)["y2"] > 0.98
    assert steps.count("make") > 5 and steps.count("test") > 5
    assert abs(found.estimate.value - truth(found.design)["y2"]) < 0.05
    assert planner.state.spent_credits <= 80


@pytest.mark.slow
def test_a_step_follows_its_parent_at_the_same_design() -> None:
    planner = Planner(flow(MAKE, TEST), Maximize(quantity="y2"), Budget(credits=60))
    drive(planner)
    made: set[float] = set()
    for action in planner.state.actions.values():
        if action.step == "make":
            made.add(round(action.target.design["a"], 9))
        else:
            assert round(action.target.design["a"], 9) in made


@pytest.mark.slow
def test_a_step_with_two_parents_takes_them_from_different_designs() -> None:
    """Each parent hangs on its own variable: what is there is combined, not made again."""
    left = MAKE | {"cost_credits": 5}
    right = MAKE | {"name": "grow", "controls": "b", "produces": "z1", "cost_credits": 5}
    join = {"name": "join", "level": 3, "controls": [], "consumes": ["y1", "z1"]}
    join |= {"produces": "y2", "cost_credits": 1}
    planner = Planner(flow(left, right, join), Maximize(quantity="y2"), Budget(credits=100))

    def answer(design: Mapping[str, float]) -> dict[str, float]:
        y1, z1 = np.sin(5 * design["a"]), np.cos(4 * design["b"])
        return {"y1": float(y1), "z1": float(z1), "y2": float(y1 * z1)}

    drive(planner, answer)
    pairs = {
        name: {
            (round(a.target.design["a"], 9), round(a.target.design["b"], 9))
            for a in planner.state.actions.values()
            if a.step == name
        }
        for name in ("make", "grow", "join")
    }
    mixed = pairs["join"] - pairs["make"] - pairs["grow"]
    assert mixed
    assert {a for a, _ in mixed} <= {a for a, _ in pairs["make"]}
    assert {b for _, b in mixed} <= {b for _, b in pairs["grow"]}


@pytest.mark.slow
def test_a_chain_goes_on_although_no_single_step_tells_anything() -> None:
    """Neither ``load`` nor ``look`` gives a number that matters; the test at the end does."""
    load = {"name": "load", "level": 4, "records": "specimen [nm]", "cost_credits": 2}
    look = {"name": "look", "level": 3, "consumes": "specimen", "records": "image [nm]"}
    fit = {"name": "fit", "level": 1, "consumes": "image", "produces": "y2", "cost_credits": 1}
    planner = Planner(
        flow(load, look, fit, priors={"y2": {"mean": 0, "std": 1}}),
        Maximize(quantity="y2"),
        Budget(credits=40),
    )
    steps = drive(planner, lambda d: {"y2": truth(d)["y2"]})
    assert steps[:6] == ["load", "look", "fit"] * 2
    found = planner.recommend()
    assert found is not None and truth(found.design)["y2"] > 0.8


@pytest.mark.slow
def test_a_cheap_source_is_used_where_it_tells_and_dropped_where_it_misleads() -> None:
    cheap = MAKE | {"controls": None, "produces": "guess", "cost_credits": 1}
    dear = TEST | {"controls": None, "consumes": [], "cost_credits": 10}
    shares = {}
    for name, guess in (
        ("good", lambda d: truth(d)["y2"] + 0.1 * d["b"]),
        ("bad", lambda d: float(np.cos(23 * d["a"] + 17 * d["b"]))),
    ):
        planner = Planner(
            flow(cheap, dear, sources={"y2": ["guess"]}),
            Maximize(quantity="y2"),
            Budget(credits=160),
        )
        steps = drive(planner, lambda d, g=guess: {"guess": g(d), "y2": truth(d)["y2"]}, 120)
        found = planner.recommend()
        assert found is not None and truth(found.design)["y2"] > 0.9, name
        shares[name] = steps.count("test")
    assert shares["bad"] >= shares["good"]


@pytest.mark.slow
def test_formulas_are_goals() -> None:
    parts = (
        MAKE | {"controls": None, "produces": "p", "cost_credits": 1},
        TEST | {"controls": None, "consumes": [], "produces": "q", "cost_credits": 4},
    )
    planner = Planner(
        flow(*parts, formulas={"score": "p * (1 - q) - 0.1 * a"}),
        Maximize(quantity="score"),
        Budget(credits=60),
    )

    def answer(design: Mapping[str, float]) -> dict[str, float]:
        return {"p": float(np.sin(3 * design["a"])), "q": (design["b"] - 0.7) ** 2}

    drive(planner, answer)
    found = planner.recommend()
    assert found is not None
    told = answer(found.design)
    value = told["p"] * (1 - told["q"]) - 0.1 * found.design["a"]
    assert value > 0.9 and found.estimate.value == pytest.approx(value, abs=0.1)


@pytest.mark.slow
def test_conditions_on_quantities_are_kept() -> None:
    """The free optimum is where a = pi/10, but only a > 0.6 is allowed, by a measured number."""
    other = MAKE | {"name": "weigh", "controls": None, "produces": "mass", "cost_credits": 1}
    goal = Maximize.model_validate({"quantity": "y2", "subject_to": ["mass >= 0.6"]})
    planner = Planner(flow(MAKE, TEST, other), goal, Budget(credits=90))
    drive(planner, lambda d: truth(d) | {"mass": d["a"]})
    found = planner.recommend()
    assert found is not None and found.design["a"] >= 0.58
    assert truth(found.design)["y2"] > truth({"a": 0.6, "b": 0.3})["y2"] - 0.15


@pytest.mark.slow
def test_designs_that_cannot_be_made_are_not_proposed() -> None:
    space = {"variables": AB, "constraints": ["a + b <= 0.7"]}
    planner = Planner(flow(MAKE, TEST, space=space), Maximize(quantity="y2"), Budget(credits=40))
    drive(planner)
    for action in planner.state.actions.values():
        assert action.target.design["a"] + action.target.design["b"] <= 0.7 + 1e-9
    found = planner.recommend()
    assert found is not None and sum(found.design.values()) <= 0.7 + 1e-9


def test_only_candidates_are_proposed() -> None:
    rows = np.random.default_rng(0).random((300, 2)).tolist()
    space = {"variables": AB, "candidates": rows}
    planner = Planner(flow(MAKE, TEST, space=space), Maximize(quantity="y2"), Budget(credits=50))
    drive(planner)
    known = {tuple(np.round(r, 9)) for r in rows}
    designs = [a.target.design for a in planner.state.actions.values()]
    assert all(tuple(np.round(list(d.values()), 9)) in known for d in designs)
    found = planner.recommend()
    best = max(truth(dict(zip("ab", r, strict=True)))["y2"] for r in rows)
    assert found is not None and truth(found.design)["y2"] > best - 0.05


@pytest.mark.slow
def test_discrete_variables_keep_their_values() -> None:
    space = [AB[0], {"name": "b", "values": [0, 0.25, 1]}]
    planner = Planner(flow(MAKE, TEST, space=space), Maximize(quantity="y2"), Budget(credits=40))
    drive(planner)
    assert {a.target.design["b"] for a in planner.state.actions.values()} <= {0.0, 0.25, 1.0}
    found = planner.recommend()
    assert found is not None and found.design["b"] == 0.25


def test_several_at_once_do_not_ask_for_the_same() -> None:
    planner = Planner(flow(MAKE, TEST), Maximize(quantity="y2"), Budget(credits=200))
    for design in ({"a": 0.1, "b": 0.1}, {"a": 0.9, "b": 0.6}, {"a": 0.5, "b": 0.4}):
        planner.learn("make", design, {"y1": truth(design)["y1"]})
        planner.learn("test", design, {"y2": truth(design)["y2"]})
    actions = planner.suggest(8)
    places = [(a.step, round(a.target.design["a"], 6)) for a in actions if a.step == "make"]
    assert len(actions) == 8 and len(set(places)) == len(places)
    spread = np.array([a for _, a in places])
    assert len(spread) < 2 or np.ptp(spread) > 0.1
    for action in actions:
        told = truth(action.target.design)
        step = planner.state.workflow.step(action.step)
        planner.ingest(action, {p.name: told[p.name] for p in step.produces})


@pytest.mark.slow
@pytest.mark.parametrize("estimates", ["gain", "chain", "both"])
def test_each_estimate_can_decide_alone(estimates: str) -> None:
    workflow, goal = flow(MAKE, TEST), Maximize(quantity="y2")
    planner = Planner(workflow, goal, Budget(credits=25))
    planner._policy = NetworkPlanner(workflow, goal, None, NetworkSettings(estimates=estimates))
    assert "make" in drive(planner)


@pytest.mark.slow
def test_it_stops_when_nothing_is_worth_its_price() -> None:
    goal = Maximize(quantity="y2", worth_credits=100)
    planner = Planner(flow(MAKE, TEST), goal, Budget(credits=500))
    drive(planner, most=150)
    assert planner.last is not None and planner.last.kind == "stop"
    assert "not worth its price" in planner.last.reason
    found = planner.recommend()
    assert found is not None and truth(found.design)["y2"] > 0.9
    assert planner.state.spent_credits < 150


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(
    values=st.lists(st.sampled_from([0.0, 1.0, -1e12, 1e12, 1e-12, 0.5]), min_size=2, max_size=9),
    cost=st.sampled_from([0.0, 1e-9, 1.0, 1e9]),
    noise=st.sampled_from([0.0, 0.1, 1e6]),
)
def test_strange_numbers_never_break_a_decision(
    values: list[float], cost: float, noise: float
) -> None:
    steps = (MAKE | {"cost_credits": cost}, TEST | {"noise": {"y2": noise}})
    planner = Planner(flow(*steps), Maximize(quantity="y2"), Budget(credits=40))
    for value in values:
        actions = planner.suggest()
        if not actions:
            break
        for action in actions:
            name = {"make": "y1", "test": "y2"}[action.step]
            planner.ingest(action, {name: value})
    found = planner.recommend()
    assert found is not None and np.isfinite(found.estimate.value)
    assert planner.state.spent_credits + planner.state.committed_credits <= 40


def test_nothing_allowed_is_said_at_once() -> None:
    with pytest.raises(SpecError, match="none of which keeps"):
        flow(MAKE, space={"variables": AB, "constraints": ["a > 2"], "candidates": [[0.1, 0.2]]})
    planner = Planner(
        flow(MAKE, TEST, space={"variables": AB, "constraints": ["a > 2"]}),
        Maximize(quantity="y2"),
        Budget(credits=9),
    )
    with pytest.raises(SpecError, match="loosen them"):
        planner.suggest()


def test_what_is_no_network_is_told_apart() -> None:
    workflow = flow(MAKE, TEST)
    assert is_network(workflow, Maximize(quantity="y2"))
    assert not is_network(workflow, Explore(quantity="y2"))
    grow = MAKE | {"makes": {"sites": 2}, "produces": []}
    sampled = flow(grow, TEST | {"consumes": [], "acts_on": "site", "requires": "make"})
    assert not is_network(sampled, Maximize(quantity="y2"))
    guarded = Maximize.model_validate({"quantity": "y2", "subject_to": ["y2 > 0"]})
    assert is_network(workflow, guarded) and not is_network(sampled, guarded)
    stray = Maximize.model_validate({"quantity": "y2", "subject_to": ["mass > 0"]})
    with pytest.raises(SpecError, match="mass"):
        Planner(workflow, stray)


def test_the_graph_knows_what_hangs_on_what() -> None:
    network = Network(flow(MAKE, TEST), "y2")
    assert network.path == ("y1", "y2")
    assert network.learn("y1").columns == (0,) and network.learn("y2").columns == (0, 1)
    assert network.tells_of("y1") == "y1"


@pytest.mark.slow
def test_a_settable_step_is_asked_for_before_its_parent() -> None:
    """The parent is dear, the end cheap and settable: it is learned first, at set values."""
    dear = MAKE | {"cost_credits": 10}
    free = TEST | {"cost_credits": 1, "settable": True}
    planner = Planner(flow(dear, free), Maximize(quantity="y2"), Budget(credits=100))
    for design in ({"a": 0.1, "b": 0.9}, {"a": 0.8, "b": 0.1}, {"a": 0.55, "b": 0.6}):
        planner.learn("make", design, {"y1": truth(design)["y1"]})
        planner.learn("test", design, {"y2": truth(design)["y2"]})
    asked = 0
    for _ in range(25):
        actions = planner.suggest()
        if not actions:
            break
        (action,) = actions
        if action.step == "make":
            planner.ingest(action, {"y1": truth(action.target.design)["y1"]})
            continue
        y1 = action.parameters.get("y1", truth(action.target.design)["y1"])
        asked += "y1" in action.parameters
        planner.ingest(action, {"y2": y1 - 3 * (action.target.design["b"] - 0.3) ** 2})
    assert asked >= 2
    found = planner.recommend()
    assert found is not None and truth(found.design)["y2"] > 0.95


def test_only_a_settable_step_takes_set_inputs() -> None:
    planner = Planner(flow(MAKE, TEST), Maximize(quantity="y2"), Budget(credits=9))
    with pytest.raises(SpecError, match="settable"):
        planner.learn("test", {"a": 0.1, "b": 0.2}, {"y2": 0.3}, given={"y1": 0.4})
    with pytest.raises(SpecError, match="settable"):
        flow(MAKE | {"settable": True})


def test_a_doubt_takes_no_dearer_step_than_the_belief() -> None:
    """Short length scales make dear steps promising; they are left where a cheap one was due."""
    workflow, goal = flow(MAKE, TEST), Maximize(quantity="y2")
    planner = Planner(workflow, goal, Budget(credits=40))
    drive(planner, most=7)
    state, own = planner.state, NetworkPlanner(workflow, goal)
    belief = NetworkBelief(Network(workflow, "y2"), state, Memory())
    belief.fits = [replace(f, doubt=0.3) for f in belief.fits]
    prices = Prices(state)
    found = proposals(belief, prices, make_pool(belief, 0), 0)
    cheap = [p for p in found if p.step.name == "make"]
    dear = [p for p in found if p.step.name == "test"]
    assert cheap and dear
    assert {p.step.name for p in own._doubted(state, belief, prices, cheap)} == {"make"}
    assert {p.step.name for p in own._doubted(state, belief, prices, dear)} == {"make", "test"}


@pytest.mark.slow
def test_a_stale_belief_is_asked_every_fourth_time_whether_to_measure_the_end() -> None:
    workflow, goal = flow(MAKE, TEST), Maximize(quantity="y2")
    asked = []
    for most in (6, 7, 8, 11):
        planner = Planner(workflow, goal, Budget(credits=60))
        drive(planner, most=most)
        state, own = planner.state, NetworkPlanner(workflow, goal)
        belief = NetworkBelief(Network(workflow, "y2"), state, Memory())
        belief.fits = [replace(f, doubt=0.3) for f in belief.fits]
        found = own._ends_doubted(state, belief, Prices(state))
        asked.append((len(state.observations), bool(found)))
        assert all(p.index <= found[0].index for p in found)
        assert not found or found[0].step.name == "test"
    assert {n for n, yes in asked if yes} <= {7, 11} and any(yes for _, yes in asked)


@pytest.mark.slow
def test_who_begins_anew_on_a_state_decides_like_who_came_along() -> None:
    """What is remembered between decisions saves time and changes nothing."""
    workflow, goal = flow(MAKE, TEST), Maximize(quantity="y2")
    planner = Planner(workflow, goal, Budget(credits=400), seed=3)
    compared = 0
    for k in range(36):
        (action,) = planner.suggest()
        told = truth(action.target.design)
        step = workflow.step(action.step)
        planner.ingest(action, {p.name: told[p.name] for p in step.produces})
        if k >= 20 and k % 3 == 0:
            along = planner._policy.decide(planner.state)
            anew = NetworkPlanner(workflow, goal).decide(planner.state)
            assert along.actions[0].step == anew.actions[0].step
            assert along.actions[0].target.design == pytest.approx(
                anew.actions[0].target.design, abs=1e-4
            )
            compared += 1
    assert compared > 4


def test_a_candidate_that_was_begun_stays_in_view() -> None:
    """However unpromising the rest of the list makes it look, it can be finished."""
    rows = np.random.default_rng(1).random((900, 2)).tolist()
    space = {"variables": AB, "candidates": rows}
    planner = Planner(flow(MAKE, TEST, space=space), Maximize(quantity="y2"), Budget(credits=99))
    for a, b in rows[:6]:
        design = {"a": a, "b": b}
        planner.learn("make", design, {"y1": truth(design)["y1"]})
        planner.learn("test", design, {"y2": truth(design)["y2"]})
    begun = [{"a": a, "b": b} for a, b in rows[6:16]]
    for design in begun:
        planner.learn("make", design, {"y1": truth(design)["y1"]})
    belief = NetworkBelief(Network(planner.state.workflow, "y2"), planner.state, Memory())
    pool = make_pool(belief, 0)
    seen = {tuple(np.round(x, 9)) for x in pool.x}
    assert {tuple(np.round(list(d.values()), 9)) for d in begun} <= seen


@pytest.mark.slow
def test_many_measurements_are_carried_by_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probewise.planner._network_belief.EXACT", 40)
    monkeypatch.setattr("probewise.planner._network_process.EXACT", 40)
    monkeypatch.setattr("probewise.planner._network_sparse._SUPPORT", 30)
    planner = Planner(flow(MAKE, TEST), Maximize(quantity="y2"), Budget(credits=30))
    for a, b in np.random.default_rng(0).random((90, 2)):
        told = truth({"a": a, "b": b})
        planner.learn("make", {"a": a, "b": b}, {"y1": told["y1"]})
        planner.learn("test", {"a": a, "b": b}, {"y2": told["y2"]})
    network = Network(planner.state.workflow, "y2", (), None)
    belief = NetworkBelief(network, planner.state, Memory())
    assert [g.support is not None and len(g.support) == 30 for g in belief.groups] == [True, True]
    drive(planner)
    found = planner.recommend()
    assert found is not None and truth(found.design)["y2"] > 0.98
    assert abs(found.estimate.value - truth(found.design)["y2"]) < 0.05


def test_of_a_long_list_the_best_stays_in_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probewise.planner._network_points._GLANCED_AT", 200)
    listed = np.random.default_rng(1).random((800, 2))
    space = {"variables": AB, "candidates": listed.tolist()}
    planner = Planner(flow(MAKE, TEST, space=space), Maximize(quantity="y2"), Budget(credits=30))
    for a, b in listed[:40].tolist():
        told = truth({"a": a, "b": b})
        planner.learn("make", {"a": a, "b": b}, {"y1": told["y1"]})
        planner.learn("test", {"a": a, "b": b}, {"y2": told["y2"]})
    network = Network(planner.state.workflow, "y2", (), None)
    belief = NetworkBelief(network, planner.state, Memory())
    pool = make_pool(belief, 3)
    assert len(pool.x) < 350
    ends = [truth({"a": a, "b": b})["y2"] for a, b in listed.tolist()]
    best = listed[int(np.argmax(ends))]
    assert np.abs(pool.x - best).max(1).min() < 1e-9


def test_what_is_told_of_sources_of_sources_is_heeded() -> None:
    """As for a list of sources: each correlates as told with what it is a source of."""
    cheap, fair = (
        {**TEST, "name": n, "produces": p} for n, p in (("skim", "guess"), ("scan", "y"))
    )
    told = {"guess": 0.3, "y": -0.7}
    for sources in ({"y2": ["y"], "y": ["guess"]}, {"y2": ["guess", "y"]}):
        workflow = flow(MAKE, cheap, fair, TEST, sources=sources, correlations=told)
        state = Planner(workflow, Maximize(quantity="y2"), Budget(credits=30)).state
        belief = NetworkBelief(Network(workflow, "y2"), state, Memory())
        node = belief.network.learn("y2")
        k = belief.groups[node.group].kernel
        covariance = (k.shares * (k.variances + k.roughness)) @ k.shares.T
        r = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
        assert r[1, 2] == pytest.approx(-0.7, abs=0.06)
        assert r[0, 1 if "y" in sources else 2] == pytest.approx(0.3, abs=0.06)
