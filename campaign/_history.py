"""The history of a run: its events sorted for reading, in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..workflow import (
    Action,
    Assessed,
    Commanded,
    Decided,
    Event,
    Issued,
    Observation,
    Observed,
    Refused,
    Resumed,
    Started,
    Stopped,
    Workflow,
)


@dataclass(frozen=True)
class Job:
    """An action that was given to a worker, with what came back, if it has."""

    action: Action
    level: int
    worker: str
    issued_h: float
    observation: Observation | None = None


@dataclass
class History:
    """What happened, by kind; ``jobs`` in the order in which they were issued."""

    spec: dict[str, Any] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    assessed: list[Assessed] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    commanded: list[Commanded] = field(default_factory=list)
    resumed_h: list[float] = field(default_factory=list)
    stopped: Stopped | None = None
    now_h: float = 0.0

    @classmethod
    def of(cls, events: Iterable[Event], workflow: Workflow) -> History:
        """Sort events."""
        history = cls()
        place: dict[str, int] = {}
        for event in events:
            history.now_h = max(history.now_h, event.hour)
            match event:
                case Started():
                    history.spec = event.spec
                case Decided():
                    history.decided.append(event)
                case Refused():
                    history.refused.append(event)
                case Issued() if event.action.id not in place:
                    place[event.action.id] = len(history.jobs)
                    level = int(workflow.step(event.action.step).level)
                    history.jobs.append(Job(event.action, level, event.worker, event.hour))
                case Observed():
                    index = place[event.observation.action_id]
                    job = history.jobs[index]
                    history.jobs[index] = Job(
                        job.action, job.level, job.worker, job.issued_h, event.observation
                    )
                case Assessed():
                    history.assessed.append(event)
                case Commanded():
                    history.commanded.append(event)
                case Resumed():
                    history.resumed_h.append(event.hour)
                case Stopped():
                    history.stopped = event
                case _:
                    pass
        return history

    @property
    def finished(self) -> list[Job]:
        """Jobs whose result, or failure, has come back."""
        return [job for job in self.jobs if job.observation is not None]
