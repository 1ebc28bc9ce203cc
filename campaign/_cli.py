"""The command line."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..planner import Playthrough, Rehearsed, forecasts
from ..workflow import Decided, Resumed, SpecError
from ._attendants import Attendants
from ._campaign import Campaign
from ._cli_agents import agents_app
from ._cli_cluster import print_cluster
from ._cli_control import register
from ._cli_errors import complaining
from ._cli_export import export
from ._cli_instrument import instrument_app
from ._cli_twin import twin_app
from ._compare import Comparison, compare, comparison_table, write_records
from ._explain import explain
from ._finish import finish, rewrite_report
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
from ._journal import Journal
from ._live import LiveView
from ._load_spec import built_in_names, load_spec
from ._run_folder import RunFolder, move_aside
from ._signals import ends_as_ctrl_c
from ._spec import CampaignSpec, policies_of
from ._summary import summary_table
from ._wording import resumed_text

app = typer.Typer(
    help="Decide what to make, measure and compute next, and what it is worth.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.add_typer(agents_app)
app.add_typer(twin_app)
app.add_typer(instrument_app)
app.command("cluster")(print_cluster)
app.command("export")(export)


class RuntimeChoice(StrEnum):
    """Where workers run."""

    RAY = "ray"
    INLINE = "inline"


Source = Annotated[
    str | None, typer.Argument(help=f"A YAML file, or one of: {', '.join(built_in_names())}.")
]
Seed = Annotated[int | None, typer.Option(help="Seed of all random choices.", min=0)]
Data = Annotated[Path | None, typer.Option(help="Recording for replay campaigns.")]
GoalKind = Annotated[
    str | None, typer.Option(help="Another goal of the campaign, by its name under goals.")
]
Credits = Annotated[float | None, typer.Option(help="Another budget in credits.", min=0)]
Hours = Annotated[float | None, typer.Option(help="Another budget in hours.", min=0)]


@app.command()
def run(
    source: Source = None,
    seed: Seed = None,
    out: Annotated[Path | None, typer.Option(help="New run folder [runs/NAME].")] = None,
    move_old: Annotated[
        bool, typer.Option("--move-aside", help="Rename an earlier run in the way.")
    ] = False,
    resume: Annotated[Path | None, typer.Option(help="Run folder to take up again.")] = None,
    data: Data = None,
    policy: Annotated[str | None, typer.Option(help="Who decides.")] = None,
    goal: GoalKind = None,
    credits: Credits = None,
    hours: Hours = None,
    warm_start: Annotated[
        Path | None,
        typer.Option(help="Step values that 'forecast --step-values' wrote."),
    ] = None,
    runtime: Annotated[
        RuntimeChoice, typer.Option(help="ray: one actor per agent; inline: this process.")
    ] = RuntimeChoice.RAY,
    address: Annotated[str | None, typer.Option(help="Ray cluster [a local one].")] = None,
    tracking_uri: Annotated[
        str | None, typer.Option(help="MLflow tracking server [a database in the run folder].")
    ] = None,
    ship: Annotated[
        list[Path] | None, typer.Option(help="Wheel with workers that the cluster's nodes lack.")
    ] = None,
    log: Annotated[
        str | None, typer.Option(help="File for a log as JSON lines; - for the error stream.")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Loopback port for Prometheus; 0 for any.", min=0, max=65535)
    ] = None,
    serve: Annotated[
        int | None,
        typer.Option(help="Loopback port of a control server; 0 for any.", min=0, max=65535),
    ] = None,
) -> None:
    """Run a campaign, or take one up again with --resume."""
    with complaining():
        if (source is None) == (resume is None):
            raise SpecError(
                "run",
                "both a campaign and --resume" if source else "neither a campaign nor --resume",
                f"a YAML file, one of {built_in_names()}, or --resume RUN",
                "give one of them",
            )
        if resume is not None:
            given = {
                "--seed": seed, "--out": out, "--data": data, "--policy": policy, "--goal": goal,
                "--credits": credits, "--hours": hours, "--move-aside": move_old or None,
                "--warm-start": warm_start,
            }  # fmt: skip
            _refuse_beside_resume([name for name, value in given.items() if value is not None])
            folder = resume
            campaign = Campaign.resume(
                resume, runtime=runtime.value, address=address, tracking_uri=tracking_uri,
                ship=ship or (),
            )  # fmt: skip
        else:
            spec = load_spec(
                source or "", seed=seed, data=data, policy=policy, goal=goal,
                budget=_budget(credits, hours), warm_start=warm_start,
            )  # fmt: skip
            folder = out or Path("runs") / spec.name
            moved = move_aside(folder) if move_old else None
            if moved is not None:
                typer.echo(f"an earlier run now lies in {moved}")
            campaign = Campaign(
                spec, out=folder, runtime=runtime.value, address=address,
                tracking_uri=tracking_uri, ship=ship or (),
            )  # fmt: skip
        with (
            Attendants(campaign, folder, log, metrics_port, serve) as attendants,
            ends_as_ctrl_c(),
        ):
            _watch(campaign, folder, attendants)


def _refuse_beside_resume(given: list[str]) -> None:
    """A run is taken up as it was started.

    Raises
    ------
    SpecError
        If anything else is asked for.
    """
    if given:
        raise SpecError(
            "run --resume",
            f"{', '.join(given)} as well",
            "--runtime, --address, --ship, --tracking-uri, --log, --metrics-port and --serve",
            "leave the others out, or start a new run",
        )


def _refuse_beside_run(given: list[str]) -> None:
    """A run in its middle is forecast as it stands.

    Raises
    ------
    SpecError
        If anything else is asked for.
    """
    if given:
        raise SpecError(
            "forecast",
            f"a run folder and {', '.join(given)}",
            "--worlds, --policies, --json, --parallel and --address with a run folder",
            "leave the others out, or forecast a campaign file",
        )


def _watch(campaign: Campaign, folder: Path, attendants: Attendants) -> None:
    """Run with a live view, then write what a run leaves."""
    console = Console()
    interrupted = False
    with LiveView(campaign.spec.name, console) as live:
        attendants.say = live.say
        events = iter(campaign)
        try:
            for event in events:
                if isinstance(event, Resumed):
                    live.say(resumed_text(campaign.state))
                live.update(campaign.state, event.decision if isinstance(event, Decided) else None)
        except KeyboardInterrupt as pressed:
            interrupted = True
            with suppress(KeyboardInterrupt):
                events.throw(pressed)  # if it came here, and not in the campaign itself
    if interrupted and not campaign.seen:
        raise typer.Exit(130)
    summary, report = finish(campaign, folder)
    console.print(summary_table(summary, campaign.spec.name))
    console.print(f"report: {report}", soft_wrap=True, highlight=False)
    if campaign.tracking_problem:
        console.print(f"tracking: {campaign.tracking_problem}", soft_wrap=True, markup=False)
    if interrupted:
        for worker, answer in campaign.secured.items():
            console.print(f"{worker}: {answer}", markup=False)
        console.print(f"interrupted; go on with: probewise run --resume {folder}", markup=False)
        raise typer.Exit(130)


@app.command("compare")
def compare_policies(
    source: Source,
    policies: Annotated[
        str | None, typer.Option(help="Comma-separated [all but 'rehearsed'].")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Such as 0-9 or 1,3,5.")] = "0-9",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="One JSON record per policy and seed.")
    ] = None,
    parallel: Annotated[int, typer.Option(help="Campaigns at once.", min=1)] = 2,
    data: Data = None,
    goal: GoalKind = None,
    credits: Credits = None,
    hours: Hours = None,
) -> None:
    """Compare policies on the truth of a campaign's twins, in parallel on Ray."""
    with complaining():
        spec = load_spec(source or "", data=data, goal=goal, budget=_budget(credits, hours))
        names = [n.strip() for n in policies.split(",")] if policies else _compared(spec)
        records: list[Comparison] = []
        console = Console()
        for record in compare(spec, names, seed_list(seeds), parallel):
            records.append(record)
            console.print(
                f"{record.policy}, seed {record.seed}: gain {record.gain:.3f} for "
                f"{record.cost_credits:.0f} credits, {record.elapsed_h:.0f} h "
                f"({record.wall_s:.0f} s)",
                highlight=False,
            )
            if json_file is not None:
                write_records(records, json_file)
        records.sort(key=lambda r: (names.index(r.policy), r.seed))
        if json_file is not None:
            write_records(records, json_file)
        console.print(comparison_table(records))


@app.command("forecast")
def forecast_campaign(
    source: Annotated[
        str, typer.Argument(help="A YAML file, a built-in campaign, or the folder of a run.")
    ],
    worlds: Annotated[int, typer.Option(help="Possible worlds to rehearse in.", min=1)] = 40,
    policies: Annotated[str | None, typer.Option(help="Comma-separated [all].")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="The forecast as JSON.")] = None,
    parallel: Annotated[
        int, typer.Option(help="Rehearsals at once, on Ray; 0 for this process alone.", min=0)
    ] = 2,
    address: Annotated[str | None, typer.Option(help="Ray cluster [a local one].")] = None,
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
            _refuse_beside_run([n for n, v in given.items() if v is not None])
            spec, state = state_of_run(source)
        else:
            spec = load_spec(
                source, seed=seed, data=data, goal=goal, budget=_budget(credits, hours)
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


def _compared(spec: CampaignSpec) -> list[str]:
    """All policies but the one that rehearses the others, which takes many times as long."""
    return [n for n in policies_of(spec) if n != Rehearsed.name]


def seed_list(text: str) -> list[int]:
    """``0-9`` or ``1,3,5`` or both as a list of seeds.

    Raises
    ------
    SpecError
        If the text is neither, or names a seed twice.
    """
    parts = [re.fullmatch(r"(\d+)(?:-(\d+))?", part) for part in text.replace(" ", "").split(",")]
    ranges = [range(int(p[1]), int(p[2] or p[1]) + 1) for p in parts if p is not None]
    seeds = [seed for found in ranges for seed in found]
    if None in parts or not all(ranges) or len(set(seeds)) < len(seeds):
        raise SpecError(
            "seeds", repr(text), "such as 0-9 or 1,3,5, every seed once", "correct the list"
        )
    return seeds


def _budget(credits: float | None, hours: float | None) -> dict[str, float]:
    given = {"credits": credits, "hours": hours}
    return {name: value for name, value in given.items() if value is not None}


@app.command("explain")
def explain_decision(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    decision: Annotated[int, typer.Option(help="Number of the decision.")],
) -> None:
    """Why this, why not that: one decision of a run, and what came of it."""
    with complaining():
        with Journal(RunFolder.read(folder).journal_path, read_only=True) as journal:
            events = list(journal.events())
        Console().print(explain(events, decision))


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
) -> None:
    """Write a run's report again from its journal."""
    with complaining():
        typer.echo(rewrite_report(folder))


@app.command()
def schema() -> None:
    """Print the JSON schema of a campaign's YAML."""
    typer.echo(json.dumps(CampaignSpec.model_json_schema(), indent=2))


register(app)
