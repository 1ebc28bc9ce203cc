"""A structure-property session of a site, as a campaign's observations tell it."""

from __future__ import annotations

from contextlib import suppress
from operator import is_
from typing import final

import numpy as np

from ..workflow import Estimate, Formula, Observation, SpecError, State, Table, Target
from ._positions import Position, features_of, values_at
from ._structure_property import StructureProperty


@final
class SiteSession:
    """The session of a site, told of every table of the goal's quantity in the journal's order.

    It is a function of the state alone: of what is told, the models take in a table at a time, when
    that was observed, whoever asks and however often. What was told already is kept from one state
    to the next as long as the next begins with the same observations; otherwise, and with another
    reward, the session is made again from the first of them.

    Parameters
    ----------
    quantity
        What is measured at positions.
    models
        Which compete, as of :class:`StructureProperty`.
    """

    def __init__(self, quantity: str, models: tuple[str, ...]) -> None:
        self._quantity, self._models = quantity, models
        self._made_of: tuple[Table, Target, Formula | None, int] | None = None
        self._session: StructureProperty | None = None
        self._seen: list[Observation] = []
        self._told: dict[Position, dict[str, Estimate]] = {}

    def of(
        self, state: State, target: Target, reward: Formula | None = None
    ) -> StructureProperty | None:
        """The session at a state, seeking a reward or else the quantity; None while no position is
        known.

        A reward may also name columns of the local structure. A place at which it is no finite
        number tells nothing.
        """
        features = features_of(state, target)
        if features is None:
            return None
        key = (features, target, self._possible(state, target, features, reward), state.seed)
        if self._session is None or not self._goes_on(key, state):
            self._session = self._made(features, key[2], state.seed)
            self._made_of, self._seen, self._told = key, [], {}
        for observation in state.observations[len(self._seen) :]:
            table = self._table(state, target, observation)
            if table is not None:
                self._tell(self._session, table, features, key[2])
            self._seen.append(observation)
        return self._session

    def _goes_on(self, key: tuple[Table, Target, Formula | None, int], state: State) -> bool:
        """Whether what is kept is the beginning of what this state would tell."""
        made_of = self._made_of
        if made_of is None or made_of[0] is not key[0] or made_of[1:] != key[1:]:
            return False
        now = state.observations[: len(self._seen)]
        return len(now) == len(self._seen) and all(map(is_, self._seen, now))

    def _possible(
        self, state: State, target: Target, features: Table, reward: Formula | None
    ) -> Formula | None:
        """The reward, unless what is known of positions does not give it."""
        table = state.inventory.table(state.workflow.producer(self._quantity).name, target)
        if reward is None or table is None:
            return reward
        known = {*features.columns, *(c for c in table.columns if not c.endswith("_std"))}
        return reward if set(reward.names) <= known else None

    def _made(self, features: Table, reward: Formula | None, seed: int) -> StructureProperty:
        names = sorted(
            (c for c in features.columns if c[0] == "f" and c[1:].isdigit()),
            key=lambda name: int(name[1:]),
        )
        return StructureProperty(
            np.array(features.positions, dtype=np.int64),
            np.array([features.columns[name] for name in names]).T,
            self._quantity if reward is None else reward,
            models=self._models,
            seed=seed,
        )

    def _table(self, state: State, target: Target, observation: Observation) -> Table | None:
        """The table of the quantity that an observation brings of this site."""
        action = state.actions[observation.action_id]
        here = (action.target.sample, action.target.site) == (target.sample, target.site)
        producer = state.workflow.producer(self._quantity).name
        if observation.failure is not None or not here or action.step != producer:
            return None
        tables = [t for t in observation.tables.values() if self._quantity in t.columns]
        return tables[-1] if tables else None

    def _tell(
        self, session: StructureProperty, table: Table, features: Table, reward: Formula | None
    ) -> None:
        """Tell what is new in a table, or other than before."""
        good = table.columns.get("good", (1.0,) * len(table.positions))
        row_of = {p: k for k, p in enumerate(features.positions)}
        local = [n for n in (reward.names if reward else ()) if n in features.columns]
        for i, position in enumerate(table.positions):
            row = row_of.get(position)
            if row is None or good[i] <= 0.5:
                continue
            structure = {n: Estimate(value=features.columns[n][row]) for n in local}
            values = structure | values_at(table, i)
            if self._told.get(position) != values:
                self._told[position] = values
                with suppress(SpecError):  # the reward is no number there
                    session.learn(position, values)
        session.take_in()
