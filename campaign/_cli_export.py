"""``probewise export``: a run in the words of other programs."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..workflow import RunFolderError
from ._cli_errors import complaining
from ._event_model import documents


class ExportFormat(StrEnum):
    """What a run can be exported as."""

    EVENT_MODEL = "event-model"


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    form: Annotated[
        ExportFormat, typer.Option("--format", help="bluesky's documents, one JSON list a line.")
    ] = ExportFormat.EVENT_MODEL,
    out: Annotated[
        Path | None, typer.Option(help="A new file (default: the standard output).")
    ] = None,
) -> None:
    """Write a run as documents that bluesky's tools read; the arrays stay where they are."""
    with complaining():
        if out is not None and out.exists():
            raise RunFolderError(
                "export", f"{str(out)!r} is there already", "a new file", "name another, or move it"
            )
        lines = [json.dumps(list(document), ensure_ascii=False) for document in documents(run)]
        if out is None:
            for line in lines:
                typer.echo(line)
            return
        with open(out, "x", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in lines)
        typer.echo(f"wrote {len(lines)} documents to {out}")
