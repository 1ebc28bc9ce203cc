"""Options: what could be done, what it would gain, what it costs.

Each option is named after the quantity it is for; the action is the first step of its chain that
is still open. Two estimates of the gain are made and the larger rate counts: the knowledge
gradient of the next quantity over the price of the steps up to it, and the chain index, the gain
of what the whole chain would show over the price of all its open steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..workflow import Alternative, Design, State, Step, Target, place_of
from ._prices import Price
from ._view import View
from ._worlds import Probe

MAX_FAILURES = 3


@dataclass(frozen=True)
class Option:
    """One thing to do next.

    ``value`` is in the goal's unit; ``cost`` in credits, hours priced in. ``reach`` is, for a
    session, the price of measuring every site of its sample once.
    """

    label: str
    kind: str
    step: Step
    target: Target
    value: float
    price: Price
    cost: float
    probes: tuple[Probe, ...] = ()
    sample: str | None = None
    reach: Price | None = None

    @property
    def index(self) -> float:
        """Gain per credit."""
        return self.value / max(self.cost, 1e-9)

    def alternative(self) -> Alternative:
        return Alternative(
            label=self.label,
            step=self.step.name,
            value=self.value,
            price_credits=self.cost,
            index=self.index,
        )


def refused_before(state: State, step: Step, target: Target) -> bool:
    """Whether the guardian or a human refused this step at this place before."""
    place = place_of(target, step.acts_on)
    return any(
        (action := state.actions[i]).step == step.name
        and place_of(action.target, step.acts_on) == place
        for i in state.refused
    )


def failed_too_often(state: State, steps: Iterable[Step], target: Target) -> bool:
    """Whether one of the steps failed repeatedly where it would be done again."""
    sample = state.inventory.status((target.sample or "", None, ()))
    site = state.inventory.status((target.sample or "", target.site, ()))
    design = state.inventory.status(("", None, tuple(target.design.values())))
    return any(
        status.failures.get(step.name, 0) >= MAX_FAILURES
        for step in steps
        for status in (sample, site, design)
    )


def bears_dose(state: State, steps: Iterable[Step], target: Target) -> bool:
    """Whether the target bears the dose of all of these steps, each at its cap."""
    dose = sum(s.dose_e_per_A2.cap(*state.workflow.usual_extent(s)) for s in steps if s.exposes)
    return state.bears_dose(place_of(target, "site" if target.sample else "design"), dose)


def open_to_all(view: View, quantities: Iterable[str], target: Target) -> tuple[Step, ...]:
    """All open steps to those of several quantities that are not known at a target, each once."""
    state = view.state
    links = {
        link.name: link
        for quantity in quantities
        if state.inventory.value(quantity, target) is None
        for link in state.workflow.open_steps(view.step_of(quantity), target, state.inventory)
    }
    return tuple(links.values())


def plan_price(
    view: View, step: Step, targets: Sequence[Target], design: Design | None = None
) -> Price:
    """Price of all open steps for ``step`` on several sites; what is sample-wide is paid once.

    ``design`` is that of the sample, where it is yet to be made.
    """
    total, once = Price(), set()
    for target in targets:
        for link in view.state.workflow.open_steps(step, target, view.state.inventory):
            if link.acts_on in {"design", "sample", "space"}:
                if link.name in once:
                    continue
                once.add(link.name)
            total = total + view.prices.of(link, design=design or target.design)
    return total


def option_cost(view: View, price: Price, first: Step) -> float:
    """Credits with hours, including the wait for the first step's worker, at the value of an
    hour.
    """
    hours = price.hours + view.prices.wait_h(first)
    return Price(price.credits, hours).at(view.state.budget.credits_per_hour)


def session_quantities(view: View) -> tuple[str, ...]:
    """Modelled quantities that a session gives, those nearest to the goal last."""
    steps = view.state.workflow.session_steps
    return tuple(q for q in view.belief.quantities if view.state.workflow.producer(q).name in steps)


def best_rate(
    choices: Iterable[tuple[float, Price]], view: View, first: Step
) -> tuple[float, Price]:
    """The choice of (value, price) with the largest value per cost."""
    return max(choices, key=lambda c: c[0] / max(option_cost(view, c[1], first), 1e-9))
