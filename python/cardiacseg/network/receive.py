"""A DICOM node that collects the studies it receives and passes each complete one to a worker for segmentation."""

import logging
import os
import queue
import signal
import ssl
import threading
import time
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from cardiacseg.errors import DicomError, InvalidInputError, NetworkError
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import N_INCOMPLETE
from cardiacseg.io.output import sync
from cardiacseg.network.listener import Listener
from cardiacseg.network.send import Peer, check_title, send
from cardiacseg.network.studies import DEFAULT_LIMITS, Arrival, Limits, OpenStudies, Spool, Study

LOGGER = logging.getLogger("cardiacseg.network")

# (folder of the study's files, empty folder for the results, notes on the study from before it is read)
# -> (the DICOM files to send, all notes of the cine)
Segment = Callable[[Path, Path, Sequence[Note]], tuple[Sequence[Path], Sequence[Note]]]


@dataclass(frozen=True)
class ReceiverOptions:
    """The address to listen on, the accepted senders, and the destination of the results.

    ``peer`` receives the results; ``results`` is a folder that keeps them, with a subfolder for each study; at least
    one of them must be set. A study is finished if no image arrives for ``idle_s`` seconds. An empty ``calling_titles``
    accepts all senders. ``spool`` is the parent of the private folder for received files, by default the system's
    temporary folder. ``tls`` is a server-side context, ``peer_tls`` the client-side one for ``peer``. Results of a
    study that is known to be incomplete are sent only with ``send_incomplete``.
    """

    title: str = "CARDIACSEG"
    host: str = "127.0.0.1"
    port: int = 11112
    peer: Peer | None = None
    results: Path | None = None
    calling_titles: Collection[str] = ()
    idle_s: float = 5.0
    limits: Limits = DEFAULT_LIMITS
    spool: Path | None = None
    tls: ssl.SSLContext | None = None
    peer_tls: ssl.SSLContext | None = None
    send_incomplete: bool = False

    def __post_init__(self):
        check_title(self.title)
        if self.peer is None and self.results is None:
            raise InvalidInputError(
                "results would be lost; expected a peer to send them to, a folder to keep them, or both"
            )
        if not self.idle_s > 0:
            raise InvalidInputError(f"idle_s is {self.idle_s}; expected a positive number of seconds")


class Receiver:
    """Listens from :meth:`start` to :meth:`stop`; also a context manager. Studies are segmented one at a time.

    If a study cannot be segmented or sent, the error's code is logged and the study is dropped; the listener goes on.
    Log lines of "cardiacseg.network" hold counters, codes and times. ``port`` is the port in use.
    """

    def __init__(self, segment: Segment, options: ReceiverOptions):
        self._segment, self._options = segment, options
        self._changed = threading.Condition()
        self._stopping = False

    def start(self) -> "Receiver":
        """Raises ``NetworkError`` if the port is not available, ``OSError`` if a folder cannot be written."""
        options = self._options
        if options.results is not None:
            options.results.mkdir(parents=True, exist_ok=True)
        self._spool = Spool(options.spool)
        self._studies = OpenStudies(self._spool, options.limits, options.idle_s)
        self._worker = threading.Thread(target=self._work, name="cardiacseg-receive", daemon=True)
        try:
            self._listener = Listener(
                options.title,
                (options.host, options.port),
                self._keep,
                self._ended,
                calling_titles=options.calling_titles,
                message_bytes=options.limits.study_bytes,
                tls=options.tls,
            )
        except BaseException:
            self._spool.remove()
            raise
        self.port = self._listener.port
        self._worker.start()
        LOGGER.info("listening on port %d", self.port)
        return self

    def stop(self, finish: bool = True) -> None:
        """Stop listening, ``finish`` or drop the study in work, drop the waiting ones, and remove all files.

        The number of dropped studies is logged.
        """
        try:
            self._listener.close()
            with self._changed:
                self._stopping = True
                self._changed.notify_all()
            if finish:
                self._worker.join()
        finally:
            self._spool.remove()
        LOGGER.info("stopped; %d studies were not segmented", self._studies.unfinished())

    def __enter__(self) -> "Receiver":
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop(finish=kind is not KeyboardInterrupt)

    def _keep(self, arrival: Arrival, association: Hashable) -> str:
        with self._changed:
            refusal = self._studies.add(arrival, association)
            self._changed.notify_all()
        if refusal:
            LOGGER.warning("refused an instance: %s", refusal)
        return refusal

    def _ended(self, association: Hashable, fault: str) -> None:
        with self._changed:
            self._studies.end(association, fault)
            self._changed.notify_all()

    def _work(self) -> None:
        while (study := self._next_study()) is not None:
            begin = time.perf_counter()
            LOGGER.info("study %d: %d instances, %.1f MB", study.number, len(study.instances), study.bytes / 1e6)
            try:
                self._segment_and_pass_on(study)
                LOGGER.info("study %d: done in %.1f s", study.number, time.perf_counter() - begin)
            except Exception as error:  # no study may stop the receiver
                LOGGER.error(
                    "study %d: failed after %.1f s: %s", study.number, time.perf_counter() - begin, _code(error)
                )
            finally:
                with self._changed:
                    self._studies.done(study)

    def _next_study(self) -> Study | None:
        with self._changed:
            while not self._stopping:
                study = self._studies.take_finished()
                if study is not None:
                    return study
                self._changed.wait(self._studies.seconds_until_finished())
        return None

    def _segment_and_pass_on(self, study: Study) -> None:
        parent = self._options.results
        partial = Spool(parent or self._spool.path, hidden=True)  # also removes the leftovers of a killed receiver
        try:
            output = partial.new_folder()
            files, notes = self._segment(study.folder, output, _notes_before(study))
            files = [path.relative_to(output) for path in files]
            incomplete = [note.text for note in notes if note.code == N_INCOMPLETE]
            for reason in incomplete:
                LOGGER.warning("study %d: %s", study.number, reason)
            if parent is not None:
                output = _keep_folder(output, parent, study.number, incomplete=bool(incomplete))
            if self._options.peer is not None:
                self._send(study, [output / name for name in files], incomplete=bool(incomplete))
        finally:
            partial.remove()

    def _send(self, study: Study, files: list[Path], incomplete: bool) -> None:
        if not files or (incomplete and not self._options.send_incomplete):
            reason = "the study is incomplete" if files else "there are no DICOM results"
            LOGGER.warning("study %d: nothing is sent: %s", study.number, reason)
            return
        report = send(files, self._options.peer, calling=self._options.title, tls=self._options.peer_tls)
        for _, status in report.warnings:
            LOGGER.warning("the peer stored a result with status 0x%04X", status)


def _notes_before(study: Study) -> tuple[Note, ...]:
    missing = study.missing()
    return (Note(N_INCOMPLETE, f"the study may be incomplete: {missing}"),) if missing else ()


def _keep_folder(output: Path, parent: Path, number: int, incomplete: bool) -> Path:
    name = f"study-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}-{number:04}"
    kept = parent / (f"{name}-incomplete" if incomplete else name)
    os.replace(output, kept)
    sync(parent)
    return kept


def _code(error: Exception) -> str:
    """The part of an error that may be logged: a code or a type's name, because texts may hold file names or values."""
    return (
        error.code
        if isinstance(error, DicomError)
        else str(error)
        if isinstance(error, NetworkError)
        else type(error).__name__
    )


def serve(receiver: Receiver) -> None:
    """Listen until SIGINT or SIGTERM, then call :meth:`Receiver.stop`; a second signal drops the study in work.

    Call it in the main thread. Files are removed in every case; a second signal raises ``KeyboardInterrupt``.
    """
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()  # its put may interrupt its get
    stopping = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stopping:
            raise KeyboardInterrupt
        signals.put(number)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with receiver:
            signals.get()
            stopping = True
            LOGGER.info("stopping; another signal drops the study in work")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
