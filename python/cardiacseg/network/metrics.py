"""What a receiver counts, as JSON and in Prometheus' text format (version 0.0.4). No values of patients or studies."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

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
