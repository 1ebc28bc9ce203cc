"""How agents are, with actors that answer when the test says so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from probewise.agents import SILENT_S, _health
from probewise.agents._health import Pulse


class FakeActor:
    """Calls stay open until they are answered."""

    def __init__(self) -> None:
        self.calls: list[list[object]] = []
        self.ping = self

    def remote(self) -> list[object]:
        self.calls.append([])
        return self.calls[-1]

    def answer(self, with_what: object = None) -> None:
        self.calls[-1].append(with_what)


@dataclass(eq=False)
class FakePost:
    name: str
    actor: Any = field(default_factory=FakeActor)
    ready: bool = True
    pid: int = 7
    threads: int = 1
    load: Counter[str] = field(default_factory=Counter)

    @property
    def spare(self) -> bool:
        return self.load.total() < self.threads


class GoneError(Exception):
    """An actor has died; not Ray's own, for Ray must not be imported before its environment."""


class FakeRay:
    """A call is the list of its answers."""

    class exceptions:
        RayError = GoneError

    @staticmethod
    def wait(calls: list[list[object]], timeout: float) -> tuple[list[Any], list[Any]]:
        return [c for c in calls if c], [c for c in calls if not c]

    @staticmethod
    def get(call: list[object]) -> object:
        if isinstance(call[0], Exception):
            raise call[0]
        return call[0]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time it is, in seconds; the test turns it."""
    now = [0.0]
    monkeypatch.setattr(_health, "import_ray", FakeRay)
    monkeypatch.setattr(_health.time, "monotonic", lambda: now[0])
    return now


def condition(pulse: Pulse, worker: str = "eye") -> str:
    return pulse.health({})[worker].condition


def test_an_idle_agent_that_does_not_answer_is_silent(clock: list[float]) -> None:
    post = FakePost("eye")
    pulse = Pulse({"eye": post})  # type: ignore[dict-item]
    assert condition(pulse) == "alive" and len(post.actor.calls) == 1
    clock[0] = SILENT_S
    assert condition(pulse) == "alive"
    clock[0] = SILENT_S + 1
    assert condition(pulse) == "silent" and len(post.actor.calls) == 1
    assert pulse.health({})["eye"].last_answer is None
    post.actor.answer()
    assert condition(pulse) == "alive" and len(post.actor.calls) == 2
    assert pulse.health({})["eye"].last_answer is not None


def test_a_busy_agent_with_one_thread_is_not_called(clock: list[float]) -> None:
    post = FakePost("eye", load=Counter(eye=1))
    pulse = Pulse({"eye": post})  # type: ignore[dict-item]
    clock[0] = 100 * SILENT_S
    assert condition(pulse) == "alive" and post.actor.calls == []
    assert pulse.health({"eye": 3})["eye"].waiting == 3


def test_a_process_of_many_is_called_once_and_has_a_thread_for_it(clock: list[float]) -> None:
    post = FakePost("host", threads=3, load=Counter(eye=1, rig=1))
    pulse = Pulse({"eye": post, "rig": post})  # type: ignore[dict-item]
    assert condition(pulse) == "alive" and len(post.actor.calls) == 1
    clock[0] = SILENT_S + 1
    assert {condition(pulse, w) for w in ("eye", "rig")} == {"silent"}
    post.actor.answer()
    found = pulse.health({})
    assert found["eye"].last_answer == found["rig"].last_answer is not None


def test_who_died_is_dead_until_another_has_taken_its_place(clock: list[float]) -> None:
    post = FakePost("eye")
    pulse = Pulse({"eye": post})  # type: ignore[dict-item]
    assert condition(pulse) == "alive"
    post.actor.answer(GoneError())
    assert [condition(pulse) for _ in range(3)] == ["dead"] * 3
    assert len(post.actor.calls) == 1
    post.actor, post.ready = None, False
    assert condition(pulse) == "dead"
    post.actor = FakeActor()
    assert condition(pulse) == "starting"
    post.ready = True
    assert condition(pulse) == "alive"
