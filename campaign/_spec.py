"""The campaign's specification: what a campaign is, as one record."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError

from ..planner import PlannerSettings, StepValues, policy_names
from ..workflow import (
    Autonomy,
    Budget,
    Design,
    Goal,
    Inventory,
    Name,
    Record,
    Sample,
    SpecError,
    State,
    Status,
    Wishes,
    WorkerSpec,
    Workflow,
)


class Specimen(Record):
    """A sample that exists before the campaign: its design, and how many sites it has."""

    design: Design = {}
    sites: int = Field(default=1, ge=1)


class CampaignSpec(Record):
    """Everything a campaign is: what for, with what, under which limits.

    Attributes
    ----------
    clock
        ``virtual`` (twins and recordings: time jumps) or ``real``.
    goals
        Other goals by name, to choose from with ``--goal``.
    answer_within_h
        How long a human may take to say what became of an irreversible action that a crash left
        uncertain; afterwards it is charged in full and not repeated. Nobody is asked on a virtual
        clock.
    truth
        A registered truth that scores the recommendation of a twin or a recording; never seen by
        a policy.
    autonomy
        What is done at once, what a human is asked for first, and what is only proposed. Levels of
        live microscopes that it leaves out are ``approve`` (see ``_live_autonomy.py``).
    session
        What sessions heed from the start; people may change it (``probewise set``).
    needs_data
        Where the recording comes from that ``--data`` must name, for people.
    notes
        Sentences for the report's head.
    warm_start
        Step values learned in rehearsals of this workflow and goal; in a YAML file the path of what
        ``probewise forecast --step-values`` wrote.
    """

    name: Name
    seed: int = Field(default=0, ge=0)
    clock: Literal["virtual", "real"] = "virtual"
    policy: str = "planner"
    answer_within_h: float = Field(default=0.5, ge=0)
    truth: str | None = None
    goal: Goal
    goals: dict[str, Goal] = {}
    budget: Budget
    workflow: Workflow
    workers: dict[Name, WorkerSpec] = Field(min_length=1)
    autonomy: Autonomy = Autonomy()
    session: Wishes = Wishes()
    guardian: WorkerSpec = WorkerSpec(type="limits-guardian")
    specimens: dict[Name, Specimen] = {}
    needs_data: str = ""
    notes: tuple[str, ...] = ()
    warm_start: StepValues | None = None

    def settings(self, goal: Goal) -> PlannerSettings | None:
        """What the planner is to heed besides; None for nothing.

        Step values are left out where the goal is not the one that they were learned for.
        """
        values = self.warm_start
        fits = values is not None and values.fits(self.workflow, goal)
        return PlannerSettings(step_values=values) if fits else None

    def initial_state(self, offers: dict[str, tuple[str, ...]] | None = None) -> State:
        """The state before the first event. ``offers`` maps capabilities to workers."""
        inventory = Inventory()
        made = {step.name: 0 for step in self.workflow.steps if step.makes is not None}
        for name, given in self.specimens.items():
            design = self.workflow.space.check(given.design, f"specimen {name!r}")
            inventory.samples[name] = Sample(name, design, (design,) * given.sites)
            inventory.places[(name, None, ())] = Status(done=dict(made))
        return State(
            self.workflow,
            self.goal,
            self.budget,
            seed=self.seed,
            capacity={name: worker.capacity for name, worker in self.workers.items()},
            offers=offers or {},
            inventory=inventory,
            policy=self.policy,
            autonomy=self.autonomy,
            wishes=self.session,
        )


def spec_from_dict(raw: dict[str, Any], who: str) -> CampaignSpec:
    """A specification from plain data: a YAML file's, or its own dump in a run folder.

    Raises
    ------
    SpecError
        If a field is unknown, missing or wrong.
    """
    try:
        return CampaignSpec.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"]) or "top level"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        given = f"{where}: {str(first.get('input'))[:80]!r}"
        if first["type"] == "missing":  # the input is all the rest
            given = f"no {where}"
        raise SpecError(
            f"campaign {who!r}",
            f"{given}{more}",
            first["msg"],
            "see 'probewise schema' for all fields",
        ) from error


def policies_of(spec: CampaignSpec) -> tuple[str, ...]:
    """Policies that can pursue the campaign's goal."""
    return policy_names(spec.goal)
