"""How a campaign is, as plain data for people, pages and programs."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from typing import Any

from ..agents import Health, utc_now
from ..workflow import Issued, State
from ._journal import Journal, replay
from ._run_folder import RunFolder
from ._spec import CampaignSpec


def condition(state: State) -> str:
    """``running``, or in a few words what else, and who said so."""
    if state.stopped is not None:
        return f"ended: {state.stopped}"
    if state.aborting is not None or state.stopping is not None:
        return f"ending: {state.aborting or state.stopping}"
    if state.paused is not None:
        return state.paused if state.secured else f"{state.paused} (what runs may end)"
    if state.awaiting and not state.at_work:
        return "waiting for approval"
    if state.questions and state.at_work.keys() <= state.questions.keys():
        return "waiting for an answer"
    return "running"


def status_of(
    spec: CampaignSpec, state: State, health: Mapping[str, Health] | None = None
) -> dict[str, Any]:
    """The status of a campaign from its state and, where one is at work, its workers."""
    return {
        "campaign": spec.name,
        "at": utc_now(),
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "condition": condition(state),
        "clock": spec.clock,
        "hour": state.now_h,
        "policy": state.policy,
        "goal": state.goal.model_dump(mode="json"),
        "budget": state.budget.model_dump(mode="json"),
        "spent_credits": state.spent_credits,
        "committed_credits": state.committed_credits,
        "samples_begun": state.samples_begun,
        "decisions": state.decisions,
        "results": len(state.observations),
        "recommendation": _dumped(state.recommendation),
        "at_work": [_job(i) for i in state.at_work.values()],
        "awaiting": [
            {
                **_job(state.running[k]),
                "reason": w.reason,
                "deadline": w.deadline,
                "at_timeout": state.autonomy.at_timeout,
            }
            for k, w in state.awaiting.items()
        ],
        "questions": [
            {**_job(state.running[k]), "question": q.question, "until_h": q.until_h}
            for k, q in state.questions.items()
        ],
        "alerts": state.alerts,
        "agents": {name: h.model_dump(mode="json") for name, h in (health or {}).items()},
    }


def _job(issued: Issued) -> dict[str, Any]:
    return {
        "action": issued.action.id,
        "step": issued.action.step,
        "target": issued.action.target.label,
        "worker": issued.worker,
        "since_h": issued.hour,
        "most_credits": issued.commitment.credits,
        "most_hours": issued.commitment.hours,
        "session": issued.action.session,
    }


def _dumped(record: Any) -> Any:
    return None if record is None else record.model_dump(mode="json")


def read_status(folder: RunFolder, spec: CampaignSpec) -> dict[str, Any]:
    """The status of a run: what its process told last, or, without one, what its journal says.

    ``process`` says who is at work, None if nobody is.
    """
    holder = folder.holder()
    told: dict[str, Any] | None = None
    if holder is not None:
        try:
            told = json.loads(folder.status_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            told = None
    if told is None:
        with Journal(folder.journal_path, read_only=True) as journal:
            state = replay(spec.initial_state(), journal.events())
        told = status_of(spec, state) | {"at": None, "pid": None, "host": None}
        if state.stopped is None and holder is None:
            told["condition"] = f"interrupted ({told['condition']}); take it up with run --resume"
    return told | {"process": holder}
