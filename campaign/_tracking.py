"""Tracking: an MLflow sink that is fed from the journal and can fail without any harm."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from ..workflow import Event
from ._redact import redact
from ._track_entries import PARENT, Batch, Entries, Entry

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_log = logging.getLogger(__name__)
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
}
"""Set where the user has not: no telemetry, and no minutes of waiting for a server that is gone."""
_PORTION = 5000
"""Events that are written at once, at most."""
_SEEN, _RUN, _KEY = "probewise.events", "probewise.run_id", "probewise.key"


@final
class MlflowSink:
    """Tells MLflow what happens: one parent run, and nested runs for samples and sessions.

    Everything is done in a background thread, in batches. A server that cannot be reached is tried
    again later; what is wrong is logged once and stands in :attr:`problem`. Nothing here ever
    raises into the campaign.

    Parameters
    ----------
    tracking_uri
        Where to track; None means ``mlflow.sqlite`` in the run folder. A user name and password in
        it never appear in a log or message.
    run_folder
        The run folder; artifacts of a local database go to its ``artifacts`` folder.
    campaign_name
        Name of the experiment.
    run_id
        Name of the execution (``Journal.run_id``): a resumed run goes on in the same parent run.
    retry_s
        First pause after a failure; doubled up to a minute.
    """

    def __init__(
        self,
        tracking_uri: str | None,
        run_folder: str | Path,
        campaign_name: str,
        run_id: str = "",
        *,
        retry_s: float = 2.0,
    ) -> None:
        folder = Path(run_folder).absolute()
        self._uri = tracking_uri or f"sqlite:///{folder / 'mlflow.sqlite'}"
        self.problem: str | None = None
        self._writer = _Writer(self._uri, folder, campaign_name, run_id or str(folder))
        self._queue: queue.SimpleQueue[Iterable[Event] | None] = queue.SimpleQueue()
        self._retry_s = retry_s
        self._closing: tuple[Path | None, Mapping[str, Any], str] | None = None
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def feed(self, *events: Event) -> None:
        """Hand over events, from the journal's first on; returns at once.

        A resumed campaign feeds the whole journal again: what was tracked before is not repeated.
        """
        self._queue.put(events)

    def feed_from(self, events: Iterable[Event]) -> None:
        """The same for many events, which are taken when their turn comes, in another thread."""
        self._queue.put(events)

    def finish(
        self,
        report_path: str | Path | None = None,
        summary: Mapping[str, Any] | None = None,
        *,
        status: Literal["FINISHED", "FAILED", "KILLED"] = "FINISHED",
        timeout_s: float = 60.0,
    ) -> str | None:
        """Track the rest, the report and the summary, and end the runs.

        Waits ``timeout_s`` at most. Returns what is wrong, or None if everything was tracked.
        """
        if self._closing is None:
            self._closing = (Path(report_path) if report_path else None, summary or {}, status)
            self._queue.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._complain(TimeoutError(f"no answer within {timeout_s:g} s"))
        return self.problem

    def _work(self) -> None:
        try:
            self._loop()
        except Exception as error:
            self._complain(error)

    def _loop(self) -> None:
        entries, pending, pause_s = Entries(), Batch(), self._retry_s
        backlog, not_before, ended = _Backlog(), 0.0, False
        while not ended:
            backlog.add(self._arrived(0.0 if backlog.more else 1.0))
            if not pending:
                pending = [(n, list(entries.take(e))) for n, e in backlog.portion()]
            last = backlog.closing and not backlog.more
            if not backlog.closing and (not pending or time.monotonic() < not_before):
                time.sleep(0.05 if pending else 0.0)
                continue
            try:
                self._writer.write(pending)
                if last and self._closing is not None:
                    self._writer.finish(*self._closing)
            except Exception as error:
                self._complain(error)
                not_before, pause_s = time.monotonic() + pause_s, min(60.0, 2.0 * pause_s)
                ended = backlog.closing
            else:
                pending, ended = [], last
                self.problem, pause_s = None, self._retry_s

    def _arrived(self, wait_s: float) -> list[Iterable[Event] | None]:
        """What comes within ``wait_s``; the end mark (None) cuts the wait short."""
        batch: list[Iterable[Event] | None] = []
        until = time.monotonic() + wait_s
        while True:
            try:
                batch.append(self._queue.get(timeout=max(0.0, until - time.monotonic())))
            except queue.Empty:
                break
            if batch[-1] is None or len(batch) >= _PORTION:
                break
        return batch

    def _complain(self, error: BaseException) -> None:
        text = " ".join(redact(f"{type(error).__name__}: {error}", self._uri).split())[:400]
        if self.problem is None:
            _log.warning("tracking fails, the campaign goes on: %s", text)
        self.problem = f"not everything was tracked at {redact(self._uri)}: {text}"


class _Backlog:
    """Events that are not yet tracked, with their numbers, in portions."""

    def __init__(self) -> None:
        self._sources: deque[Iterator[Event]] = deque()
        self._seen = 0
        self.closing = False

    @property
    def more(self) -> bool:
        return bool(self._sources)

    def add(self, arrived: list[Iterable[Event] | None]) -> None:
        for events in arrived:
            if events is None:
                self.closing = True
            else:
                self._sources.append(iter(events))

    def portion(self) -> Iterator[tuple[int, Event]]:
        """The next few thousand."""
        left = _PORTION
        while self._sources and left:
            event = next(self._sources[0], None)
            if event is None:
                self._sources.popleft()
                continue
            self._seen, left = self._seen + 1, left - 1
            yield self._seen, event


class _Writer:
    """Entries into MLflow; every import of it is inside, for it is slow."""

    def __init__(self, uri: str, folder: Path, experiment: str, name: str) -> None:
        self._uri, self._folder, self._experiment, self._name = uri, folder, experiment, name
        self._client: MlflowClient | None = None
        self._experiment_id = ""
        self._ids: dict[str, str] = {}
        self._open: set[str] = set()
        self._written: dict[str, int] = {}
        self._before = 0

    def write(self, batch: Batch) -> None:
        """Write what neither an earlier execution nor an earlier try has written."""
        if not batch:
            return
        client = self._connected()
        last = batch[-1][0]
        runs = dict.fromkeys(e.run for _, entries in batch for e in entries)
        for run in runs:
            done = max(self._before, self._written.get(run, 0))
            fresh = [e for n, entries in batch if n > done for e in entries if e.run == run]
            if fresh:
                self._write_run(client, run, fresh)
            self._written[run] = last
        client.set_tag(self._id(client, PARENT), _SEEN, str(max(last, self._before)))

    def _write_run(self, client: MlflowClient, run: str, entries: list[Entry]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        run_id, now_ms = self._id(client, run), int(time.time() * 1000)
        metrics = [Metric(k, float(v), now_ms, step) for e in entries for k, v, step in e.metrics]
        params = {k: v for e in entries for k, v in e.params.items()}
        tags = {k: v for e in entries for k, v in e.tags.items()}
        client.log_batch(
            run_id,
            params=[Param(k, v[:500]) for k, v in params.items()][:100],
            tags=[RunTag(k, v[:4000]) for k, v in tags.items()][:100],
        )
        for start in range(0, len(metrics), 900):
            client.log_batch(run_id, metrics=metrics[start : start + 900])
        if any(e.ends for e in entries):
            client.set_terminated(run_id)
            self._open.discard(run)

    def finish(self, report: Path | None, summary: Mapping[str, Any], status: str) -> None:
        """Add report and summary to the parent run and end every run that is still open."""
        from mlflow.entities import Metric

        client = self._connected()
        parent = self._id(client, PARENT)
        now_ms = int(time.time() * 1000)
        numbers = {k: float(v) for k, v in summary.items() if type(v) in (int, float)}
        client.log_batch(parent, [Metric(f"final_{k}", v, now_ms, 0) for k, v in numbers.items()])
        if summary:
            client.log_dict(parent, dict(summary), "summary.json")
        if report is not None and report.is_file():
            client.log_artifact(parent, str(report))
        for run in sorted(self._open, reverse=True):
            client.set_terminated(self._ids[run], status=status)
        self._open.clear()

    def _connected(self) -> MlflowClient:
        if self._client is None:
            for name, value in _ENVIRONMENT.items():
                os.environ.setdefault(name, value)
            from mlflow.tracking import MlflowClient

            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.ERROR)
            client = MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)
            self._experiment_id = self._begin(client)
            self._recall(client)
            self._client = client
        return self._client

    def _begin(self, client: MlflowClient) -> str:
        found = client.get_experiment_by_name(self._experiment)
        if found is not None:
            return found.experiment_id
        remote = self._uri.startswith(("http://", "https://", "databricks"))
        place = None if remote else (self._folder / "artifacts").as_uri()
        return client.create_experiment(self._experiment, artifact_location=place)

    def _recall(self, client: MlflowClient) -> None:
        """Find the runs of an earlier execution, and how far it came."""
        query = f"tags.`{_RUN}` = '{self._name}'"
        for run in client.search_runs([self._experiment_id], query, max_results=1000):
            key = run.data.tags.get(_KEY, PARENT)
            self._ids[key] = run.info.run_id
            if run.info.status != "FINISHED":
                self._open.add(key)
        if PARENT in self._ids:
            parent = client.get_run(self._ids[PARENT])
            self._before = int(parent.data.tags.get(_SEEN, "0"))
            client.update_run(self._ids[PARENT], status="RUNNING")
            self._open.add(PARENT)

    def _id(self, client: MlflowClient, run: str) -> str:
        if run not in self._ids:
            tags = {_RUN: self._name, _KEY: run, "probewise.folder": str(self._folder)}
            name = run or self._folder.name
            if run != PARENT:
                tags["mlflow.parentRunId"] = self._id(client, PARENT)
            made = client.create_run(self._experiment_id, tags=tags, run_name=name)
            self._ids[run] = made.info.run_id
            self._open.add(run)
        return self._ids[run]
