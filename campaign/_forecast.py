"""What a campaign is expected to cost and to find, before it starts or in its middle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ..agents import expected_offers
from ..planner import (
    TARGET,
    Forecast,
    Playthrough,
    RehearsalTask,
    Spread,
    StepValues,
    contenders,
    detour_tasks,
    learn_step_values,
    rehearse,
    tasks_for,
)
from ..workflow import BudgetError, SpecError, State
from ._campaign import spec_of_run
from ._change import present_spec
from ._journal import Journal, replay
from ._play import play_on_ray
from ._run_folder import RunFolder
from ._spec import CampaignSpec
from ._wording import amount, goal_text, hours_text, percent, pretty_unit


def starting_state(spec: CampaignSpec) -> State:
    """The state before the first event, with the workers that are expected; none is started.

    Raises
    ------
    SpecError
        If a step needs what no worker offers.
    """
    offers = expected_offers(spec.workers, spec.workflow.steps)
    missing = sorted(need for need, workers in offers.items() if not workers)
    if missing:
        raise SpecError(
            f"campaign {spec.name!r}",
            f"steps that need {missing}, which no worker offers",
            "a worker for every capability",
            "add a worker, or correct the step's capability",
        )
    return spec.initial_state(offers)


def state_of_run(folder: str | Path) -> tuple[CampaignSpec, State]:
    """The state at which a run stands, from its journal.

    Raises
    ------
    RunFolderError, StoreError
        If there is no run, or its journal is damaged.
    SpecError
        If the run has ended.
    """
    spec = spec_of_run(folder)
    with Journal(RunFolder.read(folder).journal_path, read_only=True) as journal:
        state = replay(starting_state(spec), list(journal.events()))
    if state.stopped is not None:
        raise SpecError(
            f"run {str(folder)!r}",
            f"a campaign that has ended ({state.stopped})",
            "one that goes on",
            "forecast a campaign file, or a run in its middle",
        )
    return present_spec(spec, state), state


def play(
    state: State,
    policies: Sequence[str] | None = None,
    worlds: int = 40,
    parallel: int = 2,
    address: str | None = None,
) -> Iterator[Playthrough]:
    """Rehearse policies in ``worlds`` possible worlds, yielding each rehearsal when it is done.

    With ``parallel`` 0 in this process, otherwise as so many Ray tasks at once.

    Raises
    ------
    BudgetError
        If nothing would ever end a rehearsal.
    SpecError
        If the goal or a policy cannot be rehearsed.
    """
    _check_ends(state)
    tasks = tasks_for(state, contenders(state.goal, policies), worlds)
    yield from _played(tasks, parallel, address)


def learn(
    state: State, worlds: int = 40, parallel: int = 2, address: str | None = None
) -> StepValues:
    """Step values from rehearsals with detours, five in every world; as :func:`play` plays them.

    Raises
    ------
    BudgetError
        If nothing would ever end a rehearsal.
    SpecError
        If the goal cannot be rehearsed, the workflow has no tiers, or too few took a detour.
    """
    _check_ends(state)
    return learn_step_values(_played(detour_tasks(state, worlds), parallel, address), state)


def write_step_values(path: str | Path, values: StepValues) -> None:
    """Write step values as JSON."""
    Path(path).write_text(values.model_dump_json(indent=1) + "\n", "utf-8")


def _check_ends(state: State) -> None:
    budget = state.budget
    if budget.credits is None and budget.hours is None and state.goal.worth_credits is None:
        raise BudgetError(
            "forecast",
            "no limit in credits or hours, and a goal without worth_credits",
            "one of the three",
            "give a limit, such as --credits 1000",
        )


def _played(
    tasks: Sequence[RehearsalTask], parallel: int, address: str | None
) -> Iterator[Playthrough]:
    if parallel == 0:
        return map(rehearse, tasks)
    return play_on_ray(tasks, parallel, address)


def forecast_record(spec: CampaignSpec, state: State, found: Sequence[Forecast]) -> dict[str, Any]:
    """A forecast as plain data for JSON."""
    return {
        "campaign": spec.name,
        "seed": state.seed,
        "goal": state.goal.model_dump(mode="json"),
        "budget": state.budget.model_dump(mode="json"),
        "spent": {"credits": state.spent_credits, "hours": state.now_h},
        "target_share_of_gain": TARGET,
        "unit": state.workflow.unit(state.goal.quantity),
        "forecasts": [f.model_dump(mode="json") for f in found],
    }


def write_forecast(path: str | Path, record: dict[str, Any]) -> None:
    """Write a forecast as JSON."""
    Path(path).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")


def forecast_table(spec: CampaignSpec, state: State, found: Sequence[Forecast]) -> Table:
    """One row a policy: chance, cost and time to the target, and what is there at the end."""
    unit = pretty_unit(state.workflow.unit(state.goal.quantity))
    worlds = max((f.worlds for f in found), default=0)
    table = Table(
        title=f"{spec.name}: {goal_text(state.goal)}; {worlds} possible worlds",
        caption=f"Median, and below it the middle 80 % of the worlds. The target is {TARGET:.0%} "
        "of what effort can gain. All this follows from what is believed now, not from a truth.",
        show_lines=True,
    )
    answer = f"answer, {unit}" if unit else "answer"
    names = ("policy", "reaches target", "credits to it", "hours to it", answer, "gain", "spent")
    for name in (*names, "hours"):
        left = name == "policy"
        table.add_column(name, justify="left" if left else "right", overflow="fold")
    for f in found:
        table.add_row(
            f.contender,
            percent(f.chance),
            spread_text(f.credits_to_target),
            spread_text(f.hours_to_target),
            spread_text(f.value),
            spread_text(f.gain, 2),
            spread_text(f.credits),
            spread_text(f.hours),
        )
    return table


def spread_text(spread: Spread, digits: int | None = None) -> str:
    """The median, and in a second line the ends of the interval."""

    def text(value: float | None) -> str:
        if value is None:
            return "never"
        return amount(value) if digits is None else f"{value:.{digits}f}"

    if spread.low is None:
        return "never"
    return f"{text(spread.median)}\n{text(spread.low)}–{text(spread.high)}"


def outlook(spec: CampaignSpec, found: Sequence[Forecast]) -> str:
    """One sentence about the campaign's own policy, or the first."""
    own = next((f for f in found if f.contender == spec.policy), found[0])
    cost, time = own.credits_to_target.median, own.hours_to_target.median
    half = "half of them do not get there within the budget"
    if cost is not None:
        hours = "" if time is None else f" and {hours_text(time)}"
        half = f"half of them need at most {amount(cost)} credits{hours}"
    return (
        f"With {own.contender!r} the target is reached in {percent(own.chance)} of the possible "
        f"worlds; {half}."
    )
