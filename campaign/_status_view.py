"""The status of a campaign for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..workflow import Goal, Recommendation
from ._wording import amount, design_text, goal_text, hours_text, with_error

_GOAL: TypeAdapter[Goal] = TypeAdapter(Goal)
_SILENT_S = 30.0
_STYLES = {"silent": "bold yellow", "dead": "bold red"}


def status_view(status: Mapping[str, Any]) -> RenderableType:
    """Condition, money, what runs, what waits for a word, and how the agents are."""
    parts: list[RenderableType] = [_head(status)]
    if status["awaiting"]:
        parts.append(_awaiting(status))
    if status["questions"]:
        parts.append(_questions(status))
    if status["at_work"]:
        parts.append(_at_work(status))
    if status["agents"]:
        parts.append(_agents(status))
    for message in list(status["alerts"].values())[-5:]:
        parts.append(Text(f"alert: {message}", style="yellow"))
    return Group(*parts)


def _head(status: Mapping[str, Any]) -> Table:
    table = Table(show_header=False, title=status["campaign"], title_justify="left", box=None)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    budget = status["budget"]
    credits = f"{amount(status['spent_credits'])} spent"
    if status["committed_credits"]:
        credits += f", {amount(status['committed_credits'])} committed"
    if budget["credits"] is not None:
        credits += f", of {amount(budget['credits'])}"
    hours = hours_text(status["hour"])
    if budget["hours"] is not None:
        hours += f" of {hours_text(budget['hours'])}"
    rows = [
        ("condition", status["condition"]),
        ("process", _process(status)),
        ("goal", f"{goal_text(_GOAL.validate_python(status['goal']))}, by {status['policy']}"),
        ("credits", credits),
        ("time", f"{hours} ({status['clock']} clock)"),
        ("so far", f"{status['decisions']} decisions, {status['results']} results"),
    ]
    if status["recommendation"]:
        found = Recommendation.model_validate(status["recommendation"])
        where = design_text(found.design) or f"position {found.position}"
        rows.append(("best", f"{with_error(found.estimate, found.unit)} at {where}"))
    for row in rows:
        table.add_row(row[0], Text(row[1]))
    return table


def _process(status: Mapping[str, Any]) -> str:
    if status.get("process") is None:
        return "none is at work"
    age = _age(status["at"])
    if age is None:
        return str(status["process"])
    silent = ", which is long: it decides, or hangs" if age > _SILENT_S else ""
    return f"{status['process']}; last sign of life {age:.0f} s ago{silent}"


def _age(at: str | None) -> float | None:
    if at is None:
        return None
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds())


def _awaiting(status: Mapping[str, Any]) -> Table:
    table = _table("Waiting for approval", "action", "what", "on", "at most", "because", "until")
    for job in status["awaiting"]:
        price = f"{amount(job['most_credits'])} credits, {hours_text(job['most_hours'])}"
        until = f"{job['deadline']}, then {job['at_timeout']}"
        table.add_row(job["action"], job["step"], job["target"], price, job["reason"], until)
    return table


def _questions(status: Mapping[str, Any]) -> Table:
    table = _table("Waiting for an answer", "action", "question", "until")
    for job in status["questions"]:
        table.add_row(job["action"], job["question"], hours_text(job["until_h"]))
    return table


def _at_work(status: Mapping[str, Any]) -> Table:
    table = _table("At work", "action", "what", "on", "by", "since")
    for job in status["at_work"]:
        since = f"{job['since_h']:.2f} h"
        table.add_row(job["action"], job["step"], job["target"], job["worker"], since)
    return table


def _agents(status: Mapping[str, Any]) -> Table:
    table = _table("Agents", "agent", "condition", "busy", "waiting", "process", "last answer")
    for name, health in status["agents"].items():
        condition = str(health["condition"])
        age = _age(health["last_answer"])
        table.add_row(
            name,
            Text(condition, style=_STYLES.get(condition, "")),
            str(health["busy"]),
            str(health["waiting"]),
            str(health["pid"] or "-"),
            "-" if age is None else f"{age:.0f} s ago",
        )
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
