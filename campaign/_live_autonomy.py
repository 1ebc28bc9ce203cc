"""Live microscopes begin with a person: what they do waits for approval, unless told otherwise."""

from __future__ import annotations

from ..agents import expected_offers, worker_types
from ..instruments import Microscope
from ..workflow import Level, Mode, WorkerError
from ._spec import CampaignSpec


def with_live_autonomy(spec: CampaignSpec) -> CampaignSpec:
    """The specification with ``approve`` for the levels of live microscopes that it leaves open.

    A live microscope is a worker on a driver that is neither a twin nor a recording. Its levels are
    those of the steps that it may be given; what ``autonomy.levels`` says of them stands. Live
    devices are not touched to find out.
    """
    known = worker_types()
    live: set[str] = set()
    for name, worker in spec.workers.items():
        try:
            kind = known[worker.type].load() if worker.type in known else None
        except WorkerError:
            continue  # whoever starts it says what is wrong
        simulated = kind is None or kind.twin or kind.replayable
        if kind is not None and issubclass(kind, Microscope) and not simulated:
            live.add(name)
    if not live:
        return spec
    offers = expected_offers(spec.workers, spec.workflow.steps)
    levels = {s.level for s in spec.workflow.steps if live & set(offers.get(s.needs, ()))}
    open_levels: dict[Level, Mode] = dict.fromkeys(levels - spec.autonomy.levels.keys(), "approve")
    autonomy = spec.autonomy.model_copy(
        update={"levels": {**spec.autonomy.levels, **dict(sorted(open_levels.items()))}}
    )
    return spec.model_copy(update={"autonomy": autonomy})
