"""``probewise agents``: which workers there are, and a new one from a template."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..agents import RegisteredWorker, new_worker, worker_types
from ..workflow import Kind, ProbewiseError, Worker, WorkerError
from ._cli_errors import complaining

agents_app = typer.Typer(
    name="agents", help="Workers: list the installed ones, start a new one.", no_args_is_help=True
)


@agents_app.command("list")
def list_agents() -> None:
    """Show every worker type that an installed distribution registers."""
    with complaining():
        types = worker_types()
    table = Table(title="Worker types", title_justify="left")
    for heading in ("type", "kind", "what it is", "capabilities", "distribution"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "type")
    for registered in types.values():
        table.add_row(*_row(registered))
    Console().print(table)


@agents_app.command("new")
def new_agent(
    name: Annotated[str, typer.Argument(help="Name of the worker, such as my_afm.")],
    kind: Annotated[
        str, typer.Option(help="instrument, analysis, theory or synthesis.")
    ] = "instrument",
    folder: Annotated[Path, typer.Option(help="Where the two files go.")] = Path(),
) -> None:
    """Write one worker and its conformance test; both work as they stand."""
    with complaining():
        worker, test = new_worker(name, kind, folder)
    module = worker.stem
    class_name = "".join(part.capitalize() for part in module.split("_"))
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(f"wrote {worker}\nwrote {test}\n")
    console.print(f"Try it:       python -m pytest {test}")
    console.print("Register it, in the pyproject.toml of your package, and install that:\n")
    entry = f'[project.entry-points."probewise.workers"]\n{module.replace("_", "-")} = '
    console.print(f'{entry}"{module}:{class_name}"\n')
    console.print("Then name the type under 'workers' of a campaign file.")


def _row(registered: RegisteredWorker) -> tuple[str, ...]:
    try:
        found = registered.load()
    except WorkerError as error:
        return (registered.name, "-", escape(error.given), "-", registered.distribution)
    distribution = registered.distribution
    return (
        registered.name,
        found.kind.value,
        _nature(found),
        _capabilities(registered),
        f"{distribution} {version(distribution)}" if distribution != "unknown" else distribution,
    )


def _nature(worker: type[Worker]) -> str:
    """Whether results come from a device, a simulation, a recording or a computation."""
    if worker.twin:
        return "twin"
    if worker.kind in {Kind.ANALYSIS, Kind.THEORY, Kind.GUARDIAN}:
        return "computation"
    return "replay" if worker.replayable else "real"


def _capabilities(registered: RegisteredWorker) -> str:
    """What a worker offers that can be made without a configuration and without a device."""
    found = registered.load()
    if not (found.replayable or found.twin):
        return "depends on the device"
    try:
        worker = found()
    except (ProbewiseError, TypeError):
        return "depends on the config"
    try:
        return "\n".join(o.capability for o in worker.offers()) or "reviews actions"
    finally:
        worker.close()
