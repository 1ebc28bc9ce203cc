"""The command line: its commands, each with a room of its own where it takes much."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ._cli_agents import agents_app
from ._cli_cluster import print_cluster
from ._cli_compare import compare_policies
from ._cli_control import register
from ._cli_errors import complaining
from ._cli_export import export
from ._cli_forecast import forecast_campaign
from ._cli_instrument import instrument_app
from ._cli_run import run
from ._cli_twin import twin_app
from ._explain import explain
from ._finish import rewrite_report
from ._journal import Journal
from ._run_folder import RunFolder
from ._spec import CampaignSpec

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
app.command("run")(run)
app.command("compare")(compare_policies)
app.command("forecast")(forecast_campaign)


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
