"""The studies with results on their way: to each destination a queue, and what follows when all have them."""

import logging
import threading
from collections.abc import Sequence

from cardiacseg.network.aside import Aside
from cardiacseg.network.durable import code_of
from cardiacseg.network.monitoring import Counters
from cardiacseg.network.queue import Delivery, DeliveryQueue, Destination, deliveries_of
from cardiacseg.network.spool import Entry

LOGGER = logging.getLogger("cardiacseg.network")


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
