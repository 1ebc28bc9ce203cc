"""Twin of a pulsed laser deposition system that grows strips with a composition gradient."""

from __future__ import annotations

from typing import ClassVar, final

from ..matter import SPACE, grown_design, make_world
from ..workflow import (
    DesignSpaceError,
    Failure,
    Job,
    Kind,
    Offer,
    Outcome,
    SpecError,
    Step,
    Worker,
    no_parameters,
)

_MISHAPS = (
    ("the target cracked during the run", "change the target and grow the strip again"),
    ("the laser plume was lost in mid-run", "clean the laser window and grow the strip again"),
)


@final
class PldTwin(Worker):
    """Grows samarium-doped bismuth ferrite in the hidden world of a seed.

    What a run gives depends on the world's seed, the sample's name and the design asked for, so
    that the same sample is met again in every other twin. Runs stray a little from what was asked.

    Parameters
    ----------
    world_seed
        The seed of the world; the same as for the other twins of the campaign.
    failure_rate
        Share of runs that fail, between 0 and 1; they cost as much as the others.

    Raises
    ------
    SpecError
        If a parameter is out of range.
    """

    kind: ClassVar[Kind] = Kind.SYNTHESIS
    twin: ClassVar[bool] = True
    replayable: ClassVar[bool] = True

    def __init__(self, world_seed: int = 0, failure_rate: float = 0.03) -> None:
        if not 0.0 <= failure_rate <= 1.0:
            raise SpecError(
                "worker 'pld-twin'", f"failure_rate={failure_rate}", "0 to 1", "give such a share"
            )
        self._seed = make_world(world_seed).seed
        self._failure_rate = failure_rate

    def offers(self) -> tuple[Offer, ...]:
        return (Offer(capability="grow_strip", about="twin: pulsed laser deposition of a strip"),)

    def safe(self) -> str:
        return "twin: laser shutter closed, heater ramping down"

    def check(self, step: Step) -> None:
        no_parameters(step)

    def perform(self, job: Job) -> Outcome:
        """Grow the strip; the notes hold what the heater's pyrometer and the gauge read."""
        target = job.action.target
        if target.sample is None:
            return _refused("no name for the sample", "name the sample that is to be grown")
        try:
            _, t_C, p = grown_design(self._seed, target.sample, target.design)
        except DesignSpaceError as error:
            return _refused(f"{error.given}; allowed: {error.allowed}", error.remedy)
        credits, hours = job.draw_price()
        if job.rng.random() < self._failure_rate:
            message, remedy = _MISHAPS[int(job.rng.integers(len(_MISHAPS)))]
            return Outcome(
                cost_credits=credits,
                duration_h=hours,
                failure=Failure(kind="instrument", message=message, remedy=remedy),
            )
        return Outcome(
            cost_credits=credits,
            duration_h=hours,
            notes={
                "pyrometer_C": round(t_C + float(job.rng.normal(0.0, 1.0)), 1),
                "gauge_mTorr": round(p * float(1.0 + job.rng.normal(0.0, 0.01)), 3),
                "film": f"strip around x = {target.design[SPACE.names[0]]:.3f}, 200 nm",
            },
        )


def _refused(message: str, remedy: str) -> Outcome:
    failure = Failure(kind="refused", message=message, remedy=remedy)
    return Outcome(cost_credits=0.0, duration_h=0.0, failure=failure)
