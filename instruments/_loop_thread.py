"""An event loop in a thread of its own, with a limit on every wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, final

from ._driver import DriverFault

Start = Callable[..., Awaitable[Any]]

_GRACE_s = 2.0


@final
class LoopThread:
    """Awaits things in a loop that lives as long as this object is not closed.

    Parameters
    ----------
    who
        Whose loop it is, in the user's words.
    patience_s
        How long any single wait may take beyond what is expected.
    """

    def __init__(self, who: str, patience_s: float) -> None:
        self.who, self.patience_s = who, patience_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="ophyd")
        self._thread.start()

    def wait(self, start: Start, what: str, expected_s: float = 0.0) -> Any:
        """The result of what ``start()`` gives to await, awaited in the loop.

        Raises
        ------
        DriverFault
            ``timeout`` if it does not come, ``instrument`` if it raises.
        """
        limit_s = expected_s + self.patience_s

        async def limited() -> Any:
            return await asyncio.wait_for(awaited(start), limit_s)

        if not self._thread.is_alive() or self._loop.is_closed():
            raise DriverFault("instrument", f"{self.who}: closed", "make the worker anew")
        try:
            done = asyncio.run_coroutine_threadsafe(limited(), self._loop)
            return done.result(limit_s + _GRACE_s)  # should the loop itself hang
        except TimeoutError as error:
            raise DriverFault(
                "timeout",
                f"{self.who}: {what} did not end in time; patience_s is {self.patience_s:g}",
                "look at the device; a longer patience_s waits longer",
            ) from error
        except DriverFault:
            raise
        except Exception as error:
            raise DriverFault(
                "instrument",
                f"{self.who}: {what} failed: {type(error).__name__}: {str(error)[:200]}",
                "look at the device, mend what it says, and ask again",
            ) from error

    def close(self) -> None:
        """End the loop; harmless a second time."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=5.0)
            if not self._thread.is_alive():
                self._loop.close()


async def awaited(start: Start, *args: Any) -> Any:
    """What comes of awaiting ``start(*args)``, also where that is no coroutine."""
    return await start(*args)
