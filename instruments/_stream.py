"""The thread in which a driver works, so that one that says nothing can be left."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, final

from ..workflow import Chunk
from ._driver import Driver, DriverFault
from ._permit import Permit, revoke

_END = object()


@final
class Stream:
    """Executes a permit in a thread of its own and hands its chunks over.

    The thread is at most two chunks ahead of whoever reads, so that stopping is prompt.
    """

    def __init__(self, driver: Driver, permit: Permit) -> None:
        self._driver, self._permit = driver, permit
        self._chunks: queue.Queue[Any] = queue.Queue(maxsize=1)
        self._halted = threading.Event()
        self.thread = threading.Thread(target=self._work, name="driver", daemon=True)
        self.thread.start()

    def next(self, timeout_s: float) -> Chunk | None:
        """The next chunk; None at the end.

        Raises
        ------
        TimeoutError
            If nothing comes in time.
        BaseException
            Whatever the driver raises.
        """
        try:
            item = self._chunks.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError(f"no data for {timeout_s:.3g} s") from None
        if item is _END:
            self.thread.join(timeout=1.0)
            return None
        if isinstance(item, BaseException):
            self.thread.join(timeout=1.0)
            raise item
        return item

    def halt(self, wait_s: float = 2.0) -> bool:
        """Stop the driver at its next step; whether it has stopped by now."""
        self._halted.set()
        self._drain()
        self.thread.join(timeout=wait_s)
        if self.thread.is_alive():
            revoke(self._permit)
        return not self.thread.is_alive()

    def _drain(self) -> None:
        try:
            while True:
                self._chunks.get_nowait()
        except queue.Empty:
            pass

    def _work(self) -> None:
        chunks = Driver.execute(self._driver, self._permit)
        try:
            for chunk in chunks:
                if not self._hand_over(chunk):
                    return
            self._hand_over(_END)
        except BaseException as error:
            self._hand_over(error)
        finally:
            chunks.close()  # type: ignore[attr-defined]

    def _hand_over(self, item: Any) -> bool:
        """Whether it was taken; False when the stream was halted."""
        while not self._halted.is_set():
            try:
                self._chunks.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False


def within(seconds: float, call: Callable[[], Any], what: str) -> Any:
    """The result of ``call``, if it comes in time.

    Raises
    ------
    DriverFault
        If it does not; the thread in which it runs is left alone.
    """
    result: queue.Queue[tuple[bool, Any]] = queue.Queue(maxsize=1)

    def work() -> None:
        try:
            result.put((True, call()))
        except BaseException as error:
            result.put((False, error))

    threading.Thread(target=work, name="driver", daemon=True).start()
    try:
        fine, value = result.get(timeout=seconds)
    except queue.Empty:
        raise DriverFault(
            "timeout", f"{what}: no answer for {seconds:.3g} s", "look at the instrument"
        ) from None
    if not fine:
        raise value
    return value
