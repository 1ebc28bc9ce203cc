"""The campaign's specification: one YAML file, checked as a whole."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from ..planner import make_policy, policy_names
from ..workflow import (
    Budget,
    BudgetError,
    Design,
    Goal,
    Inventory,
    LocateBoundary,
    Maximize,
    Name,
    Record,
    Sample,
    SpecError,
    State,
    Status,
    Step,
    Target,
    WorkerSpec,
    Workflow,
)

_BUILT_IN = resources.files(__name__.rpartition(".")[0]).joinpath("scenarios")


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
    truth
        A registered truth that scores the recommendation of a twin or a recording; never seen by
        a policy.
    needs_data
        Where the recording comes from that ``--data`` must name, for people.
    notes
        Sentences for the report's head.
    """

    name: Name
    seed: int = Field(default=0, ge=0)
    clock: Literal["virtual", "real"] = "virtual"
    policy: str = "planner"
    truth: str | None = None
    goal: Goal
    goals: dict[str, Goal] = {}
    budget: Budget
    workflow: Workflow
    workers: dict[Name, WorkerSpec] = Field(min_length=1)
    guardian: WorkerSpec = WorkerSpec(type="limits-guardian")
    specimens: dict[Name, Specimen] = {}
    needs_data: str = ""
    notes: tuple[str, ...] = ()

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
        )


def built_in_names() -> list[str]:
    """Names of the campaigns that come with the package."""
    names = [f.name for f in _BUILT_IN.iterdir()]
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_spec(
    source: str | Path,
    *,
    seed: int | None = None,
    data: str | Path | None = None,
    policy: str | None = None,
    goal: str | None = None,
    budget: dict[str, float] | None = None,
) -> CampaignSpec:
    """Read a built-in campaign by its name, or a YAML file, with overrides.

    In the configuration of a worker, ``$seed`` stands for the campaign's seed and ``$data`` for the
    path given as ``data``.

    Raises
    ------
    SpecError
        If there is no such campaign, the YAML is broken, or a field is unknown or wrong.
    BudgetError
        If the budget does not bear the shortest way to the goal.
    """
    raw = _read(source)
    raw["seed"] = raw.get("seed", 0) if seed is None else seed
    if policy is not None:
        raw["policy"] = policy
    if goal is not None:
        raw["goal"] = _named_goal(raw, goal)
    if budget and isinstance(raw.get("budget", {}), dict):
        raw["budget"] = {**raw.get("budget", {}), **budget}
    _fill_in(raw, data)
    spec = _validated(raw, str(source))
    check_spec(spec)
    return spec


def spec_from_dict(raw: dict[str, Any], who: str) -> CampaignSpec:
    """A specification from its own dump, as a run folder keeps it."""
    return _validated(raw, who)


def check_spec(spec: CampaignSpec) -> None:
    """What no single field shows: policy, goal, specimens and budget against the workflow.

    Raises
    ------
    SpecError, BudgetError, DesignSpaceError
    """
    make_policy(spec.policy, spec.workflow, spec.goal)
    _check_goal(spec)
    state = spec.initial_state()
    final = spec.workflow.producer(spec.goal.quantity)
    specimen = next(iter(spec.specimens), "?new")
    target = Target(sample=specimen, site=0)
    chain = spec.workflow.open_steps(final, target, state.inventory)
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


def _check_goal(spec: CampaignSpec) -> None:
    """Whether the goal's variable, or its only specimen, is there."""
    goal, names = spec.goal, spec.workflow.space.names
    if isinstance(goal, LocateBoundary) and goal.variable not in names:
        raise SpecError(
            f"campaign {spec.name!r}",
            f"a boundary along {goal.variable!r}",
            f"one of the variables {list(names)}",
            "correct goal.variable",
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
    sizes = [(s, s.positions_per_run) for s in chain]
    way = " -> ".join(s.name for s in chain)
    limits = (
        ("credits", spec.budget.credits, [s.cost_credits for s in chain]),
        ("hours", spec.budget.hours, [s.latency_h for s in chain]),
    )
    for unit, limit, amounts in limits:
        typical = sum(a.typical(n) for a, (_, n) in zip(amounts, sizes, strict=True))
        last = amounts[-1].cap(sizes[-1][1]) - amounts[-1].typical(sizes[-1][1])
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


def _read(source: str | Path) -> dict[str, Any]:
    names = built_in_names()
    if str(source) in names:
        data = _BUILT_IN.joinpath(f"{source}.yaml").read_bytes()
    else:
        path = Path(source)
        if not path.is_file():
            raise SpecError(
                "campaign",
                f"{str(source)!r}, which is no file",
                f"a YAML file or one of {names}",
                "correct the name or path",
            )
        data = path.read_bytes()
    try:
        raw = yaml.safe_load(data.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(
            f"campaign {str(source)!r}",
            f"text that is not YAML ({str(error).splitlines()[0]})",
            "YAML without tags",
            'mend the file; quote texts with brackets, such as "image [nm]"',
        ) from error
    if not isinstance(raw, dict):
        raise SpecError(
            f"campaign {str(source)!r}",
            f"a {type(raw).__name__}",
            "a mapping with name, goal, budget, workflow and workers",
            "see 'probewise schema'",
        )
    return raw


def _named_goal(raw: dict[str, Any], name: str) -> dict[str, Any]:
    """One of the campaign's other goals, or its own by its kind."""
    own, others = raw.get("goal"), raw.get("goals")
    known = {own.get("kind"): own} if isinstance(own, dict) else {}
    known |= others if isinstance(others, dict) else {}
    if name not in known:
        raise SpecError(
            f"campaign {raw.get('name', '?')!r}",
            f"goal {name!r}",
            f"one of {sorted(str(k) for k in known)}",
            "correct the name, or add the goal under 'goals'",
        )
    return known[name]


def _fill_in(raw: dict[str, Any], data: str | Path | None) -> None:
    """Put seed and data path where ``$seed`` and ``$data`` stand."""
    workers = raw.get("workers")
    for worker in workers.values() if isinstance(workers, dict) else ():
        config = worker.get("config") if isinstance(worker, dict) else None
        if isinstance(config, dict):
            config.update({key: _filled(value, raw, data) for key, value in config.items()})


def _filled(value: Any, raw: dict[str, Any], data: str | Path | None) -> Any:
    if value == "$seed":
        return raw["seed"]
    if value != "$data":
        return value
    if data is None:
        raise SpecError(
            f"campaign {raw.get('name', '?')!r}",
            "no data",
            raw.get("needs_data", "") or "a path",
            "give the path with --data PATH",
        )
    return str(Path(data).absolute())


def _validated(raw: dict[str, Any], who: str) -> CampaignSpec:
    try:
        return CampaignSpec.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"]) or "top level"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise SpecError(
            f"campaign {who!r}",
            f"{where}: {str(first.get('input'))[:80]!r}{more}",
            first["msg"],
            "see 'probewise schema' for all fields",
        ) from error


def policies_of(spec: CampaignSpec) -> tuple[str, ...]:
    """Policies that can pursue the campaign's goal."""
    return policy_names(spec.goal)
