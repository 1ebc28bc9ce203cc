"""The summary: what a run came to, in a few numbers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from rich.table import Table

from ..workflow import Estimate, Event, Goal, Level, Recommendation, Score, State
from ._history import History
from ._run_folder import write_atomically
from ._wording import amount, design_text, goal_text, hours_text, with_error

_GOAL: TypeAdapter[Goal] = TypeAdapter(Goal)


def summarize(
    events: Iterable[Event], state: State, score: Score | None, wall_s: float
) -> dict[str, Any]:
    """The summary as plain data for JSON.

    ``best_true`` is the true value, in the goal's unit, of what is recommended, ``regret`` how far
    that is from the best there is, and ``gain`` the same as a fraction (1 is the best, 0 a typical
    design); all three are None where the truth is not known. ``actions_by_step`` and
    ``actions_by_level`` count actions given to workers; ``failures`` those that came back as one.
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
        "decisions": state.decisions,
        "actions_by_step": dict(Counter(job.action.step for job in history.jobs)),
        "actions_by_level": {str(int(n)): by_level.get(int(n), 0) for n in Level},
        "failures": len(failures),
        "stop_reason": state.stopped,
        "wall_s": wall_s,
    }


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


def _rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [("goal", goal_text(_GOAL.validate_python(summary["goal"])))]
    if summary["recommendation"]:
        found = Recommendation.model_validate(summary["recommendation"])
        rows.append(("best found", with_error(found.estimate, found.unit)))
        if found.design:
            rows.append(("at", design_text(found.design)))
        if found.position is not None:
            rows.append(("at", f"row {found.position[0]}, column {found.position[1]}"))
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
        ("decisions", f"{summary['decisions']}"),
        ("actions", f"{sum(summary['actions_by_level'].values())} ({levels or 'none'})"),
    ]
    if summary.get("failures"):
        rows.append(("failures", f"{summary['failures']}"))
    rows.append(
        ("ended because", summary["stop_reason"] or "it was interrupted; resume it to go on")
    )
    rows.append(("computed in", f"{amount(summary['wall_s'])} s"))
    return rows
