"""Why a decision was taken: its worth, its price, what else there was, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..workflow import (
    Action,
    Answered,
    Approve,
    Asked,
    Awaiting,
    Commanded,
    Decided,
    Decision,
    Deny,
    Estimate,
    Event,
    Inquired,
    Issued,
    Observation,
    Observed,
    Order,
    Refused,
    SpecError,
    Started,
    Workflow,
)
from ._command_table import command_table
from ._wording import (
    FATES,
    amount,
    decision_text,
    hours_text,
    overrun_text,
    pretty_unit,
    with_error,
)

_SHOWN = 5


def explain(events: Iterable[Event], k: int) -> RenderableType:
    """Decision number ``k`` (they count from 0) for the terminal.

    Raises
    ------
    SpecError
        If there is no such decision.
    """
    listed = list(events)
    decided = {e.decision.number: e for e in listed if isinstance(e, Decided)}
    if k not in decided:
        allowed = (
            f"{min(decided)} to {max(decided)}" if decided else "none: nothing was decided yet"
        )
        raise SpecError(
            "explain", f"decision {k}", allowed, "give the number of a decision of this run"
        )
    event = decided[k]
    workflow = _workflow_of(listed)
    parts: list[RenderableType] = [_head(event), _price(event.decision)]
    parts += _grant(event.decision)
    parts += _alternatives(event.decision)
    parts += _outcome(event.decision, listed, workflow)
    return Group(*parts)


def _head(event: Decided) -> Text:
    decision = event.decision
    text = Text()
    text.append(f"Decision {decision.number}", style="bold")
    text.append(f" of the {decision.tier} tier at {event.hour:.2f} h: ")
    text.append(decision_text(decision), style="bold cyan")
    text.append("\nBecause ", style="dim")
    text.append(decision.reason)
    return text


def _price(decision: Decision) -> Table:
    table = _table(
        "What it was worth", "value (unit of the goal)", "price (credits)", "value per credit"
    )
    table.add_row(amount(decision.value), amount(decision.price_credits), amount(decision.index))
    for action in decision.actions[1:]:
        table.caption = f"with {action.step} on {action.target.label} at once"
    return table


def _grant(decision: Decision) -> list[RenderableType]:
    grant = decision.grant
    if grant is None:
        return []
    table = _table(
        "What the session was granted", "session", "sample", "credits", "hours", "stop below"
    )
    table.add_row(
        grant.session,
        grant.sample,
        amount(grant.credits),
        amount(grant.hours),
        f"{amount(grant.reservation_rate)} per credit",
    )
    return [table]


def _alternatives(decision: Decision) -> list[RenderableType]:
    if not decision.alternatives:
        return [Text("There was no alternative.", style="dim")]
    best = sorted(decision.alternatives, key=lambda a: a.index, reverse=True)
    table = _table("What was not done", "alternative", "value", "price", "value per credit")
    for other in best[:_SHOWN]:
        table.add_row(
            other.label, amount(other.value), amount(other.price_credits), amount(other.index)
        )
    if len(best) > _SHOWN:
        table.caption = f"and {len(best) - _SHOWN} more, each worth less per credit"
    return [table]


def _outcome(
    decision: Decision, events: list[Event], workflow: Workflow | None
) -> list[RenderableType]:
    refused = {e.action_id: e for e in events if isinstance(e, Refused)}
    observed = {e.observation.action_id: e.observation for e in events if isinstance(e, Observed)}
    came: dict[str, Estimate] = {}
    notes: list[RenderableType] = []
    for action in decision.actions:
        if action.id in refused:
            notes += _people(action, events)
            no = refused[action.id]
            notes.append(Text(f"{action.step}: refused by {no.by}: {no.reason}"))
            continue
        notes += _people(action, events)
        notes += _fate(action, events)
        result = observed.get(action.id)
        if result is None:
            notes.append(
                Text(f"{action.step}: still running, or lost with the process", style="dim")
            )
            continue
        came |= result.values
        charge = f"{amount(result.cost_credits)} credits and {hours_text(result.duration_h)}"
        if result.failure is not None:
            fault = f"{result.failure.kind}: {result.failure.message}"
            notes.append(Text(f"{action.step} on {result.worker} failed for {charge}: {fault}"))
            notes += _partial(result)
        else:
            notes.append(Text(f"{action.step} on {result.worker} took {charge}."))
        if result.overrun:
            over = f"{overrun_text(result.overrun)} beyond what was committed"
            notes.append(Text(over, style="yellow"))
        if result.quality is not None:
            said = f"quality: {result.quality.verdict} (score {result.quality.score:.2f})"
            notes.append(Text(f"{said} {result.quality.reason}".strip()))
        if result.commands:
            notes.append(command_table(result.commands))
    later = _later(decision, [n for n in decision.expected if n not in came], events)
    return [*_comparison(decision.expected, came | later, workflow, list(later)), *notes]


def _partial(failed: Observation) -> list[RenderableType]:
    """Where that lies which came before a failure, and what of it could not be kept."""
    said: list[RenderableType] = []
    if failed.arrays:
        what = ", ".join(f"{name} {ref.shape}" for name, ref in failed.arrays.items())
        files = ", ".join(sorted({ref.file for ref in failed.arrays.values()}))
        said.append(Text(f"what came before is kept in {files}, and used by nobody: {what}"))
    if "left_out" in failed.notes:
        said.append(Text(f"not kept: {failed.notes['left_out']}", style="yellow"))
    return said


def _people(action: Action, events: list[Event]) -> list[RenderableType]:
    """That it waited for approval, and who approved or denied it."""
    said: list[RenderableType] = []
    for event in events:
        match event:
            case Awaiting() if event.action.id == action.id:
                said.append(Text(f"{action.step} waited for approval: {event.reason}"))
            case Commanded(accepted=True, message=m) if said and _names(m.order, action.id):
                said.append(Text(f"{m.order.verb} by {m.who} at {m.said}"))
            case Issued() if event.action.id == action.id:
                return said
            case Refused() if event.action_id == action.id:
                return said
            case _:
                pass
    return said


def _fate(action: Action, events: list[Event]) -> list[RenderableType]:
    """After a crash: who was asked what became of it, and what was said."""
    said: list[RenderableType] = []
    for event in events:
        match event:
            case Inquired() if event.action_id == action.id:
                fate = FATES[event.fate]
                said.append(Text(f"{action.step}: {fate}, says {event.by}; {event.note}"))
            case Asked() if event.action_id == action.id:
                until = hours_text(event.until_h)
                said.append(Text(f"asked until {until}: {event.question}", style="yellow"))
            case Answered() if event.action_id == action.id:
                note = f" ({event.note})" * bool(event.note)
                said.append(Text(f"answered by {event.by}: {FATES[event.fate]}{note}"))
            case _:
                pass
    return said


def _names(order: Order, action_id: str) -> bool:
    return isinstance(order, Approve | Deny) and bool({action_id, "all"} & set(order.actions))


def _later(decision: Decision, names: list[str], events: list[Event]) -> dict[str, Estimate]:
    """First values of quantities that follow-up steps found where the decision's actions were."""
    places = {(a.target.sample, a.target.site) for a in decision.actions if a.target.sample}
    actions: dict[str, Action] = {}
    found: dict[str, Estimate] = {}
    after = False
    for event in events:
        match event:
            case Decided():
                after = after or event.decision.number == decision.number
            case Issued():
                actions[event.action.id] = event.action
            case Observed() if after and event.observation.action_id in actions:
                target = actions[event.observation.action_id].target
                if (target.sample, target.site) in places:
                    new = {k: v for k, v in event.observation.values.items() if k in names}
                    found = new | found
            case _:
                pass
    return found


def _comparison(
    expected: dict[str, Estimate],
    came: dict[str, Estimate],
    workflow: Workflow | None,
    later: list[str],
) -> list[RenderableType]:
    names = list(dict.fromkeys([*expected, *came]))
    if not names:
        return []
    table = _table("What was expected, and what came", "quantity", "expected", "came", "z")
    for name in names:
        unit = _unit_of(name, workflow)
        before, after = expected.get(name), came.get(name)
        table.add_row(
            f"{name} [{pretty_unit(unit)}]" if pretty_unit(unit) else name,
            "-" if before is None else with_error(before),
            "-" if after is None else with_error(after),
            "-" if before is None or after is None else z_text(before, after),
        )
    table.caption = "z: (came - expected) in standard deviations of both; beyond 3 is a surprise"
    if later:
        table.caption += f"\n{', '.join(later)}: found by a later step at the same place"
    return [table]


def z_score(expected: Estimate, came: Estimate) -> float | None:
    """How far a result lies from its expectation, in standard deviations; None if both exact."""
    spread = (expected.std**2 + came.std**2) ** 0.5
    return (came.value - expected.value) / spread if spread > 0 else None


def z_text(expected: Estimate, came: Estimate) -> str:
    z = z_score(expected, came)
    return "-" if z is None else f"{z:+.1f}"


def _unit_of(name: str, workflow: Workflow | None) -> str:
    try:
        return "1" if workflow is None else workflow.unit(name)
    except SpecError:
        return "1"


def _workflow_of(events: list[Event]) -> Workflow | None:
    """The workflow as it stands in the journal, for units."""
    spec = next((e.spec for e in events if isinstance(e, Started)), {})
    return Workflow.model_validate(spec["workflow"]) if "workflow" in spec else None


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        caption_style="dim",
        box=SIMPLE_HEAD,
        pad_edge=False,
        min_width=64,
    )
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", overflow="fold")
    return table
