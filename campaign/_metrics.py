"""Metrics for Prometheus: money, queues, utilization, latencies, failures."""

from __future__ import annotations

import time
from typing import Any, final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from ..workflow import Event, Issued, Observed, SpecError, State

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


@final
class Metrics:
    """Counts what happens; an observer of a campaign, and its watch.

    Everything is in a registry of its own, so that several campaigns in one process do not mix.
    """

    def __init__(self, campaign: str) -> None:
        self.registry = CollectorRegistry()
        self._labels = {"campaign": campaign}
        self._busy_h: dict[str, float] = {}
        self._result_s: float | None = None
        self._server: tuple[Any, Any] | None = None
        self._seconds = Histogram(
            "probewise_seconds",
            "Wall time of decision (the policy alone), dispatch (from asking the policy to the"
            " action's being with its worker), result_to_dispatch (from a result to what is next)",
            ["campaign", "what"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._events = self._counter("probewise_events", "Events by kind", "kind")
        self._done = self._counter("probewise_results", "Results", "worker", "step", "outcome")
        self._queue = self._gauge("probewise_queue", "Actions given to a worker", "worker")
        self._used = self._gauge(
            "probewise_utilization",
            "Share of campaign time at work, per unit of capacity",
            "worker",
        )
        self._credits = self._gauge("probewise_credits", "Credits", "what")
        self._hours = self._gauge("probewise_campaign_hours", "Campaign time in hours")
        self._awaiting = self._gauge("probewise_awaiting_approval", "Actions that wait for people")
        self._paused = self._gauge("probewise_paused", "1 while paused")
        self._decisions = self._gauge("probewise_decisions", "Decisions so far")

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(name, about, ["campaign", *labels], registry=self.registry)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, ["campaign", *labels], registry=self.registry)

    def watch(self, what: str, seconds: float) -> None:
        self._seconds.labels(**self._labels, what=what).observe(seconds)

    def __call__(self, event: Event, state: State) -> None:
        self._events.labels(**self._labels, kind=event.kind).inc()
        match event:
            case Issued():
                if self._result_s is not None:
                    self.watch("result_to_dispatch", time.monotonic() - self._result_s)
                self._result_s = None
            case Observed():
                self._result_s = time.monotonic()
                self._observed(event, state)
            case _:
                pass
        self._levels(state)

    def _observed(self, event: Observed, state: State) -> None:
        found = event.observation
        action = state.actions.get(found.action_id)
        step = "" if action is None else action.step
        outcome = "done" if found.failure is None else found.failure.kind
        self._done.labels(**self._labels, worker=found.worker, step=step, outcome=outcome).inc()
        self._busy_h[found.worker] = self._busy_h.get(found.worker, 0.0) + found.duration_h

    def _levels(self, state: State) -> None:
        for worker, capacity in state.capacity.items():
            self._queue.labels(**self._labels, worker=worker).set(state.load_of(worker))
            if state.now_h > 0:
                share = self._busy_h.get(worker, 0.0) / (state.now_h * capacity)
                self._used.labels(**self._labels, worker=worker).set(share)
        amounts = {"spent": state.spent_credits, "committed": state.committed_credits}
        if state.budget.credits is not None:
            amounts["budget"] = state.budget.credits
        for what, value in amounts.items():
            self._credits.labels(**self._labels, what=what).set(value)
        self._hours.labels(**self._labels).set(state.now_h)
        self._awaiting.labels(**self._labels).set(len(state.awaiting))
        self._paused.labels(**self._labels).set(state.paused is not None)
        self._decisions.labels(**self._labels).set(state.decisions)

    def serve(self, port: int) -> int:
        """Serve the metrics on the loopback interface; 0 takes any free port. Returns the port.

        Raises
        ------
        SpecError
            If the port is taken.
        """
        try:
            self._server = start_http_server(port, addr="127.0.0.1", registry=self.registry)
        except OSError as error:
            raise SpecError(
                "metrics", f"port {port} ({error})", "a free port", "choose another, or 0 for any"
            ) from error
        return int(self._server[0].server_port)

    def close(self) -> None:
        if self._server is not None:
            server, thread = self._server
            server.shutdown()
            server.server_close()
            thread.join(timeout=5)
            self._server = None
