"""Studies that are being received: their instances so far, the limits, and when a study is finished."""

import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path

LOGGER = logging.getLogger("cardiacseg.network")
_PREFIX = "cardiacseg-receive-"
_YOUNG_S = 60.0  # a new folder may not have its lock yet
TOO_LARGE, TOO_MANY, NOT_WRITTEN = "E_STUDY_TOO_LARGE", "E_TOO_MANY_STUDIES", "E_NOT_WRITTEN"
_MOST_REFUSED = 1000  # studies that are remembered as refused, a few hundred bytes each


class Spool:
    """A folder of mode 0700 in ``parent`` (the system's temporary folder), with files of mode 0600; or a hidden one.

    Patient data are on disk, not in memory, because several studies may arrive while one is being segmented, and
    because the segmentation reads a folder. A lock marks the folder as in use, so that :class:`Spool` can remove the
    leftovers of a killed process; if the program ends without :meth:`remove`, Python removes the folder.
    """

    def __init__(self, parent: Path | None = None, hidden: bool = False):
        root, prefix = Path(parent or tempfile.gettempdir()), "." * hidden + _PREFIX
        _remove_abandoned(root, prefix)
        self._folder = tempfile.TemporaryDirectory(prefix=prefix, dir=root, ignore_cleanup_errors=True)
        self._lock = _locked(Path(self._folder.name))
        self.path = Path(self._folder.name)
        self._made = 0

    def new_folder(self) -> Path:
        """A new empty folder inside."""
        self._made += 1
        folder = self.path / f"{self._made:06}"
        folder.mkdir(mode=0o700)
        return folder

    def remove(self) -> None:
        """Remove the folder and all that is in it."""
        self._folder.cleanup()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 completely or not at all. Raises ``OSError``."""
    beside = path.with_suffix(".partial")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _locked(folder: Path) -> int | None:
    """A descriptor that locks the folder while it is open, or ``None`` if another process has the lock."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_abandoned(root: Path, prefix: str) -> None:
    for folder in root.glob(f"{prefix}*"):
        try:
            state = folder.lstat()
            old = time.time() - state.st_mtime > _YOUNG_S
            if old and state.st_uid == os.getuid() and (lock := _locked(folder)) is not None:
                shutil.rmtree(folder)
                os.close(lock)
                LOGGER.warning("removed the files of a receiver that was killed")
        except OSError:  # another process removes it at this moment, or it is not a folder
            continue


@dataclass(frozen=True)
class Limits:
    """Limits of disk space: at most ``open_studies`` (arriving, waiting and in work), each of the given size."""

    study_bytes: int = 4 << 30
    study_instances: int = 20_000
    open_studies: int = 4


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Arrival:
    """A received instance: its UIDs, its bytes, and the size of its series by its header (0: unknown)."""

    study_uid: str
    series_uid: str
    instance_uid: str
    content: bytes
    announced: int = 0


@dataclass(eq=False)
class Study:
    """The instances of one study so far, by SOP Instance UID, and the associations that may bring more.

    ``fault`` says why instances may be missing: an association that sent some of them was broken off, and no later one
    has sent some and been released. ``associations`` maps each association to the number of faults before it began.
    """

    number: int
    folder: Path | None
    instances: dict[str, tuple[Path, int]] = field(default_factory=dict)
    series: dict[str, set[str]] = field(default_factory=dict)
    announced: dict[str, int] = field(default_factory=dict)
    associations: dict[Hashable, int] = field(default_factory=dict)
    bytes: int = 0
    refused: str = ""
    fault: str = ""
    faults: int = 0
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


class OpenStudies:
    """Collects instances by study. Not thread-safe: the caller holds a lock.

    A study is finished if every association that sent a part of it has ended and nothing has arrived for ``idle_s``
    seconds. A study beyond the limits is refused as a whole until then, so that a part is not mistaken for the whole.
    """

    def __init__(self, spool: Spool, limits: Limits, idle_s: float, clock: Callable[[], float] = time.monotonic):
        self._spool, self._limits, self._idle_s, self._clock = spool, limits, idle_s, clock
        self._studies: dict[str, Study] = {}
        self._in_work = 0
        self._count = 0

    def add(self, arrival: Arrival, association: Hashable) -> str:
        """Keep one file; a repeated instance replaces the first. Returns the code of a refusal, or an empty text."""
        study = self._studies.get(arrival.study_uid) or self._open(arrival.study_uid)
        study.associations.setdefault(association, study.faults)
        study.last_time = self._clock()
        if not study.refused and self._too_large(study, arrival.instance_uid, len(arrival.content)):
            self._refuse(study, TOO_LARGE)
        if not study.refused:
            try:
                self._keep(study, arrival)
            except OSError:  # the disk is full, most likely
                self._refuse(study, NOT_WRITTEN)
        return study.refused

    def end(self, association: Hashable, fault: str = "") -> None:
        """The association has ended; ``fault`` says why instances may be missing."""
        for study in self._studies.values():
            if association not in study.associations:
                continue
            faults_before = study.associations.pop(association)
            study.last_time = self._clock()
            if fault:
                study.fault, study.faults = fault, study.faults + 1
            elif faults_before == study.faults:  # it began after the last fault: the study was sent again
                study.fault = ""

    def take_finished(self) -> Study | None:
        """The study that has been finished for longest, or ``None``; :meth:`done` must follow."""
        now = self._clock()
        over = [uid for uid, study in self._studies.items() if self._due(study) <= now]
        for uid in (uid for uid in over if self._studies[uid].refused):
            del self._studies[uid]
        waiting = sorted((uid for uid in over if uid in self._studies), key=lambda uid: self._studies[uid].last_time)
        if not waiting:
            return None
        self._in_work += 1
        return self._studies.pop(waiting[0])

    def done(self, study: Study) -> None:
        """Remove a study that was returned by :meth:`take_finished`, and its files."""
        shutil.rmtree(study.folder, ignore_errors=True)
        self._in_work -= 1

    def seconds_until_finished(self) -> float | None:
        """Seconds until a study is finished if nothing arrives; ``None`` if there is none that can finish."""
        due = min((self._due(study) for study in self._studies.values()), default=float("inf"))
        return None if due == float("inf") else max(0.0, due - self._clock())

    def unfinished(self) -> int:
        """Number of studies that were not returned yet."""
        return sum(not study.refused for study in self._studies.values())

    def _due(self, study: Study) -> float:
        return float("inf") if study.associations else study.last_time + self._idle_s

    def _open(self, study_uid: str) -> Study:
        full = self.unfinished() + self._in_work >= self._limits.open_studies
        if full:
            self._forget_refused()
        else:
            self._count += 1
        study = Study(self._count, None if full else self._spool.new_folder(), refused=TOO_MANY if full else "")
        self._studies[study_uid] = study
        return study

    def _forget_refused(self) -> None:
        refused = [uid for uid, study in self._studies.items() if study.refused]
        for uid in refused[: len(refused) - _MOST_REFUSED + 1]:
            del self._studies[uid]

    def _too_large(self, study: Study, instance_uid: str, size: int) -> bool:
        _, replaced = study.instances.get(instance_uid, (None, 0))
        count = len(study.instances) + (instance_uid not in study.instances)
        return study.bytes - replaced + size > self._limits.study_bytes or count > self._limits.study_instances

    def _refuse(self, study: Study, code: str) -> None:
        shutil.rmtree(study.folder, ignore_errors=True)
        study.refused, study.folder, study.bytes = code, None, 0
        study.instances, study.series, study.announced = {}, {}, {}

    def _keep(self, study: Study, arrival: Arrival) -> None:
        new = study.folder / f"{len(study.instances) + 1:06}.dcm"
        path, replaced = study.instances.get(arrival.instance_uid, (new, 0))
        write_private(path, arrival.content)
        study.instances[arrival.instance_uid] = path, len(arrival.content)
        study.series.setdefault(arrival.series_uid, set()).add(arrival.instance_uid)
        known = study.announced.get(arrival.series_uid, 0)
        study.announced[arrival.series_uid] = max(known, arrival.announced)
        study.bytes += len(arrival.content) - replaced
