"""Ax and BayBE as players: their own defaults, through their public interfaces.

Both see the goal's own measurement alone and evaluate the whole chain, as :class:`LogEI` does, and
are scored by the same recommendation, so that what differs is where they measure. Neither is
needed by probewise: ``pip install ax-platform==1.3.1 baybe==0.15.0``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from probewise.workflow import Continuous, Design

from ._baselines import FullEvaluations, goal_value
from ._player import PlayerMaker
from ._problem import Problem, Query

_GOAL = "goal"


class AxPlayer(FullEvaluations):
    """Ax's client with its default model, without its own random start: designs are given."""

    def __init__(self, problem: Problem, seed: int) -> None:
        super().__init__(problem, seed)
        from ax.api.client import Client  # pyright: ignore[reportMissingImports]
        from ax.api.configs import RangeParameterConfig  # pyright: ignore[reportMissingImports]

        self._client: Any = Client(random_seed=seed)
        self._client.configure_experiment(
            [
                RangeParameterConfig(name=name, bounds=(0.0, 1.0), parameter_type="float")
                for name in problem.space.names
            ]
        )
        self._client.configure_optimization(objective=_GOAL)
        self._client.configure_generation_strategy(
            method="fast", initialization_budget=0, initialization_random_seed=seed
        )
        self._asked: int | None = None

    def learn(self, query: Query, values: Mapping[str, float]) -> None:
        super().learn(query, values)
        goal = goal_value(self.problem, values)
        if goal is None:
            return
        trial, self._asked = self._asked, None
        if trial is None:
            unit = self.problem.space.encode([query.design])[0]
            names = self.problem.space.names
            trial = self._client.attach_trial(dict(zip(names, map(float, unit), strict=True)))
        self._client.complete_trial(trial, raw_data={_GOAL: goal})

    tell = learn

    def next_design(self) -> Design:
        (found,) = self._client.get_next_trials(max_trials=1).items()
        self._asked, parameters = found
        unit = [[parameters[name] for name in self.problem.space.names]]
        return self.problem.space.decode(np.array(unit))[0]


class BaybePlayer(FullEvaluations):
    """BayBE's campaign with its Bayesian recommender; designs of the start are given."""

    def __init__(self, problem: Problem, seed: int) -> None:
        super().__init__(problem, seed)
        from baybe import Campaign  # pyright: ignore[reportMissingImports]
        from baybe.parameters import (  # pyright: ignore[reportMissingImports]
            NumericalContinuousParameter,
        )
        from baybe.recommenders import BotorchRecommender  # pyright: ignore[reportMissingImports]
        from baybe.searchspace import SearchSpace  # pyright: ignore[reportMissingImports]
        from baybe.targets import NumericalTarget  # pyright: ignore[reportMissingImports]

        variables = [v for v in problem.space.variables if isinstance(v, Continuous)]
        if len(variables) != problem.space.dim:
            raise TypeError("only continuous variables are handed to BayBE")
        parameters = [
            NumericalContinuousParameter(v.name, bounds=(v.low, v.high)) for v in variables
        ]
        self._campaign: Any = Campaign(
            SearchSpace.from_product(parameters),
            NumericalTarget(_GOAL).to_objective(),
            BotorchRecommender(),
        )

    def learn(self, query: Query, values: Mapping[str, float]) -> None:
        import pandas as pd

        super().learn(query, values)
        goal = goal_value(self.problem, values)
        if goal is not None:
            self._campaign.add_measurements(pd.DataFrame([{**query.design, _GOAL: goal}]))

    tell = learn

    def next_design(self) -> Design:
        import torch

        torch.manual_seed(1000 * self.seed + len(self.goals))
        found = self._campaign.recommend(1).iloc[0]
        return {name: float(found[name]) for name in self.problem.space.names}


def installed() -> dict[str, PlayerMaker]:
    """The peers of this file that can be imported here, by name."""
    peers: dict[str, PlayerMaker] = {"ax": AxPlayer, "baybe": BaybePlayer}
    return {name: player for name, player in peers.items() if find_spec(name) is not None}
