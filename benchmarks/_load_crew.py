"""What the load is made of: a worker that takes its time, a planner that does not think."""

from __future__ import annotations

import time
from typing import Any, final

import numpy as np

from probewise.workflow import (
    Action,
    Array,
    Axis,
    Decision,
    Estimate,
    Job,
    Kind,
    Offer,
    Outcome,
    Recommendation,
    State,
    Target,
    Worker,
)

STEP: dict[str, Any] = {
    "name": "act",
    "level": 3,
    "produces": "signal [V]",
    "records": "trace [V]",
    "cost_credits": 1,
    "latency_h": {"median": 0.048, "log_std": 0.3},
}


@final
class Clerk(Worker):
    """Waits, and gives a number and a short trace; notes when it was ready.

    Parameters
    ----------
    work_s
        Mean time that an action takes, in real seconds; drawn between half and one and a half.
    points
        Length of the trace; 0 stands for a step that records nothing.
    """

    kind = Kind.INSTRUMENT
    twin = True
    replayable = True

    def __init__(self, *, work_s: float = 0.0, points: int = 64) -> None:
        self._work_s, self._points = work_s, points

    def offers(self) -> tuple[Offer, ...]:
        return (Offer(capability="act", about="load"),)

    def perform(self, job: Job) -> Outcome:
        if self._work_s:
            time.sleep(self._work_s * float(job.rng.uniform(0.5, 1.5)))
        credits, hours = job.draw_price()
        x = np.arange(float(self._points))
        return Outcome(
            values={"signal": Estimate(value=float(job.rng.normal()), std=0.1)},
            arrays={"trace": Array(x, "V", (Axis("t", "s", x, "temporal"),))}
            if job.step.records
            else {},
            cost_credits=credits,
            duration_h=hours,
            notes={"ready_s": time.monotonic()},
        )


class Stub:
    """Gives every free worker the next point of a fixed sequence, until ``most`` were given."""

    name = "stub"

    def __init__(self, most: int) -> None:
        self.most = most

    def decide(self, state: State) -> Decision:
        number = state.actions_numbered
        step = state.workflow.steps[0]
        if number >= self.most:
            return Decision(number=state.decisions, kind="stop", reason="enough")
        if state.free_worker(step) is None:
            return Decision(number=state.decisions, kind="wait", reason="all are busy")
        target = Target(design={"x": (0.618 * number) % 1.0})
        action = Action(id=f"a{number:06d}", step=step.name, target=target, seed=number)
        return Decision(
            number=state.decisions, kind="act", actions=(action,), reason="the next point"
        )

    def recommend(self, state: State) -> Recommendation | None:
        return None
