"""What a failed action brought before it failed is kept, though nothing reckons with it."""

from __future__ import annotations

import logging
from dataclasses import replace

from ..workflow import ArrayRef, ArrayStore, Failure, Issued, Outcome, Step
from ._contract import find_side_fault, sound_arrays
from ._secrets import hide

_log = logging.getLogger(__name__)
_LONGEST = 500


def as_failed(outcome: object, failure: Failure) -> Outcome:
    """The same as a failure: its price where that is sound, its arrays as they are, no values."""
    if not isinstance(outcome, Outcome):
        return Outcome(failure=failure)
    if find_side_fault(outcome) is not None:
        return Outcome(failure=failure, arrays=outcome.arrays)
    return Outcome(
        arrays=outcome.arrays,
        cost_credits=outcome.cost_credits,
        duration_h=outcome.duration_h,
        dose_e_per_A2=outcome.dose_e_per_A2,
        failure=failure,
        notes=outcome.notes,
        commands=outcome.commands,
    )


def salvage(
    store: ArrayStore | None, issued: Issued, step: Step, outcome: Outcome
) -> tuple[Outcome, dict[str, ArrayRef]]:
    """Keep the sound arrays of a failed outcome.

    In the file each carries the failure among its metadata. Arrays that are not sound, or that the
    store refuses, stand in words in the note ``left_out``; the failure stays what it is.

    Returns
    -------
    outcome
        The same, without arrays.
    refs
        Where the arrays were put, by name.
    """
    kept: dict[str, ArrayRef] = {}
    sound, left_out = sound_arrays(outcome, step)
    failure = outcome.failure
    if sound and failure is not None:
        words = hide(f"{failure.kind}: {failure.message}")[:_LONGEST]
        try:
            if store is None:
                raise RuntimeError("there is no store")
            marked = {
                name: replace(array, metadata={**array.metadata, "failure": words})
                for name, array in sound.items()
            }
            kept = store.put(issued.action, marked)
        except Exception as error:  # whatever it is, the first failure is the one to tell
            _log.exception("worker %r, action %s", issued.worker, issued.action.id)
            left_out += (f"arrays {sorted(sound)} were not kept: {type(error).__name__}: {error}",)
    notes = outcome.notes
    if left_out:
        notes = {**notes, "left_out": hide("; ".join(left_out))[:_LONGEST]}
    return replace(outcome, arrays={}, notes=notes), kept
