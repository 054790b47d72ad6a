"""Results on their way: sent again with back-off until each destination has them, also after a restart."""

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cardiacseg.network.aside import Aside
from cardiacseg.network.durable import code_of, sync, write_json
from cardiacseg.network.monitoring import Counters
from cardiacseg.network.serving import loggable
from cardiacseg.network.spool import Entry

LOGGER = logging.getLogger("cardiacseg.network")
_LONGEST_RETRY_S = 900.0  # between two attempts for one study
_LONGEST_PAUSE_S = 60.0  # between two attempts of the queue
_KEPT = ("since", "attempts", "stored", "error", "address")  # fields of a delivery in its file


@dataclass(frozen=True)
class Results:
    """Results of one study: all are in ``folder``; of the DICOM results ``dicom``, ``files`` are still to be sent."""

    name: str
    folder: Path
    dicom: tuple[Path, ...]
    files: tuple[Path, ...]
    incomplete: bool


@dataclass(frozen=True)
class Destination:
    """Where results go. ``kind`` names it in the spool, where a delivery waits for the destination of its kind.

    ``deliver`` returns if the destination has the results for good, and otherwise raises: ``NetworkError``, whose
    ``stored`` names the files that need not be sent again, or ``OSError``. It is called again with the same results if
    the receiver was killed before it noted the success. ``remote``: it takes DICOM results only, and those of an
    incomplete study only if the receiver's options say so. ``address``: what is stored at one is not at another.
    """

    kind: str
    deliver: Callable[[Results], None]
    remote: bool = True
    address: str = ""


@dataclass(eq=False)
class Delivery:
    """A study's results on their way to one destination: a file ``to-KIND.json`` until it has them.

    ``since`` is in seconds since 1970; ``stored`` are files that the destination at ``address`` has; ``error`` is why
    the last attempt failed.
    """

    entry: Entry
    kind: str
    since: float = field(default_factory=time.time)
    attempts: int = 0
    stored: list[str] = field(default_factory=list)
    error: str = ""
    address: str = ""
    due: float = 0.0

    @property
    def path(self) -> Path:
        return self.entry.folder / f"to-{self.kind}.json"

    def write(self) -> None:
        """Raises ``OSError``."""
        write_json(self.path, {name: getattr(self, name) for name in _KEPT})

    def remove(self) -> None:
        """Raises ``OSError``."""
        self.path.unlink(missing_ok=True)
        sync(self.entry.folder)

    def results(self) -> Results:
        record = self.entry.record
        dicom = tuple(self.entry.results / name for name in record.dicom)
        files = tuple(path for path in dicom if path.name not in self.stored)
        return Results(self.entry.name, self.entry.results, dicom, files, bool(record.incomplete))


def deliveries_of(entry: Entry) -> list[Delivery]:
    """The deliveries of a study that are not done."""
    return [_read(entry, path) for path in sorted(entry.folder.glob("to-*.json"))]


def _read(entry: Entry, path: Path) -> Delivery:
    kind = path.stem.removeprefix("to-")
    try:
        return Delivery(entry, kind, **json.loads(path.read_text()))
    except (ValueError, TypeError):  # no receiver writes such a file
        return Delivery(entry, kind)


class DeliveryQueue:
    """Delivers to one destination, one study after another, in a thread of its own from :meth:`start` to :meth:`stop`.

    After a failure the study is tried again after ``retry_s``, twice that, and so on up to 15 minutes, without an end;
    another study follows after at most a minute. ``delivered`` and ``failed`` are called after each attempt.
    """

    def __init__(
        self,
        destination: Destination,
        retry_s: float,
        delivered: Callable[[Delivery], None],
        failed: Callable[[Delivery], None],
    ):
        self._destination, self._retry_s, self._delivered, self._failed = destination, retry_s, delivered, failed
        self._changed = threading.Condition()
        self._waiting: list[Delivery] = []
        self._new: list[Delivery] = []
        self._failures, self._not_before = 0, 0.0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"cardiacseg-to-{destination.kind}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, delivery: Delivery) -> None:
        """Deliver this too; its file must be written already."""
        with self._changed:
            self._new.append(delivery)
            self._changed.notify_all()

    def stop(self, finish: bool = True) -> None:
        """End: after a first attempt for each study that had none, unless one fails; or without waiting for any."""
        with self._changed:
            self._stopping = True
            if not finish:
                self._new.clear()
            self._changed.notify_all()
        if finish:
            self._thread.join()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        while (delivery := self._next()) is not None:
            self._attempt(delivery)

    def _next(self) -> Delivery | None:
        with self._changed:
            while True:
                if self._stopping:
                    return self._new.pop(0) if self._new and not self._failures else None
                if self._new and self._not_before <= time.monotonic():
                    return self._new.pop(0)
                waiting = [*self._new, *self._waiting]
                due = max(self._not_before, min((one.due for one in waiting), default=float("inf")))
                if due <= time.monotonic():
                    found = min(self._waiting, key=lambda one: one.due)
                    self._waiting.remove(found)
                    return found
                self._changed.wait(None if due == float("inf") else due - time.monotonic())

    def _attempt(self, delivery: Delivery) -> None:
        if delivery.address != self._destination.address:  # an earlier receiver had another one
            delivery.address, delivery.stored = self._destination.address, []
        try:
            self._destination.deliver(delivery.results())
            delivery.remove()
        except Exception as error:  # no study may stop the queue
            self._note_failure(delivery, error)
            self._failed(delivery)
        else:
            self._failures = 0
            LOGGER.info("study %s: delivered to %s", delivery.entry.name, delivery.kind)
            self._delivered(delivery)

    def _note_failure(self, delivery: Delivery, error: Exception) -> None:
        delivery.attempts, self._failures = delivery.attempts + 1, self._failures + 1
        delivery.error = loggable(error)
        delivery.stored = sorted({*delivery.stored, *getattr(error, "stored", ())})
        wait_s = min(_LONGEST_RETRY_S, self._retry_s * 2 ** min(delivery.attempts - 1, 20))
        pause_s = min(_LONGEST_PAUSE_S, self._retry_s * 2 ** min(self._failures - 1, 20))
        LOGGER.warning(
            "study %s: not delivered to %s (attempt %d, again in %.0f s): %s",
            *(delivery.entry.name, delivery.kind, delivery.attempts, wait_s, delivery.error),
        )
        try:
            delivery.write()
        except OSError as problem:  # it would be sent once more after a restart
            LOGGER.warning("study %s: its state was not written: %s", delivery.entry.name, code_of(problem))
        with self._changed:
            delivery.due, self._not_before = time.monotonic() + wait_s, time.monotonic() + pause_s
            self._waiting.append(delivery)


class Outbox:
    """A :class:`DeliveryQueue` for each destination. A study that all have is removed, or put aside if its record says.

    ``lock`` guards ``aside`` and what is queued.
    """

    def __init__(
        self,
        destinations: Sequence[Destination],
        retry_s: float,
        aside: Aside,
        counters: Counters,
        lock: threading.Condition,
    ):
        self._aside, self._counters, self._lock = aside, counters, lock
        self._entries: dict[str, Entry] = {}
        self.queues = {
            one.kind: DeliveryQueue(one, retry_s, self._delivered, self._not_delivered) for one in destinations
        }

    def start(self) -> None:
        for one in self.queues.values():
            one.start()

    def stop(self, finish: bool) -> None:
        for one in self.queues.values():
            one.stop(finish)

    def entries(self) -> list[Entry]:
        """Studies with results that are not delivered; the caller has the lock."""
        return list(self._entries.values())

    def put(self, entry: Entry, deliveries: Sequence[Delivery]) -> None:
        """Deliver the results of a study."""
        with self._lock:
            self._entries[entry.name] = entry
        for delivery in deliveries:
            if delivery.kind in self.queues:
                self.queues[delivery.kind].put(delivery)
            else:
                text = "study %s: its results wait for a destination of the kind %r, which is not given now"
                LOGGER.warning(text, entry.name, delivery.kind)
        self._finish(entry)

    def _delivered(self, delivery: Delivery) -> None:
        self._counters.add("results_delivered")
        self._finish(delivery.entry)

    def _not_delivered(self, delivery: Delivery) -> None:
        self._counters.add("deliveries_failed")

    def _finish(self, entry: Entry) -> None:
        with self._lock:
            if entry.name not in self._entries or deliveries_of(entry):
                return
            del self._entries[entry.name]
            reason = entry.record.reason
            try:
                if reason:
                    self._aside.put(entry, reason)
                else:
                    entry.remove()
            except OSError as error:  # the next receiver does it
                LOGGER.warning("study %s: cannot be removed or put aside: %s", entry.name, code_of(error))
            else:
                LOGGER.info("study %s: %s", entry.name, f"kept aside: {reason}" if reason else "done")
