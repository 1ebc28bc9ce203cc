"""What is tracked: events as parameters, metrics and tags of a parent run and its nested runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, final

from ..workflow import Action, Assessed, Decided, Event, Issued, Observed, Started, Stopped

PARENT = ""


@dataclass(frozen=True)
class Entry:
    """Something to be said of one run.

    ``run`` is ``""`` (the execution), ``sample/<id>`` or ``session/<id>``; ``metrics`` are (name,
    value, step). A run begins where it is first named; ``ends`` says that nothing more follows.
    """

    run: str
    metrics: tuple[tuple[str, float, int], ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    ends: bool = False


Batch = list[tuple[int, list[Entry]]]
"""Entries of events, with the number of each event."""


@final
class Entries:
    """A fold over the journal that turns each event into entries.

    Curves are given against both prices: ``best_vs_cost`` and ``best_std_vs_cost`` have round
    credits as their step; ``best_vs_minutes``, ``spent_credits``, ``decisions`` and everything in
    nested runs the minutes of the campaign.
    """

    def __init__(self) -> None:
        self._actions: dict[str, Action] = {}
        self._spent: dict[str, float] = {}
        self._failures = 0

    def take(self, event: Event) -> Iterator[Entry]:
        """Entries of the next event."""
        minutes = round(event.hour * 60.0)
        match event:
            case Started():
                yield Entry(PARENT, params=_parameters(event.spec), tags={"version": event.version})
            case Decided():
                yield from self._decided(event, minutes)
            case Issued():
                self._actions[event.action.id] = event.action
                sample = event.action.target.sample
                if sample is not None and f"sample/{sample}" not in self._spent:
                    self._spent[f"sample/{sample}"] = 0.0
                    yield Entry(
                        f"sample/{sample}", params=_flat("design", event.action.target.design)
                    )
            case Observed():
                yield from self._observed(event, minutes)
            case Assessed():
                best = event.recommendation.estimate
                step = round(event.credits)
                metrics = (
                    ("best_vs_cost", best.value, step),
                    ("best_std_vs_cost", best.std, step),
                    ("best_vs_minutes", best.value, minutes),
                    ("best_std_vs_minutes", best.std, minutes),
                )
                yield Entry(PARENT, metrics)
            case Stopped():
                yield Entry(PARENT, tags={"stop_reason": event.reason})
            case _:
                pass

    def _decided(self, event: Decided, minutes: int) -> Iterator[Entry]:
        decision = event.decision
        yield Entry(PARENT, (("decisions", float(decision.number + 1), minutes),))
        grant = decision.grant
        if grant is not None:
            given = {"credits": grant.credits, "hours": grant.hours}
            yield Entry(
                f"session/{grant.session}",
                (("reservation_rate", grant.reservation_rate, minutes),),
                {"sample": grant.sample} | _flat("grant", given),
            )
        if decision.kind == "close" and decision.session is not None:
            yield Entry(
                f"session/{decision.session}", tags={"closed_because": decision.reason}, ends=True
            )

    def _observed(self, event: Observed, minutes: int) -> Iterator[Entry]:
        seen = event.observation
        action = self._actions.get(seen.action_id)
        runs = [PARENT]
        if action is not None and action.session is not None:
            runs.append(f"session/{action.session}")
        if action is not None and action.target.sample is not None:
            runs.append(f"sample/{action.target.sample}")
        for run in runs:
            self._spent[run] = self._spent.get(run, 0.0) + seen.cost_credits
            metrics = [("spent_credits", self._spent[run], minutes)]
            if run.startswith("sample/"):
                metrics += [(name, e.value, minutes) for name, e in seen.values.items()]
            yield Entry(run, tuple(metrics))
        if seen.failure is not None:
            self._failures += 1
            yield Entry(PARENT, (("failures", float(self._failures), minutes),))


def _parameters(spec: Mapping[str, Any]) -> dict[str, str]:
    params: dict[str, str] = {}
    for name in ("seed", "policy", "clock", "truth", "goal", "budget"):
        value = spec.get(name)
        if isinstance(value, Mapping):
            params |= _flat(name, value)
        elif value is not None:
            params[name] = str(value)
    return params


def _flat(name: str, values: Mapping[str, Any]) -> dict[str, str]:
    return {f"{name}.{k}": str(v) for k, v in values.items() if v is not None}
