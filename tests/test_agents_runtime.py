"""Both runtimes do the same with the same actions, faults included."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
import pytest

from probewise.agents import Runtime
from probewise.agents._testing import FolderStore
from probewise.workflow import (
    Action,
    Commitment,
    Issued,
    Observation,
    Offer,
    SpecError,
    Step,
    Target,
    WorkerError,
    WorkerSpec,
)

ECHO = WorkerSpec(type="echo")
STEP = Step.model_validate(
    {
        "name": "echo",
        "level": 3,
        "produces": "loudness [V]",
        "records": "trace [V]",
        "cost_credits": 2,
        "latency_h": 0.5,
    }
)
USE = Step.model_validate(
    {"name": "use", "level": 1, "consumes": "trace [V]", "produces": "mean [V]", "cost_credits": 0}
)
COMMITMENT = Commitment(credits=3, hours=0.75)
CREW = {
    "echo": WorkerSpec(type="echo", config={"capabilities": "echo use"}),
    "second": ECHO,
    "real": WorkerSpec(type="real-echo"),
}
_numbers = count(1)


def issued(worker: str = "echo", step: Step = STEP, **action: Any) -> Issued:
    """An action with an id of its own, in ascending order."""
    given = {"id": f"a{next(_numbers):04d}", "step": step.name, "target": Target(design={"x": 1.0})}
    return Issued(
        hour=10.0,
        action=Action.model_validate(given | {"seed": 1} | action),
        worker=worker,
        commitment=COMMITMENT,
    )


@pytest.fixture
def crew(runtime) -> Runtime:
    made = runtime(CREW)
    made.start()
    return made


def only(runtime: Runtime, one: Issued, step: Step = STEP) -> Observation:
    runtime.submit(one, step)
    (observation,) = runtime.collect(everything=True, timeout_s=None)
    return observation


def test_start_says_what_every_worker_offers(runtime) -> None:
    two = WorkerSpec(type="echo", config={"capabilities": "echo hum"})
    assert runtime({"first": ECHO, "second": two}, fresh=True).start() == {
        "first": (Offer(capability="echo", about="test double"),),
        "second": (
            Offer(capability="echo", about="test double"),
            Offer(capability="hum", about="test double"),
        ),
    }


def test_an_action_comes_back_with_values_arrays_price_and_hours(
    crew: Runtime, store: FolderStore
) -> None:
    found = only(crew, issued())
    assert found.failure is None
    assert set(found.values) == {"loudness"}
    assert store.get(found.arrays["trace"]).unit == "V"
    assert 0 < found.cost_credits <= 3
    assert 10.0 == found.queued_h == found.start_h < found.end_h <= 10.75
    assert crew.collect(everything=True, timeout_s=None) == []


def test_arrays_go_from_step_to_step_through_the_store(crew: Runtime, store: FolderStore) -> None:
    trace = only(crew, issued()).arrays["trace"]
    without = only(crew, issued(step=USE, seed=7, inputs={"trace": ()}), USE)
    used = only(crew, issued(step=USE, seed=7, inputs={"trace": (trace,)}), USE)
    mean = float(store.get(trace).data.mean())
    assert used.values["mean"].value - without.values["mean"].value == pytest.approx(mean)


def test_lost_input_is_missing_and_costs_nothing(crew: Runtime, store: FolderStore) -> None:
    trace = only(crew, issued()).arrays["trace"]
    (store.folder / trace.file).unlink()
    found = only(crew, issued(step=USE, inputs={"trace": (trace,)}), USE)
    assert found.failure is not None and found.failure.kind == "missing"
    assert found.failure.remedy == "restore it"
    assert (found.cost_credits, found.duration_h) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("fault", "kind", "words", "cost", "kept"),
    [
        ("raise", "crashed", "ZeroDivisionError: lens fell off", 2.0, set()),
        ("exit", "crashed", "SystemExit", 2.0, set()),
        ("refuse", "refused", "this target", 0.0, set()),
        ("fail", "bad_data", "blurred", 0.25, set()),
        ("negative", "invalid", "cost_credits is -1.0", 2.0, {"trace"}),
    ],
)
def test_faults_come_back_as_failures_with_a_price(
    crew: Runtime, fault: str, kind: str, words: str, cost: float, kept: set[str]
) -> None:
    """What a worker gave beside a failure that is no fault of its arrays is kept."""
    found = only(crew, issued(parameters={"fault": fault}))
    assert found.failure is not None and found.failure.kind == kind
    assert words in found.failure.message and "Traceback" not in found.failure.message
    assert (found.values, set(found.arrays), found.cost_credits) == ({}, kept, cost)
    assert only(crew, issued()).failure is None, "the worker goes on"


def test_results_come_in_the_order_of_their_action_ids(crew: Runtime) -> None:
    actions = [issued("echo"), issued("second"), issued("echo")]
    for one in reversed(actions):
        crew.submit(one, STEP)
    found = crew.collect(everything=True, timeout_s=None)
    assert [o.action_id for o in found] == [one.action.id for one in actions]


def test_both_runtimes_give_the_numbers_of_the_seed(crew: Runtime) -> None:
    expected = float(np.random.default_rng(42).normal())
    assert only(crew, issued(seed=42)).values["loudness"].value == expected


def test_a_second_delivery_is_ignored(crew: Runtime) -> None:
    one = issued()
    crew.submit(one, STEP)
    crew.submit(one, STEP)
    assert len(crew.collect(everything=True, timeout_s=None)) == 1


def test_the_guardian_cannot_be_bypassed(runtime) -> None:
    strict = WorkerSpec(type="limits-guardian", config={"max_cost_credits": 1})
    made = runtime({"echo": ECHO}, strict)
    made.start()
    verdict = made.review(issued().action, STEP, COMMITMENT)
    assert not verdict.allowed and "the limit is 1" in verdict.reason
    found = only(made, issued())
    assert found.failure is not None and found.failure.kind == "refused"
    assert "the limit is 1" in found.failure.message
    assert found.cost_credits == 0


def test_an_action_changed_after_its_review_is_reviewed_again(runtime) -> None:
    limits = WorkerSpec(
        type="limits-guardian", config={"max_cost_credits": 100, "max_x": 2.0, "min_x": 0.0}
    )
    made = runtime({"echo": ECHO}, limits)
    made.start()
    assert made.review(issued().action, STEP, COMMITMENT).allowed
    found = only(made, issued(target=Target(design={"x": 5.0})))
    assert found.failure is not None and found.failure.kind == "refused"


def test_irreversible_steps_are_for_twins_unless_the_user_says_otherwise(crew: Runtime) -> None:
    once = STEP.model_copy(update={"repeat": "irreversible"})
    action = issued().action
    assert crew.review(action, once, COMMITMENT, "echo").allowed
    assert not crew.review(action, once, COMMITMENT, "real").allowed
    assert not crew.review(action, once, COMMITMENT).allowed, "a real one might do it"
    assert crew.review(action, once, COMMITMENT, "echo").allowed
    found = only(crew, issued(worker="real"), once)
    assert found.failure is not None and found.failure.kind == "refused"


def test_an_unknown_worker_or_a_step_that_it_does_not_offer_is_a_bug(crew: Runtime) -> None:
    with pytest.raises(WorkerError, match=r"'nobody'.*\['echo', 'second', 'real'\]"):
        crew.submit(issued(worker="nobody"), STEP)
    with pytest.raises(WorkerError, match="for 'use'"):
        crew.submit(issued("second", USE), USE)
    nobody = STEP.model_copy(update={"name": "hum"})
    verdict = crew.review(issued(step=nobody).action, nobody, COMMITMENT)
    assert not verdict.allowed and "no worker offers 'hum'" in verdict.reason


def test_a_worker_that_does_not_start_says_why(runtime) -> None:
    made = runtime({"echo": WorkerSpec(type="echo", config={"fails_to_start": True})}, fresh=True)
    with pytest.raises(WorkerError, match="plug it in"):
        made.start()


def test_a_step_that_a_worker_refuses_is_named_before_anything_is_done(crew: Runtime) -> None:
    crew.check([STEP, USE])
    more = {"name": "shout", "capability": "echo", "parameters": {"gain": 3}}
    with pytest.raises(SpecError) as refusal:
        crew.check([STEP, STEP.model_copy(update=more)])
    assert refusal.value.who == "worker 'echo', step 'shout'"
    assert "gain" in refusal.value.given and refusal.value.remedy


def test_specs_are_checked_before_anything_starts(runtime) -> None:
    with pytest.raises(WorkerError, match="did you mean 'echo'"):
        runtime({"echo": WorkerSpec(type="ecko")})
    with pytest.raises(WorkerError, match="a worker that performs steps"):
        runtime({"echo": WorkerSpec(type="limits-guardian")})
    with pytest.raises(WorkerError, match="guardian: type 'echo'"):
        runtime({"echo": ECHO}, ECHO)


def test_close_twice_does_nothing(runtime) -> None:
    made = runtime({"echo": ECHO}, fresh=True)
    made.start()
    made.close()
    made.close()
