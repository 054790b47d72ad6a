"""The listening socket: a connection gets threads only when it has sent something, and its TLS handshake in them."""

import logging
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

from pynetdicom.transport import ThreadedAssociationServer

from cardiacseg.network.slots import AssociationLimits, Slots
from cardiacseg.network.tls import tls_reason

LOGGER = logging.getLogger("cardiacseg.network")
_POLL_S = 0.25
_PAUSE_S = 0.02  # after a connection that could not be accepted
_BACKLOG = 128
_MESSAGE_S = 60.0  # for each part of a message to arrive or to leave


class Server(ThreadedAssociationServer):
    """Pynetdicom's server with limits, which :class:`~cardiacseg.network.slots.Slots` keeps."""

    daemon_threads = True
    request_queue_size = _BACKLOG

    def __init__(self, *arguments: Any, slots: Slots, limits: AssociationLimits, **options: Any):
        self.slots, self._limits = slots, limits
        self._stop = threading.Event()
        super().__init__(*arguments, **options)
        self._thread = threading.Thread(target=self._serve, name="cardiacseg-listen", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop listening and abort the associations."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.server_close()
        for association in self.active_associations:
            association.abort()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def get_request(self) -> tuple[socket.socket, tuple]:
        """Accept a connection. A TLS handshake follows in the connection's own thread."""
        connection, address = self.socket.accept()
        try:
            connection.settimeout(_MESSAGE_S)
            if self.ssl_context:
                connection = self.ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        except OSError:
            connection.close()
            raise
        return connection, address

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In the connection's thread: negotiate encryption and start the association."""
        try:
            if self.ssl_context:
                request.settimeout(self._limits.accept_s)
                request.do_handshake()
                request.settimeout(_MESSAGE_S)
            self.finish_request(request, client_address)
        except Exception as error:  # damaged or hostile, or a client without a valid certificate
            reason = tls_reason(error) if isinstance(error, ssl.SSLError) else type(error).__name__
            LOGGER.warning("refused a connection: %s", reason)
            self.slots.leave(client_address)
            self.shutdown_request(request)

    def _serve(self) -> None:
        self.socket.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            silent: dict[socket.socket, tuple[tuple, float]] = {}
            while not self._stop.is_set():
                for key, _ in selector.select(_POLL_S):
                    if key.fileobj is self.socket:
                        self._accept(selector, silent)
                    elif key.fileobj in silent:
                        self._begin(key.fileobj, silent.pop(key.fileobj)[0], selector)
                self._end_silent(selector, silent)
                self.slots.sweep()
                self.service_actions()
            for connection in silent:
                self.shutdown_request(connection)

    def _accept(self, selector: selectors.BaseSelector, silent: dict) -> None:
        try:
            connection, address = self.get_request()
        except OSError:  # it has ended already, or there are too many open files
            self._stop.wait(_PAUSE_S)
            return
        selector.register(connection, selectors.EVENT_READ)
        silent[connection] = address, time.monotonic()

    def _begin(self, connection: socket.socket, address: tuple, selector: selectors.BaseSelector) -> None:
        selector.unregister(connection)
        if self.slots.take(address, connection):
            self.process_request(connection, address)
        else:
            LOGGER.warning("refused a connection: too many are being negotiated")
            self.shutdown_request(connection)

    def _end_silent(self, selector: selectors.BaseSelector, silent: dict) -> None:
        for connection in list(_too_many(silent, self._limits)):
            del silent[connection]
            selector.unregister(connection)
            self.shutdown_request(connection)


def _too_many(silent: dict, limits: AssociationLimits) -> Iterator[socket.socket]:
    oldest = time.monotonic() - limits.accept_s
    for place, (connection, (_, since)) in enumerate(silent.items()):  # in order of age
        if place < len(silent) - limits.silent or since < oldest:
            yield connection
