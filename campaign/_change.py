"""Changing a running campaign: what a ``set`` comes to, checked like the specification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..workflow import BudgetError, Change, Formula, SpecError, State, Table
from ._check_spec import check_aims, check_heeded
from ._load_spec import named_goal
from ._spec import CampaignSpec, spec_from_dict

CHANGEABLE = ("goal", "budget", "policy", "autonomy", "session")


def present_spec(spec: CampaignSpec, state: State) -> CampaignSpec:
    """The specification with all that was changed since the campaign began."""
    return spec.model_copy(
        update={
            "goal": state.goal,
            "budget": state.budget,
            "policy": state.policy or spec.policy,
            "autonomy": state.autonomy,
            "session": state.wishes,
        }
    )


def resolve_change(spec: CampaignSpec, state: State, changes: Mapping[str, Any]) -> Change:
    """What the changes come to, whole.

    Parameters
    ----------
    spec
        The campaign's, as it was started.
    changes
        Values by dotted key, such as ``budget.credits``; ``goal`` may name one of the campaign's
        goals.

    Raises
    ------
    SpecError
        If a key may not be changed or does not exist, or a value is wrong.
    BudgetError
        If a budget is less than what is spent and committed already.
    """
    old = present_spec(spec, state)
    raw = old.model_dump(mode="json")
    for key, value in changes.items():
        first, *rest = key.split(".")
        if first not in CHANGEABLE:
            raise SpecError(
                "set",
                repr(key),
                f"{', '.join(CHANGEABLE)} and what is below them, such as budget.credits",
                "correct the key; anything else needs a new run",
            )
        if not rest and first == "goal" and isinstance(value, str):
            raw["goal"] = named_goal(raw, value)
        else:
            _put(raw, [first, *rest], value, key)
    found = spec_from_dict(raw, spec.name)
    check_aims(found)
    if (found.goal, found.session) != (old.goal, old.session):  # else they were let pass before
        check_heeded(found)
    _check_spent(found, state)
    _check_wishes(found, state)
    new = {name: getattr(found, name) for name in CHANGEABLE}
    return Change(**{k: v for k, v in new.items() if v != getattr(old, k)})


def _put(raw: dict[str, Any], path: list[str], value: Any, key: str) -> None:
    place: Any = raw
    for part in path[:-1]:
        place = place.get(part) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        raise SpecError(
            "set", repr(key), "keys of the specification", "see 'probewise schema' for all fields"
        )
    place[path[-1]] = value


def _check_wishes(found: CampaignSpec, state: State) -> None:
    """A reward is a number at all that was measured, and a place to be like was looked at."""
    wishes = found.session
    tables = [t for s in state.inventory.places.values() for t in s.tables.values()]
    if wishes.reward is not None:
        _check_reward(wishes.reward, found, tables)
    known = {p for t in tables for p in t.positions}
    if wishes.more_like is not None and known and wishes.more_like not in known:
        raise SpecError(
            "session.more_like",
            f"{wishes.more_like}",
            "a position (row,column) of which local structure is known",
            "name a pixel of the overview",
        )


def _check_reward(reward: Formula, found: CampaignSpec, tables: Sequence[Table]) -> None:
    """Numbers of a whole site, such as an image's contrast, tell no position from another; they are
    let pass only as long as nothing was measured at positions."""
    quantity = getattr(found.goal, "quantity", None)
    probed = [t for t in tables if quantity in t.columns]
    at_places = {c for t in tables for c in t.columns if not c.endswith("_std")}
    allowed = at_places if probed else at_places | set(found.workflow.scalars)
    stray = sorted(set(reward.names) - allowed)
    if stray:
        raise SpecError(
            "session.reward",
            f"{stray}",
            f"formulas of what is known at positions: {sorted(allowed)}",
            "correct the formula",
        )
    rows = {id(t): {p: k for k, p in enumerate(t.positions)} for t in tables}
    for table in probed:
        odd = [p for p, v in _rewards(reward, table, tables, rows) if not np.isfinite(v)]
        if odd:
            raise SpecError(
                "session.reward",
                f"{reward.expression!r}, no finite number at {len(odd)} of the positions measured,"
                f" the first {odd[0]}",
                "a finite number everywhere",
                "correct the formula; where(condition, a, b) chooses between two",
            )


def _rewards(
    reward: Formula,
    table: Table,
    tables: Sequence[Table],
    rows: Mapping[int, Mapping[tuple[int, int], int]],
) -> Iterator[tuple[tuple[int, int], float]]:
    """The reward at the good positions of a table, with what other tables tell of them.

    ``rows`` are the places of positions in a table, by its identity.
    """
    good = table.columns.get("good", (1.0,) * len(table.positions))
    for i, position in enumerate(table.positions):
        values = {
            name: t.columns[name][rows[id(t)][position]]
            for t in (*tables, table)
            if position in rows[id(t)]
            for name in reward.names
            if name in t.columns
        }
        if good[i] > 0.5 and values.keys() >= set(reward.names):
            yield position, float(reward(values))


def _check_spent(found: CampaignSpec, state: State) -> None:
    """A budget is never less than what cannot be had back."""
    held = max((i.hour + i.commitment.hours for i in state.running.values()), default=0.0)
    exposed = state.largest_dose
    for unit, limit, used in (
        ("credits", found.budget.credits, state.spent_credits + state.committed_credits),
        ("hours", found.budget.hours, max(state.now_h, held)),
        ("samples", found.budget.samples, float(state.samples_begun)),
        ("dose_e_per_A2", found.budget.dose_e_per_A2, 0.0 if exposed is None else exposed[0]),
    ):
        if limit is not None and limit < used - 1e-9:
            raise BudgetError(
                f"budget.{unit}",
                f"{limit:g}",
                f"at least the {used:.4g} that are spent and committed",
                "give more, or stop the campaign",
            )
