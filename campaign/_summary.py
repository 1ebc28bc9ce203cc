"""The summary: what a run came to, in a few numbers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from rich.table import Table

from ..workflow import Estimate, Event, Goal, Level, Recommendation, Score, State, Target
from ._history import History, Job
from ._run_folder import write_atomically
from ._wording import (
    amount,
    answer_label,
    design_text,
    goal_text,
    hours_text,
    overrun_text,
    pretty_unit,
    with_error,
)

_GOAL: TypeAdapter[Goal] = TypeAdapter(Goal)


def summarize(
    events: Iterable[Event], state: State, score: Score | None, wall_s: float
) -> dict[str, Any]:
    """The summary as plain data for JSON.

    ``best_true`` is the true value, in the goal's unit, of what is recommended, ``regret`` how far
    that is from the best there is, and ``gain`` the same as a fraction (1 is the best, 0 a typical
    design); all three are None where the truth is not known. ``actions_by_step`` and
    ``actions_by_level`` count actions given to workers; ``failures`` those that came back as one;
    ``failures_by_step`` tells how many, and what the last one said. ``overruns_by_step`` tells for
    each step whose actions used more than was committed for them how many these were, and how many
    credits, hours and e/Å² more in all.
    ``largest_dose`` is the most that any site got, in electrons per square ångström, and where.
    """
    history = History.of(events, state.workflow)
    by_level = Counter(job.level for job in history.jobs)
    recommendation = state.recommendation
    failures = [j for j in history.finished if j.observation and j.observation.failure]
    return {
        "campaign": history.spec.get("name", state.workflow.name),
        "policy": state.policy or history.spec.get("policy"),
        "seed": state.seed,
        "goal": state.goal.model_dump(mode="json"),
        "recommendation": recommendation and recommendation.model_dump(mode="json"),
        "best_true": None if score is None else score.true_value,
        "regret": None if score is None else score.regret,
        "gain": None if score is None else score.gain,
        "cost_credits": state.spent_credits,
        "elapsed_h": state.now_h,
        "largest_dose": _largest_dose(state),
        "decisions": state.decisions,
        "actions_by_step": dict(Counter(job.action.step for job in history.jobs)),
        "actions_by_level": {str(int(n)): by_level.get(int(n), 0) for n in Level},
        "failures": len(failures),
        "failures_by_step": _failures_by_step(failures),
        "overruns_by_step": _overruns_by_step(history.finished),
        "stop_reason": state.stopped,
        "wall_s": wall_s,
    }


def _failures_by_step(failures: list[Job]) -> dict[str, dict[str, Any]]:
    """For each step how many of its actions failed, and the last of them in words."""
    told: dict[str, dict[str, Any]] = {}
    for job in failures:
        failure = job.observation and job.observation.failure
        if failure is not None:
            count = told.get(job.action.step, {"count": 0})["count"] + 1
            told[job.action.step] = {"count": count, "last": f"{failure.kind}: {failure.message}"}
    return told


def _overruns_by_step(finished: Iterable[Job]) -> dict[str, dict[str, Any]]:
    """For each step what its actions used beyond their commitments."""
    told: dict[str, dict[str, Any]] = {}
    for job in finished:
        over = job.observation.overrun if job.observation is not None else {}
        if over:
            step = told.setdefault(job.action.step, {"count": 0, "beyond": {}})
            step["count"] += 1
            step["beyond"] = dict(Counter(step["beyond"]) + Counter(over))
    return told


def overrun_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was used beyond what was committed, for people."""
    return [
        (
            "beyond what was committed",
            f"{overrun_text(told['beyond'])} by {told['count']} of"
            f" {summary['actions_by_step'][step]} {step}",
        )
        for step, told in summary.get("overruns_by_step", {}).items()
    ]


def _largest_dose(state: State) -> dict[str, Any] | None:
    """The largest dose of any site or design, and where; None where nothing was exposed."""
    found = state.largest_dose
    if found is None:
        return None
    dose, (sample, site, values) = found
    names = state.workflow.space.names
    where = Target(design=dict(zip(names, values, strict=False)), sample=sample or None, site=site)
    return {"e_per_A2": dose, "limit": state.budget.dose_e_per_A2, "at": where.label}


def write_summary(path: str | Path, summary: Mapping[str, Any]) -> None:
    """Write a summary as JSON, whole or not at all."""
    write_atomically(Path(path), json.dumps(summary, indent=2, ensure_ascii=False) + "\n")


def summary_table(summary: Mapping[str, Any], title: str = "") -> Table:
    """A summary for the terminal."""
    table = Table(
        title=title or f"{summary['campaign']} (seed {summary['seed']})",
        show_header=False,
        title_justify="left",
        pad_edge=False,
    )
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, text in _rows(summary):
        table.add_row(name, text)
    return table


def _answer_rows(found: Recommendation) -> list[tuple[str, str]]:
    """The answer: one place, a front, or what is left of the hypotheses."""
    rows = [("best found", with_error(found.estimate, found.unit))]
    if found.goal.kind in {"pareto", "feasible_region", "discriminate"}:
        rows = [(answer_label(found), with_error(found.estimate, found.unit))]
        for point in found.front:
            values = ", ".join(f"{q} {with_error(e)}" for q, e in point.estimates.items())
            rows.append(("on the front", f"{values} at {design_text(point.design)}"))
        for name, chance in found.probabilities.items():
            fallen = ", falsified" if name in found.falsified else ""
            rows.append((f"hypothesis {name}", f"{chance:.3g}{fallen}"))
        return rows
    if found.design:
        rows.append(("at", design_text(found.design)))
    if found.position is not None:
        rows.append(("at", f"row {found.position[0]}, column {found.position[1]}"))
    return rows


def _rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [("goal", goal_text(_GOAL.validate_python(summary["goal"])))]
    if summary["recommendation"]:
        found = Recommendation.model_validate(summary["recommendation"])
        rows += _answer_rows(found)
        if summary["best_true"] is not None:
            truth = with_error(Estimate(value=summary["best_true"]), found.unit)
            short = with_error(Estimate(value=summary["regret"]), found.unit)
            share = (
                f", {100 * summary['gain']:.0f} % of what effort can gain"
                if "gain" in summary
                else ""
            )
            rows.append(("in truth", f"{truth}; {short} from the best there is{share}"))
    levels = ", ".join(
        f"level {k}: {v}" for k, v in reversed(summary["actions_by_level"].items()) if v
    )
    rows += [
        (
            "spent",
            f"{amount(summary['cost_credits'])} credits in {hours_text(summary['elapsed_h'])}",
        ),
        *overrun_rows(summary),
        *_dose_rows(summary),
        ("decisions", f"{summary['decisions']}"),
        ("actions", f"{sum(summary['actions_by_level'].values())} ({levels or 'none'})"),
    ]
    for step, told in summary.get("failures_by_step", {}).items():
        count = summary["actions_by_step"][step]
        rows.append(("failed", f"{told['count']} of {count} {step}: {told['last']}"))
    if summary.get("left_on_the_table"):
        rows += leftover_rows(summary)
    rows.append(
        ("ended because", summary["stop_reason"] or "it was interrupted; resume it to go on")
    )
    rows.append(("computed in", f"{amount(summary['wall_s'])} s"))
    return rows


def _dose_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    dose = summary.get("largest_dose")
    return [] if dose is None else [("largest dose", dose_text(dose))]


def dose_text(dose: Mapping[str, Any]) -> str:
    """``12 of 30 e/Å² on S001 pad 2``."""
    limit = "" if dose["limit"] is None else f" of {amount(dose['limit'])}"
    return f"{amount(dose['e_per_A2'])}{limit} e/Å² on {dose['at']}"


def leftover_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was left on the table, as believed: how much, and what would have come next."""
    left, found = summary["left_on_the_table"], summary["recommendation"]
    unit = pretty_unit(found["unit"])
    low, high = (amount(left["spread"][end]) for end in ("low", "high"))
    text = f"{amount(left['expected'])} ({low}–{high}) {unit}".strip()
    rows = [("still to be gained", f"{text}, as believed")]
    option = left["option"]
    if option is not None:
        gain = f"{amount(option['value'])} {unit}".strip()
        price = f"{amount(option['price_credits'])} credits"
        rows.append(("next would have been", f"{option['label']}: {gain} for {price}"))
    return rows
