"""Options that several commands take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from ..workflow import SpecError
from ._load_spec import built_in_names

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


def refuse_beside(
    given: Mapping[str, object], who: str, told: str, allowed: str, remedy: str
) -> None:
    """Refuse options beside a run that stands as it is; ``told`` has a place for their names.

    Raises
    ------
    SpecError
        If any of the options was given.
    """
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise SpecError(who, told.format(", ".join(names)), allowed, remedy)


def at_hand(data: Path | None) -> Path | None:
    """The path of a recording, checked before anything is started for it.

    Raises
    ------
    SpecError
        If nothing is there.
    """
    if data is not None and not data.exists():
        raise SpecError(
            "--data",
            f"{str(data)!r}, where nothing is",
            "a recording, or a folder of them",
            "correct the path",
        )
    return data


def budget_of(credits: float | None, hours: float | None) -> dict[str, float]:
    """What was given of a budget, by what it is of."""
    given = {"credits": credits, "hours": hours}
    return {name: value for name, value in given.items() if value is not None}


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
