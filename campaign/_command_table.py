"""Commands of an instrument, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ..instruments import DryRun
from ..workflow import Entry, pretty_seconds

_MOST_ROWS = 60
_STYLES = {"allowed": "", "confirm": "yellow", "refused": "bold red"}


def command_table(entries: Iterable[Entry]) -> Table:
    """What an instrument was told, what its guardian said, and what came of it."""
    listed = list(entries)
    table = Table(title="What the instrument was told", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("command", "guardian", "outcome"):
        table.add_column(heading, overflow="fold")
    for heading in ("took", "dose e/A2"):
        table.add_column(heading, justify="right")
    for entry in listed[:_MOST_ROWS]:
        outcome = f"{entry.outcome}: {entry.reason}" if entry.reason else entry.outcome
        if entry.found:
            outcome += f", {len(entry.found)} places"
        style = "bold red" if entry.outcome in {"refused", "failed"} else ""
        table.add_row(
            Text(entry.sentence),
            entry.verdict,
            Text(outcome, style=style),
            pretty_seconds(entry.duration_s),
            f"{entry.dose_e_per_A2:.3g}",
        )
    if len(listed) > _MOST_ROWS:
        table.caption = f"and {len(listed) - _MOST_ROWS} more"
    if listed:
        spent = pretty_seconds(sum(e.duration_s for e in listed))
        dose = sum(e.dose_e_per_A2 for e in listed)
        total = f"{spent}, {dose:.3g} e/A2 over the field of view; limits {listed[0].limits}"
        table.caption = f"{table.caption}; {total}" if table.caption else total
    return table


def foreseen_table(foreseen: DryRun) -> Table:
    """What a program would do, what it would cost, and what its guardian would say."""
    table = Table(
        title=f"Dry run of {foreseen.program.name}: nothing is touched",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("command", overflow="fold")
    for heading in ("time", "e/A2 where it falls", "e/A2 of the field"):
        table.add_column(heading, justify="right")
    table.add_column("guardian", overflow="fold")
    for step in foreseen.steps:
        cost = step.forecast
        said = step.verdict if step.verdict == "allowed" else f"{step.verdict}: {step.reason}"
        table.add_row(
            Text(step.sentence),
            pretty_seconds(cost.seconds),
            f"{cost.local_dose_e_per_A2:.3g}" if cost.electrons else "-",
            f"{cost.dose_e_per_A2:.3g}" if cost.electrons else "-",
            Text(said, style=_STYLES[step.verdict]),
        )
    total = foreseen.total
    table.caption = (
        f"in all {pretty_seconds(total.seconds)}, {total.electrons:.3g} electrons,"
        f" {total.dose_e_per_A2:.3g} e/A2 over the field of view; limits {foreseen.limits}"
    )
    return table
