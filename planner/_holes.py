"""Holes of cryo-EM grids: grid, square and patch of each, and what moves between them take.

A patch is what one medium-magnification image shows; its holes are reached by image shift, other
patches and squares by moving the stage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, final

from pydantic import Field, model_validator

from ..workflow import Record, SpecError

_Positive = Annotated[float, Field(gt=0)]


class Hole(Record):
    """One hole that may be imaged; ``predicted_A`` is a network's guess of its CTF resolution."""

    name: str
    grid: str
    square: str
    patch: str
    predicted_A: _Positive

    @property
    def in_square(self) -> tuple[str, str]:
        return self.grid, self.square

    @property
    def in_patch(self) -> tuple[str, str, str]:
        return self.grid, self.square, self.patch


@final
class MoveCosts(Record):
    """Minutes until the next hole is imaged, by the largest unit that is left for it.

    Raises
    ------
    ValueError
        If a larger move takes less time than a smaller one.
    """

    hole_min: _Positive
    patch_min: _Positive
    square_min: _Positive
    grid_min: _Positive

    @model_validator(mode="after")
    def _ascending(self) -> MoveCosts:
        steps = (self.hole_min, self.patch_min, self.square_min, self.grid_min)
        if list(steps) != sorted(steps):
            raise ValueError(f"minutes {steps} do not rise from hole to grid")
        return self

    def between(self, here: Hole, there: Hole) -> float:
        """Minutes from one hole to the next, imaging included."""
        if here.in_patch == there.in_patch:
            return self.hole_min
        if here.in_square == there.in_square:
            return self.patch_min
        return self.square_min if here.grid == there.grid else self.grid_min


def checked_holes(holes: Sequence[Hole]) -> tuple[Hole, ...]:
    """The holes, if there are any and each name stands once.

    Raises
    ------
    SpecError
        If not.
    """
    twice = [name for name, count in Counter(h.name for h in holes).items() if count > 1]
    if not holes or twice:
        raise SpecError(
            "cryo-EM session",
            f"holes {twice[:3]} more than once" if twice else "no hole",
            "at least one hole, each name once",
            "give every hole of the grids that may be imaged",
        )
    return tuple(holes)
