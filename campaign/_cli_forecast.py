"""The command ``probewise forecast``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..planner import Playthrough, forecasts
from ._cli_errors import complaining
from ._cli_options import Credits, Data, GoalKind, Hours, Seed, at_hand, budget_of, refuse_beside
from ._forecast import (
    forecast_record,
    forecast_table,
    learn,
    outlook,
    play,
    starting_state,
    state_of_run,
    write_forecast,
    write_step_values,
)
from ._load_spec import load_spec


def forecast_campaign(
    source: Annotated[
        str, typer.Argument(help="A YAML file, a built-in campaign, or the folder of a run.")
    ],
    worlds: Annotated[int, typer.Option(help="Possible worlds to rehearse in.", min=1)] = 40,
    policies: Annotated[str | None, typer.Option(help="Comma-separated (default: all).")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="The forecast as JSON.")] = None,
    parallel: Annotated[
        int, typer.Option(help="Rehearsals at once, on Ray; 0 for this process alone.", min=0)
    ] = 2,
    address: Annotated[str | None, typer.Option(help="Ray cluster (default: a local one).")] = None,
    step_values: Annotated[
        Path | None,
        typer.Option(help="Also rehearse departures from the planner's choice; what they gained."),
    ] = None,
    seed: Seed = None,
    data: Data = None,
    goal: GoalKind = None,
    credits: Credits = None,
    hours: Hours = None,
) -> None:
    """Cost and time to the goal, with a spread, before the start or in mid-campaign."""
    with complaining():
        if Path(source).is_dir():
            given = {
                "--seed": seed, "--data": data, "--goal": goal, "--credits": credits,
                "--hours": hours,
            }  # fmt: skip
            refuse_beside(
                given, "forecast", "a run folder and {}",
                "--worlds, --policies, --json, --parallel and --address with a run folder",
                "leave the others out, or forecast a campaign file",
            )  # fmt: skip
            spec, state = state_of_run(source)
        else:
            spec = load_spec(
                source, seed=seed, data=at_hand(data), goal=goal, budget=budget_of(credits, hours)
            )
            state = starting_state(spec)
        names = [n.strip() for n in policies.split(",")] if policies else None
        console = Console()
        with console.status("rehearsing") as status:
            played: list[Playthrough] = []
            for one in play(state, names, worlds, parallel, address):
                played.append(one)
                status.update(f"rehearsed {len(played)} times")
            if step_values is not None:
                learned = learn(state, worlds, parallel, address)
                write_step_values(step_values, learned)
        found = forecasts(played)
        console.print(forecast_table(spec, state, found))
        console.print(outlook(spec, found), highlight=False)
        if json_file is not None:
            write_forecast(json_file, forecast_record(spec, state, found))
        if step_values is not None:
            console.print(
                f"step values: {step_values}; start with probewise run ... --warm-start",
                soft_wrap=True, highlight=False,
            )  # fmt: skip
