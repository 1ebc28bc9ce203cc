"""The report: one HTML file that needs nothing else, drawn from the journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..workflow import Estimate, Event, Started, State
from ._figures import BeliefView, Picture
from ._history import History
from ._report_answer import answer_tables
from ._report_tables import (
    decision_rows,
    failure_rows,
    people_rows,
    quality_rows,
    session_rows,
)
from ._run_folder import write_atomically
from ._summary import dose_text, leftover_rows, overrun_rows
from ._wording import amount, answer_label, design_text, goal_text, hours_text, percent, with_error


def write_report(
    run_folder: str | Path,
    events: Iterable[Event],
    state: State,
    summary: Mapping[str, Any],
    belief: BeliefView | None = None,
    *,
    twins: Mapping[str, bool] | None = None,
    notes: Sequence[str] = (),
) -> Path:
    """Write ``report.html`` into the run folder; works for unfinished and failed runs as well.

    Parameters
    ----------
    run_folder
        Where the run's arrays lie and the report goes.
    events, state, summary
        The journal, its fold, and what :func:`summarize` made of them.
    belief
        The belief to be drawn, if there is one.
    twins
        Worker to whether it is a twin; the head of the report says which is which.
    notes
        Sentences for the head, such as where recorded data come from.
    """
    listed = list(events)
    folder = Path(run_folder).absolute()
    history = History.of(listed, state.workflow)
    pictures, problem = _pictures(folder, history, state, summary, belief)
    started = next((e for e in listed if isinstance(e, Started)), None)
    html = _template().render(
        title=f"{summary['campaign']}: report",
        name=summary["campaign"],
        goal=goal_text(state.goal),
        ending=_ending(state),
        workers=[{"name": n, "twin": t} for n, t in (twins or {}).items()],
        reality=_reality(twins or {}, summary),
        notes=[
            *notes,
            *([f"The image of a specimen could not be read: {problem}"] if problem else []),
        ],
        answer=_answer(state),
        facts=_facts(state, summary),
        pictures=pictures,
        tables=[
            *answer_tables(state),
            session_rows(state),
            decision_rows(history, folder.name),
            people_rows(history),
            failure_rows(history),
            quality_rows(history),
        ],
        seed=summary["seed"],
        policy=summary.get("policy"),
        version=started.version if started else "?",
    )
    path = folder / "report.html"
    write_atomically(path, html)
    return path


def _template() -> Any:
    environment = Environment(
        loader=PackageLoader(__package__ or "probewise.campaign"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("report.html.j2")


def _pictures(
    folder: Path,
    history: History,
    state: State,
    summary: Mapping[str, Any],
    belief: BeliefView | None,
) -> tuple[list[Picture], str]:
    """All pictures that the run gives matter for. Matplotlib is loaded only here."""
    from ._figures_graph import workflow_picture
    from ._figures_image import image_picture
    from ._figures_progress import best_picture, spending_picture
    from ._figures_space import lines_picture, planes_picture
    from ._figures_time import gantt_picture

    image, problem = image_picture(folder, state)
    pictures = [
        best_picture(history, state, summary["best_true"]),
        lines_picture(belief) if belief is not None else None,
        planes_picture(belief) if belief is not None else None,
        image,
        spending_picture(history, state),
        gantt_picture(history, state),
        workflow_picture(state.workflow, history),
    ]
    return [p for p in pictures if p is not None], problem


def _ending(state: State) -> str:
    spent = f"{amount(state.spent_credits)} credits and {hours_text(state.now_h)}"
    if state.stopped is None:
        return f"The run has not ended; this is how it stands after {spent}."
    return f"It ended after {spent} because {state.stopped.rstrip('.')}."


def _reality(twins: Mapping[str, bool], summary: Mapping[str, Any]) -> str:
    if not twins:
        return "Which workers are twins was not recorded."
    simulated = [n for n, twin in twins.items() if twin]
    real = [n for n, twin in twins.items() if not twin]
    truth = (
        " The truth is known to the twins alone; it scores the answer, and no decision saw it."
        if summary["best_true"] is not None
        else ""
    )
    if not real:
        return f"Every worker is a twin: all data here are simulated.{truth}"
    if not simulated:
        return f"No worker is a twin: nothing here is simulated.{truth}"
    return (
        f"Twins, whose data are simulated: {', '.join(simulated)}."
        f" Not twins (instruments, recordings, computations): {', '.join(real)}.{truth}"
    )


def _answer(state: State) -> dict[str, str]:
    found = state.recommendation
    if found is None:
        return {"label": "The answer so far", "value": "none yet", "where": ""}
    where = design_text(found.design)
    if found.position is not None:
        where = f"row {found.position[0]}, column {found.position[1]}"
    if found.goal.kind in {"pareto", "feasible_region", "discriminate"}:
        where = ""
    return {
        "label": answer_label(found),
        "value": with_error(found.estimate, found.unit),
        "where": f"at {where}" if where else "",
    }


def _facts(state: State, summary: Mapping[str, Any]) -> list[dict[str, str]]:
    budget = state.budget
    unit = state.recommendation.unit if state.recommendation else "1"

    def of(limit: float | None) -> str:
        return f" of {amount(limit)}" if limit is not None else ""

    facts = [("credits", f"{amount(summary['cost_credits'])}{of(budget.credits)}")]
    facts.append(("campaign hours", f"{amount(summary['elapsed_h'])}{of(budget.hours)}"))
    if state.samples_begun:
        facts.append(("samples made", f"{state.samples_begun}{of(budget.samples)}"))
    facts += overrun_rows(summary)
    if summary.get("largest_dose") is not None:
        facts.append(("largest dose of a site", dose_text(summary["largest_dose"])))
    facts.append(("decisions", f"{summary['decisions']}"))
    facts.append(("actions", f"{sum(summary['actions_by_level'].values())}"))
    facts.append(("failures", f"{summary.get('failures', 0)}"))
    if summary["best_true"] is not None:
        facts.append(
            ("true value of the answer", with_error(Estimate(value=summary["best_true"]), unit))
        )
        facts.append(
            ("from the best there is", with_error(Estimate(value=summary["regret"]), unit))
        )
    if summary.get("gain") is not None:
        facts.append(("of what effort can gain", percent(summary["gain"])))
    if summary.get("left_on_the_table"):
        facts += leftover_rows(summary)
    return [{"label": label, "value": value} for label, value in facts]
