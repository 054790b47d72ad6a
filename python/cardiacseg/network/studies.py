"""Studies that are being received: their instances so far, the limits, and when a study is finished."""

import logging
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cardiacseg.network.aside import Aside
from cardiacseg.network.durable import NO_SPACE, code_of, write_private
from cardiacseg.network.instances import Arrival, read_arrival
from cardiacseg.network.spool import WAITING, Entry, Spool

LOGGER = logging.getLogger("cardiacseg.network")
TOO_LARGE, TOO_MANY = "E_STUDY_TOO_LARGE", "E_TOO_MANY_STUDIES"
_MOST_REFUSED = 1000  # studies that are remembered as refused, a few hundred bytes each
RESTARTED = "the receiver ended while the study arrived"
NOT_TAKEN = "the disk did not take an image"
DAMAGED = "an image in the spool cannot be read"
TOO_LONG = "the study took too long to arrive"


@dataclass(frozen=True)
class Limits:
    """Limits of disk space and of time.

    At most ``open_studies`` (arriving, waiting and in work), of which at most ``host_studies`` arrive from one host,
    each of the given size and with ``study_s`` seconds to arrive. Nothing is accepted that would leave fewer than
    ``free_bytes`` free.
    """

    study_bytes: int = 4 << 30
    study_instances: int = 20_000
    open_studies: int = 32
    host_studies: int = 16
    study_s: float = 4 * 3600.0
    free_bytes: int = 1 << 30


DEFAULT_LIMITS = Limits()


@dataclass(eq=False)
class Study:
    """The instances of one study so far, by SOP Instance UID, and the associations that may bring more.

    ``fault`` says why instances may be missing: an association that sent some of them was broken off, and no later one
    has sent some and been released. ``associations`` maps each association to the number of faults before it began;
    ``not_taken`` are instances that the disk did not take; ``changed`` counts those that came again with other content;
    ``files`` is the highest number of a file. A study without an entry is refused from its beginning.
    """

    entry: Entry | None
    host: str = ""
    instances: dict[str, tuple[Path, int]] = field(default_factory=dict)
    series: dict[str, set[str]] = field(default_factory=dict)
    announced: dict[str, int] = field(default_factory=dict)
    associations: dict[Hashable, int] = field(default_factory=dict)
    not_taken: set[str] = field(default_factory=set)
    changed: int = 0
    bytes: int = 0
    files: int = 0
    refused: str = ""
    fault: str = ""
    faults: int = 0
    first_time: float = 0.0
    last_time: float = 0.0

    def missing(self) -> str:
        """Why images of the study are known to be missing; empty if none are."""
        if self.fault:
            return self.fault
        short = [(len(self.series[uid]), count) for uid, count in self.announced.items()]
        short = [(came, count) for came, count in short if came < count]
        if not short:
            return ""
        came, count = map(sum, zip(*short, strict=True))
        return f"{came} of {count} images came, which NumberOfSeriesRelatedInstances announces"

    def put(self, arrival: Arrival, path: Path, size: int) -> None:
        """Count an instance that is on the disk; one that came before is replaced."""
        _, replaced = self.instances.get(arrival.instance_uid, (path, 0))
        self.instances[arrival.instance_uid] = path, size
        self.series.setdefault(arrival.series_uid, set()).add(arrival.instance_uid)
        self.announced[arrival.series_uid] = max(self.announced.get(arrival.series_uid, 0), arrival.announced)
        self.bytes += size - replaced
        self.files = max(self.files, int(path.stem))
        self.not_taken.discard(arrival.instance_uid)

    def path_of(self, instance_uid: str) -> Path:
        """Where an instance is or will be."""
        new = self.entry.images / f"{self.files + 1:06}.dcm"
        return self.instances.get(instance_uid, (new, 0))[0]

    def load(self) -> None:
        """Count the instances that an earlier receiver left."""
        for path in sorted(self.entry.images.glob("*.dcm")):
            try:
                self.files = int(path.stem)
                self.put(read_arrival(path), path, path.stat().st_size)
            except Exception:  # pydicom raises many kinds of errors for damaged data
                self.fault, self.faults = DAMAGED, 1


class OpenStudies:
    """Collects instances by study. Not thread-safe: the caller holds a lock.

    A study is finished if every association that sent a part of it has ended and nothing has arrived for ``idle_s``
    seconds, or for ``incomplete_s`` if images are known to be missing, or if an association that sent a part of it now
    sends another study: some senders use one association for all. A study beyond the limits is refused as a whole
    until then, so that a part is not mistaken for the whole. A study that lies aside is taken back if more of it comes.
    """

    def __init__(
        self,
        spool: Spool,
        aside: Aside,
        limits: Limits,
        idle_s: float,
        incomplete_s: float,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._spool, self._aside, self._limits, self._clock = spool, aside, limits, clock
        self._idle_s, self._incomplete_s = idle_s, max(idle_s, incomplete_s)
        self._studies: dict[str, Study] = {}
        self._latest: dict[Hashable, Study] = {}  # what an association sends at present
        self.in_work: list[Entry] = []

    def resume(self, arriving: Iterable[Entry], in_work: Iterable[Entry]) -> None:
        """Go on with studies that were arriving, and that were finished, when an earlier receiver ended."""
        for entry in arriving:
            self._studies[entry.record.study_uid] = self._loaded(entry)
        self.in_work += in_work

    def add(self, arrival: Arrival, association: Hashable) -> str:
        """Keep one file durably; a repeated instance replaces the first. Gives the code of a refusal, or nothing."""
        try:
            study = self._studies.get(arrival.study_uid) or self._open(arrival)
            study.associations.setdefault(association, study.faults)
            self._latest[association] = study
            study.last_time = self._clock()
            if not study.refused and self._too_large(study, arrival.instance_uid, len(arrival.content)):
                study.refused = TOO_LARGE
            return study.refused or self._keep(study, arrival)
        except OSError as error:
            return code_of(error)

    def end(self, association: Hashable, fault: str = "") -> None:
        """The association has ended; ``fault`` says why instances may be missing."""
        self._latest.pop(association, None)
        for study in self._studies.values():
            if association not in study.associations:
                continue
            faults_before = study.associations.pop(association)
            study.last_time = self._clock()
            if fault or study.not_taken:
                study.fault, study.faults = fault or NOT_TAKEN, study.faults + 1
            elif faults_before == study.faults:  # it began after the last fault: the study was sent again
                study.fault = ""
            if study.entry and not study.associations:
                self._note_end(study)

    def take_finished(self) -> Study | None:
        """The study that has been finished for longest, or ``None``; :meth:`done` must follow. Raises ``OSError``."""
        now = self._clock()
        over = {uid: study for uid, study in self._studies.items() if self._due(study) <= now}
        for uid in [uid for uid, study in over.items() if study.entry is None]:
            del self._studies[uid], over[uid]
        if not over:
            return None
        uid = min(over, key=lambda uid: over[uid].last_time)
        study = over[uid]
        if self._is_sent(study) and not study.fault:
            study.fault = TOO_LONG
        study.last_time = now  # if the disk is full now, it is tried again after the idle time
        study.entry.update(state=WAITING, open=False, fault=study.missing())
        del self._studies[uid]
        self.in_work.append(study.entry)
        return study

    def done(self, entry: Entry) -> None:
        """A study that was returned by :meth:`take_finished` needs no place among the open studies any more."""
        if entry in self.in_work:
            self.in_work.remove(entry)

    def seconds_until_finished(self) -> float | None:
        """Seconds until a study is finished if nothing arrives; ``None`` if there is none that can finish."""
        due = min((self._due(study) for study in self._studies.values()), default=None)
        return None if due is None else max(0.0, due - self._clock())

    def unfinished(self) -> list[Entry]:
        """The studies that were not returned yet."""
        return [study.entry for study in self._studies.values() if study.entry]

    def _due(self, study: Study) -> float:
        longest = study.first_time + self._limits.study_s
        wait = self._incomplete_s if study.associations or study.missing() else self._idle_s
        return longest if self._is_sent(study) else min(longest, study.last_time + wait)

    def _is_sent(self, study: Study) -> bool:
        """Whether an association may be about to bring the next image of it; of a refused one, while any is open."""
        return any(study.entry is None or self._latest.get(one) is study for one in study.associations)

    def _open(self, arrival: Arrival) -> Study:
        of_host = sum(study.host == arrival.host for study in self._studies.values() if study.entry)
        full = len(self.unfinished()) + len(self.in_work) >= self._limits.open_studies
        if full or of_host >= self._limits.host_studies:
            self._forget_refused()
            study = Study(None, arrival.host, refused=TOO_MANY)
        elif (entry := self._aside.take_back(arrival.study_uid)) is not None:
            study = self._loaded(entry)
        else:
            study = Study(self._spool.new(arrival.study_uid))
        study.host, study.first_time = arrival.host, self._clock()
        self._studies[arrival.study_uid] = study
        return study

    def _loaded(self, entry: Entry) -> Study:
        fault = entry.record.fault or (RESTARTED if entry.record.open else "")
        study = Study(entry, fault=fault, faults=bool(fault))
        study.load()
        study.first_time = study.last_time = self._clock()
        return study

    def _forget_refused(self) -> None:
        refused = [uid for uid, study in self._studies.items() if study.entry is None]
        for uid in refused[: len(refused) - _MOST_REFUSED + 1]:
            del self._studies[uid]

    def _too_large(self, study: Study, instance_uid: str, size: int) -> bool:
        _, replaced = study.instances.get(instance_uid, (None, 0))
        count = len(study.instances) + (instance_uid not in study.instances)
        return study.bytes - replaced + size > self._limits.study_bytes or count > self._limits.study_instances

    def _keep(self, study: Study, arrival: Arrival) -> str:
        size = len(arrival.content)
        study.not_taken.add(arrival.instance_uid)
        if self._spool.free_bytes() - size < self._limits.free_bytes:
            return NO_SPACE
        if not study.entry.record.open:
            study.entry.update(open=True)
        path = study.path_of(arrival.instance_uid)
        study.changed += path.exists() and path.read_bytes() != arrival.content
        write_private(path, arrival.content)
        study.put(arrival, path, size)
        return ""

    def _note_end(self, study: Study) -> None:
        try:
            study.entry.update(open=False, fault=study.fault)
        except OSError as error:  # after a restart the study would count as interrupted, which is safe
            LOGGER.warning("study %s: its state was not written: %s", study.entry.name, code_of(error))
