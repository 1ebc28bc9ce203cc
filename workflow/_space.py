"""The design space: what may be made, variable by variable."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, field_validator, model_validator

from ._errors import DesignSpaceError, SpecError
from ._formula import Formula
from ._model import Name, Record

Design = dict[str, float]
"""A point of the design space: variable name to value in the variable's unit."""


class Continuous(Record):
    """A real variable between two bounds, searched on a linear or logarithmic scale."""

    kind: Literal["continuous"] = "continuous"
    name: Name
    low: float
    high: float
    unit: str = "1"
    scale: Literal["linear", "log"] = "linear"

    @model_validator(mode="after")
    def _ordered(self) -> Continuous:
        if self.low >= self.high or (self.scale == "log" and self.low <= 0):
            raise SpecError(
                f"variable {self.name!r}",
                f"low={self.low}, high={self.high}, scale={self.scale!r}",
                "low < high, and low > 0 on a log scale",
                "mend the bounds",
            )
        return self

    def to_unit(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map values in the variable's unit to [0, 1] on its scale."""
        if self.scale == "log":
            return np.log(value / self.low) / np.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def from_unit(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map [0, 1] back to values in the variable's unit."""
        if self.scale == "log":
            return self.low * np.exp(u * np.log(self.high / self.low))
        return self.low + u * (self.high - self.low)

    def contains(self, value: float) -> bool:
        slack = 1e-9 * (self.high - self.low)
        return bool(self.low - slack <= value <= self.high + slack)

    def allowed(self) -> str:
        return f"{self.low:g} to {self.high:g} {self.unit}"


class Discrete(Record):
    """A variable that takes one of a few ordered values."""

    kind: Literal["discrete"] = "discrete"
    name: Name
    values: tuple[float, ...] = Field(min_length=2)
    unit: str = "1"

    @model_validator(mode="after")
    def _ascending(self) -> Discrete:
        if list(self.values) != sorted(set(self.values)):
            raise SpecError(
                f"variable {self.name!r}",
                f"values={list(self.values)}",
                "different values in ascending order",
                "sort them and remove repetitions",
            )
        return self

    def to_unit(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map values to [0, 1] by their place between the lowest and the highest."""
        return (value - self.values[0]) / (self.values[-1] - self.values[0])

    def from_unit(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map [0, 1] to the nearest value."""
        values = np.asarray(self.values, dtype=np.float64)
        distance = np.abs(np.asarray(u)[..., None] - self.to_unit(values))
        return values[distance.argmin(axis=-1)]

    def contains(self, value: float) -> bool:
        return any(np.isclose(value, v, rtol=1e-9, atol=0) for v in self.values)

    def allowed(self) -> str:
        return "one of " + ", ".join(f"{v:g}" for v in self.values) + f" {self.unit}"


Variable = Annotated[Continuous | Discrete, Field(discriminator="kind")]
WrittenVariables = tuple[Continuous | Discrete, ...]
"""Variables as they may be written: ``values`` tell the kind."""


class Space(Record):
    """An ordered set of variables; designs map to the unit cube and back.

    Attributes
    ----------
    constraints
        Conditions on the variables without which a design cannot be made, such as ``a + b <= 1``.
    candidates
        The only designs there are, one row of values each in the order of the variables; empty if
        all of the space can be made.
    """

    variables: tuple[Variable, ...] = ()
    constraints: tuple[Formula, ...] = ()
    candidates: tuple[tuple[float, ...], ...] = ()

    @field_validator("variables", mode="before", json_schema_input_type=WrittenVariables)
    @classmethod
    def _kinds(cls, value: Any) -> Any:
        """A variable with ``values`` is discrete, any other continuous."""
        if not isinstance(value, list | tuple):
            return value
        return [
            {"kind": "discrete" if "values" in v else "continuous"} | v
            if isinstance(v, dict)
            else v
            for v in value
        ]

    @model_validator(mode="after")
    def _distinct(self) -> Space:
        names = self.names
        if len(set(names)) < len(names):
            raise SpecError(
                "design space",
                f"variables {list(names)}",
                "every name once",
                "rename the repeated variable",
            )
        return self

    @model_validator(mode="after")
    def _conditions(self) -> Space:
        for formula in self.constraints:
            stray = sorted(set(formula.names) - set(self.names))
            if stray:
                raise SpecError(
                    "design space",
                    f"constraint {formula.expression!r} on {stray}",
                    f"variables {list(self.names)}",
                    "put conditions on measured quantities under the goal's subject_to",
                )
        if self.candidates and self.variables and not len(self._pool):
            raise SpecError(
                "design space",
                f"{len(self.candidates)} candidates, none of which keeps the constraints",
                "candidates that can be made",
                "loosen the constraints or mend the candidates",
            )
        for row in self.candidates:
            if len(row) != self.dim:
                raise SpecError(
                    "design space",
                    f"a candidate of {len(row)} values",
                    f"{self.dim} values, in the order {list(self.names)}",
                    "give each candidate one value a variable",
                )
            self.check(dict(zip(self.names, row, strict=True)), "candidate")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(v.name for v in self.variables)

    @property
    def dim(self) -> int:
        return len(self.variables)

    def check(self, design: Mapping[str, float], who: str = "design") -> Design:
        """Return ``design`` in the order of the space.

        Raises
        ------
        DesignSpaceError
            If a variable is missing, unknown or outside its range.
        """
        if set(design) != set(self.names):
            raise DesignSpaceError(
                who,
                f"variables {sorted(design)}",
                f"exactly {sorted(self.names)}",
                "name every variable of the space once",
            )
        for v in self.variables:
            if not v.contains(design[v.name]):
                raise DesignSpaceError(
                    who, f"{v.name}={design[v.name]!r}", v.allowed(), "choose a value inside"
                )
        for formula in self.constraints:
            if not formula(design) > 0.5:
                given = ", ".join(f"{n}={design[n]:g}" for n in formula.names)
                raise DesignSpaceError(who, given, formula.expression, "choose a design inside")
        return {name: float(design[name]) for name in self.names}

    def allows(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which unit designs (n, dim) keep all constraints."""
        values = {v.name: v.from_unit(x[:, i]) for i, v in enumerate(self.variables)}
        keep = np.ones(len(x), dtype=bool)
        for formula in self.constraints:
            keep &= np.broadcast_to(formula(values) > 0.5, len(x))
        return keep

    def least(self, rates: Mapping[str, float]) -> Design:
        """A design at which the sum of rate times value is least, whatever the constraints say."""
        if self.candidates:
            values = np.array(self.candidates)[:, [self.names.index(n) for n in rates]]
            row = self.candidates[int(np.argmin(values @ np.array(list(rates.values()))))]
            return dict(zip(self.names, row, strict=True))
        ends = np.array([[0.0 if rates.get(n, 0.0) >= 0 else 1.0 for n in self.names]])
        return self.decode(ends)[0]

    @cached_property
    def middle(self) -> Design:
        """The middle of the bounds, or of the candidates; it need not be one that can be made."""
        if not self.candidates:
            return self.decode(np.full((1, self.dim), 0.5))[0]
        return dict(zip(self.names, map(float, np.mean(self.candidates, axis=0)), strict=True))

    def snap(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The nearest unit designs (n, dim) whose discrete variables take allowed values."""
        snapped = np.clip(x, 0.0, 1.0)
        for i, v in enumerate(self.variables):
            if isinstance(v, Discrete):
                snapped[:, i] = v.to_unit(v.from_unit(snapped[:, i]))
        return snapped

    def pool(self) -> NDArray[np.float64] | None:
        """The candidates as unit designs (n, dim) that keep all constraints, or None."""
        if not self.candidates:
            return None
        return self._pool

    @cached_property
    def _pool(self) -> NDArray[np.float64]:
        values = np.array(self.candidates)
        x = np.stack([v.to_unit(values[:, i]) for i, v in enumerate(self.variables)], axis=1)
        return x[self.allows(x)]

    def encode(self, designs: list[Design] | tuple[Design, ...]) -> NDArray[np.float64]:
        """Designs to an array (n, dim) in the unit cube."""
        columns = [
            v.to_unit(np.array([d[v.name] for d in designs], dtype=np.float64))
            for v in self.variables
        ]
        return np.stack(columns, axis=1) if columns else np.zeros((len(designs), 0))

    def decode(self, unit: ArrayLike) -> list[Design]:
        """An array (n, dim) in the unit cube to designs; values outside are clipped."""
        u = np.clip(np.atleast_2d(np.asarray(unit, dtype=np.float64)), 0.0, 1.0)
        columns = [v.from_unit(u[:, i]) for i, v in enumerate(self.variables)]
        rows = np.stack(columns, axis=1) if columns else u
        names = self.names
        return [dict(zip(names, map(float, row), strict=True)) for row in rows]

    def sobol(self, n: int, seed: int) -> NDArray[np.float64]:
        """``n`` scrambled Sobol points (n, dim) in the unit cube, snapped to allowed values."""
        from scipy.stats import qmc  # here, for it is heavy and few processes need it

        exponent = max(0, int(np.ceil(np.log2(max(n, 1)))))
        sampler = qmc.Sobol(self.dim, seed=seed)  # pyright: ignore[reportCallIssue]
        points = sampler.random_base2(exponent)[:n]
        return self.encode(self.decode(points))
