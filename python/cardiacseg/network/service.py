"""Running a receiver as a program: until SIGINT or SIGTERM."""

import logging
import queue
import signal
from types import FrameType

from cardiacseg.network.receive import Receiver

LOGGER = logging.getLogger("cardiacseg.network")


def serve(receiver: Receiver) -> None:
    """Listen until SIGINT or SIGTERM, then :meth:`Receiver.stop`; a second signal gives up the study in work.

    Must be called in the main thread. Files are removed in every case; a second signal raises ``KeyboardInterrupt``.
    """
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()  # its put may interrupt its get
    stopping = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stopping:
            raise KeyboardInterrupt
        signals.put(number)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with receiver:
            signals.get()
            stopping = True
            LOGGER.info("stopping; another signal gives up the study in work")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
