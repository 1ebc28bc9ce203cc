"""What workers offer, without starting an instrument."""

from __future__ import annotations

from collections.abc import Mapping

from ..workflow import Step, WorkerSpec
from ._duties import check_steps
from ._registry import make_worker, worker_type


def expected_offers(
    specs: Mapping[str, WorkerSpec], steps: tuple[Step, ...]
) -> dict[str, tuple[str, ...]]:
    """Capability to the workers that are expected to offer it, for rehearsals.

    Twins and computations are made and asked. An instrument that is no twin is not touched: what
    the steps need and nobody else offers is taken to be offered by all of these.

    Raises
    ------
    WorkerError
        If a worker's type is not registered, or a twin cannot be made.
    ProbewiseError
        If one that was made refuses a step that it would be given.
    """
    asked: dict[str, set[str]] = {}
    unasked: list[str] = []
    for name, spec in specs.items():
        kind = worker_type(spec.type, f"worker {name!r}")
        if not (kind.replayable or kind.twin):
            unasked.append(name)
            continue
        worker = make_worker(spec, name)
        try:
            asked[name] = {o.capability for o in worker.offers()}
            check_steps(name, worker, [s for s in steps if s.needs in asked[name]])
        finally:
            worker.close()
    needed = dict.fromkeys(s.needs for s in steps)
    able = {n: tuple(w for w, offered in asked.items() if n in offered) for n in needed}
    return {n: workers or tuple(unasked) for n, workers in able.items()}
