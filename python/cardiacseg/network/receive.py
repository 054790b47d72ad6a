"""A DICOM node that collects the studies it receives, has each one segmented, and delivers the results."""

import logging
import threading
import time
from collections.abc import Collection, Hashable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from cardiacseg.errors import InvalidInputError, OutputError
from cardiacseg.io.budget import LIMITS
from cardiacseg.network.aside import Aside
from cardiacseg.network.commitment import Commitments
from cardiacseg.network.delivery import Destination, Outbox, deliveries_of
from cardiacseg.network.destinations import folder_destination, peer_destination
from cardiacseg.network.durable import NO_SPACE, NOT_WRITTEN
from cardiacseg.network.instances import Arrival, find_instances, read_arrival
from cardiacseg.network.listener import BROKEN, Listener
from cardiacseg.network.monitoring import Counters, HealthServer, Status
from cardiacseg.network.options import ReceiverOptions, default_spool
from cardiacseg.network.serving import run_until_signal
from cardiacseg.network.spool import ARRIVING, WAITING, Entry, Spool
from cardiacseg.network.studies import TOO_LARGE, OpenStudies
from cardiacseg.network.work import Segment, Worker, remove_unneeded_images

LOGGER = logging.getLogger("cardiacseg.network")


class Receiver:
    """Listens from :meth:`start` to :meth:`stop`; also a context manager. Studies are segmented one at a time.

    It goes on with what an earlier receiver left in the spool. If a study cannot be segmented, the error's code is
    logged and the study is put aside. Log lines of "cardiacseg.network" hold names in the spool, codes and times.
    ``port`` is the port in use, ``health_port`` that of the health server; ``counters`` are those of its metrics.
    """

    def __init__(self, segment: Segment, options: ReceiverOptions):
        self._segment, self._options = segment, options
        self._changed = threading.Condition()  # guards the studies, what lies aside and what is to be delivered
        self.counters, self._commitments = Counters(), Commitments()
        self._refused: set[tuple[Hashable, str]] = set()  # associations, and codes that were logged

    def start(self) -> "Receiver":
        """Raises ``NetworkError`` if a port is not available, ``OSError`` if a folder cannot be used."""
        options = self._options
        if options.results is not None:
            options.results.mkdir(parents=True, exist_ok=True)
        with ExitStack() as undo:
            self._spool = Spool(options.spool or default_spool(options.port))
            undo.callback(self._spool.close)
            self._listener = self._new_listener()
            undo.callback(self._listener.close)
            self._take_over()
            self._health = HealthServer(options.health_port, self.status) if options.health_port is not None else None
            undo.pop_all()
        self.port, self.health_port = self._listener.port, self._health and self._health.port
        for part in (self._outbox, self._worker, self._listener):
            part.start()
        LOGGER.info("listening on port %d", self.port)
        return self

    def stop(self, finish: bool = True) -> None:
        """Stop listening, ``finish`` the study in work and try once to deliver what is new, or leave them at once.

        What is not done stays in the spool for the next receiver; its amount is logged.
        """
        self._listener.close()
        self._worker.stop(finish)
        self._outbox.stop(finish)
        if self._health:
            self._health.close()
        with self._changed:
            undone, undelivered = len(self._studies.unfinished()) + len(self._studies.in_work), self._outbox.entries()
        if finish:
            self._spool.close()
        LOGGER.info("stopped; the spool keeps %d studies to segment and %d to deliver", undone, len(undelivered))

    def __enter__(self) -> "Receiver":
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop(finish=kind is not KeyboardInterrupt)

    def take(self, folder: Path) -> None:
        """Take a folder's DICOM files into the spool, as if an association had brought them.

        Raises ``InvalidInputError`` if a file is not DICOM or names no study, or if the study is too large, and
        ``OutputError`` with the code of another refusal.
        """
        association, fault = object(), BROKEN
        try:
            for instance in find_instances(folder)[0]:
                arrival = read_arrival(instance.path.read_bytes())
                if not arrival.names_study:
                    raise InvalidInputError(f"{instance.name}: expected a usable Study Instance UID, got none")
                refusal = self._keep(arrival, association)
                if refusal == TOO_LARGE:
                    raise InvalidInputError("the spool does not take the study", code=refusal)
                if refusal:
                    raise OutputError(f"{refusal}: the spool does not take the study")
            fault = ""
        finally:
            self._ended(association, fault)

    def status(self) -> Status:
        """Counts, ages and problems at this moment."""
        try:
            free, problems = self._spool.free_bytes(), []
        except OSError:  # it was removed or unmounted
            free, problems = 0, [f"{NOT_WRITTEN}: the spool is not there"]
        with self._changed:
            waiting, queued = self._studies.in_work, self._outbox.entries()
            gauges = {
                "associations": self._listener.associations(),
                "studies_arriving": len(self._studies.unfinished()),
                "studies_waiting": len(waiting),
                "studies_queued": len(queued),
                "studies_aside": len(self._aside),
                "oldest_waiting_seconds": _age(waiting),
                "oldest_queued_seconds": _age(queued),
                "spool_free_bytes": free,
            }
        queues = {f"delivery to {kind}": one for kind, one in self._outbox.queues.items()}
        parts = {"listener": self._listener, "worker": self._worker, **queues}
        problems += [f"the {name} has ended" for name, part in parts.items() if not part.is_alive()]
        if free < self._options.limits.free_bytes:
            problems.append(f"{NO_SPACE}: instances are refused")
        return Status(self.counters.values(), gauges, tuple(problems))

    def _new_listener(self) -> Listener:
        options, confirms = self._options, self._options.peer and self._options.commitment.mode != "off"
        titles = {*options.calling_titles}
        return Listener(
            options.title,
            (options.host, options.port),
            self._keep,
            self._ended,
            calling_titles=titles | {options.peer.title} if titles and confirms else titles,
            message_bytes=min(options.limits.study_bytes, LIMITS.file_bytes),
            limits=options.association_limits,
            tls=options.tls,
            on_report=self._commitments.on_report if confirms else None,
        )

    def _take_over(self) -> None:
        """Go on with what an earlier receiver left in the spool."""
        options, left = self._options, self._spool.entries()
        self._aside = Aside(self._spool, options.aside_days)
        self._studies = OpenStudies(self._spool, self._aside, options.limits, options.idle_s, options.incomplete_s)
        of_state = {state: [one for one in left if one.record.state == state] for state in (ARRIVING, WAITING)}
        self._studies.resume(of_state[ARRIVING], of_state[WAITING])
        destinations = _destinations(options, self._commitments)
        self._outbox = Outbox(destinations, options.retry_s, self._aside, self.counters, self._changed)
        self._worker = Worker(
            self._segment,
            destinations,
            options,
            studies=self._studies,
            aside=self._aside,
            counters=self.counters,
            deliver=self._outbox.put,
            lock=self._changed,
        )
        for entry in left:
            if entry.record.state not in of_state:
                remove_unneeded_images(entry)
                self._outbox.put(entry, deliveries_of(entry))
        if left:
            LOGGER.info("going on with %d studies of an earlier receiver", len(left))

    def _keep(self, arrival: Arrival, association: Hashable) -> str:
        with self._changed:
            refusal = self._studies.add(arrival, association)
            first = (association, refusal) not in self._refused
            if refusal:
                self._refused.add((association, refusal))
            self._changed.notify_all()
        self.counters.add("instances_refused" if refusal else "instances_received")
        if not refusal:
            self.counters.add("bytes_received", len(arrival.content))
        elif first:
            LOGGER.warning("refused an instance, and does not log further ones of this sender: %s", refusal)
        return refusal

    def _ended(self, association: Hashable, fault: str) -> None:
        with self._changed:
            self._studies.end(association, fault)
            self._refused = {one for one in self._refused if one[0] is not association}
            self._changed.notify_all()


def _destinations(options: ReceiverOptions, commitments: Commitments) -> list[Destination]:
    found = list(options.destinations)
    if options.results is not None:
        found.append(folder_destination(options.results))
    if options.peer is not None:
        found.append(
            peer_destination(options.peer, options.title, commitments, options.commitment, tls=options.peer_tls)
        )
    return found


def _age(entries: Collection[Entry]) -> float:
    oldest = max((time.time() - entry.record.since for entry in entries), default=0.0)
    return round(max(0.0, oldest), 1)  # the clock may have been set back


def serve(receiver: Receiver, *watches: AbstractContextManager[object]) -> None:
    """Listen until SIGINT or SIGTERM, then call :meth:`Receiver.stop`; a second signal does not wait for it.

    ``watches`` run meanwhile: they bring studies by :meth:`Receiver.take`, and end before the receiver stops. Call it
    in the main thread. A second signal raises ``KeyboardInterrupt``.
    """
    run_until_signal(receiver, *watches, second="does not wait for the study in work")
