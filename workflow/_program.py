"""Programs: procedures of commands that a person, a worker or a planner writes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from ._command import AnyCommand, Command, Detect, command_from
from ._errors import SpecError
from ._model import Name, Record
from ._reading import Entry
from ._yaml import yaml_fault

_MOST_BYTES, _MOST_COMMANDS = 1_000_000, 10_000


class Program(Record):
    """Commands in the order in which they are done.

    A place may be what an earlier ``detect`` found; a name that no earlier command gives is an
    error when the program is read, not at the microscope.
    """

    name: Name = "program"
    about: str = ""
    commands: tuple[AnyCommand, ...] = Field(min_length=1, max_length=_MOST_COMMANDS)

    @field_validator("commands", mode="before")
    @classmethod
    def _each(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return tuple(
            v if isinstance(v, Command) else command_from(v, f"command {i + 1} of the program")
            for i, v in enumerate(value)
        )

    @model_validator(mode="after")
    def _known_places(self) -> Program:
        images: set[str] = set()
        found: set[str] = set()
        for i, command in enumerate(self.commands):
            who = f"command {i + 1} of program {self.name!r} ({command.verb})"
            if isinstance(command, Detect):
                if command.image not in images:
                    raise _unknown(who, "image", command.image, images)
                found.add(command.name)
            elif command.verb in {"overview", "scan"}:
                images.add(command.name)  # type: ignore[union-attr]
            where = getattr(command, "at", None)
            name = getattr(where, "found", None)
            if name is not None and name not in found:
                raise _unknown(who, "places", name, found)
        return self


def _unknown(who: str, what: str, given: str, known: Iterable[str]) -> SpecError:
    return SpecError(
        who,
        f"{what} {given!r}, which no earlier command gives",
        f"one of {sorted(known)}" if known else "nothing so far",
        "put the command that gives it before this one, or correct the name",
    )


def program_from(raw: object, who: str = "program") -> Program:
    """A program from plain data: a mapping with ``commands``, or the bare list of them.

    Raises
    ------
    SpecError
        If it is none, or one of its commands is wrong.
    """
    data = {"commands": raw} if isinstance(raw, list | tuple) else raw
    stray = set(data) - set(Program.model_fields) if isinstance(data, dict) else None
    if stray is None or stray or "commands" not in data:  # type: ignore[operator]
        raise SpecError(
            who,
            _told(data, stray),
            f"a mapping with {sorted(Program.model_fields)}, or a list of commands",
            "correct the program",
        )
    try:
        return Program.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise SpecError(
            who, f"{where}: {first['msg']}", "a name and 1 to 10,000 commands",
            "correct the program",
        ) from error  # fmt: skip
    except SpecError as error:
        raise SpecError(f"{who}, {error.who}", error.given, error.allowed, error.remedy) from error


def load_program(path: str | Path) -> Program:
    """Read a program from a YAML file.

    Raises
    ------
    SpecError
        If there is no such file, it is too large or no YAML, or the program is wrong.
    """
    file = Path(path)
    who = f"program {str(path)!r}"
    if not file.is_file() or file.stat().st_size > _MOST_BYTES:
        raise SpecError(
            who,
            f"{file.stat().st_size} bytes" if file.is_file() else "no such file",
            f"a YAML file of at most {_MOST_BYTES} bytes",
            "split the program" if file.is_file() else "correct the path",
        )
    try:
        text = file.read_text(encoding="utf-8")
        if any(isinstance(e, yaml.AliasEvent) for e in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise yaml.YAMLError("an alias")
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise SpecError(
            who,
            f"text that is not YAML ({yaml_fault(error)})",
            "YAML without tags or aliases",
            "mend the file",
        ) from None  # the reason would quote it
    return program_from(raw, who)


def _told(data: object, stray: set[str] | None) -> str:
    """What it is instead; what it holds only if it is a program for the rest, since it may be any
    file."""
    if not isinstance(data, dict):
        return f"a {type(data).__name__} in the place of commands"
    if "commands" not in data:
        return "a mapping without 'commands'"
    return f"fields {sorted(map(str, stray or ()))}"


def program_of(entries: Iterable[Entry], name: str = "replay") -> Program:
    """The program that does again what a log says was done; places are points by then.

    Raises
    ------
    SpecError
        If nothing was done.
    """
    done = [e.command for e in entries if e.outcome in {"done", "stopped"}]
    commands = tuple(c for c in done if not isinstance(c, Detect))
    if not commands:
        raise SpecError(
            "log of commands", "none that was done", "at least one", "choose another action"
        )
    return Program(name=name, about="replayed from a log", commands=commands)


def program_text(program: Program) -> str:
    """The program as YAML, which :func:`load_program` reads."""
    commands = []
    for command in program.commands:
        fields = command.model_dump(mode="json", exclude_defaults=True)
        verb = fields.pop("verb")
        commands.append({verb: fields} if fields else verb)
    head = {"name": program.name} | ({"about": program.about} if program.about else {})
    return yaml.safe_dump(head | {"commands": commands}, sort_keys=False, allow_unicode=True)
