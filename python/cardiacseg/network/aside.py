"""Studies that lie aside: they are incomplete or failed, and wait for their sender or for a person."""

import logging
import time

from cardiacseg.network.spool import Entry, Spool

LOGGER = logging.getLogger("cardiacseg.network")
MOST = 100  # studies; the oldest is removed for one more


class Aside:
    """Keeps studies for ``days``, and at most 100 of them. Not thread-safe: the caller holds a lock.

    The days are counted without the clock while it runs, so that a clock that is set removes nothing.
    """

    def __init__(self, spool: Spool, days: float):
        self._spool, self._days = spool, days
        self._ends = {entry: self._end(entry) for entry in spool.aside()}
        self.expire()

    def __len__(self) -> int:
        return len(self._ends)

    def _end(self, entry: Entry) -> float:
        return time.monotonic() + entry.record.since - time.time() + self._days * 86400

    def put(self, entry: Entry, reason: str) -> None:
        """Move a study aside. Raises ``OSError``."""
        self._spool.put_aside(entry, reason)
        self._ends[entry] = self._end(entry)
        self.expire()

    def take_back(self, study_uid: str) -> Entry | None:
        """The entry of a study that lies aside, as an arriving one; ``None`` if it does not. Raises ``OSError``."""
        found = next((entry for entry in self._ends if entry.record.study_uid == study_uid), None)
        if found is not None:
            before = found.name
            self._spool.take_back(found)
            del self._ends[found]
            LOGGER.info("study %s: more of it arrives; it goes on as study %s", before, found.name)
        return found

    def expire(self) -> None:
        """Remove what has lain aside for longer than the rule says."""
        surplus = len(self._ends) - MOST
        for place, (entry, end) in enumerate(list(self._ends.items())):
            if place >= surplus and end >= time.monotonic():
                continue
            try:
                entry.remove()
            except OSError as error:
                LOGGER.warning("study %s: cannot be removed: %s", entry.name, type(error).__name__)
                continue
            del self._ends[entry]
            LOGGER.warning("study %s: removed after its time aside (%s)", entry.name, entry.record.reason)
