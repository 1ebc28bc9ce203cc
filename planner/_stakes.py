"""What a measurement is worth to a session, for those who watch it."""

from __future__ import annotations

from collections.abc import Collection

from ..workflow import Stake, State, Step, Target
from ._retakes import bearable
from ._session_memory import START
from ._session_visit import Position
from ._step_prices import StepPrices
from ._structure_property import StructureProperty

_LEAST_RATE = 1e-300
"""Below it, a unit would be worth no finite number."""


def stake_at(
    state: State,
    name: str,
    step: Step,
    target: Target,
    session: StructureProperty,
    positions: tuple[Position, ...],
    avoid: Collection[Position],
) -> Stake | None:
    """What is believed of positions, against the best place known and what a credit brings
    elsewhere.

    A unit of the quantity is worth what it costs where else the session would go next, or by the
    reservation rate of its grant. None where this cannot be said: in the beginning, for another
    reward than the goal's quantity, for knowing everywhere, and where nothing else is worth
    anything.
    """
    wishes, prices = state.wishes, session.prices
    for_best = wishes.reward is None and wishes.maximize > 0.0 and not wishes.exploit
    known = [e.value for place, e in session.known().items() if place not in positions]
    if session.measured < START or not for_best or not known:
        return None
    assert isinstance(prices, StepPrices)
    elsewhere = session.ranked(1, {*avoid, *positions})
    rates = [v.gain * session.unit / v.price for v in elsewhere]
    rate = max([state.sessions[name].grant.reservation_rate, *rates])
    if rate <= _LEAST_RATE:
        return None
    believed = [session.foretold(p) for p in positions]
    dwells = bearable(state, name, step, target)
    return Stake(
        quantity=state.goal.quantity,
        believed=tuple(b.value for b in believed),
        believed_std=tuple(b.std for b in believed),
        rival=max(known),
        credits_per_unit=1.0 / rate,
        credits_per_s=prices.credits_per_s,
        overhead_credits=prices.at_all.at(prices.credits_per_hour),
        longest_s=dwells[-1] if dwells and step.dwell is not None else 0.0,
    )
