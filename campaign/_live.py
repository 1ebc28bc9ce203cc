"""The live view: who does what at each level, what is spent, what is best, and why."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..workflow import Decision, State
from ._palette import LEVEL_COLORS
from ._status import condition
from ._wording import (
    LEVEL_TITLES,
    amount,
    answer_text,
    decision_text,
    goal_text,
    hours_text,
)

_REFRESH_PER_S = 4.0


@dataclass(frozen=True)
class _Agent:
    level: int
    worker: str
    doing: str
    target: str = ""
    since_h: float | None = None


@dataclass(frozen=True)
class _Snapshot:
    """What is shown, copied from the state, so that drawing never meets a half-changed one."""

    goal: str = ""
    now_h: float = 0.0
    bars: tuple[tuple[str, float, float | None, str], ...] = ()
    agents: tuple[_Agent, ...] = ()
    sessions: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    best: str = "nothing yet"
    last: str = ""
    reason: str = ""
    stopped: str | None = None
    condition: str = "running"
    counts: tuple[int, int] = field(default=(0, 0))


@final
class LiveView:
    """Shows a campaign while it runs; use it in a ``with`` statement.

    On a terminal it redraws at most four times a second, in its own thread, from a small copy that
    :meth:`update` makes. Elsewhere (a file, a pipe) it writes a line now and then.

    Parameters
    ----------
    title
        What stands above: the campaign's name.
    console
        Where to; standard error is a good choice where standard output carries results.
    line_every_s
        Least time between two lines where there is no terminal.
    """

    def __init__(
        self, title: str = "", console: Console | None = None, *, line_every_s: float = 10.0
    ) -> None:
        self._title = title
        self._console = console or Console()
        self._line_every_s = line_every_s
        self._shown = _Snapshot()
        self._last_line_s = float("-inf")
        self._written: _Snapshot | None = None
        self._live: Live | None = None

    def __enter__(self) -> LiveView:
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=lambda: draw(self._shown, self._title),
                console=self._console,
                refresh_per_second=_REFRESH_PER_S,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        elif self._shown is not self._written and self._shown.goal:
            self._write_line()

    def update(self, state: State, decision: Decision | None = None) -> None:
        """Take note of a state and of the last decision; returns at once."""
        self._shown = _snapshot(state, decision or state.last_decision)
        due = time.monotonic() - self._last_line_s >= self._line_every_s
        if self._live is None and due:
            self._write_line()

    def say(self, text: str) -> None:
        """Print a line above the view."""
        self._console.print(text, markup=False, highlight=False)

    def _write_line(self) -> None:
        self._last_line_s, self._written = time.monotonic(), self._shown
        s = self._shown
        spent = ", ".join(f"{amount(done)} {name}" for name, done, _, _ in s.bars)
        end = f"; stopped: {s.stopped}" if s.stopped else ""
        self._console.print(
            f"{spent}; best {s.best}; last {s.last}{end}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _snapshot(state: State, decision: Decision | None) -> _Snapshot:
    best = "nothing yet"
    found = state.recommendation
    if found is not None:
        best = answer_text(found)
    return _Snapshot(
        goal=goal_text(state.goal),
        now_h=state.now_h,
        bars=_bars(state),
        agents=_agents(state),
        sessions=_sessions(state),
        questions=_questions(state),
        best=best,
        last="" if decision is None else f"#{decision.number} {decision_text(decision)}",
        reason="" if decision is None else decision.reason,
        stopped=state.stopped,
        condition=condition(state),
        counts=(state.decisions, len(state.observations)),
    )


def _bars(state: State) -> tuple[tuple[str, float, float | None, str], ...]:
    committed = state.committed_credits
    more = f" + {amount(committed)} committed" if committed else ""
    rows = [
        ("credits", state.spent_credits, state.budget.credits, more),
        ("hours", state.now_h, state.budget.hours, ""),
    ]
    if state.budget.samples is not None:
        rows.append(("samples", float(state.samples_begun), float(state.budget.samples), ""))
    largest = state.largest_dose
    if largest is not None:
        rows.append(("e/Å² on one site", largest[0], state.budget.dose_e_per_A2, ""))
    return tuple(rows)


def _agents(state: State) -> tuple[_Agent, ...]:
    """Every worker at every level for which it offers a step, with what it does there."""
    rows: list[_Agent] = []
    busy: dict[str, set[int]] = {}
    running: dict[tuple[int, str], list[_Agent]] = {}
    for item in state.running.values():
        level = int(state.workflow.step(item.action.step).level)
        busy.setdefault(item.worker, set()).add(level)
        waits = item.action.id in state.awaiting
        asked = item.action.id in state.questions
        why = ": waits for approval" if waits else ": nobody knows whether it was done"
        doing = _Agent(
            level,
            item.worker,
            item.action.step + why * (waits or asked),
            item.action.target.label,
            item.hour,
        )
        running.setdefault((level, item.worker), []).append(doing)
    for level in LEVEL_TITLES:
        needs = {s.needs for s in state.workflow.steps if s.level == level}
        able = {w for need in needs for w in state.offers.get(need, ())}
        able |= {worker for at, worker in running if at == level}
        for worker in sorted(able):
            elsewhere = ", ".join(f"level {n}" for n in sorted(busy.get(worker, ())))
            idle = _Agent(int(level), worker, f"at {elsewhere}" if elsewhere else "idle")
            rows += running.get((int(level), worker), [idle])
    return tuple(rows)


def _sessions(state: State) -> tuple[str, ...]:
    return tuple(
        f"{name} on {s.grant.sample}: {amount(s.spent_credits)} of {amount(s.grant.credits)}"
        f" credits, {hours_text(state.now_h - s.opened_h)} of {hours_text(s.grant.hours)},"
        f" stops below {amount(s.grant.reservation_rate)} per credit"
        for name, s in state.open_sessions().items()
    )


def _questions(state: State) -> tuple[str, ...]:
    return tuple(
        f"{action}: {asked.question} (until {hours_text(asked.until_h)};"
        f" probewise answer RUN {action} done|done_without_result|not_done|unknown)"
        for action, asked in state.questions.items()
    )


def draw(shown: _Snapshot, title: str) -> RenderableType:
    """A snapshot as a panel."""
    facts = Table.grid(padding=(0, 1))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(ratio=1)
    facts.add_row("Best", Text(shown.best, style="bold green"))
    for number, session in enumerate(shown.sessions):
        facts.add_row("" if number else "Sessions", Text(session))
    for number, question in enumerate(shown.questions):
        facts.add_row("" if number else "Asked", Text(question, style="bold yellow"))
    facts.add_row("Last", Text(shown.last, style="cyan"))
    facts.add_row("Because", Text(shown.reason))
    if shown.stopped:
        facts.add_row("Stopped", Text(shown.stopped, style="bold"))
    elif shown.condition != "running":
        facts.add_row("State", Text(shown.condition, style="bold"))
    name = f"[bold]{escape(title)}[/] {escape(shown.goal)}".strip()
    count = f"{shown.counts[0]} decisions, {shown.counts[1]} results"
    body = Group(_agent_table(shown), Text(), _bar_table(shown), Text(), facts)
    return Panel(body, title=name, title_align="left", subtitle=count, subtitle_align="right")


def _agent_table(shown: _Snapshot) -> Table:
    table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
    for column, ratio in (("level", 2), ("agent", 2), ("doing", 3), ("on", 4)):
        table.add_column(column, ratio=ratio, no_wrap=True, overflow="ellipsis")
    table.add_column("for", justify="right", width=8, no_wrap=True)
    before = None
    for agent in shown.agents:
        color = LEVEL_COLORS[agent.level]
        label = "" if agent.level == before else f"{agent.level} {LEVEL_TITLES[agent.level]}"
        before = agent.level
        active = agent.since_h is not None
        since = hours_text(max(0.0, shown.now_h - (agent.since_h or 0.0))) if active else ""
        table.add_row(
            Text(label, style=f"bold {color}"),
            Text(agent.worker),
            Text(agent.doing, style=color if active else "dim"),
            Text(agent.target),
            Text(since),
        )
    return table


def _bar_table(shown: _Snapshot) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(no_wrap=True, justify="right")
    for name, done, limit, more in shown.bars:
        if limit:
            bar: RenderableType = ProgressBar(total=limit, completed=min(done, limit))
            table.add_row(name, bar, f"{amount(done)}{more} of {amount(limit)}")
        else:
            table.add_row(name, "", f"{amount(done)}{more}, no limit")
    return table
