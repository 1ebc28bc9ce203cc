"""From an outcome to an observation: what it cost, how long it took, what failed.

Price of a failure
------------------
An outcome that states a cost is charged it. Without one, nothing is charged where nothing was done
(``refused``, ``missing``, ``not_done``) and for computations that may be run again (replayable
analysis and theory). What is ``uncertain`` is charged all that was committed for it. Any other
failure is charged the step's typical cost, since the instrument's time was used.
Without a stated duration a replayable worker is taken to have needed the step's typical time, so
that a campaign on the virtual clock repeats exactly; any other worker, the time that was measured.

The dose is what the outcome states, else the step's typical one; nothing where nothing was done,
and all that was committed where the worker cannot say any more.

What an outcome states is charged, also beyond the commitment: what was used was used. How much
more it is stands in the notes ``overrun_credits``, ``overrun_dose_e_per_A2`` and ``overrun_hours``.
An outcome that states a duration beyond the commitment ends there, as a ``timeout``.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from ..workflow import (
    ArrayRef,
    Failure,
    Issued,
    Kind,
    Observation,
    Outcome,
    Step,
    Worker,
    overrun_note,
)

_SLACK = 1e-9
_NOTHING_DONE = frozenset({"refused", "missing", "not_done"})


def is_computation(worker: type[Worker]) -> bool:
    """Whether performing again costs nothing but processor time."""
    return worker.replayable and worker.kind in {Kind.ANALYSIS, Kind.THEORY}


def overtime(outcome: Outcome, issued: Issued) -> Failure | None:
    """A timeout if the outcome states a duration beyond the commitment."""
    limit = issued.commitment.hours
    if outcome.duration_h is None or outcome.duration_h <= limit + _SLACK:
        return None
    return Failure(
        kind="timeout",
        message=f"takes {outcome.duration_h:.4g} h; {limit:.4g} h were committed",
        remedy="raise the step's latency_h or its cap_factor",
    )


def settle(
    issued: Issued,
    step: Step,
    worker: type[Worker],
    outcome: Outcome,
    elapsed_h: float,
    arrays: Mapping[str, ArrayRef] | None = None,
) -> Observation:
    """The observation of a valid outcome; ``arrays`` says where its arrays were put.

    Of a failure arrays are all that is left: what came before.
    """
    cost, dose = _charge(issued, step, worker, outcome), _dose(issued, step, outcome)
    over = _overrun(issued, cost, dose, outcome.duration_h)
    start_h = issued.hour
    common = {
        "action_id": issued.action.id,
        "worker": issued.worker,
        "cost_credits": cost,
        "dose_e_per_A2": dose,
        "queued_h": start_h,
        "start_h": start_h,
        "end_h": start_h + _duration(issued, step, worker, outcome, elapsed_h),
        "arrays": dict(arrays or {}),
    }
    failed = outcome.failure is not None
    try:
        return Observation.model_validate(
            common
            | {
                "values": {} if failed else dict(outcome.values),
                "grids": {} if failed else dict(outcome.grids),
                "tables": {} if failed else dict(outcome.tables),
                "quality": outcome.quality,
                "failure": outcome.failure,
                "notes": dict(outcome.notes) | over,
                "commands": outcome.commands,
            }
        )
    except ValidationError as error:
        what = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        failure = Failure(kind="invalid", message=f"the outcome cannot be recorded ({what})")
        return Observation.model_validate(common | {"failure": failure, "notes": over})


def failed(
    issued: Issued, step: Step, worker: type[Worker], failure: Failure, elapsed_h: float = 0.0
) -> Observation:
    """The observation of a failure of which nothing else is known."""
    return settle(issued, step, worker, Outcome(failure=failure), elapsed_h)


def lost(issued: Issued, step: Step, worker: type[Worker], failure: Failure) -> Failure:
    """``failure`` of a worker that cannot say any more what it did.

    If the step must never be repeated by itself and the worker is not replayable, nobody knows
    whether it was done: the failure becomes ``uncertain``.
    """
    if worker.replayable or step.repeat != "irreversible":
        return failure
    return Failure(
        kind="uncertain",
        message=f"{failure.message}; step {step.name!r} may or may not have been done",
        remedy=f"look at {issued.worker!r} and at {issued.action.target.label} before going on",
    )


def _charge(issued: Issued, step: Step, worker: type[Worker], outcome: Outcome) -> float:
    """The credits that the outcome states; else what stands at the top, within the commitment."""
    failure, limit = outcome.failure, issued.commitment.credits
    if outcome.cost_credits is not None:
        return float(outcome.cost_credits)
    if failure is not None and failure.kind == "uncertain":
        return limit
    if failure is not None and (failure.kind in _NOTHING_DONE or is_computation(worker)):
        return 0.0
    return min(step.cost_credits.typical(*step.extent(issued.action)), limit)


def _overrun(
    issued: Issued, cost: float, dose: float, duration_h: float | None
) -> dict[str, float]:
    """Notes of what was used beyond the commitment."""
    held = issued.commitment
    used = {
        "credits": (cost, held.credits),
        "hours": (float(duration_h or 0.0), held.hours),
        "dose_e_per_A2": (dose, held.dose_e_per_A2),
    }
    over = {unit: spent - limit for unit, (spent, limit) in used.items()}
    return {
        overrun_note(unit): more
        for unit, more in over.items()
        if more > _SLACK * max(1.0, used[unit][1])
    }


def _dose(issued: Issued, step: Step, outcome: Outcome) -> float:
    """The dose that the target got; where nobody says, the step's typical one, unless nothing was
    done, and where nobody can know, all that was committed.
    """
    limit, failure = issued.commitment.dose_e_per_A2, outcome.failure
    if outcome.dose_e_per_A2 is not None:
        return float(outcome.dose_e_per_A2)
    if failure is not None and failure.kind in _NOTHING_DONE:
        return 0.0
    if failure is not None and failure.kind in {"uncertain", "crashed", "timeout"}:
        return limit
    typical = step.dose_e_per_A2.typical(*step.extent(issued.action))
    return min(typical, limit) if step.exposes else 0.0


def _duration(
    issued: Issued, step: Step, worker: type[Worker], outcome: Outcome, elapsed_h: float
) -> float:
    if outcome.duration_h is not None:
        return min(float(outcome.duration_h), issued.commitment.hours)
    if outcome.failure is None:
        return elapsed_h
    if outcome.failure.kind in _NOTHING_DONE:
        return 0.0
    if worker.replayable:
        typical = step.latency_h.typical(*step.extent(issued.action))
        return min(typical, issued.commitment.hours)
    return elapsed_h
