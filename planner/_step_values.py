"""Step values: what departing from the planner's first choice was worth in rehearsals.

The planner's indices look one chain ahead. A rehearsal plays on to the end of the budget, so the
difference between two rehearsals of the same world, one of which departs once from the planner's
choice and follows it again, is a sample of the advantage Q(s, b) - Q(s, a) under the planner's own
policy, for this campaign's budget. A regression over such samples is one step of policy iteration
(rollout, Bertsekas, Tsitsiklis & Wu 1997; for Bayesian optimization Bertsekas 2022 and Yue & Al
Kontar 2020; every-visit Monte Carlo instead of the bootstrap of fitted Q iteration, Ernst et al.
2005, because a rehearsal has an end). The same worlds with the same luck make the differences far
less noisy than values.
"""

from __future__ import annotations

from typing import Literal, Self, final

import numpy as np
from pydantic import Field, model_validator

from ..workflow import Goal, Record, SpecError, Workflow
from ._gp import Vector

_SURE = 1.0
"""Standard errors by which an advantage must be above nothing before it is acted on."""

FEATURES = ("credits_left", "hours_left", "known", "ratio", "price", "first_price")


class Crossroads(Record):
    """A choice between the planner's first choice and the best option of another step.

    Attributes
    ----------
    pair
        Names of the first choice's step and of the other one, as ``"test > grow"``.
    credits_left, hours_left
        Shares of the budget that are left; 1 where there is no limit.
    known
        Logarithm of one more than the values of the goal's quantities that were measured.
    ratio
        Logarithm of the other's index over the first one's, from -6 to 6.
    price, first_price
        Prices of the other and of the first over the credits left, at most 2.
    """

    pair: str
    credits_left: float
    hours_left: float
    known: float
    ratio: float
    price: float
    first_price: float

    def numbers(self) -> list[float]:
        """The features in the order of :data:`FEATURES`."""
        return [float(getattr(self, name)) for name in FEATURES]


@final
class StepValues(Record):
    """A linear model of advantages, learned in rehearsals of one workflow and goal.

    ``weights`` (k,) and ``covariance`` (k, k) are the posterior of a Bayesian linear regression
    (MacKay 1992) on standardized columns: one for each pair of steps, its products with
    ``credits_left`` and ``ratio``, and the other features. Advantages are in ``unit``: credits
    where the goal says what it is worth, otherwise the share of what effort can gain.
    """

    kind: Literal["probewise step values"] = "probewise step values"
    steps: tuple[str, ...]
    goal: str
    unit: str
    trials: int = Field(ge=1)
    pairs: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    intercept: float
    weights: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        k = columns_of(len(self.pairs))
        sizes = [len(self.centre), len(self.scale), len(self.weights), len(self.covariance)]
        if any(n != k for n in (*sizes, *map(len, self.covariance))):
            raise SpecError(
                "step values",
                f"{sizes} numbers for {len(self.pairs)} pairs of steps",
                f"{k} of each",
                "learn them anew with 'probewise forecast --step-values FILE'",
            )
        return self

    def fits(self, workflow: Workflow, goal: Goal) -> bool:
        """Whether they were learned for these steps and this goal."""
        steps = tuple(s.name for s in workflow.steps)
        return (steps, goal_label(goal)) == (self.steps, self.goal)

    def check(self, workflow: Workflow, goal: Goal) -> None:
        """Refuse values that were learned for something else.

        Raises
        ------
        SpecError
            If the workflow has other steps, or the goal is another.
        """
        if not self.fits(workflow, goal):
            steps, wanted = [s.name for s in workflow.steps], goal_label(goal)
            raise SpecError(
                "step values",
                f"values learned for {self.goal} with the steps {list(self.steps)}",
                f"such for {wanted} with the steps {steps}",
                "learn them anew with 'probewise forecast --step-values FILE'",
            )

    def advantage(self, at: Crossroads) -> tuple[float, float]:
        """Expected advantage of departing, and its standard error; none where never tried."""
        if at.pair not in self.pairs:
            return 0.0, np.inf
        x = (columns(at, self.pairs) - np.array(self.centre)) / np.array(self.scale)
        spread = float(x @ np.array(self.covariance) @ x)
        return self.intercept + float(x @ np.array(self.weights)), float(np.sqrt(spread))

    def departs(self, at: Crossroads) -> float | None:
        """The advantage, where it is more than luck."""
        mean, error = self.advantage(at)
        return mean if mean > _SURE * error else None


def goal_label(goal: Goal) -> str:
    """The goal, as step values know it."""
    return f"{goal.kind} {goal.quantity}"


def columns_of(pairs: int) -> int:
    """How many columns the regression has for so many pairs of steps."""
    return 3 * pairs + len(FEATURES)


def columns(at: Crossroads, pairs: tuple[str, ...]) -> Vector:
    """The regression's columns (k,), as they are before standardizing."""
    which = np.array([float(p == at.pair) for p in pairs])
    return np.concatenate([which, which * at.credits_left, which * at.ratio, at.numbers()])
