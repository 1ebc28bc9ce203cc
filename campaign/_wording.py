"""Numbers, units and names as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import floor, isfinite, log10

from ..workflow import (
    Decision,
    Design,
    Estimate,
    Fate,
    Goal,
    Level,
    Limit,
    Maximize,
    Recommendation,
    SpecError,
    State,
    parse_unit,
)

LEVEL_TITLES: dict[int, str] = {
    Level.THEORY: "theory",
    Level.SAMPLES: "samples",
    Level.MICROSCOPY: "microscopy",
    Level.REALTIME: "real-time",
    Level.ANALYSIS: "analysis",
}
"""The five levels, highest first."""

FATES = {
    Fate.DONE: "it was done",
    Fate.DONE_WITHOUT_RESULT: "it was done, without a result",
    Fate.NOT_DONE: "it was not done",
    Fate.UNKNOWN: "nobody knows whether it was done",
}
"""What became of an action, in words."""


@cache
def pretty_unit(unit: str) -> str:
    """``uC/cm**2`` as ``µC/cm²``; empty for a number without unit."""
    if unit.strip() in {"", "1"}:
        return ""
    try:
        return f"{parse_unit(unit):~P}".replace("Δ", "").replace("a_u", "a.u.")
    except SpecError:
        return unit


def axis_label(name: str, unit: str = "1") -> str:
    """``temperature_C`` in degC as ``temperature (°C)``."""
    words, shown = name.split("_"), pretty_unit(unit)
    if len(words) > 1 and words[-1] in {unit, shown, unit.removeprefix("deg")}:
        words.pop()
    return " ".join(words) + (f" ({shown})" if shown else "")


def amount(value: float) -> str:
    """A number with three digits and no exponent where it can be helped."""
    if not isfinite(value):
        return "unlimited"
    if 1000 <= abs(value) < 1e7:
        return f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}")
    return f"{value:.3g}"


def hours_text(hours: float) -> str:
    """A time as ``3.2 s``, ``17 min`` or ``5.1 h``."""
    if hours >= 1.0 or hours == 0.0:
        return f"{amount(hours)} h"
    return f"{60 * hours:.2g} min" if hours >= 1 / 60 else f"{3600 * hours:.2g} s"


def overrun_text(overrun: Mapping[str, float]) -> str:
    """What was used beyond a commitment: ``2.5 credits and 40 e/Å²``."""
    said = {"credits": lambda v: f"{amount(v)} credits", "hours": hours_text}
    texts = [said[unit](over) for unit, over in overrun.items() if unit in said]
    if "dose_e_per_A2" in overrun:
        texts.append(f"{amount(overrun['dose_e_per_A2'])} e/Å²")
    return " and ".join(texts)


def percent(share: float) -> str:
    """``0.274`` as ``27 %``."""
    return "<1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def with_error(estimate: Estimate, unit: str = "1") -> str:
    """``44.61 ± 0.23 µC/cm²``: the deviation to two digits, the value to the same place."""
    value, std = estimate.value, estimate.std
    if std > 0:
        digits = max(0, 1 - floor(log10(std)))
        text = (
            f"{value:.{digits}f} ± {std:.{digits}f}"
            if digits <= 6 and abs(value) < 1e7
            else f"{value:.3g} ± {std:.2g}"
        )
    else:
        text = f"{value:.4g}"
    return f"{text} {pretty_unit(unit)}".strip().replace(
        "-", "\N{MINUS SIGN}", 1 if value < 0 else 0
    )


def design_text(design: Design) -> str:
    """``composition_sm = 0.13, temperature_C = 640``."""
    return ", ".join(f"{name} = {value:.4g}" for name, value in design.items())


def goal_text(goal: Goal) -> str:
    """The goal as a phrase."""
    match goal.kind:
        case "maximize":
            where = " over probe positions" if goal.over == "positions" else ""
            return f"maximize {goal.quantity}{where}"
        case "explore":
            return f"explore {goal.quantity} everywhere"
        case "locate_boundary":
            return (
                f"locate where {goal.quantity} drops below {goal.level:g} of its maximum"
                f" along {goal.variable}"
            )
        case "pareto":
            aims = ", ".join(f"{sense} {name}" for name, sense in goal.aims.items())
            return f"Pareto front: {aims}"
        case "feasible_region":
            return f"learn where {' and '.join(limit_text(n) for n in goal.limits)}"
        case "discriminate":
            names = ", ".join(h.name for h in goal.hypotheses)
            none = " or none of them" if goal.none_prior > 0 else ""
            return f"find out which holds of {goal.quantity}: {names}{none}"
        case "tune":
            return f"keep {goal.quantity} high while the optimum drifts"


def limit_text(limit: Limit) -> str:
    """``20 <= grain <= 30`` for a limit with two sides."""
    low = "" if limit.above is None else f"{limit.above:g} ≤ "
    high = "" if limit.below is None else f" ≤ {limit.below:g}"
    return f"{low}{limit.quantity}{high}"


def answer_label(found: Recommendation) -> str:
    """What the estimate of a recommendation is."""
    quantity = found.goal.quantity
    match found.goal.kind:
        case "maximize":
            return f"Best {quantity}, as believed"
        case "explore":
            return f"Root-mean-square deviation left in {quantity}"
        case "locate_boundary":
            return f"Boundary of {quantity}, as believed"
        case "pareto":
            return f"Hypervolume of the front of {len(found.front)} designs, as believed"
        case "feasible_region":
            return "Share of the space that keeps all limits, as believed"
        case "discriminate":
            leader = next(iter(found.probabilities), "no hypothesis")
            return f"Probability of {leader}"
        case "tune":
            return f"{quantity} at the best controls now, as believed"


def answer_text(found: Recommendation) -> str:
    """The answer in a line: the estimate, where it is, and what else belongs to it."""
    text = with_error(found.estimate, found.unit)
    match found.goal.kind:
        case "pareto":
            return f"hypervolume {text}, {len(found.front)} designs on the front"
        case "feasible_region":
            return f"{text} of the space is feasible"
        case "discriminate":
            fallen = f"; falsified: {', '.join(found.falsified)}" if found.falsified else ""
            rest = ", ".join(f"{name} {p:.2g}" for name, p in found.probabilities.items())
            return f"{rest}{fallen}" if rest else text
        case _:
            where = design_text(found.design)
            if found.position is not None:
                where = f"row {found.position[0]}, column {found.position[1]}"
            return f"{text} at {where}" if where else text


def decision_text(decision: Decision) -> str:
    """What was decided, without the reason: ``measure_loops on strip-1 pad 3 (4 positions)``."""
    if decision.actions:
        first = decision.actions[0]
        more = f" and {len(decision.actions) - 1} more" if len(decision.actions) > 1 else ""
        return f"{first.step} on {first.target.label}{more}"
    if decision.kind == "close":
        return f"close session {decision.session}"
    return {"act": "nothing", "wait": "wait", "stop": "stop the campaign"}[decision.kind]


def resumed_text(state: State) -> str:
    """What a run that was taken up again reads once more, and what that takes, for people."""
    count = len(state.observations)
    said = f"resumed: {count} observation{'s' * (count != 1)} read again from the journal"
    goal = state.goal
    if not isinstance(goal, Maximize) or goal.over != "positions":
        return said
    tables = [t for o in state.observations for t in o.tables.values()]
    told = [t for t in tables if goal.quantity in t.columns]
    if not told:
        return said
    places = len({p for t in told for p in t.positions})
    return (
        f"{said}; the session's models learn {len(told)} tables of {places} measured positions once"
        " more, one after another as they came, before the next decision: the same journal gives"
        " the same decisions, at the price of training for each"
    )
