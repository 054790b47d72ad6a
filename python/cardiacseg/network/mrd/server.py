"""The MRD server: sessions over TCP, each in a thread of its own, or one on standard input and output."""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from cardiacseg.errors import Error, InvalidInputError, NetworkError
from cardiacseg.network.mrd.messages import text_bytes
from cardiacseg.network.mrd.session import SegmentCine, Session, SessionOptions
from cardiacseg.network.serving import run_until_signal

LOGGER = logging.getLogger("cardiacseg.network")
E_BUSY = "E_BUSY"
_BUFFER = 1 << 20
_DEFAULT = SessionOptions()


@dataclass(frozen=True)
class ServerOptions:
    """Where to listen. At most ``sessions`` clients are served at one time; others are refused at once.

    ``timeout_s``: a session ends if the server waits this time for its client to send, or to read.
    """

    host: str = "127.0.0.1"
    port: int = 9002
    sessions: int = 4
    timeout_s: float = 600.0
    session: SessionOptions = _DEFAULT

    def __post_init__(self):
        if not 0 <= self.port <= 65535:
            raise InvalidInputError(f"port: expected a number up to 65535, got {self.port}")


class MrdServer:
    """Listens from :meth:`start` to :meth:`stop`; also a context manager. ``port`` is the port in use.

    ``segment`` has a function for each model's name; it may be called from several threads. Log lines of
    "cardiacseg.network" hold counters, codes and times.
    """

    def __init__(self, segment: Mapping[str, SegmentCine], options: ServerOptions):
        self._segment, self._options = segment, options
        self._slots = threading.BoundedSemaphore(options.sessions)
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._stopping = threading.Event()
        self._number = 0

    def start(self) -> "MrdServer":
        """Raises ``NetworkError`` if the port is not available."""
        host, port = self._options.host, self._options.port
        try:
            self._listener = socket.create_server((host, port))
        except OSError as error:
            raise NetworkError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="cardiacseg-mrd", daemon=True)
        self._acceptor.start()
        LOGGER.info("listening on port %d", self.port)
        return self

    def stop(self, finish: bool = True) -> None:
        """Stop listening. Sessions whose clients have sent everything are finished, unless ``finish`` is false."""
        self._stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._listener.close()
        self._acceptor.join()
        with self._lock:
            sessions = dict(self._open)
        for connection in sessions.values():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD if finish else socket.SHUT_RDWR)
        for thread in sessions if finish else ():
            thread.join()
        LOGGER.info("stopped")

    def __enter__(self) -> "MrdServer":
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop(finish=kind is not KeyboardInterrupt)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if not self._stopping.wait(0.1):  # such as too many open files; else the listener was closed
                    continue
                return
            connection.settimeout(self._options.timeout_s)
            if self._slots.acquire(blocking=False):
                self._begin(connection)
            else:
                self._refuse(connection)

    def _begin(self, connection: socket.socket) -> None:
        self._number += 1
        thread = threading.Thread(
            target=self._serve, args=(connection, self._number), name=f"cardiacseg-mrd-{self._number}", daemon=True
        )
        with self._lock:
            self._open[thread] = connection
        LOGGER.info("session %d: began", self._number)
        thread.start()

    def _refuse(self, connection: socket.socket) -> None:
        LOGGER.warning("refused a client: %s", E_BUSY)
        text = f"ERR {E_BUSY}: expected at most {self._options.sessions} sessions at one time, got another"
        with suppress(OSError), connection:
            connection.sendall(text_bytes(text))  # fits the buffer of a new connection
            _say_goodbye(connection, 0.2)

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            with connection, connection.makefile("rb", _BUFFER) as file:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                options, stopping = self._options.session, self._stopping.is_set
                Session(file, connection.sendall, self._segment, options, number, stopping).run()
                _say_goodbye(connection, 1.0)
        except OSError:
            pass  # the client is gone already
        finally:
            with self._lock:
                del self._open[threading.current_thread()]
            self._slots.release()


def _say_goodbye(connection: socket.socket, seconds: float) -> None:
    """End what is sent, and read what still comes for this time: closing with unread input discards what was sent."""
    connection.shutdown(socket.SHUT_WR)
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        connection.settimeout(left)
        if not connection.recv(1 << 16):
            return


def serve(server: MrdServer) -> None:
    """Listen until SIGINT or SIGTERM, then :meth:`MrdServer.stop`; a second signal drops the sessions.

    Call it in the main thread.
    """
    run_until_signal(server, second="drops the sessions")


def serve_stream(segment: Mapping[str, SegmentCine], options: SessionOptions = _DEFAULT) -> Error | None:
    """One session on standard input and output; whatever else writes to standard output goes to standard error.

    Returns the session's failure, or ``None``. SIGTERM ends it as Ctrl-C does. Raises ``InvalidInputError`` if one of
    them is closed.
    """
    if sys.stdin is None or sys.stdout is None:
        raise InvalidInputError("expected standard input and output that are open, got closed ones")
    sys.stdout.flush()
    output = os.dup(1)
    os.dup2(2, 1)

    def write(content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(output, rest) :]

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        failure = Session(sys.stdin.buffer, write, segment, options).run()
    finally:
        signal.signal(signal.SIGTERM, before)
    os.close(output)  # after an interrupt the thread that sends may still use it
    return failure
