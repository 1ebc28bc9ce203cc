"""Jobs as a campaign would give them, for trying a worker alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..workflow import Action, Array, Job, Step, Target


def example_job(
    step: Step,
    target: Target | None = None,
    arrays: Mapping[str, tuple[Array, ...]] | None = None,
    **action: Any,
) -> Job:
    """A job for ``step``, as a campaign would give it.

    Parameters
    ----------
    step
        What is to be done.
    target
        On what; by default sample ``S1``, its first site and as many positions as the step takes at
        once, as far as the step acts on such. Steps that act on designs need a target with one.
    arrays
        What it works on, by name.
    **action
        Further fields of the action, such as ``parameters``, ``seed``, ``data`` or ``hours``.
    """
    held = step.acts_on in {"sample", "site", "positions"}
    placed = step.acts_on in {"site", "positions"}
    spots = range(step.positions_per_run) if step.acts_on == "positions" else ()
    default = Target(
        sample="S1" if held else None,
        site=0 if placed else None,
        positions=tuple((2 * i, 3 * i) for i in spots),
    )
    given: dict[str, Any] = {"id": f"example-{step.name}", "seed": 1, "hours": {"start": 0.0}}
    given |= action | {"step": step.name, "target": target or default}
    return Job(Action.model_validate(given), step, dict(arrays or {}))
