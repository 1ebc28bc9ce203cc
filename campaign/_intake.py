"""The intake: results are waited for and taken in, in the order of campaign time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import final

from ..agents import Runtime
from ..workflow import Clock, DiskError, Event, Failure, Issued, Observation, Observed
from ._decider import Decider, is_informative
from ._desk import Desk
from ._reconcile import Reconciler
from ._recorder import Recorder

_POLL_S = 0.25


@final
class Intake:
    """Takes results in.

    Parameters
    ----------
    recorder, decider, runtime, clock, reconciler, desk
        The loop's.
    """

    def __init__(
        self,
        recorder: Recorder,
        decider: Decider,
        runtime: Runtime,
        clock: Clock,
        reconciler: Reconciler,
        desk: Desk,
    ) -> None:
        self._state = recorder.state
        self._recorder, self._decider, self._runtime = recorder, decider, runtime
        self._clock, self._reconciler, self._desk = clock, reconciler, desk
        self._due: list[Observation] = []

    def wait(self) -> Iterator[Event]:
        """Wait until there is a result, or a word from people; take it in."""
        while not (found := self._next()):
            before = len(self._state.questions)
            if before:
                yield from self._reconciler.end_questions()
            if (yield from self._desk.heed()) or len(self._state.questions) != before:
                return
        yield from self._take_in(found)

    def idle(self) -> None:
        """A moment in which only people are waited for."""
        time.sleep(_POLL_S)

    def cut_off(self, reason: str) -> Iterator[Event]:
        """End what runs, and note that nobody knows what became of it."""
        self._runtime.halt()
        self._due = []
        hour = self._recorder.hour()
        yield from self._recorder.record(
            *(
                Observed(hour=hour, observation=_cut_off(i, hour, reason))
                for i in self._state.at_work.values()
            )
        )

    def _take_in(self, found: list[Observation]) -> Iterator[Event]:
        """Journal results; of what a worker died over, find out first what became of it."""
        ready: list[Observation] = []
        for observation in found:
            if self._reconciler.is_lost(observation):
                yield from self._reconciler.after_a_loss(observation)
            else:
                ready.append(observation)
                self._clock.advance_to(observation.end_h)
        hour = max([self._recorder.hour(), *(o.end_h for o in ready)])
        yield from self._recorder.record(*(Observed(hour=hour, observation=o) for o in ready))
        for observation in ready:
            _check_kept(observation)
        if any(map(is_informative, ready)):
            yield from self._decider.assess()

    def _next(self) -> list[Observation]:
        """The next in the order of campaign time (virtual), or all that are finished (real)."""
        known = self._reconciler.found()
        at_work = self._state.at_work.keys()
        if not known and not at_work - self._state.questions.keys():
            self.idle()
            return []
        if not self._clock.virtual:
            timeout_s = 0.0 if known else _POLL_S
            return known + self._runtime.collect(everything=False, timeout_s=timeout_s)
        self._due += known + self._runtime.collect(everything=True, timeout_s=_POLL_S)
        if not at_work <= {o.action_id for o in self._due}:
            return []
        self._due.sort(key=lambda o: (o.end_h, o.action_id))
        ready, self._due = self._due[:1], self._due[1:]
        return ready


def _cut_off(issued: Issued, hour: float, reason: str) -> Observation:
    """What is known of an action that was ended in the middle: that it may be charged in full."""
    return Observation(
        action_id=issued.action.id,
        worker=issued.worker,
        cost_credits=issued.commitment.credits,
        dose_e_per_A2=issued.commitment.dose_e_per_A2,
        queued_h=issued.hour,
        start_h=issued.hour,
        end_h=max(hour, issued.hour),
        failure=Failure(
            kind="uncertain",
            message=reason,
            remedy="look at the instrument; the action is charged at its cap",
        ),
    )


def _check_kept(observation: Observation) -> None:
    """Measuring on while nothing can be kept would only spend.

    Raises
    ------
    DiskError
        If the disk refused what was measured.
    """
    failure = observation.failure
    if failure is not None and failure.kind == "not_kept":
        raise DiskError(
            f"action {observation.action_id!r} on {observation.worker!r}",
            failure.message,
            "a disk that takes what is measured",
            failure.remedy or "make room or mend the disk, then resume the run",
        )
