"""Named quantities with units, and the ports through which steps exchange them."""

from __future__ import annotations

import re
import threading
from functools import cache
from typing import Any, ClassVar

import pint
from pydantic import model_serializer, model_validator

from ._errors import SpecError
from ._model import Name, Record

_POWER = re.compile(
    r"(?<=[^\W\d]|\))\s*(?:\*\*|\^)\s*(?:[-+]?\d{1,2}(?:\.\d{1,4})?"
    r"|\(\s*[-+]?\d{1,2}(?:\.\d{1,4})?\s*\))(?![\d.])(?!\s*(?:\*\*|\^))"
)
_NUMBER = re.compile(r"(?<![\w.])\d[\d.]*(?:[eE][-+]?\d+)?")
_PORT = re.compile(r"^\s*(?P<name>[A-Za-z][\w.\-]*)\s*(?:\[(?P<unit>[^\]]*)\])?\s*$")

_one_thread = threading.Lock()
"""A registry takes a second to build: fifty threads that need their first unit must not each."""


@cache
def _units() -> pint.UnitRegistry[float]:
    registry: pint.UnitRegistry[float] = pint.UnitRegistry()
    registry.define("arbitrary_unit = [arbitrary] = a_u")
    registry.define("pixel = [pixel_count] = px")
    return registry


@cache
def parse_unit(text: str) -> Any:
    """A pint unit from its name; ``1`` and the empty string are dimensionless.

    Raises
    ------
    SpecError
        If pint does not know the unit.
    """
    try:
        _check_powers(text)
        with _one_thread:
            return _units().parse_units("" if text.strip() in {"", "1"} else text)
    except Exception as error:
        raise SpecError(
            "unit",
            f"{text!r} ({error})",
            "units that pint knows, such as 'uC/cm**2', 'nm', 'V', 'a_u', '1'",
            "write the unit with ** for powers and / for quotients",
        ) from error


def _check_powers(text: str) -> None:
    """No powers of numbers and no towers of powers: pint works such out, however long it takes.

    Raises
    ------
    ValueError
        If there are any.
    """
    plain = _POWER.sub("", text)
    numbers = {found.group() for found in _NUMBER.finditer(plain)}
    if len(text) > 120 or "**" in plain or "^" in plain or numbers - {"1"}:
        raise ValueError("only powers of names, up to 99, and no other number than 1")


def same_unit(first: str, second: str) -> bool:
    """Whether two unit texts mean the same unit, factor included."""
    return first == second or bool(parse_unit(first) == parse_unit(second))


class Port(Record):
    """A quantity where a step gives or takes it; written ``"name [unit]"``.

    A port that takes a quantity may leave the unit away and accepts the producer's.
    """

    shorthand: ClassVar = {"type": "string", "description": "name or name [unit]"}
    name: Name
    unit: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        match = _PORT.match(value)
        if match is None:
            raise SpecError(
                "quantity", repr(value), "'name' or 'name [unit]'", "write it in that form"
            )
        return match.groupdict()

    @model_validator(mode="after")
    def _known_unit(self) -> Port:
        if self.unit is not None:
            parse_unit(self.unit)
        return self

    @model_serializer
    def _to_text(self) -> str:
        return self.name if self.unit is None else f"{self.name} [{self.unit}]"


class Prior(Record):
    """What is believed of a quantity before any measurement: mean and spread over the space."""

    mean: float
    std: float

    @model_validator(mode="after")
    def _positive(self) -> Prior:
        if self.std <= 0:
            raise SpecError("prior", f"std={self.std}", "std > 0", "give the expected spread")
        return self


SUREST = 0.001
"""The smallest standard deviation of a correlation: nobody knows one better."""


class Correlation(Record):
    """What is known beforehand of how a source correlates with what it is a source of.

    Pearson's ``r`` over the space (or over the candidates), and how sure that is: about one
    standard deviation. Written ``0.85`` alone it is sure to 0.1.
    """

    shorthand: ClassVar = {"type": ["number", "string"]}
    r: float
    std: float = 0.1

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return {"r": value} if isinstance(value, int | float | str) else value

    @model_validator(mode="after")
    def _possible(self) -> Correlation:
        if not (-1.0 < self.r < 1.0 and SUREST <= self.std <= 1.0):
            raise SpecError(
                "correlation",
                f"r={self.r}, std={self.std}",
                f"-1 < r < 1 and {SUREST} <= std <= 1",
                "give Pearson's correlation of the two quantities and its uncertainty",
            )
        return self

    def times(self, other: Correlation) -> Correlation:
        """Of two sources with each other, if their errors have nothing to do with each other."""
        r = self.r * other.r
        std = ((self.r * other.std) ** 2 + (other.r * self.std) ** 2) ** 0.5
        return Correlation(r=r, std=max(std, SUREST))
