"""What all servers share: they run until a signal, and log no more of an error than they may."""

import logging
import queue
import re
import signal
from contextlib import AbstractContextManager, ExitStack, suppress
from types import FrameType

from cardiacseg.errors import Error, NetworkError
from cardiacseg.network.durable import NO_SPACE, code_of

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


def loggable(error: Exception) -> str:
    """The sentence of a ``NetworkError``; of others a code or the type's name: texts may hold file names or values."""
    if isinstance(error, NetworkError):
        return str(error)
    code = re.match(r"E_\w+", str(error)) if isinstance(error, Error) else None
    if code:
        return code[0]
    return NO_SPACE if code_of(error) == NO_SPACE else type(error).__name__
