"""Events as JSON: every kind comes back equal, and what is no number is refused."""

from __future__ import annotations

import json
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from probewise.workflow import (
    Action,
    Alerted,
    Alternative,
    Answered,
    ArrayRef,
    Asked,
    Assessed,
    Autonomy,
    Awaiting,
    Change,
    Commanded,
    Commitment,
    Decided,
    Decision,
    Discriminate,
    Estimate,
    Event,
    Explore,
    Failure,
    Fate,
    FeasibleRegion,
    Formula,
    Grant,
    Grid,
    Hypothesis,
    Inquired,
    Issued,
    Level,
    Limit,
    LocateBoundary,
    Maximize,
    Message,
    Observation,
    Observed,
    Pareto,
    Prior,
    Quality,
    Recommendation,
    Record,
    Refused,
    Resumed,
    Secured,
    Set,
    Started,
    Stopped,
    Table,
    Target,
    Tune,
    event_adapter,
)

REF = ArrayRef(file="arrays/a1.h5", dataset="/m/loops", sha256="ab", shape=(4, 64), unit="pm")
ACTION = Action(
    id="a1",
    step="measure_loops",
    target=Target(design={"x": 0.1}, sample="s1", site=2, positions=((1, 2), (3, 4))),
    parameters={"dwell_s": 0.5, "mode": "dc", "points": [1, 2]},
    inputs={"domain_image": (REF,)},
    data={"x": (0.1, 0.2), "source": ("theory", "loop")},
    seed=2**40,
    session="q1",
    hours={"start": 1.5},
)
ANSWER = Recommendation(
    goal=Maximize(quantity="p"), position=(3, 4), estimate=Estimate(value=1.0, std=0.1), unit="pm"
)
OBSERVATION = Observation(
    action_id="a1",
    worker="afm",
    values={"p": Estimate(value=-1e-300, std=0.0)},
    grids={"p": Grid(ticks={"x": (0.0, 1.0)}, values=((1.0, 2.0), (3.0, 4.0)))},
    tables={"spectra": Table(positions=((1, 2),), columns={"good": (1.0,)})},
    arrays={"loops": REF},
    cost_credits=3.5,
    start_h=1.0,
    end_h=1.25,
    quality=Quality(verdict="retake", score=0.2, reason="drift"),
    failure=Failure(kind="bad_data", message="a scar", remedy="scan again"),
    notes={"drift_nm": 0.5, "mode": "dc"},
)
DECISION = Decision(
    number=4,
    kind="act",
    tier="session",
    actions=(ACTION,),
    grant=Grant(session="q1", sample="s1", credits=50, hours=2, reservation_rate=0.01),
    session="q1",
    value=0.5,
    price_credits=10.0,
    index=0.05,
    reason="most gain per credit",
    alternatives=(Alternative(label="grow", step="g", value=1, price_credits=300, index=0.003),),
    expected={"p": Estimate(value=20.0, std=5.0)},
)
EVENTS: list[Event] = [
    Started(spec={"name": "c", "seed": 0, "nested": {"list": [1, 2.5, None, "μ"]}}, version="0.1"),
    Decided(hour=1.0, decision=DECISION),
    Refused(hour=1.0, action_id="a1", by="guardian", reason="over the limit"),
    Issued(hour=1.0, action=ACTION, worker="afm", commitment=Commitment(credits=5, hours=1)),
    Observed(hour=1.25, observation=OBSERVATION),
    Inquired(hour=1.25, action_id="a1", fate=Fate.UNKNOWN, by="worker", note="a human is asked"),
    Asked(hour=1.25, action_id="a1", question="was it done?", until_h=2.0),
    Answered(hour=1.5, action_id="a1", fate=Fate.NOT_DONE, by="Ada", note="the shutter was shut"),
    Assessed(hour=1.25, credits=3.5, recommendation=ANSWER),
    Awaiting(
        hour=1.0,
        action=ACTION,
        worker="afm",
        commitment=Commitment(credits=5, hours=1),
        reason="cannot be undone",
        deadline="2030-01-01T00:00:00+00:00",
    ),
    Commanded(
        hour=1.5,
        accepted=True,
        answer="changed",
        message=Message(
            id="1-a",
            who="ada@lab",
            said="2030-01-01T00:00:00+00:00",
            order=Set(changes={"budget.credits": 50, "goal": "explore"}),
        ),
        change=Change(goal=Explore(quantity="p"), autonomy=Autonomy(levels={Level(4): "approve"})),
    ),
    Secured(hour=1.6, answers={"afm": "tip withdrawn"}),
    Alerted(hour=1.7, about="budget-credits/50", message="46 of 50 credits are spent"),
    Resumed(hour=2.0, offers={"measure_loops": ("afm",)}),
    Stopped(hour=3.0, reason="budget", recommendation=ANSWER),
]


def there_and_back(event: Event) -> Event:
    return event_adapter.validate_json(event_adapter.dump_json(event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: e.kind)
def test_event_comes_back_equal(event: Event) -> None:
    again = there_and_back(event)
    assert type(again) is type(event) and again == event


def test_every_kind_of_event_is_tested() -> None:
    union = get_args(get_args(Event)[0])
    assert {type(e) for e in EVENTS} == set(union)


@pytest.mark.parametrize(
    "goal",
    [
        Maximize(quantity="p", over="positions", worth_credits=3.0),
        Explore(quantity="p"),
        LocateBoundary(quantity="p", variable="x", level=0.25),
        Pareto(aims={"p": "maximize", "q": "minimize"}, reference={"p": 0.0, "q": 1.0}),
        FeasibleRegion(limits=(Limit(quantity="p", above=0.0, below=2.0),)),
        Discriminate(
            quantity="p",
            hypotheses=(
                Hypothesis(name="theory", predicts="model"),
                Hypothesis(
                    name="slope",
                    formula=Formula(expression="a * x"),
                    parameters={"a": Prior(mean=1.0, std=0.5)},
                ),
            ),
        ),
        Tune(quantity="p", memory_h=4.0, worth_credits=2.0),
    ],
    ids=lambda g: g.kind,
)
def test_goal_keeps_its_kind(goal: Any) -> None:
    event = Assessed(hour=0.0, credits=0.0, recommendation=ANSWER.model_copy(update={"goal": goal}))
    again = there_and_back(event)
    assert isinstance(again, Assessed) and again.recommendation.goal == goal


@given(
    value=st.floats(allow_nan=False, allow_infinity=False),
    std=st.floats(0, allow_nan=False, allow_infinity=False),
    hour=st.floats(0, 1e9),
)
def test_numbers_come_back_to_the_last_digit(value: float, std: float, hour: float) -> None:
    seen = Observation(action_id="a", worker="w", values={"p": Estimate(value=value, std=std)})
    assert there_and_back(Observed(hour=hour, observation=seen)) == Observed(
        hour=hour, observation=seen
    )


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    ("record", "fields"),
    [
        (Estimate, {"value": 0.0, "std": "?"}),
        (Estimate, {"value": "?"}),
        (Observation, {"action_id": "a", "worker": "w", "cost_credits": "?"}),
        (Observation, {"action_id": "a", "worker": "w", "end_h": "?"}),
        (Observation, {"action_id": "a", "worker": "w", "notes": {"drift": "?"}}),
        (Table, {"positions": ((0, 0),), "columns": {"good": ("?",)}}),
        (Grid, {"ticks": {"x": (0.0,)}, "values": (("?",),)}),
        (Target, {"design": {"x": "?"}}),
        (Commitment, {"credits": "?", "hours": 0.0}),
        (Action, {"id": "a", "step": "s", "data": {"x": ("?",)}}),
        (Resumed, {"hour": "?"}),
    ],
)
def test_what_is_no_number_is_refused(
    record: type[Record], fields: dict[str, Any], number: float
) -> None:
    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: fill(v) for k, v in value.items()}
        if isinstance(value, tuple):
            return tuple(fill(v) for v in value)
        return number if value == "?" else value

    with pytest.raises(ValidationError):
        record.model_validate(fill(fields))


def test_negative_costs_and_errors_are_refused() -> None:
    with pytest.raises(ValidationError):
        Estimate(value=1.0, std=-0.1)
    with pytest.raises(ValidationError):
        Observation(action_id="a", worker="w", cost_credits=-1.0)


@pytest.mark.parametrize(
    "change",
    [{"kind": "guessed"}, {"hour": "soon"}, {"extra": 1}, {"kind": None}],
    ids=lambda c: str(c),
)
def test_foreign_event_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        event_adapter.validate_json(json.dumps({"kind": "resumed", "hour": 1.0} | change))


def test_records_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ANSWER.unit = "nm"


def test_grid_has_one_axis_a_variable_and_refuses_other_shapes() -> None:
    ticks = {"x": (0.0, 1.0, 2.0), "y": (0.0, 1.0)}
    grid = Grid(ticks=ticks, values=(tuple(float(k) for k in range(6)),) * 4)
    assert grid.array().shape == (4, 3, 2)
    np.testing.assert_array_equal(grid.array()[0], [[0, 1], [2, 3], [4, 5]])
    with pytest.raises(ValidationError, match="6 values"):
        Grid(ticks=ticks, values=((1.0, 2.0),))
    with pytest.raises(ValidationError, match="6 values"):
        Grid(ticks=ticks, values=())


def test_table_has_one_number_a_position() -> None:
    with pytest.raises(ValidationError, match="'good' must have 2 entries"):
        Table(positions=((0, 0), (0, 1)), columns={"good": (1.0,)})


@pytest.mark.parametrize(
    ("target", "label"),
    [
        (Target(), "whole space"),
        (Target(design={"x": 0.25, "T": 600.0}), "x=0.25, T=600"),
        (Target(design={"x": 0.25}, sample="s1", site=3), "s1 pad 3"),
        (Target(sample="s1", site=0, positions=((1, 1), (2, 2))), "s1 pad 0 (2 positions)"),
    ],
)
def test_label_says_where(target: Target, label: str) -> None:
    assert target.label == label
