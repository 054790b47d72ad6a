"""Servers that run until SIGINT or SIGTERM."""

import logging
import queue
import signal
from contextlib import AbstractContextManager, ExitStack, suppress
from types import FrameType

LOGGER = logging.getLogger("cardiacseg.network")
_POLL_S = 0.5


def run_until_signal(*parts: AbstractContextManager[object], second: str) -> None:
    """Enter ``parts``, and leave them in the opposite order after SIGINT or SIGTERM. Call it in the main thread.

    A second signal raises ``KeyboardInterrupt`` inside of that; ``second`` says in the log what it does.
    """
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()  # its put may interrupt its get
    stopping = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stopping:
            raise KeyboardInterrupt
        signals.put(number)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ExitStack() as stack:
            for part in parts:
                stack.enter_context(part)
            _wait(signals)
            stopping = True
            LOGGER.info("stopping; another signal %s", second)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(signals: queue.SimpleQueue[int]) -> None:
    """Until a signal came. One that the system gives to another thread wakes no call that waits without an end."""
    while True:
        with suppress(queue.Empty):
            signals.get(timeout=_POLL_S)
            return
