"""``GET /health`` and ``GET /metrics`` of a receiver, for programs on the same computer."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cardiacseg import _core
from cardiacseg.errors import NetworkError
from cardiacseg.network.metrics import Status

_SILENT_S = 5.0  # for a client to send its request


class HealthServer:
    """Answers on 127.0.0.1 from its construction; ``port`` is the port in use. Raises ``NetworkError``.

    ``/health`` is 200 or, if there are problems, 503, with a JSON document; ``/metrics`` is Prometheus' text format.
    """

    def __init__(self, port: int, status: Callable[[], Status]):
        handler = type("Handler", (_Handler,), {"status": staticmethod(status)})
        try:
            self._server = _Server(("127.0.0.1", port), handler)
        except OSError as error:
            raise NetworkError(f"cannot listen on 127.0.0.1:{port}: {error.strerror or error}") from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="cardiacseg-health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that left, or that sent no request: nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _SILENT_S
    server_version, sys_version = f"cardiacseg/{_core.__version__}", ""
    status: Callable[[], Status]

    def do_GET(self) -> None:
        status, path = self.status(), self.path.partition("?")[0]
        if path == "/health":
            document = json.dumps(status.document(), indent=1)
            self._answer(503 if status.problems else 200, "application/json", document + "\n")
        elif path == "/metrics":
            self._answer(200, "text/plain; version=0.0.4; charset=utf-8", status.prometheus())
        else:
            self._answer(404, "text/plain", "expected /health or /metrics\n")

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *values: object) -> None:
        """The library does not print."""

    def _answer(self, code: int, kind: str, text: str) -> None:
        content = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
