"""Rewards: one number to be large, from what was measured at a place."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..workflow import Estimate, Formula, SpecError

Reward = Callable[[Mapping[str, float]], float]
"""A user's function of the quantities measured at one place."""

_STEP = 1e-4


def reward_of(
    reward: Formula | Reward, values: Mapping[str, Estimate], who: str = "reward"
) -> tuple[float, float]:
    """The reward and its standard deviation, to first order in those of the values.

    Raises
    ------
    SpecError
        If the formula names what was not measured, or the reward is no finite number.
    """
    means = {name: e.value for name, e in values.items()}
    missing = [n for n in reward.names if n not in means] if isinstance(reward, Formula) else []
    if missing:
        raise SpecError(
            who,
            f"names {missing} that were not measured",
            f"formulas of {sorted(means)}",
            "correct the formula, or measure what it needs",
        )
    center = float(reward(means))
    variance = 0.0
    for name, estimate in values.items():
        if estimate.std > 0.0:
            step = _STEP * estimate.std
            moved = float(reward({**means, name: estimate.value + step}))
            variance += ((moved - center) / step * estimate.std) ** 2
    if not abs(center) + variance < float("inf"):
        raise SpecError(
            who, f"{center} ± {variance**0.5} for {means}", "a finite number", "mend the reward"
        )
    return center, variance**0.5
