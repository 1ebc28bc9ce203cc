"""Structured logs: one JSON object per line, with the ids of campaign, run, decision and action."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from ..workflow import (
    Alerted,
    Assessed,
    Awaiting,
    Commanded,
    Decided,
    Event,
    Issued,
    Observed,
    Refused,
    Resumed,
    State,
    Stopped,
)
from ._redact import redact
from ._wording import decision_text, resumed_text, with_error

_log = logging.getLogger("probewise.events")
_ROOT = logging.getLogger("probewise")


@final
class JsonFormatter(logging.Formatter):
    """Time (UTC), level, logger and message; what a record carries as ``ids``; an error's text."""

    def __init__(self, campaign: str) -> None:
        super().__init__()
        self._campaign = campaign

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "campaign": self._campaign,
            "message": redact(record.getMessage()),
        }
        said |= getattr(record, "ids", {})
        if record.exc_info:
            said["error"] = redact(self.formatException(record.exc_info))
        return json.dumps(said, ensure_ascii=False, default=str)


@final
class EventLog:
    """Writes what happens, and what the program itself has to say, as JSON lines.

    An observer of a campaign. What workers say in processes of their own is in the logs of these.

    Parameters
    ----------
    target
        A file, which is appended to, or ``-`` for the error stream.
    campaign
        The campaign's name.
    """

    def __init__(self, target: str, campaign: str) -> None:
        self._handler: logging.Handler = (
            logging.StreamHandler(sys.stderr)
            if target == "-"
            else logging.FileHandler(Path(target), encoding="utf-8")
        )
        self._handler.setFormatter(JsonFormatter(campaign))
        self._before = _ROOT.level
        _ROOT.addHandler(self._handler)
        _ROOT.setLevel(logging.INFO)
        self._actions: dict[str, dict[str, Any]] = {}

    def __call__(self, event: Event, state: State) -> None:
        ids: dict[str, Any] = {"kind": event.kind, "hour": round(event.hour, 6)}
        level, message, more = self._told(event, state)
        _log.log(level, message, extra={"ids": ids | more})

    def close(self) -> None:
        _ROOT.removeHandler(self._handler)
        _ROOT.setLevel(self._before)
        self._handler.close()

    def _told(self, event: Event, state: State) -> tuple[int, str, dict[str, Any]]:
        match event:
            case Decided(decision=d):
                for action in d.actions:
                    self._actions[action.id] = {
                        "action": action.id,
                        "decision": d.number,
                        "step": action.step,
                        "session": action.session,
                    }
                ids = {"decision": d.number, "actions": [a.id for a in d.actions]}
                return logging.INFO, f"{decision_text(d)}: {d.reason}", ids
            case Issued(action=action, worker=worker) | Awaiting(action=action, worker=worker):
                ids = self._ids(action.id) | {"worker": worker}
                text = f"{action.step} on {action.target.label}"
                return logging.INFO, text, ids | {"credits": event.commitment.credits}
            case Observed(observation=o):
                self._actions.setdefault(o.action_id, {"action": o.action_id})
                ids = self._actions.pop(o.action_id) | {"worker": o.worker}
                ids |= {"credits": o.cost_credits, "hours": o.duration_h}
                if o.failure is not None:
                    text = f"{o.failure.kind}: {o.failure.message}"
                    return logging.WARNING, text, ids | {"failure": o.failure.kind}
                return logging.INFO, "done", ids
            case Refused():
                ids = self._ids(event.action_id) | {"by": event.by}
                return logging.WARNING, f"refused by {event.by}: {event.reason}", ids
            case Commanded(message=m):
                ids = {"who": m.who, "order": m.order.verb, "accepted": event.accepted}
                return logging.INFO, f"{m.order.verb} by {m.who}: {event.answer}", ids
            case Alerted():
                return logging.WARNING, event.message, {"about": event.about}
            case Assessed(recommendation=r):
                text = f"recommended: {with_error(r.estimate, r.unit)}"
                return logging.INFO, text, {"spent_credits": event.credits}
            case Resumed():
                return logging.INFO, resumed_text(state), {"observations": len(state.observations)}
            case Stopped():
                return logging.INFO, f"ended: {event.reason}", {}
            case _:
                return logging.INFO, event.kind, {}

    def _ids(self, action_id: str) -> dict[str, Any]:
        return dict(self._actions.get(action_id, {"action": action_id}))
