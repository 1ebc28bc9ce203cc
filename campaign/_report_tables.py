"""Tables of the report: sessions, decisions with their reasons, failures and quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..workflow import Decided, State
from ._history import History, Job
from ._wording import amount, decision_text, hours_text, percent

_MOST_ROWS, _FEW = 30, 5


@dataclass(frozen=True)
class Column:
    """A column: its name, and whether it holds words, numbers, phrases or whole sentences."""

    name: str
    kind: Literal["word", "number", "phrase", "sentence"] = "word"


@dataclass(frozen=True)
class Rows:
    """A table of texts; ``empty`` is said where there is no row."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    empty: str
    caption: str = ""


def people_rows(history: History) -> Rows:
    """What people said, and what became of it."""
    rows = [
        (
            f"{e.hour:.2f}",
            e.message.said[:19].replace("T", " "),
            e.message.who,
            e.message.order.verb,
            ("" if e.accepted else "refused: ") + e.answer,
        )
        for e in history.commanded[-_MOST_ROWS:]
    ]
    columns = (
        Column("hour", "number"),
        Column("said (UTC)"),
        Column("by", "phrase"),
        Column("order"),
        Column("answer", "sentence"),
    )
    caption = f"the last {_MOST_ROWS} of {len(history.commanded)}"
    return Rows(
        "What people said",
        columns,
        tuple(rows),
        "Nobody gave an order.",
        caption if len(history.commanded) > _MOST_ROWS else "",
    )


def session_rows(state: State) -> Rows:
    """Sessions: what each was granted, what it used, and why it ended."""
    rows = []
    for name, s in state.sessions.items():
        left = s.grant.credits - s.spent_credits
        hours = (state.now_h if s.closed_h is None else s.closed_h) - s.opened_h
        rows.append(
            (
                name,
                s.grant.sample,
                amount(s.grant.credits),
                amount(s.spent_credits),
                amount(max(left, 0.0)) if s.closed_h is not None else "",
                percent(s.spent_credits / s.grant.credits) if s.grant.credits else "",
                f"{hours_text(hours)} of {hours_text(s.grant.hours)}",
                amount(s.grant.reservation_rate),
                s.reason or ("still open" if s.is_open else ""),
            )
        )
    columns = (
        Column("session"),
        Column("sample"),
        Column("granted", "number"),
        Column("spent", "number"),
        Column("returned", "number"),
        Column("used", "number"),
        Column("time", "number"),
        Column("stop below", "number"),
        Column("closed because", "sentence"),
    )
    caption = "Credits; 'stop below' is the reservation rate: value per credit that others offer."
    return Rows("Sessions", columns, tuple(rows), "No session was opened.", caption)


def decision_rows(history: History, run_name: str) -> Rows:
    """Decisions of the campaign tier: the last ones, and the most valuable of those before.

    A campaign that is little more than one session shows that session's decisions as well.
    """
    tiers = {"campaign"}
    if sum(e.decision.tier == "campaign" for e in history.decided) < _FEW:
        tiers.add("session")
    listed = [e for e in history.decided if e.decision.tier in tiers]
    shown = chosen(listed)
    rows = tuple(
        (
            str(e.decision.number),
            f"{e.hour:.1f}",
            e.decision.tier,
            decision_text(e.decision),
            amount(e.decision.value),
            amount(e.decision.price_credits),
            amount(e.decision.index),
            e.decision.reason,
        )
        for e in shown
    )
    columns = (
        Column("no.", "number"),
        Column("hour", "number"),
        Column("tier"),
        Column("what", "phrase"),
        Column("value", "number"),
        Column("price", "number"),
        Column("per credit", "number"),
        Column("because", "sentence"),
    )
    who = " and ".join(f"the {tier} tier" for tier in sorted(tiers))
    part = "" if len(shown) == len(listed) else f" {len(shown)} of {len(listed)} are shown:"
    part += "" if not part else " the last, and the most valuable of those before."
    caption = (
        f"{len(history.decided)} decisions in all, {len(listed)} of {who}.{part}"
        f" probewise explain {run_name} NUMBER tells all about one of them."
    )
    return Rows("Decisions, and why", columns, rows, "Nothing was decided yet.", caption)


def chosen(listed: Sequence[Decided], most: int = _MOST_ROWS) -> list[Decided]:
    """At most ``most`` decisions: the last half, and the most valuable before them, in order."""
    if len(listed) <= most:
        return list(listed)
    last = list(listed[-(most // 2) :])
    before = sorted(listed[: -len(last)], key=lambda e: -e.decision.value)[: most - len(last)]
    return sorted([*before, *last], key=lambda e: e.decision.number)


def failure_rows(history: History) -> Rows:
    """Failures of actions, and actions that the guardian, the budget or a person refused."""
    rows = [
        (
            job.observation.end_h,
            f"{job.observation.end_h:.1f}",
            job.action.step,
            job.action.target.label,
            job.worker,
            job.observation.failure.kind.replace("_", " "),
            job.observation.failure.message,
            job.observation.failure.remedy,
        )
        for job in history.finished
        if job.observation is not None and job.observation.failure is not None
    ]
    actions = {a.id: a for e in history.decided for a in e.decision.actions}
    for no in history.refused:
        action = actions.get(no.action_id)
        step, where = (action.step, action.target.label) if action else (no.action_id, "")
        rows.append((no.hour, f"{no.hour:.1f}", step, where, no.by, "refused", no.reason, ""))
    rows.sort(key=lambda row: row[0])
    columns = (
        Column("hour", "number"),
        Column("step"),
        Column("on", "phrase"),
        Column("by"),
        Column("what"),
        Column("message", "sentence"),
        Column("remedy", "phrase"),
    )
    shown = tuple(row[1:] for row in rows[-_MOST_ROWS:])
    caption = f"The last {len(shown)} of {len(rows)}." if len(shown) < len(rows) else ""
    return Rows("Failures and refusals", columns, shown, "Nothing failed or was refused.", caption)


def quality_rows(history: History) -> Rows:
    """What the real-time level said: how often each verdict fell at each step, and the last."""
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in history.finished:
        if job.observation is not None and job.observation.quality is not None:
            groups.setdefault((job.action.step, job.observation.quality.verdict), []).append(job)
    rows = []
    for (step, verdict), jobs in sorted(groups.items()):
        scores = [
            j.observation.quality.score for j in jobs if j.observation and j.observation.quality
        ]
        last = jobs[-1].observation
        reason = last.quality.reason if last is not None and last.quality is not None else ""
        mean = sum(scores) / len(scores)
        rows.append((step, verdict, str(len(jobs)), amount(mean), reason))
    columns = (
        Column("step"),
        Column("verdict"),
        Column("times", "number"),
        Column("mean score", "number"),
        Column("last reason", "sentence"),
    )
    return Rows("Verdicts on quality", columns, tuple(rows), "No verdict on quality was given.")
