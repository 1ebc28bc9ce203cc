"""``probewise instrument``: programs of commands, tried without touching anything, and run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console as Terminal
from rich.markup import escape
from rich.table import Table

from ..agents import RegisteredWorker, make_worker, worker_types
from ..instruments import DriverFault, Interrupted, Microscope, Run, Watch
from ..workflow import (
    Action,
    Observed,
    Program,
    SpecError,
    WorkerError,
    WorkerSpec,
    load_program,
    program_of,
    program_text,
)
from ._cli_errors import complaining
from ._command_table import command_table, foreseen_table
from ._journal import Journal
from ._run_folder import RunFolder
from ._signals import ends_as_ctrl_c
from ._store import Hdf5Store

instrument_app = typer.Typer(
    name="instrument", help="Microscopes: programs of commands, dry and done.", no_args_is_help=True
)

ProgramFile = Annotated[Path, typer.Argument(metavar="PROGRAM", help="A YAML file of commands.")]
DriverName = Annotated[str, typer.Option("--driver", help="A microscope of 'instrument list'.")]
Config = Annotated[
    list[str] | None,
    typer.Option("--config", metavar="KEY=VALUE", help="Its configuration, limits included."),
]


@instrument_app.command("list")
def list_instruments() -> None:
    """Show every microscope that an installed distribution registers."""
    with complaining():
        types = worker_types()
    table = Table(title="Microscopes", title_justify="left")
    for heading in ("driver", "what it is", "technique", "commands"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "driver")
    for registered in types.values():
        row = _row(registered)
        if row is not None:
            table.add_row(*row)
    Terminal().print(table)


@instrument_app.command("dry-run")
def dry_run(program: ProgramFile, driver: DriverName, config: Config = None) -> None:
    """Print what a program would do, how long, at what dose, and what would be refused.

    The exit code is 1 if anything would be.
    """
    with complaining():
        plan = load_program(program)
        with _microscope(driver, config) as microscope:
            foreseen = microscope.console.dry_run(plan)
    Terminal().print(foreseen_table(foreseen))
    if foreseen.refusals:
        raise typer.Exit(1)


@instrument_app.command("run")
def run_program(
    program: ProgramFile,
    driver: DriverName,
    out: Annotated[Path, typer.Option(help="New folder for arrays and the log of commands.")],
    config: Config = None,
    vouch: Annotated[
        str, typer.Option(metavar="NAME", help="Who vouches for what needs confirming.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Of all chance in a twin.", min=0)] = 0,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Tell of spectra as they arrive; end where most are bad."),
    ] = False,
) -> None:
    """Run a program and keep its arrays (NSID) and the log of its commands.

    The exit code is 1 if it did not come to its end, 130 after Ctrl-C. Then the beam is blanked or
    the tip retracted, and what was measured until then is kept.
    """
    with complaining():
        plan = load_program(program)
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise SpecError("instrument run", f"{str(out)!r}, which exists", "a new folder",
                            "give another name with --out")  # fmt: skip
        out.mkdir(parents=True, exist_ok=True)
        interrupted = False
        with _microscope(driver, config) as microscope, ends_as_ctrl_c():
            try:
                run = microscope.console.run(
                    plan,
                    who="instrument run",
                    vouched=vouch,
                    seed=seed,
                    watch=_onlooker() if watch else None,
                )
            except Interrupted as error:
                run, interrupted = error.run, True
        _keep(out, plan, run, seed)
    terminal = Terminal()
    terminal.print(command_table(run.entries))
    terminal.print(f"kept in {escape(str(out))}: {escape(', '.join(run.arrays) or 'no arrays')}")
    if run.failure is not None:
        terminal.print(f"[bold red]{escape(run.failure.message)}[/]")
        raise typer.Exit(1)
    if interrupted:
        raise typer.Exit(130)


@instrument_app.command("extract")
def extract(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    action: Annotated[str, typer.Argument(help="Id of an action with commands.")],
) -> None:
    """Print the commands that an action of a campaign gave, as a program that does them again."""
    with complaining():
        with Journal(RunFolder.read(folder).journal_path, read_only=True) as journal:
            seen = [e.observation for e in journal.events() if isinstance(e, Observed)]
        found = {o.action_id: o for o in seen if o.commands}
        if action not in found:
            raise SpecError("instrument extract", f"action {action!r}",
                            f"one of {sorted(found)[:20]}", "choose such an action")  # fmt: skip
        typer.echo(program_text(program_of(found[action].commands, action)), nl=False)


def _onlooker() -> Watch:
    """Whoever tells of spectra on the terminal; imported when asked for, since it is not light."""
    from ._onlooker import Onlooker

    return Onlooker(typer.echo)


@contextmanager
def _microscope(name: str, config: list[str] | None) -> Iterator[Microscope]:
    """The microscope of that name; closed at the end.

    Raises
    ------
    WorkerError
        If there is none, it does not stand on a driver, or it does not tell its state.
    SpecError
        If the configuration is not written KEY=VALUE, or a value is none.
    """
    registered = worker_types().get(name)
    if registered is None or not issubclass(registered.load(), Microscope):
        raise WorkerError(
            "instrument",
            f"{name!r}, which stands on no driver" if registered else f"no microscope {name!r}",
            f"one of {sorted(n for n, t in worker_types().items() if _is_microscope(t))}",
            "choose such a microscope",
        )
    worker = make_worker(_spec(name, config), name)
    assert isinstance(worker, Microscope)
    try:
        yield worker
    except DriverFault as fault:
        raise WorkerError(
            f"instrument {name!r}",
            fault.message,
            "an instrument that tells its state",
            fault.remedy or "look at the instrument and its server",
        ) from fault
    finally:
        worker.close()


def _spec(name: str, config: list[str] | None) -> WorkerSpec:
    pairs = dict(_pair(text) for text in config or [])
    wrong = [k for k, v in pairs.items() if not _is_plain(v)]
    if wrong:
        raise SpecError(
            "instrument", f"{wrong[0]}={pairs[wrong[0]]!r}", "numbers, texts, true and false",
            "correct it; lists of limits stand in a file: limits_file=PATH",
        )  # fmt: skip
    return WorkerSpec(type=name, config=pairs)


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)


def _pair(text: str) -> tuple[str, Any]:
    """Key and value; what is no number, no truth value and no list is a text as it stands."""
    key, sign, value = text.partition("=")
    if not (key.strip() and sign):
        raise SpecError(
            "instrument", repr(text), "KEY=VALUE", "such as world_seed=3 or max_current_pA=80"
        )
    try:
        read = yaml.safe_load(value)
    except (ValueError, yaml.YAMLError):
        return key.strip(), value
    plain = read is None or isinstance(read, str | int | float | list)
    return key.strip(), read if plain else value


def _keep(out: Path, program: Program, run: Run, seed: int) -> None:
    """Arrays, the program, and one line for every command."""
    Hdf5Store(out).put(Action(id=program.name, step="program", seed=seed), run.arrays)
    (out / "program.yaml").write_text(program_text(program), encoding="utf-8")
    lines = (json.dumps(entry.model_dump(mode="json")) for entry in run.entries)
    (out / "commands.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _is_microscope(registered: RegisteredWorker) -> bool:
    try:
        return issubclass(registered.load(), Microscope)
    except WorkerError:
        return False


def _row(registered: RegisteredWorker) -> tuple[str, ...] | None:
    """A microscope for the table; a live one is not touched."""
    if not _is_microscope(registered):
        return None
    found = registered.load()
    if not found.twin:
        return registered.name, "live or recorded", "-", "depends on the device"
    try:
        with _microscope(registered.name, None) as microscope:
            driver = microscope.console.driver
            return registered.name, "twin", driver.technique, ", ".join(sorted(driver.verbs))
    except (WorkerError, SpecError):
        return registered.name, "twin", "-", "depends on the config"
