"""Places in a field of view, in nanometres from its top-left corner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, model_serializer, model_validator

from ._errors import SpecError
from ._model import Name, Record

_WHERE = "'detected', [[y, x], ...], {line: {start, end, points}} or {region: {y_nm, x_nm, ...}}"
_MOST_POINTS = 100_000


class Point(Record):
    """A point of the field of view; may be written ``[y_nm, x_nm]``."""

    shorthand: ClassVar = {
        "type": "array",
        "items": {"type": "number"},
        "minItems": 2,
        "maxItems": 2,
    }
    y_nm: float
    x_nm: float

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            if len(value) != 2 or any(isinstance(v, list | tuple | dict) for v in value):
                raise ValueError("one place is written [y, x] in nm")
            return {"y_nm": value[0], "x_nm": value[1]}
        return value

    @model_serializer
    def _to_pair(self) -> tuple[float, float]:
        return (self.y_nm, self.x_nm)


class Rectangle(Record):
    """A rectangle of the field of view: its top-left corner and its size."""

    y_nm: float = 0.0
    x_nm: float = 0.0
    height_nm: Annotated[float, Field(gt=0)]
    width_nm: Annotated[float, Field(gt=0)]

    @property
    def area_nm2(self) -> float:
        return self.height_nm * self.width_nm


class Line(Record):
    """Points at equal distances from ``start`` to ``end``, both included."""

    start: Point
    end: Point
    points: int = Field(ge=2, le=_MOST_POINTS)


class Raster(Rectangle):
    """The centres of ``rows`` times ``columns`` equal cells of a rectangle, row by row."""

    rows: int = Field(ge=1, le=1000)
    columns: int = Field(ge=1, le=1000)


class Where(Record):
    """Where to measure: points, a line, a region, or what an earlier ``detect`` found.

    Written ``detected`` (the name under which something was found), ``[[y, x], ...]``, ``[y, x]``,
    ``{y_nm: y, x_nm: x}``, ``{line: ...}`` or ``{region: ...}``.
    """

    shorthand: ClassVar = {
        "anyOf": [
            {"type": "string"},
            {"type": "array", "minItems": 1},
            {"type": "object", "required": ["y_nm", "x_nm"], "maxProperties": 2},
        ]
    }
    points: tuple[Point, ...] = Field(default=(), max_length=_MOST_POINTS)
    line: Line | None = None
    region: Raster | None = None
    found: Name | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_short(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"found": value}
        if isinstance(value, dict) and "y_nm" in value:
            return {"points": (value,)}
        if isinstance(value, list | tuple):
            single = len(value) == 2 and all(isinstance(v, int | float) for v in value)
            return {"points": (value,) if single else tuple(value)}
        return value

    @model_validator(mode="after")
    def _one(self) -> Where:
        given = [self.points or None, self.line, self.region, self.found]
        if sum(g is not None for g in given) != 1:
            raise SpecError("place", "none or several of these at once", _WHERE, "give one of them")
        return self

    @model_serializer
    def _to_short(self) -> Any:
        if self.found is not None:
            return self.found
        if self.line is not None:
            return {"line": self.line.model_dump()}
        if self.region is not None:
            return {"region": self.region.model_dump()}
        return [[p.y_nm, p.x_nm] for p in self.points]

    def resolve(self, found: Mapping[str, tuple[Point, ...]]) -> tuple[Point, ...]:
        """The points that are meant.

        Raises
        ------
        SpecError
            If it refers to what was not detected.
        """
        if self.found is not None:
            if self.found not in found:
                raise SpecError(
                    "place",
                    f"{self.found!r}, which no earlier command found",
                    f"one of {sorted(found)}" if found else "points, a line or a region",
                    "put a detect command before, or correct the name",
                )
            return found[self.found]
        if self.line is not None:
            start, end = self.line.start, self.line.end
            t = np.linspace(0.0, 1.0, self.line.points)
            return _points(
                start.y_nm + t * (end.y_nm - start.y_nm), start.x_nm + t * (end.x_nm - start.x_nm)
            )
        if self.region is not None:
            box = self.region
            y = box.y_nm + (np.arange(box.rows) + 0.5) * box.height_nm / box.rows
            x = box.x_nm + (np.arange(box.columns) + 0.5) * box.width_nm / box.columns
            grid = np.meshgrid(y, x, indexing="ij")
            return _points(grid[0].ravel(), grid[1].ravel())
        return self.points

    @property
    def sentence(self) -> str:
        """In words."""
        if self.found is not None:
            return f"at every place of {self.found!r}"
        if self.line is not None:
            a, b = self.line.start, self.line.end
            ends = f"({a.y_nm:g}, {a.x_nm:g}) to ({b.y_nm:g}, {b.x_nm:g}) nm"
            return f"at {self.line.points} points on the line from {ends}"
        if self.region is not None:
            box = self.region
            size = f"{box.height_nm:g} x {box.width_nm:g} nm at ({box.y_nm:g}, {box.x_nm:g}) nm"
            return f"at {box.rows} x {box.columns} points over {size}"
        first = self.points[0]
        if len(self.points) == 1:
            return f"at ({first.y_nm:g}, {first.x_nm:g}) nm"
        return f"at {len(self.points)} points, the first at ({first.y_nm:g}, {first.x_nm:g}) nm"


def _points(y: np.ndarray, x: np.ndarray) -> tuple[Point, ...]:
    return tuple(Point(y_nm=float(a), x_nm=float(b)) for a, b in zip(y, x, strict=True))
