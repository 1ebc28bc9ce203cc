"""Known functions: arithmetic on quantities and variables, read from text without executing it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from ._errors import SpecError
from ._model import Record
from ._quantity import parse_unit

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
    ast.LtE: np.less_equal,
    ast.Lt: np.less,
    ast.GtE: np.greater_equal,
    ast.Gt: np.greater,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "cos": np.cos,
    "exp": np.exp,
    "log": np.log,
    "max": np.maximum,
    "min": np.minimum,
    "sin": np.sin,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "where": np.where,
}
_LONGEST = 2_000


class Formula(Record):
    """A function of named numbers, such as ``(60 - y2) / 60 * y1``.

    Allowed are numbers, names, ``+ - * / **``, comparisons, and the functions abs, cos, exp, log,
    max, min, sin, sqrt, tanh and where. ``unit`` is the unit of its result.
    """

    shorthand: ClassVar = {"type": "string"}
    expression: str
    unit: str = "1"

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"expression": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _readable(self) -> Formula:
        parse_unit(self.unit)
        self._check(self._tree)
        return self

    @cached_property
    def _tree(self) -> ast.expr:
        if len(self.expression) > _LONGEST:
            raise self._error(f"a text of {len(self.expression)} characters")
        try:
            return ast.parse(self.expression.strip(), mode="eval").body
        except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
            raise self._error(str(error)) from error

    def _error(self, given: str) -> SpecError:
        return SpecError(
            f"formula {self.expression[:60]!r}",
            given,
            "numbers, names, + - * / **, comparisons, " + ", ".join(sorted(_FUNCTIONS)),
            "write it with these",
        )

    def _check(self, node: ast.expr) -> None:
        for part in ast.walk(node):
            match part:
                case ast.Constant(value=bool()):
                    raise self._error("a truth value")
                case ast.Constant(value=int() | float()) | ast.Name() | ast.Load():
                    pass
                case ast.BinOp() | ast.UnaryOp() | ast.Compare():
                    if isinstance(part, ast.Compare) and len(part.ops) != 1:
                        raise self._error("a chained comparison")
                case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                    wanted = {"where": 3, "max": 2, "min": 2}.get(name, 1)
                    if name not in _FUNCTIONS or len(args) != wanted:
                        raise self._error(f"{name} with {len(args)} arguments")
                case _ if type(part) in _OPERATORS:
                    pass
                case _:
                    raise self._error(ast.unparse(part) if isinstance(part, ast.expr) else "syntax")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The numbers that it needs, in the order of their first use."""
        called = {n.func for n in ast.walk(self._tree) if isinstance(n, ast.Call)}
        found = (n for n in ast.walk(self._tree) if isinstance(n, ast.Name) and n not in called)
        return tuple(dict.fromkeys(n.id for n in found))

    def __call__(self, values: Mapping[str, Any]) -> NDArray[np.float64]:
        """The result for numbers or arrays that broadcast; NaN or infinite where undefined."""
        with np.errstate(all="ignore"):
            return np.asarray(_evaluate(self._tree, values), dtype=np.float64)


def _evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return np.float64(value)  # type: ignore[arg-type]
        case ast.Name(id=name):
            return np.asarray(values[name], dtype=np.float64)
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_evaluate(left, values), _evaluate(right, values))
        case ast.UnaryOp(op=op, operand=operand):
            return _OPERATORS[type(op)](_evaluate(operand, values))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _OPERATORS[type(op)](_evaluate(left, values), _evaluate(right, values))
        case ast.Call(func=ast.Name(id=name), args=args):
            return _FUNCTIONS[name](*(_evaluate(a, values) for a in args))
        case _:
            raise AssertionError("checked when the formula was made")
