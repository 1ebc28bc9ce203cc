"""What a run leaves for people: summary, report, tracked artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agents import worker_types
from ..planner import End, belief_from, left_on_the_table, looked_at, relevant_quantities
from ..workflow import Decided, Design, Event, Maximize, Score, State
from ._campaign import Campaign, spec_of_run, truth_of
from ._figures import BeliefView
from ._journal import Journal, replay
from ._judge import judged
from ._report import write_report
from ._run_folder import RunFolder
from ._spec import CampaignSpec
from ._summary import summarize, write_summary


def finish(campaign: Campaign, folder: Path) -> tuple[dict[str, Any], Path]:
    """Write ``summary.json`` and ``report.html`` and complete the tracking."""
    summary = campaign.result().summary
    summary |= _leftover(campaign.state, campaign.seen)
    with RunFolder.open(folder) as run:
        with Journal(run.journal_path, read_only=True) as journal:
            head = journal.head
        summary["journal"] = {"events": head.seq, "head": head.link}
        write_summary(run.summary_path, summary)
        report = _report(folder, list(campaign.seen), campaign.state, summary, campaign.spec)
    campaign.finish_tracking(report, summary)
    return summary, report


def rewrite_report(folder: str | Path) -> Path:
    """Write the report of a run again, from its journal alone.

    Raises
    ------
    RunFolderError, StoreError
        If there is no run, another process works on it, or its journal is damaged.
    """
    spec = spec_of_run(folder)
    with RunFolder.open(folder) as run:
        with Journal(run.journal_path, read_only=True) as journal:
            events = list(journal.events())
        state = replay(spec.initial_state(), events)
        summary = summarize(events, state, score_of(spec, state), 0.0)
        summary |= _leftover(state, events)
        return _report(Path(folder), events, state, summary, spec)


def _leftover(state: State, events: Sequence[Event]) -> dict[str, Any]:
    """What was left on the table, for the summary."""
    decisions = [e.decision for e in events if isinstance(e, Decided)]
    found = left_on_the_table(state, decisions)
    return {"left_on_the_table": found and found.model_dump(mode="json")}


def score_of(spec: CampaignSpec, state: State) -> Score | None:
    """The state's recommendation held against the campaign's truth, where both exist."""
    truth = truth_of(spec)
    if truth is None or state.recommendation is None:
        return None
    return judged(truth, state.recommendation)


def _report(
    folder: Path, events: list[Event], state: State, summary: dict[str, Any], spec: CampaignSpec
) -> Path:
    types = worker_types()
    twins = {name: types[w.type].twin for name, w in spec.workers.items() if w.type in types}
    return write_report(
        folder, events, state, summary, belief_view(state), twins=twins, notes=list(spec.notes)
    )


def belief_view(state: State) -> BeliefView | None:
    """The goal's quantity over the design space, cut through what is recommended."""
    found, space = state.recommendation, state.workflow.space
    if found is None or not space.dim or set(found.design) != set(space.names):
        return None
    quantity, goal = state.goal.quantity, state.goal
    if isinstance(goal, Maximize):
        goal = goal.model_copy(update={"subject_to": ()})
    wanted = relevant_quantities(state.workflow, *looked_at(state.workflow, goal))
    belief = belief_from(state, wanted)
    end = End(belief, goal, state.seed)

    def predict(designs: list[Design]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        x = space.encode(designs)
        return end.mean(x), end.worlds(x).values[quantity].std(0)

    data = belief.data.get(quantity)
    measured = []
    if data is not None:
        designs = space.decode(data.x)
        measured = [
            (d, float(v), float(np.sqrt(n)))
            for d, v, n in zip(designs, data.y, data.noise, strict=True)
        ]
    unit = state.workflow.unit(quantity)
    return BeliefView.through(space, found.design, quantity, unit, predict, measured, points=25)
