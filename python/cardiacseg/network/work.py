"""From a finished study to results that wait for their destinations."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import N_INCOMPLETE, N_NO_DICOM_RESULTS
from cardiacseg.network.aside import Aside
from cardiacseg.network.delivery import Delivery, Destination, deliveries_of
from cardiacseg.network.durable import NO_SPACE, code_of, remove_folder
from cardiacseg.network.monitoring import Counters
from cardiacseg.network.options import ReceiverOptions
from cardiacseg.network.serving import loggable
from cardiacseg.network.spool import DELIVERING, Entry
from cardiacseg.network.studies import OpenStudies

LOGGER = logging.getLogger("cardiacseg.network")
CRASHED = "E_CRASHED"  # the receiver ended again and again while it segmented the study
_EXPIRY_S = 3600.0  # how often studies are looked at that lie aside, if nothing else happens
_SPACE_RETRIES = 6  # a full disk is looked at again after so many times ``retry_s``

# (folder of the study's files, empty folder for the results, notes on the study from before it is read)
# -> (the DICOM files to send, all notes of the cine)
Segment = Callable[[Path, Path, Sequence[Note]], tuple[Sequence[Path], Sequence[Note]]]


def process(
    entry: Entry, segment: Segment, destinations: Sequence[Destination], send_incomplete: bool
) -> list[Delivery]:
    """Segment a study and write down what is to be delivered where. The images are removed if nobody needs them.

    If this is interrupted before its last change of the record, the study is segmented again. Errors are those of
    ``segment``, and ``OSError``.
    """
    entry.update(attempts=entry.record.attempts + 1)
    output, fault = entry.new_results(), entry.record.fault
    before = (Note(N_INCOMPLETE, f"the study may be incomplete: {fault}"),) if fault else ()
    files, notes = segment(entry.images, output, before)
    incomplete = [note.text for note in notes if note.code == N_INCOMPLETE]
    for reason in incomplete:
        LOGGER.warning("study %s: %s", entry.name, reason)
    entry.sync_results()
    unsent = _why_not_sent(entry, destinations, not files, bool(incomplete) and not send_incomplete)
    deliveries = _write_deliveries(entry, [one for one in destinations if not (one.remote and unsent)])
    names = [str(path.relative_to(output)) for path in files]
    reason = N_INCOMPLETE if incomplete and not send_incomplete else unsent
    entry.update(state=DELIVERING, incomplete=incomplete, dicom=names, reason=reason)
    remove_unneeded_images(entry)
    return deliveries


def remove_unneeded_images(entry: Entry) -> None:
    """Remove the images of a study with results, unless it will lie aside."""
    if not entry.record.reason:
        try:
            remove_folder(entry.images)
        except OSError as error:  # they go with the study
            LOGGER.warning("study %s: its images cannot be removed yet: %s", entry.name, type(error).__name__)


def _why_not_sent(entry: Entry, destinations: Sequence[Destination], nothing: bool, incomplete: bool) -> str:
    if not (nothing or incomplete) or not any(one.remote for one in destinations):
        return ""
    reason = "there are no DICOM results" if nothing else "the study is incomplete"
    LOGGER.warning("study %s: nothing is sent: %s", entry.name, reason)
    return N_NO_DICOM_RESULTS if nothing else N_INCOMPLETE


def _write_deliveries(entry: Entry, destinations: Sequence[Destination]) -> list[Delivery]:
    for earlier in deliveries_of(entry):
        earlier.remove()
    deliveries = [Delivery(entry, destination.kind) for destination in destinations]
    for delivery in deliveries:
        delivery.write()
    return deliveries


class Worker:
    """Segments the studies that ``studies`` finishes, one after another, in a thread, and gives them to ``deliver``.

    ``lock`` guards ``studies``, ``aside`` and ``retries``; it is notified if a study may be finished. A study that
    cannot be segmented is put aside, and if the disk is full, it is tried again after ``retry_s``.
    """

    def __init__(
        self,
        segment: Segment,
        destinations: Sequence[Destination],
        options: ReceiverOptions,
        studies: OpenStudies,
        aside: Aside,
        counters: Counters,
        deliver: Callable[[Entry, Sequence[Delivery]], None],
        lock: threading.Condition,
    ):
        self._segment, self._destinations, self._options = segment, destinations, options
        self._studies, self._aside, self._counters, self._deliver = studies, aside, counters, deliver
        self._changed = lock
        self._stopping = False
        # when, the study, and why it will lie aside
        self._retries: list[tuple[float, Entry, str]] = [(0.0, entry, "") for entry in studies.in_work]
        self._thread = threading.Thread(target=self._run, name="cardiacseg-receive", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, finish: bool) -> None:
        """End, after the study in work if ``finish``."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if finish:
            self._thread.join()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        while (entry := self._next_entry()) is not None:
            begin = time.perf_counter()
            try:
                deliveries = process(entry, self._segment, self._destinations, self._options.send_incomplete)
            except Exception as error:  # no study may stop the receiver
                self._failed(entry, error, time.perf_counter() - begin)
                continue
            LOGGER.info("study %s: segmented in %.1f s", entry.name, time.perf_counter() - begin)
            self._counters.add("studies_segmented")
            self._counters.add("studies_incomplete", bool(entry.record.incomplete))
            with self._changed:
                self._studies.done(entry)
            self._deliver(entry, deliveries)

    def _next_entry(self) -> Entry | None:
        with self._changed:
            while not self._stopping:
                entry = self._retry_entry() or self._finished_entry()
                if entry is not None:
                    return entry
                self._aside.expire()
                times = [self._studies.seconds_until_finished(), *(due - time.monotonic() for due, *_ in self._retries)]
                self._changed.wait(min((max(0.0, one) for one in times if one is not None), default=_EXPIRY_S))
        return None

    def _retry_entry(self) -> Entry | None:
        found = next((one for one in self._retries if one[0] <= time.monotonic()), None)
        if found is None:
            return None
        self._retries.remove(found)
        _, entry, reason = found
        if not reason and entry.record.attempts < self._options.attempts:
            return entry
        self._put_aside(entry, reason or CRASHED)
        return None

    def _finished_entry(self) -> Entry | None:
        try:
            study = self._studies.take_finished()
        except OSError as error:
            LOGGER.warning("a finished study waits: %s", code_of(error))
            self._changed.wait(1.0)
            return None
        if study is None:
            return None
        entry = study.entry
        LOGGER.info("study %s: %d instances, %.1f MB", entry.name, len(study.instances), study.bytes / 1e6)
        if study.changed:
            LOGGER.warning("study %s: %d instances came again with other content", entry.name, study.changed)
        if not study.instances:  # none was acknowledged
            with suppress(OSError):  # the next receiver removes it
                entry.remove()
            self._studies.done(entry)
            return None
        self._counters.add("studies_received")
        if study.refused:
            self._put_aside(entry, study.refused)
            return None
        return entry

    def _failed(self, entry: Entry, error: Exception, seconds: float) -> None:
        code = loggable(error)
        LOGGER.error("study %s: failed after %.1f s: %s", entry.name, seconds, code)
        with self._changed:
            if code != NO_SPACE:
                self._counters.add("studies_failed")
                self._put_aside(entry, code)
            else:
                self._wait_for_space(entry)

    def _wait_for_space(self, entry: Entry, reason: str = "") -> None:
        try:
            remove_folder(entry.results)
            entry.update(attempts=max(0, entry.record.attempts - 1))
        except OSError as error:
            LOGGER.warning("study %s: its state was not written: %s", entry.name, code_of(error))
        self._retries.append((time.monotonic() + _SPACE_RETRIES * self._options.retry_s, entry, reason))

    def _put_aside(self, entry: Entry, reason: str) -> None:
        """The caller has the lock."""
        try:
            self._aside.put(entry, reason)
        except OSError as error:
            LOGGER.warning("study %s: cannot be put aside: %s", entry.name, code_of(error))
            self._wait_for_space(entry, reason)
            return
        self._studies.done(entry)
        LOGGER.warning("study %s: kept aside: %s", entry.name, reason)
