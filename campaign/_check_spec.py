"""What no single field of a specification shows: whether its parts fit each other."""

from __future__ import annotations

from ..agents import is_bare_secret
from ..planner import make_policy, measured_ends
from ..workflow import BudgetError, Maximize, SpecError, Step, Target, Tune, program_from
from ._spec import CampaignSpec


def check_spec(spec: CampaignSpec) -> None:
    """Policy, goal, specimens and budget against the workflow.

    Raises
    ------
    SpecError, BudgetError, DesignSpaceError
    """
    check_aims(spec)
    check_heeded(spec)
    if spec.warm_start is not None:
        spec.warm_start.check(spec.workflow, spec.goal)
    _check_secrets(spec)
    _check_programs(spec)
    state = spec.initial_state()
    specimen = next(iter(spec.specimens), "?new")
    target = Target(sample=specimen, site=0)
    links: dict[str, Step] = {}
    for quantity in measured_ends(spec.workflow, spec.goal):
        final = spec.workflow.producer(quantity)
        found = spec.workflow.open_steps(final, target, state.inventory)
        links |= {s.name: s for s in found}
    chain = tuple(links.values())
    maker = next((s for s in chain if s.makes is not None), None)
    needs_sample = any(s.acts_on in {"sample", "site", "positions"} for s in chain)
    if needs_sample and maker is None and not spec.specimens:
        raise SpecError(
            f"campaign {spec.name!r}",
            "steps on samples, but no step makes one and no specimen is given",
            "a step with 'makes', or 'specimens'",
            "add one of the two",
        )
    _check_budget(spec, chain)


def check_aims(spec: CampaignSpec) -> None:
    """What may also change while a campaign runs: policy, goal and autonomy.

    Raises
    ------
    SpecError
        If the policy cannot pursue the goal, or a rule names what is not there.
    """
    make_policy(spec.policy, spec.workflow, spec.goal)
    _check_goal(spec)
    steps = {step.name for step in spec.workflow.steps}
    for rule in spec.autonomy.rules:
        for given, known in (
            (set(rule.steps), steps),
            (set(rule.std_above), spec.workflow.scalars),
        ):
            stray = given - set(known)
            if stray:
                raise SpecError(
                    f"campaign {spec.name!r}",
                    f"a rule of autonomy about {sorted(stray)}",
                    f"one of {sorted(known)}",
                    "correct the name",
                )


def check_heeded(spec: CampaignSpec) -> None:
    """Whether some session heeds what is wished of sessions.

    Raises
    ------
    SpecError
        If something is wished and none does.
    """
    over = getattr(spec.goal, "over", "designs")
    wished = spec.session.model_dump(exclude_defaults=True)
    if wished and over != "positions":
        raise SpecError(
            " and ".join(f"session.{name}" for name in wished),
            f"{list(wished.values())} with a goal over {over}",
            "wishes where the goal is over positions: only there a session heeds them",
            "remove them, or set goal.over to 'positions'",
        )


def _check_secrets(spec: CampaignSpec) -> None:
    """A specification is written into the journal: secrets have no place in it."""
    for name, worker in {**spec.workers, "guardian": spec.guardian}.items():
        for key, value in worker.config.items():
            if is_bare_secret(key, value):
                raise SpecError(
                    f"worker {name!r}",
                    f"config {key!r} with a value of its own, which would be kept for ever",
                    f"{key}: $secret:NAME",
                    "put the secret into the environment variable PROBEWISE_SECRET_NAME",
                )


def _check_programs(spec: CampaignSpec) -> None:
    """Programs of commands are read now, not when the sample lies in the microscope."""
    for step in spec.workflow.steps:
        if step.needs == "run_program" and "program" in step.parameters:
            program_from(step.parameters["program"], f"program of step {step.name!r}")


def _check_goal(spec: CampaignSpec) -> None:
    """Whether the only specimen of a goal over positions is there, and tuning has an end."""
    goal = spec.goal
    budget = spec.budget
    if isinstance(goal, Tune) and budget.hours is None and budget.credits is None:
        raise BudgetError(
            f"campaign {spec.name!r}",
            "an instrument to be tuned without an end",
            "budget.hours, or budget.credits where every step costs some",
            "say how many hours the instrument is to be kept good",
        )
    sites = [s.sites for s in spec.specimens.values()]
    if isinstance(goal, Maximize) and goal.over == "positions" and sites != [1]:
        raise SpecError(
            f"campaign {spec.name!r}",
            f"a goal over positions and {len(sites)} specimens with {sum(sites)} sites",
            "one specimen with one site",
            "list exactly one under 'specimens', or set goal.over to 'designs'",
        )


def _check_budget(spec: CampaignSpec, chain: tuple[Step, ...]) -> None:
    """Whether one way to the goal fits, each step at its cap or the whole at its median."""
    workflow = spec.workflow
    way = " -> ".join(s.name for s in chain)
    limits = (
        ("credits", spec.budget.credits, [s.cost_credits for s in chain]),
        ("hours", spec.budget.hours, [s.latency_h for s in chain]),
        ("dose_e_per_A2", spec.budget.dose_e_per_A2, [s.dose_e_per_A2 for s in chain]),
    )
    for unit, limit, amounts in limits:
        names = {n for a in amounts for n in a.per_unit}
        rates = {n: sum(a.per_unit.get(n, 0.0) for a in amounts) for n in names}
        cheapest = workflow.space.least(rates)
        sizes = [workflow.usual_extent(s)._replace(design=cheapest) for s in chain]
        typical = sum(a.typical(*size) for a, size in zip(amounts, sizes, strict=True))
        last = amounts[-1].cap(*sizes[-1]) - amounts[-1].typical(*sizes[-1])
        if unit == "dose_e_per_A2":  # planned at its caps
            typical, last = sum(a.cap(*size) for a, size in zip(amounts, sizes, strict=True)), 0.0
        if limit is not None and typical + last > limit:
            raise BudgetError(
                f"campaign {spec.name!r}",
                f"budget of {limit:g} {unit}",
                f"at least {typical + last:.4g} {unit} for {way} once",
                f"raise budget.{unit} or make the steps cheaper",
            )
    makes = sum(s.makes is not None for s in chain)
    if spec.budget.samples is not None and spec.budget.samples < makes:
        raise BudgetError(
            f"campaign {spec.name!r}",
            f"budget of {spec.budget.samples} samples",
            f"at least {makes} for {way}",
            "raise budget.samples",
        )
