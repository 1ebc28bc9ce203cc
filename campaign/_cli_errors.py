"""How commands complain: one clear message on the error stream, and exit code 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console
from rich.text import Text

from ..workflow import ProbewiseError, RunFolderError

EXIT_CODE = 2
"""Exit code of a command that could not do what was asked for."""


def complain(error: ProbewiseError) -> NoReturn:
    """Print what is wrong, what is allowed and what to do; end the command.

    Raises
    ------
    typer.Exit
        Always, with :data:`EXIT_CODE`.
    """
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(Text(f"{error.who}: {error.given}", style="bold red"))
    console.print(Text(f"  allowed: {error.allowed}"))
    console.print(Text(f"  remedy:  {error.remedy}"))
    raise typer.Exit(EXIT_CODE) from error


@contextmanager
def complaining() -> Iterator[None]:
    """Turn every error that a user can mend into a complaint; bugs keep their traceback."""
    try:
        yield
    except ProbewiseError as error:
        complain(error)
    except OSError as error:
        if error.filename is None:
            raise
        complain(
            RunFolderError(
                "file system",
                f"{str(error.filename)!r} ({error.strerror})",
                "a path that can be read and written",
                "correct the path, or who may use it",
            )
        )
