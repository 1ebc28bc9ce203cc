"""Numbers as they are told to a planner or a session."""

from __future__ import annotations

from ..workflow import Estimate, SpecError

Value = float | tuple[float, float] | Estimate


def as_estimate(name: str, value: Value, std: float) -> Estimate:
    """A number, a (number, std) pair or an estimate as an estimate.

    Raises
    ------
    SpecError
        If it is not finite or the standard deviation is negative.
    """
    if isinstance(value, Estimate):
        return value
    number, spread = value if isinstance(value, tuple) else (value, std)
    try:
        return Estimate(value=float(number), std=float(spread))
    except (TypeError, ValueError) as error:
        raise SpecError(
            f"quantity {name!r}",
            f"{number!r} ± {spread!r}",
            "finite numbers, std >= 0",
            "tell failure='...' where there is no number",
        ) from error
