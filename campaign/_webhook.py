"""Alerts to where people are: each is posted to one address as JSON."""

from __future__ import annotations

import logging
import os
import queue
import threading
from typing import Any, final

import requests

from ..workflow import Alerted, Event, State, Stopped
from ._redact import redact

WEBHOOK = "PROBEWISE_WEBHOOK"
"""Environment variable with the address; it is a secret, and never written down."""
_TIMEOUT_S = 5.0
_log = logging.getLogger(__name__)


@final
class Webhook:
    """Posts alerts and the end of a campaign, in a thread of its own; it can fail without harm.

    An observer of a campaign. The body is ``{"campaign", "hour", "about", "text"}``.
    """

    def __init__(self, url: str, campaign: str) -> None:
        self._url, self._campaign = url, campaign
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._post, name="webhook", daemon=True)
        self._thread.start()

    def __call__(self, event: Event, state: State) -> None:
        match event:
            case Alerted():
                self._say(event.hour, event.about, event.message)
            case Stopped():
                self._say(event.hour, "stopped", f"the campaign ended: {event.reason}")
            case _:
                pass

    def _say(self, hour: float, about: str, text: str) -> None:
        body = {"campaign": self._campaign, "hour": hour, "about": about, "text": text}
        self._waiting.put(body)

    def _post(self) -> None:
        while (body := self._waiting.get()) is not None:
            try:
                requests.post(self._url, json=body, timeout=_TIMEOUT_S).raise_for_status()
            except requests.RequestException as error:
                told = redact(str(error).replace(self._url, "***"), self._url)
                _log.warning("an alert was not delivered (%s)", type(error).__name__)
                _log.debug("%s", told)

    def close(self) -> None:
        """Wait a little for what is under way."""
        self._waiting.put(None)
        self._thread.join(timeout=2 * _TIMEOUT_S)


def webhook_from_environment(campaign: str) -> Webhook | None:
    """A webhook if the environment names one."""
    url = os.environ.get(WEBHOOK, "")
    return Webhook(url, campaign) if url else None
