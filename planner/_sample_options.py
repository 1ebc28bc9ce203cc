"""Options with samples: make one, open a session on one, measure one of its sites."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..workflow import Inventory, State, Step, Target
from ._options import (
    Option,
    bears_dose,
    best_rate,
    failed_too_often,
    open_to_all,
    option_cost,
    plan_price,
    refused_before,
    session_quantities,
)
from ._prices import Price
from ._view import LibraryCandidate, Site, View, site_target
from ._worlds import Probe

_PLAN_SIZES = (1, 2, 4, 8, 16)


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
    choices: list[tuple[float, Price]] = []
    probes: tuple[Probe, ...] = ()
    screened = session_quantities(view)
    screening = Price()
    if screened:
        step = state.workflow.producer(screened[-1])
        gains = view.gains(screened[-1], candidate.rows)
        order = np.argsort(-gains, kind="stable")[: view.settings.sites_screened]
        probes = tuple(view.probe(screened[-1], int(candidate.rows[i])) for i in order)
        screening = plan_price(view, step, [new[i] for i in order], candidate.design)
        choices.append((_beyond(view, probes, pending, base), screening))
    grow = view.prices.of(maker, design=candidate.design)
    whole = Price(max(screening.credits, grow.credits), max(screening.hours, grow.hours))
    links = {
        link.name: link
        for quantity in view.finals
        for link in state.workflow.open_steps(view.step_of(quantity), new[0], Inventory())
    }
    others = tuple(s for name, s in links.items() if name != maker.name)
    end = view.prices.chain(others, candidate.design)
    best = int(candidate.rows[np.argmax(view.whole_gains(candidate.rows))])
    ends = (*probes, *view.whole_probes(best))
    choices.append((_beyond(view, ends, pending, base), whole + end))
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
        probes or ends,
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
        target = Target(sample=sample.id)
        if sample.id in busy or failed_too_often(state, [mount], target):
            continue
        if refused_before(state, mount, target):
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
    if not bears_dose(state, chain, target):
        return False
    return not full and not refused and not failed_too_often(state, chain, target)


def _session_option(
    view: View, mount: Step, sites: list[Site], pending: Sequence[Probe], base: float
) -> Option:
    state = view.state
    quantity = session_quantities(view)[-1]
    rows = np.array([view.sites[s] for s in sites])
    gains = view.gains(quantity, rows)
    order = np.argsort(-gains, kind="stable")
    step = state.workflow.producer(quantity)
    choices, plans = [], []
    for size in sorted({min(n, len(sites)) for n in _PLAN_SIZES}):
        chosen = [sites[i] for i in order[:size]]
        probes = tuple(view.probe(quantity, view.sites[s]) for s in chosen)
        price = plan_price(view, step, [site_target(view, s) for s in chosen])
        choices.append((_beyond(view, probes, pending, base), price))
        plans.append((probes, tuple(chosen)))
    if view.compound:
        best = sites[int(np.argmax(view.whole_gains(rows)))]
        probes = view.whole_probes(view.sites[best])
        there = site_target(view, best)
        price = view.prices.chain(open_to_all(view, view.finals, there), there.design)
        choices.append((_beyond(view, probes, pending, base), price))
        plans.append((probes, (best,)))
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
        plan_price(view, step, [site_target(view, s) for s in sites]),
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
        gains = view.gains(quantity, rows)
        ends = view.whole_gains(rows) if view.compound else gains
        for site, gain, end in zip(usable, gains, ends, strict=True):
            target = site_target(view, site)
            chain = state.workflow.open_steps(step, target, state.inventory)
            choices = [(float(gain), view.prices.chain(chain, target.design))]
            whole = open_to_all(view, view.finals, target) if view.compound else ()
            if chain[0] in whole:
                choices.append((float(end), view.prices.chain(whole, target.design)))
            gain, price = best_rate(choices, view, chain[0])
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
