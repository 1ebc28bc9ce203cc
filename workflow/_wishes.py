"""Wishes: how people steer a session at the instrument while it runs."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator

from ._formula import Formula
from ._model import NonNegative, Record


class Region(Record):
    """A rectangle of positions in pixels, its edges included."""

    top: int = Field(ge=0)
    left: int = Field(ge=0)
    bottom: int = Field(ge=0)
    right: int = Field(ge=0)

    @model_validator(mode="after")
    def _the_right_way_round(self) -> Region:
        if self.top > self.bottom or self.left > self.right:
            raise ValueError(
                f"top {self.top}, left {self.left}, bottom {self.bottom}, right {self.right} hold"
                " no position: bottom from top on, right from left on"
            )
        return self

    def holds(self, row: int, column: int) -> bool:
        return self.top <= row <= self.bottom and self.left <= column <= self.right


class Wishes(Record):
    """What a session is to heed from its next decision on.

    Attributes
    ----------
    maximize, explore
        Weights of the gain in the largest value and of what becomes known everywhere, each in
        standard deviations of the reward; at least one is positive.
    reward
        What is sought instead of the goal's quantity: a formula over the quantities measured at
        positions, or the name of a reward that the session was given.
    forbid
        Where nothing may be measured; as text ``top,left,bottom,right``, several with ``;``.
    more_like
        A position (row, column) whose surroundings are sought; as text ``row,column``.
    liking
        By how many times the largest gain of all the places most like ``more_like`` are worth more.
    exploit
        Whether the largest believed value is measured next, whatever that teaches.
    """

    maximize: NonNegative = 1.0
    explore: NonNegative = 0.0
    reward: Formula | None = None
    forbid: tuple[Region, ...] = ()
    more_like: tuple[int, int] | None = None
    liking: NonNegative = 4.0
    exploit: bool = False

    @field_validator(
        "forbid", mode="before", json_schema_input_type=tuple[Region, ...] | str | None
    )
    @classmethod
    def _regions(cls, value: Any) -> Any:
        if value is None or value == "":
            return ()
        if not isinstance(value, str):
            return value
        return tuple(
            dict(zip(("top", "left", "bottom", "right"), _whole(part, 4), strict=True))
            for part in value.split(";")
        )

    @field_validator(
        "more_like", mode="before", json_schema_input_type=tuple[int, int] | str | None
    )
    @classmethod
    def _position(cls, value: Any) -> Any:
        return _whole(value, 2) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _something_counts(self) -> Wishes:
        if not (self.maximize or self.explore or self.exploit):
            raise ValueError("maximize and explore are both 0; at least one must be positive")
        return self

    def allows(self, row: int, column: int) -> bool:
        """Whether a position may be measured."""
        return not any(region.holds(row, column) for region in self.forbid)


def _whole(text: str, count: int) -> tuple[int, ...]:
    parts = text.split(",")
    if len(parts) != count or not all(p.strip().isdigit() for p in parts):
        raise ValueError(f"{text!r} is not {count} whole numbers with commas between")
    return tuple(int(p) for p in parts)
