"""Workers and truths by name: only what an installed distribution has registered can be made."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from ..workflow import Kind, ProbewiseError, Truth, Worker, WorkerError, WorkerSpec
from ._secrets import hide, reveal

WORKERS = "probewise.workers"
"""Entry point group of worker classes."""
TRUTHS = "probewise.truths"
"""Entry point group of truths: callables that take their configuration as keywords."""


@dataclass(frozen=True)
class RegisteredWorker:
    """A worker type that an installed distribution offers; its class is imported when asked for."""

    name: str
    distribution: str
    entry: EntryPoint

    def load(self) -> type[Worker]:
        """The class.

        Raises
        ------
        WorkerError
            If it cannot be imported or is no worker.
        """
        loaded = _load(self.entry, self.distribution)
        if not (inspect.isclass(loaded) and issubclass(loaded, Worker)):
            raise WorkerError(
                f"worker type {self.name!r}",
                f"{self.entry.value!r}, which is no subclass of probewise.workflow.Worker",
                "a subclass of Worker",
                f"correct the entry point in distribution {self.distribution!r}",
            )
        if inspect.isabstract(loaded) or not isinstance(getattr(loaded, "kind", None), Kind):
            raise WorkerError(
                f"worker type {self.name!r}",
                f"{self.entry.value!r}, which is abstract or has no kind",
                f"a class that sets kind to one of {[k.value for k in Kind]} and has offers and"
                " perform",
                f"complete the class in distribution {self.distribution!r}",
            )
        return loaded

    @property
    def kind(self) -> Kind:
        return self.load().kind

    @property
    def twin(self) -> bool:
        return self.load().twin

    @property
    def replayable(self) -> bool:
        return self.load().replayable


def worker_types() -> dict[str, RegisteredWorker]:
    """All registered worker types by name.

    Raises
    ------
    WorkerError
        If two distributions register the same name.
    """
    return {
        name: RegisteredWorker(name, distribution, entry)
        for name, (distribution, entry) in _registered(WORKERS).items()
    }


def worker_type(name: str, who: str) -> type[Worker]:
    """The class registered as ``name``; ``who`` asks for it in error messages.

    Raises
    ------
    WorkerError
        If the name is not registered or its class cannot be loaded.
    """
    known = worker_types()
    if name not in known:
        raise _unknown(who, "type", name, sorted(known), WORKERS)
    return known[name].load()


def make_worker(spec: WorkerSpec, name: str) -> Worker:
    """Make the worker that a campaign calls ``name``.

    Raises
    ------
    WorkerError
        If the type is not registered, does not accept the configuration, or fails to start.
    ProbewiseError
        Whatever the worker itself says of its configuration.
    """
    who = f"worker {name!r}"
    made = worker_type(spec.type, who)
    full = reveal(spec.config, who)
    return cast(Worker, _call(made, f"{who} of type {spec.type!r}", spec.config, full))


def make_truth(name: str, **config: Any) -> Truth:
    """Make the registered truth ``name``.

    Raises
    ------
    WorkerError
        If the name is not registered or the configuration is not accepted.
    """
    known = _registered(TRUTHS)
    if name not in known:
        raise _unknown("truth", "name", name, sorted(known), TRUTHS)
    distribution, entry = known[name]
    return cast(Truth, _call(_load(entry, distribution), f"truth {name!r}", config, config))


def _registered(group: str) -> dict[str, tuple[str, EntryPoint]]:
    """Entry points of a group; looked up again only where the path of imports has changed."""
    return _found_on(tuple(sys.path), group)


@lru_cache(maxsize=8)
def _found_on(path: tuple[str, ...], group: str) -> dict[str, tuple[str, EntryPoint]]:
    found: dict[str, tuple[str, EntryPoint]] = {}
    for entry in sorted(entry_points(group=group), key=lambda e: e.name):
        distribution = entry.dist.name if entry.dist is not None else "unknown"
        other = found.get(entry.name)
        if other is not None and other[1].value != entry.value:
            raise WorkerError(
                f"entry points {group!r}",
                f"{entry.name!r} registered by {other[0]!r} and by {distribution!r}",
                "every name once",
                "uninstall one of the two distributions or rename its entry point",
            )
        found[entry.name] = (distribution, entry)
    return found


def _load(entry: EntryPoint, distribution: str) -> Any:
    try:
        return entry.load()
    except Exception as error:
        raise WorkerError(
            f"entry point {entry.name!r} of distribution {distribution!r}",
            f"{entry.value!r}, which cannot be imported ({type(error).__name__}: {error})",
            "an importable class, written module:Name",
            "install what it needs, or correct the entry point and install the distribution again",
        ) from error


def _unknown(who: str, what: str, given: str, known: list[str], group: str) -> WorkerError:
    near = get_close_matches(given, known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}? Otherwise install" if near else "correct it, or install"
    return WorkerError(
        who,
        f"unknown {what} {given!r}",
        f"one of {known}",
        f"{hint} a distribution that registers it under {group!r}",
    )


def _call(make: Any, who: str, config: Mapping[str, Any], full: Mapping[str, Any]) -> Any:
    """Make something of its full configuration; ``config`` is the one that may be shown."""
    signature = inspect.signature(make)
    try:
        signature.bind(**config)
    except TypeError as error:
        raise WorkerError(
            who,
            f"config {dict(config)} ({error})",
            _keywords(make, signature),
            "correct its config: in the campaign file, or what is given by --config",
        ) from error
    try:
        return make(**full)
    except ProbewiseError as error:
        parts = (error.who, error.given, error.allowed, error.remedy)
        raise type(error)(*(hide(part) for part in parts)) from None
    except Exception as error:
        raise WorkerError(
            who,
            hide(f"config {dict(config)} ({type(error).__name__}: {error})"),
            _keywords(make, signature),
            "correct the config, and check that the device or file it names is there",
        ) from None if full != config else error


def _keywords(make: Any, signature: inspect.Signature) -> str:
    """The accepted keywords in words: ``path (required), gain=1.0``."""
    further = make.further_keys() if inspect.isclass(make) and issubclass(make, Worker) else ()
    texts: list[str] = []
    for p in signature.parameters.values():
        if p.kind is p.VAR_KEYWORD:
            texts += further or [f"further keywords ({p.name})"]
        elif p.kind is not p.VAR_POSITIONAL:
            texts.append(
                f"{p.name} (required)" if p.default is p.empty else f"{p.name}={p.default!r}"
            )
    return "keywords " + ", ".join(texts) if texts else "no keywords"
