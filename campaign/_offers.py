"""Who can do what a workflow needs."""

from __future__ import annotations

from collections.abc import Mapping

from ..workflow import SpecError, Step


def offers_by_capability(
    offers: Mapping[str, tuple[str, ...]], workflow_steps: tuple[Step, ...]
) -> dict[str, tuple[str, ...]]:
    """Turn what each worker offers around: capability to workers.

    Raises
    ------
    SpecError
        If no worker offers what a step needs.
    """
    able: dict[str, tuple[str, ...]] = {}
    for step in workflow_steps:
        able[step.needs] = tuple(w for w, given in offers.items() if step.needs in given)
        if not able[step.needs]:
            raise SpecError(
                f"step {step.name!r}",
                f"needs {step.needs!r}, which no worker offers",
                ", ".join(f"{w}: {', '.join(g)}" for w, g in offers.items()),
                "add a worker that offers it, or correct the step's capability",
            )
    return able
