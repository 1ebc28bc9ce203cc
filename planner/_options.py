"""Options: what could be done, what it would gain, what it costs.

Each option is named after the quantity it is for; the action is the first step of its chain that
is still open. Two estimates of the gain are made and the larger rate counts: the knowledge
gradient of the next quantity over the price of the steps up to it, and the chain index, the gain
of knowing the goal exactly over the price of all open steps up to the chain's end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..workflow import Alternative, Inventory, State, Step, Target, place_of
from ._prices import Price
from ._view import LibraryCandidate, Site, View, site_target
from ._worlds import Probe

MAX_FAILURES = 3
_SITES_SCREENED = 4
_PLAN_SIZES = (1, 2, 4, 8, 16)
_NOVELTY = 0.1
_THEORY_RELIABILITY = 0.25


@dataclass(frozen=True)
class Option:
    """One thing to do next. ``value`` is in the goal's unit; ``cost`` in credits, hours priced
    in.
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
    sites: tuple[Site, ...] = field(default=(), compare=False)

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


def plan_price(view: View, step: Step, targets: Sequence[Target]) -> Price:
    """Price of all open steps for ``step`` on several sites; what is sample-wide is paid once."""
    total, once = Price(), set()
    for target in targets:
        for link in view.state.workflow.open_steps(step, target, view.state.inventory):
            if link.acts_on in {"design", "sample", "space"}:
                if link.name in once:
                    continue
                once.add(link.name)
            total = total + view.prices.of(link)
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


def library_options(view: View, pending: Sequence[Probe]) -> list[Option]:
    """Make a new sample: valued by what its sites would show and by what the best may be."""
    state = view.state
    maker = next((s for s in state.workflow.steps if s.makes is not None), None)
    if maker is None:
        return []
    base = view.objective.joint(pending)
    return [
        _library_option(view, maker, candidate, pending, base)
        for candidate in view.libraries
        if not refused_before(state, maker, Target(design=candidate.design))
    ]


def _library_option(
    view: View,
    maker: Step,
    candidate: LibraryCandidate,
    pending: Sequence[Probe],
    base: float,
) -> Option:
    state = view.state
    new = [
        Target(design=view.designs[r], sample="?new", site=i) for i, r in enumerate(candidate.rows)
    ]
    final = state.workflow.producer(view.worlds.goal)
    choices: list[tuple[float, Price]] = []
    probes: tuple[Probe, ...] = ()
    screened = session_quantities(view)
    screening = Price()
    if screened:
        step = state.workflow.producer(screened[-1])
        gains = view.objective.single(screened[-1], candidate.rows, view.noise(screened[-1]))
        order = np.argsort(-gains, kind="stable")[:_SITES_SCREENED]
        probes = tuple(view.probe(screened[-1], int(candidate.rows[i])) for i in order)
        screening = plan_price(view, step, [new[i] for i in order])
        choices.append((_beyond(view, probes, pending, base), screening))
    grow = view.prices.of(maker)
    whole = Price(max(screening.credits, grow.credits), max(screening.hours, grow.hours))
    end = Price()
    for link in state.workflow.open_steps(final, new[0], Inventory()):
        if link.name != maker.name:
            end = end + view.prices.of(link)
    potential = view.objective.potential(candidate.rows)
    if pending:
        end_probes = [Probe(view.worlds.goal, int(r), 0.0) for r in candidate.rows]
        potential = min(potential, _beyond(view, end_probes, pending, base))
    choices.append((potential, whole + end))
    value, price = best_rate(choices, view, maker)
    where = ", ".join(f"{k}={v:.3g}" for k, v in candidate.design.items())
    return Option(
        f"{maker.name} at {where}",
        "library",
        maker,
        Target(design=candidate.design),
        value,
        price,
        option_cost(view, price, maker),
        probes or tuple(view.probe(view.worlds.goal, int(r)) for r in candidate.rows),
    )


def _beyond(view: View, probes: Sequence[Probe], pending: Sequence[Probe], base: float) -> float:
    """Gain of probes on top of ``base``, the gain of what is already on its way."""
    return max(view.objective.joint([*pending, *probes]) - base, 0.0)


def session_options(view: View, pending: Sequence[Probe]) -> list[Option]:
    """Open a session on a sample that is not on an instrument."""
    state = view.state
    mount = state.workflow.mount
    quantities = session_quantities(view)
    if mount is not None and state.free_worker(mount) is None:
        return []
    busy = {s.grant.sample for s in state.open_sessions().values()}
    if mount is None or not quantities:
        return []
    options = []
    base = view.objective.joint(pending)
    for sample in state.inventory.samples.values():
        if sample.id in busy or failed_too_often(state, [mount], Target(sample=sample.id)):
            continue
        if _given_back_without_news(state, sample.id):
            continue
        sites = [(sample.id, i) for i in range(len(sample.sites))]
        usable = [s for s in sites if _usable(view, quantities[-1], s)]
        if usable:
            options.append(_session_option(view, mount, usable, pending, base))
    return options


def _given_back_without_news(state: State, sample: str) -> bool:
    """Whether a session gave the sample back and nothing was learned since."""
    closed = [
        s.closed_h
        for s in state.sessions.values()
        if s.grant.sample == sample and s.closed_h is not None
    ]
    return bool(closed) and not any(
        o.values and o.failure is None and o.end_h > max(closed) for o in state.observations
    )


def _usable(view: View, quantity: str, site: Site) -> bool:
    """Whether the site is there and still bears a measurement of ``quantity``."""
    target = site_target(view, site)
    state = view.state
    if not state.inventory.alive(target) or any(
        i.action.target.sample == site[0] and i.action.target.site == site[1]
        for i in state.running.values()
    ):
        return False
    chain = state.workflow.open_steps(state.workflow.producer(quantity), target, state.inventory)
    probed = len(state.inventory.status((site[0], site[1], ())).probed)
    full = any(s.acts_on == "positions" and probed + s.batch > s.max_positions for s in chain)
    refused = any(refused_before(state, s, target) for s in chain)
    return not full and not refused and not failed_too_often(state, chain, target)


def _session_option(
    view: View, mount: Step, sites: list[Site], pending: Sequence[Probe], base: float
) -> Option:
    state = view.state
    quantity = session_quantities(view)[-1]
    rows = np.array([view.sites[s] for s in sites])
    gains = view.objective.single(quantity, rows, view.noise(quantity))
    order = np.argsort(-gains, kind="stable")
    step = state.workflow.producer(quantity)
    choices, plans = [], []
    for size in sorted({min(n, len(sites)) for n in _PLAN_SIZES}):
        chosen = [sites[i] for i in order[:size]]
        probes = tuple(view.probe(quantity, view.sites[s]) for s in chosen)
        price = plan_price(view, step, [site_target(view, s) for s in chosen])
        choices.append((_beyond(view, probes, pending, base), price))
        plans.append((probes, tuple(chosen)))
    value, price = best_rate(choices, view, mount)
    probes, chosen = plans[choices.index((value, price))]
    sample = sites[0][0]
    return Option(
        f"session on {sample}: {quantity} at {len(chosen)} of {len(sites)} sites",
        "session",
        mount,
        Target(sample=sample),
        value,
        price,
        option_cost(view, price, mount),
        probes,
        sample,
        chosen,
    )


def site_options(view: View, quantities: Sequence[str], sites: Sequence[Site]) -> list[Option]:
    """Measure one of ``quantities`` at one of ``sites``, whatever steps that still takes."""
    state = view.state
    options = []
    for quantity in quantities:
        step = state.workflow.producer(quantity)
        usable = [s for s in sites if _usable(view, quantity, s)]
        if not usable:
            continue
        rows = np.array([view.sites[s] for s in usable])
        gains = view.objective.single(quantity, rows, view.noise(quantity))
        if quantity == view.worlds.goal:
            gains = np.maximum(gains, view.objective.potential_each(rows))
        for site, gain in zip(usable, gains, strict=True):
            target = site_target(view, site)
            chain = state.workflow.open_steps(step, target, state.inventory)
            price = view.prices.chain(chain)
            options.append(
                Option(
                    f"{quantity} at {target.label}",
                    "site",
                    chain[0],
                    target,
                    float(gain),
                    price,
                    option_cost(view, price, chain[0]),
                    (view.probe(quantity, view.sites[site]),),
                    site[0],
                )
            )
    return options


def design_options(view: View) -> list[Option]:
    """Measure any quantity at any design, in workflows that need no samples."""
    state, workflow = view.state, view.state.workflow
    options: list[Option] = []
    potential = view.objective.potential_each(view.free_rows)
    final = workflow.producer(view.worlds.goal)
    running = {
        (i.action.step, tuple(i.action.target.design.values())) for i in state.running.values()
    }
    for quantity in view.belief.quantities:
        step = workflow.producer(quantity)
        if step.acts_on != "design" or step.makes is not None:
            continue
        gains = view.objective.single(quantity, view.free_rows, view.noise(quantity))
        for row, gain, end in zip(view.free_rows, gains, potential, strict=True):
            target = Target(design=view.designs[row])
            chain = workflow.open_steps(step, target, state.inventory)
            whole = _whole_chain(view, final, target)
            key = tuple(target.design.values())
            if any((s.name, key) in running for s in whole) or failed_too_often(
                state, chain, target
            ):
                continue
            if refused_before(state, chain[0], target):
                continue
            choices = [(float(gain), view.prices.chain(chain))]
            if whole[0] == chain[0]:
                choices.append((float(end), view.prices.chain(whole)))
            value, price = best_rate(choices, view, chain[0])
            cost = option_cost(view, price, chain[0])
            probe = view.probe(quantity, int(row))
            label = f"{quantity} at {target.label}"
            options.append(Option(label, "design", chain[0], target, value, price, cost, (probe,)))
    return options


def _whole_chain(view: View, final: Step, target: Target) -> tuple[Step, ...]:
    return view.state.workflow.open_steps(final, target, view.state.inventory)


def theory_options(view: View) -> list[Option]:
    """Simulate, or fit the theory again to what was measured since."""
    state = view.state
    options: list[Option] = []
    for step in state.workflow.steps:
        if step.acts_on != "space" or state.free_worker(step) is None:
            continue
        if failed_too_often(state, [step], Target()) or _in_flight(state, step):
            continue
        value = _theory_value(view, step)
        if value > 0.0:
            price = view.prices.of(step)
            cost = option_cost(view, price, step)
            options.append(Option(step.name, "theory", step, Target(), value, price, cost))
    return options


def _in_flight(state: State, step: Step) -> bool:
    return any(
        state.workflow.step(i.action.step).acts_on == "space" for i in state.running.values()
    )


def _theory_value(view: View, step: Step) -> float:
    """What a theory step is expected to gain: a share of the gain of perfect theory.

    The first simulation is trusted for a quarter of the gain of knowing everything (a prior). A new
    fit resolves as much of the ensemble's disagreement as its data are new. A simulation with newly
    fitted parameters delivers what the fit promised.
    """
    state = view.state
    if step.predicts:
        if all(p.name in view.belief.grids for p in step.predicts):
            fresh = any(state.inventory.is_fresh(p.name, step, Target()) for p in step.optional)
            return max(view.objective.theory(), 1e-6) if fresh else 0.0
        known = any(p.name in view.belief.quantities for p in step.predicts)
        return _THEORY_RELIABILITY * view.objective.ceiling() if known else 0.0
    used = state.inventory.status(("", None, ())).done.get(step.name, 0)
    wanted = {p.name for p in step.consumes}
    data = [
        number > used
        for number, o in enumerate(state.observations, start=1)
        if o.failure is None and wanted & set(o.values)
    ]
    novelty = float(np.mean(data)) if data else 0.0
    return novelty * view.objective.theory() if novelty >= _NOVELTY else 0.0
