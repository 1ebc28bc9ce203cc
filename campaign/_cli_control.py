"""Commands for a running campaign, from any process on any machine, and for what it left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table

from ..workflow import Fate, Order, SpecError
from ._campaign import spec_of_run
from ._channel import channel_to
from ._cli_errors import complaining
from ._finish import score_of
from ._journal import Head, Journal, replay
from ._replay import Redecision, redecide
from ._run_folder import RunFolder
from ._status_view import status_view
from ._summary import summarize, summary_table
from ._verify import verify
from ._wording import decision_text

REFUSED, NO_ANSWER = 1, 3
"""Exit codes: the campaign refused an order; it has not answered yet."""

_ORDERS: TypeAdapter[Order] = TypeAdapter(Order)
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="A run folder, or the address of a control server.")
]
Folder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
Why = Annotated[str, typer.Option(help="For the journal, and for the planner.")]
Wait = Annotated[float, typer.Option(help="Seconds to wait for the answer.", min=0)]
Actions = Annotated[list[str], typer.Argument(help="Ids of actions as in 'status', or: all.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, command in (
        ("status", status), ("pause", pause), ("resume", resume), ("stop", stop),
        ("abort", abort), ("approve", approve), ("deny", deny),
        ("answer", answer), ("set", change),
        ("verify", verify_run), ("replay", replay_run), ("serve", serve),
    ):  # fmt: skip
        app.command(name)(command)


def status(
    run: Run,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show how a campaign is: money, what runs, what waits for approval, how the agents are."""
    with complaining():
        found = channel_to(run).status()
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        Console().print(status_view(found))


def pause(run: Run, reason: Why = "", wait: Wait = 10.0) -> None:
    """Give out nothing more; what runs ends, then the instruments are asked to be safe."""
    _order(run, wait, "pause", reason=reason)


def resume(run: Run, wait: Wait = 10.0) -> None:
    """Go on after a pause. (An interrupted campaign: run --resume RUN.)"""
    _order(run, wait, "resume")


def stop(run: Run, reason: Why = "", wait: Wait = 10.0) -> None:
    """End the campaign when what runs has ended."""
    _order(run, wait, "stop", reason=reason)


def abort(run: Run, reason: Why = "", wait: Wait = 10.0) -> None:
    """End the campaign and whatever runs at once; ask the instruments to be safe."""
    _order(run, wait, "abort", reason=reason)


def approve(run: Run, actions: Actions, wait: Wait = 10.0) -> None:
    """Let actions that wait for approval be done."""
    _order(run, wait, "approve", actions=tuple(actions))


def deny(run: Run, actions: Actions, reason: Why = "", wait: Wait = 10.0) -> None:
    """Refuse actions that wait for approval; the planner hears the reason."""
    _order(run, wait, "deny", actions=tuple(actions), reason=reason)


def answer(
    run: Run,
    action: Annotated[str, typer.Argument(help="Id of an action that 'status' asks about.")],
    fate: Annotated[Fate, typer.Argument(help="What became of it.")],
    reason: Why = "",
    wait: Wait = 10.0,
) -> None:
    """Say what became of an action that was given to a worker and never heard of again."""
    _order(run, wait, "answer", action=action, fate=fate.value, reason=reason)


def change(
    run: Run,
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE...",
            help="Such as budget.credits=3000 policy=random goal=explore autonomy.levels.4=approve "
            "session.exploit=true session.forbid=10,10,20,20 session.more_like=12,30",
        ),
    ],
    wait: Wait = 10.0,
) -> None:
    """Change goal, budget, policy, autonomy or what sessions heed, from the next decision on."""
    with complaining():
        pairs = dict(_pair(text) for text in changes)
    _order(run, wait, "set", changes=pairs)


def _pair(text: str) -> tuple[str, Any]:
    key, sign, value = text.partition("=")
    try:
        if not (key and sign):
            raise ValueError("no '='")
        return key.strip(), yaml.safe_load(value)
    except (ValueError, yaml.YAMLError) as error:
        raise SpecError("set", repr(text), "KEY=VALUE", "such as budget.credits=3000") from error


def _order(run: str, wait_s: float, verb: str, **said: Any) -> None:
    """Give an order and tell the answer."""
    with complaining():
        try:
            order = _ORDERS.validate_python({"verb": verb, **said})
        except ValidationError as error:
            first = error.errors()[0]
            raise SpecError(
                verb, repr(first.get("input"))[:80], first["msg"], "correct the command"
            ) from error
        found = channel_to(run).order(order, wait_s)
    if found is None:
        typer.echo("no answer yet; the order stays until the campaign heeds it")
        raise typer.Exit(NO_ANSWER)
    accepted, text = found
    typer.echo(text if accepted else f"refused: {text}")
    if not accepted:
        raise typer.Exit(REFUSED)


def serve(
    folder: Folder,
    port: Annotated[int, typer.Option(help="0 for any.", min=0, max=65535)] = 8765,
    host: Annotated[
        str, typer.Option(help="Interface; another than loopback needs TLS.")
    ] = "127.0.0.1",
    tls_cert: Annotated[Path | None, typer.Option(help="PEM certificate.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM key.")] = None,
    plain: Annotated[bool, typer.Option(help="No TLS: a proxy in front has it.")] = False,
) -> None:
    """Let other machines see a run and give orders to it, with a token."""
    from ._serve import ControlServer  # only who asks for it pays for FastAPI

    with complaining():
        server = ControlServer(folder, host, port, tls_cert, tls_key, plain)
    typer.echo(f"control server: {server.url}")
    if server.token_file is not None:
        typer.echo(f"its token stands in {server.token_file}")
    try:
        server.run()
    finally:
        server.close()


def verify_run(
    folder: Folder,
    head: Annotated[
        str | None, typer.Option(help="A head that was kept elsewhere, as EVENTS:LINK.")
    ] = None,
) -> None:
    """Check a run's journal and arrays by their checksums; exit code 1 if anything is wrong."""
    with complaining():
        found = verify(folder, None if head is None else _head(head))
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for finding in found.findings:
        console.print(f"{'WRONG' if finding.fault else 'note'}  {finding.where}: {finding.what}")
    console.print(f"{found.events} events, {found.arrays} arrays; head {found.events}:{found.head}")
    console.print("sound" if found.sound else "NOT sound")
    if not found.sound:
        raise typer.Exit(1)


def _head(text: str) -> Head:
    seq, _, link = text.partition(":")
    if not seq.isdigit() or len(link) != 64:
        raise SpecError("--head", repr(text), "EVENTS:LINK", "as 'probewise verify' prints it")
    return Head(int(seq), link)


def replay_run(
    folder: Folder,
    policy: Annotated[str | None, typer.Option(help="What another policy would decide.")] = None,
    state_only: Annotated[
        bool, typer.Option("--state-only", help="Only rebuild the state; ask no policy.")
    ] = False,
) -> None:
    """Rebuild a run's state from its journal, and decide again at every decision.

    Exit code 1 if the policies that were in charge decide otherwise now.
    """
    with complaining():
        spec = spec_of_run(folder)
        with Journal(RunFolder.read(folder).journal_path, read_only=True) as journal:
            events = list(journal.events())
        console = Console(soft_wrap=True, highlight=False, markup=False)
        if policy is None:
            state = replay(spec.initial_state(), events)
            console.print(summary_table(summarize(events, state, score_of(spec, state), 0.0)))
        if state_only:
            return
        found = list(redecide(spec, events, policy))
    if policy is not None:
        console.print(_otherwise(found, policy))
        return
    other = [f for f in found if not f.same]
    if other:
        console.print(_otherwise(other, "now"))
        raise typer.Exit(1)
    console.print(f"decided again: {len(found)} decisions, all the same")


def _otherwise(found: list[Redecision], name: str) -> Table:
    """Decisions beside what is decided now on the same state."""
    same = sum(f.same for f in found)
    table = Table(title=f"{len(found)} decisions, {same} the same", title_justify="left")
    for column in ("decision", "hour", "was", name):
        table.add_column(column, overflow="fold")
    for each in found:
        now = each.problem if each.found is None else decision_text(each.found)
        if each.same:
            now = "told by people" if each.told else "the same"
        table.add_row(str(each.stored.number), f"{each.hour:.2f}", decision_text(each.stored), now)
    return table
