"""What may be chosen about the planner: how much it computes, and the numbers fixed by hand."""

from __future__ import annotations

from pydantic import Field

from ..workflow import Record
from ._belief import WORLDS
from ._step_values import StepValues


class PlannerSettings(Record):
    """Settings of the policy ``planner``; the defaults are what a campaign runs with.

    Attributes
    ----------
    worlds
        Possible worlds drawn for every view; a multiple of four.
    space_points, local_points, libraries
        Pool points over the space and around the best, and samples that are thought of.
    grid_points
        Points over which goals about the whole space integrate.
    wide_points
        Starts of the search for the designs where such goals, and a Pareto set, gain most.
    quick_fit
        Whether kernels are the best of a few draws from their prior, which takes a millisecond, or
        fitted by gradients.
    sites_screened
        Sites of a sample to be made whose screening is counted when it is valued.
    theory_trust
        Share of the gain of knowing everything that a theory never run before is trusted with.
    grant_margin
        A session's cap over the expected price of measuring every site of its sample once.
    cost_blind
        Whether every step counts as one credit, whatever it costs: the policy ``cost-blind``.
    step_values
        What rehearsals said about departing from the planner's first choice; None for nothing.
    """

    worlds: int = Field(default=WORLDS, ge=8, multiple_of=4)
    space_points: int = Field(default=192, ge=4)
    local_points: int = Field(default=64, ge=8)
    libraries: int = Field(default=24, ge=2)
    grid_points: int = Field(default=384, ge=16)
    wide_points: int = Field(default=512, ge=16)
    quick_fit: bool = False
    sites_screened: int = Field(default=4, ge=1)
    theory_trust: float = Field(default=0.25, ge=0, le=1)
    grant_margin: float = Field(default=1.6, ge=1)
    cost_blind: bool = False
    step_values: StepValues | None = None

    def light(self) -> PlannerSettings:
        """The same choices with a fraction of the computing, for rehearsals."""
        small = {"worlds": 64, "space_points": 48, "local_points": 16, "libraries": 6}
        small |= {"grid_points": 96, "wide_points": 64}
        return self.model_copy(update={**small, "quick_fit": True})


DEFAULT_SETTINGS = PlannerSettings()
