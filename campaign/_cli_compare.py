"""The command ``probewise compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..planner import Rehearsed
from ._cli_errors import complaining
from ._cli_options import Credits, Data, GoalKind, Hours, Source, at_hand, budget_of, seed_list
from ._compare import Comparison, compare, comparison_table, write_records
from ._load_spec import load_spec
from ._spec import CampaignSpec, policies_of


def compare_policies(
    source: Source,
    policies: Annotated[
        str | None, typer.Option(help="Comma-separated (default: all but 'rehearsed').")
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
        spec = load_spec(
            source or "", data=at_hand(data), goal=goal, budget=budget_of(credits, hours)
        )
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


def _compared(spec: CampaignSpec) -> list[str]:
    """All policies but the one that rehearses the others, which takes many times as long."""
    return [n for n in policies_of(spec) if n != Rehearsed.name]
