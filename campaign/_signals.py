"""Requests to end: what Ctrl-C, SIGTERM and SIGHUP do to a process that has instruments."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_REQUESTS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ends_as_ctrl_c() -> Iterator[None]:
    """A request to end, or a terminal that goes away, is what Ctrl-C is, unless it was caught."""
    caught = [n for n in _REQUESTS if signal.getsignal(n) is signal.SIG_DFL]
    with _handled(caught, signal.default_int_handler):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Nobody interrupts what makes safe."""
    with _handled((signal.SIGINT, *_REQUESTS), signal.SIG_IGN):
        yield


@contextmanager
def _handled(numbers: Any, handler: Any) -> Iterator[None]:
    """Other handlers for a while; only the main thread can have them."""
    before: dict[int, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in numbers:
                before[number] = signal.signal(number, handler)
        yield
    finally:
        for number, usual in before.items():
            signal.signal(number, usual)
