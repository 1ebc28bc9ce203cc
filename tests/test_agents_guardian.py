"""The guardian refuses whatever exceeds a limit, and says which."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probewise.agents import LimitsGuardian, check_worker
from probewise.workflow import Action, Commitment, Step, Target, Verdict, WorkerError

PLACE = Target(sample="S1", site=0, positions=((0, 1), (2, 3)))


def review(
    target: Target = PLACE,
    credits: float = 5.0,
    hours: float = 1.0,
    twin: bool = True,
    step: dict[str, Any] | None = None,
    **limits: Any,
) -> Verdict:
    made = Step.model_validate({"name": "probe", "level": 3, "acts_on": "positions"} | (step or {}))
    limits.setdefault("max_cost_credits", 10)
    guardian = LimitsGuardian(**limits)
    action = Action(id="a", step="probe", target=target)
    return guardian.review(action, made, Commitment(credits=credits, hours=hours), twin)


def test_what_keeps_all_limits_is_allowed() -> None:
    assert review() == Verdict(allowed=True, reason="within all limits")


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ({"credits": 10.5}, "may cost 10.5 credits; the limit is 10"),
        ({"step": {"cost_credits": 20}}, "may cost 30 credits"),
        ({"hours": 3.0, "max_hours": 2.0}, "may last 3 h"),
        ({"max_dwell_positions": 1}, "probes 2 positions; the limit is 1"),
        ({"step": {"max_positions": 1}}, "probes 2 positions; the limit is 1"),
        ({"allowed_steps": "load, tune"}, "not among the allowed ['load', 'tune']"),
        ({"step": {"name": "other"}}, "came with the description of 'other'"),
        ({"step": {"repeat": "irreversible"}, "twin": False}, "allow_live_irreversible is off"),
        ({"target": Target(site=0, positions=((0, 0),))}, "needs a sample"),
        ({"target": Target(sample="S", positions=((0, 0),))}, "needs a site"),
        ({"target": Target(sample="S", site=-1, positions=((0, 0),))}, "needs a site"),
        ({"target": Target(sample="S", site=0)}, "needs positions"),
        ({"target": Target(sample="S", site=0, positions=((0, -1),))}, "negative row or column"),
        (
            {"target": PLACE.model_copy(update={"design": {"T_C": 900.0}}), "max_T_C": 800},
            "T_C=900 is outside -inf to 800",
        ),
        (
            {"step": {"acts_on": "design"}, "target": Target(design={"x": 1}), "min_T_C": 20},
            "leaves out 'T_C'",
        ),
    ],
)
def test_every_limit_objects_in_words(case: dict[str, Any], words: str) -> None:
    verdict = review(**case)
    assert not verdict.allowed
    assert words in verdict.reason


def test_all_objections_are_told_at_once() -> None:
    verdict = review(credits=99, max_dwell_positions=1, allowed_steps="load")
    assert verdict.reason.count(";") >= 3


def test_what_is_allowed_explicitly_passes() -> None:
    once = {"repeat": "irreversible"}
    assert review(step=once, twin=True).allowed
    assert review(step=once, twin=False, allow_live_irreversible=True).allowed
    assert review(allowed_steps="load, probe").allowed
    design = PLACE.model_copy(update={"design": {"T_C": 700.0}})
    assert review(design, min_T_C=500, max_T_C=800).allowed


@given(credits=st.floats(0, 100), limit=st.floats(0.01, 100))
def test_nothing_above_the_limit_ever_passes(credits: float, limit: float) -> None:
    verdict = review(credits=credits, max_cost_credits=limit, step={"cost_credits": 0})
    assert verdict.allowed == (credits <= limit)


@pytest.mark.parametrize(
    "limits",
    [
        {"max_cost_credits": 0},
        {"max_cost_credits": True},
        {"max_cost_credits": float("nan")},
        {"max_hours": -1},
        {"max_dwell_positions": 0},
        {"allowed_steps": 3},
        {"allow_live_irreversible": "yes"},
        {"min_": 3},
        {"lowest_T_C": 3},
        {"max_T_C": "hot"},
        {"min_T_C": 5, "max_T_C": 4},
    ],
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(WorkerError):
        LimitsGuardian(max_cost_credits=limits.pop("max_cost_credits", 10), **limits)


def test_it_conforms_like_any_worker() -> None:
    check_worker(lambda: LimitsGuardian(max_cost_credits=1), [])
