"""What a session sends, sent by a thread of its own: a client may send all its images before it reads a result."""

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType


class Outbox:
    """Sends bytes in their order with ``send``; a context manager, whose end waits until all are sent.

    At most ``room`` bytes wait, or one longer message: :meth:`write` waits until there is room. After an error of
    ``send`` nothing more is sent.
    """

    def __init__(self, send: Callable[[bytes], object], room: int):
        self._send, self._room = send, room
        self._parts: deque[bytes] = deque()
        self._unsent = 0
        self._error: Exception | None = None
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="cardiacseg-mrd-outbox", daemon=True)

    def write(self, content: bytes) -> None:
        """Leave bytes to be sent. Raises the error of an earlier ``send``."""
        with self._changed:
            self._wait(lambda: self._unsent + len(content) <= max(self._room, len(content)))
            self._parts.append(content)
            self._unsent += len(content)
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until everything is sent. Raises the error of a ``send``."""
        self._wait(lambda: not self._unsent)

    def _wait(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._error or condition())
            if self._error:
                raise self._error

    def __enter__(self) -> "Outbox":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if kind is None:  # else the process is being ended
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._parts or self._ended)
                if not self._parts:
                    return
                content = self._parts.popleft()
            try:
                self._send(content)
            except Exception as error:  # of whatever kind, the session must not wait forever
                self._sent(len(content), error)
                return
            self._sent(len(content), None)

    def _sent(self, count: int, error: Exception | None) -> None:
        with self._changed:
            self._unsent -= count
            self._error = error
            self._changed.notify_all()
