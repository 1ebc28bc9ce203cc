"""The command ``probewise run``."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..workflow import Decided, Resumed, SpecError
from ._attendants import Attendants
from ._campaign import Campaign
from ._cli_errors import complaining
from ._cli_options import (
    Credits,
    Data,
    GoalKind,
    Hours,
    Seed,
    Source,
    at_hand,
    budget_of,
    refuse_beside,
)
from ._finish import finish
from ._live import LiveView
from ._load_spec import built_in_names, load_spec
from ._run_folder import move_aside
from ._signals import ends_as_ctrl_c
from ._summary import summary_table
from ._wording import resumed_text


class RuntimeChoice(StrEnum):
    """Where workers run."""

    RAY = "ray"
    INLINE = "inline"


def run(
    source: Source = None,
    seed: Seed = None,
    out: Annotated[Path | None, typer.Option(help="New run folder (default: runs/NAME).")] = None,
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
    address: Annotated[str | None, typer.Option(help="Ray cluster (default: a local one).")] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(help="MLflow tracking server (default: a database in the run folder)."),
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
            refuse_beside(
                given, "run --resume", "{} as well",
                "--runtime, --address, --ship, --tracking-uri, --log, --metrics-port and --serve",
                "leave the others out, or start a new run",
            )  # fmt: skip
            folder = resume
            campaign = Campaign.resume(
                resume, runtime=runtime.value, address=address, tracking_uri=tracking_uri,
                ship=ship or (),
            )  # fmt: skip
        else:
            spec = load_spec(
                source or "", seed=seed, data=data if address else at_hand(data), policy=policy,
                goal=goal, budget=budget_of(credits, hours), warm_start=warm_start,
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
