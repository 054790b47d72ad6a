"""Studies that lie aside: they are incomplete or failed, and wait for their sender or for a person."""

import logging
import time

from cardiacseg.network.spool import Entry, Spool

LOGGER = logging.getLogger("cardiacseg.network")
MOST = 100  # studies; the oldest is removed for one more


class Aside:
    """Keeps studies for ``days``, and at most 100 of them. Not thread-safe: the caller holds a lock."""

    def __init__(self, spool: Spool, days: float):
        self._spool, self._days = spool, days
        self._entries = spool.aside()
        self.expire()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: Entry, reason: str) -> None:
        """Move a study aside. Raises ``OSError``."""
        self._spool.put_aside(entry, reason)
        self._entries.append(entry)
        self.expire()

    def take_back(self, study_uid: str) -> Entry | None:
        """The entry of a study that lies aside, as an arriving one; ``None`` if it does not. Raises ``OSError``."""
        found = next((entry for entry in self._entries if entry.record.study_uid == study_uid), None)
        if found is not None:
            before = found.name
            self._spool.take_back(found)
            self._entries.remove(found)
            LOGGER.info("study %s: more of it arrives; it goes on as study %s", before, found.name)
        return found

    def expire(self) -> None:
        """Remove what has lain aside for longer than the rule says."""
        oldest = time.time() - self._days * 86400
        surplus = len(self._entries) - MOST
        for place, entry in enumerate(list(self._entries)):
            if place >= surplus and entry.record.since >= oldest:
                continue
            try:
                entry.remove()
            except OSError as error:
                LOGGER.warning("study %s: cannot be removed: %s", entry.name, type(error).__name__)
                continue
            self._entries.remove(entry)
            LOGGER.warning("study %s: removed after its time aside (%s)", entry.name, entry.record.reason)
