"""What a receiver counts, without values of patients or studies, and ``GET /health`` and ``GET /metrics`` of it."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cardiacseg import _core
from cardiacseg.errors import NetworkError

_SILENT_S = 5.0  # for a client to send its request
# name -> meaning; counters are those of this process
COUNTERS = {
    "instances_received": "instances that are on the disk and were acknowledged",
    "instances_refused": "instances that were refused",
    "bytes_received": "bytes of received instances",
    "studies_received": "studies that are finished",
    "studies_segmented": "studies that were segmented",
    "studies_failed": "studies that cannot be segmented",
    "studies_incomplete": "studies of which images are known to be missing",
    "results_delivered": "results of a study that a destination has",
    "deliveries_failed": "attempts to deliver that failed",
    "watch_failures": "queries to the watched service, and retrievals of a study from it, that failed",
}
GAUGES = {
    "associations": "open associations",
    "studies_arriving": "studies that are arriving",
    "studies_waiting": "finished studies that wait or are in work",
    "studies_queued": "studies whose results are not delivered",
    "studies_aside": "studies that lie aside",
    "oldest_waiting_seconds": "age of the oldest study that waits or is in work",
    "oldest_queued_seconds": "age of the oldest results that are not delivered",
    "spool_free_bytes": "free bytes of the disk of the spool",
}


class Counters:
    """Counts by name. Thread-safe."""

    def __init__(self):
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str, amount: int = 1) -> None:
        with self._lock:
            self._counts[name] += amount

    def values(self) -> dict[str, int]:
        with self._lock:
            return {name: self._counts[name] for name in COUNTERS}


@dataclass(frozen=True)
class Status:
    """``problems`` are reasons why the receiver does not work as it should; empty if it does."""

    counters: Mapping[str, int]
    gauges: Mapping[str, float]
    problems: tuple[str, ...] = ()

    def document(self) -> dict[str, object]:
        """For ``GET /health``."""
        state = "problem" if self.problems else "ok"
        return {"status": state, "problems": list(self.problems), **self.gauges, **self.counters}

    def prometheus(self) -> str:
        """For ``GET /metrics``."""
        lines = ["# HELP cardiacseg_up 1 if the receiver works as it should", "# TYPE cardiacseg_up gauge"]
        lines.append(f"cardiacseg_up {int(not self.problems)}")
        for name, text in COUNTERS.items():
            lines += _metric(f"{name}_total", "counter", text, self.counters[name])
        for name, text in GAUGES.items():
            lines += _metric(name, "gauge", text, self.gauges[name])
        return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, text: str, value: float) -> list[str]:
    full = f"cardiacseg_{name}"
    return [f"# HELP {full} {text}", f"# TYPE {full} {kind}", f"{full} {value}"]


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
