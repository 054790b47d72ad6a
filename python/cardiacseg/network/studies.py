"""Studies that are being received: what has come of each, whether there is room, and when it is finished."""

import shutil
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path

from cardiacseg.network.spool import Spool, write_private

TOO_LARGE, TOO_MANY, NOT_WRITTEN = "E_STUDY_TOO_LARGE", "E_TOO_MANY_STUDIES", "E_NOT_WRITTEN"
_MOST_REFUSED = 1000  # studies that are remembered as refused, a few hundred bytes each


@dataclass(frozen=True)
class Limits:
    """What may lie on disk: at most ``open_studies`` (arriving, waiting and in work) of the given size each."""

    study_bytes: int = 4 << 30
    study_instances: int = 20_000
    open_studies: int = 4


DEFAULT_LIMITS = Limits()


@dataclass(eq=False)
class Study:
    """The instances of one study so far, by SOP Instance UID, and the associations that may bring more."""

    number: int
    folder: Path | None
    instances: dict[str, tuple[Path, int]] = field(default_factory=dict)
    associations: set[Hashable] = field(default_factory=set)
    bytes: int = 0
    refused: str = ""
    last_time: float = 0.0


class OpenStudies:
    """Gathers instances by study. Not thread-safe: the caller holds a lock.

    A study is finished when every association that brought a part of it has ended and for ``idle_s`` seconds nothing
    has come. A study that does not fit is refused as a whole until then, so that no part of it is taken for all of it.
    """

    def __init__(self, spool: Spool, limits: Limits, idle_s: float, clock: Callable[[], float] = time.monotonic):
        self._spool, self._limits, self._idle_s, self._clock = spool, limits, idle_s, clock
        self._studies: dict[str, Study] = {}
        self._in_work = 0
        self._count = 0

    def add(self, study_uid: str, instance_uid: str, content: bytes, association: Hashable) -> str:
        """Keep one file; an instance that comes again replaces the first. Gives the code of a refusal, or nothing."""
        study = self._studies.get(study_uid) or self._open(study_uid)
        study.associations.add(association)
        study.last_time = self._clock()
        if not study.refused and self._too_large(study, instance_uid, len(content)):
            self._refuse(study, TOO_LARGE)
        if not study.refused:
            try:
                self._keep(study, instance_uid, content)
            except OSError:  # the disk is full, most likely
                self._refuse(study, NOT_WRITTEN)
        return study.refused

    def end(self, association: Hashable) -> None:
        """The association is over, however it ended."""
        for study in self._studies.values():
            if association in study.associations:
                study.associations.remove(association)
                study.last_time = self._clock()

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
        """Forget a study that was taken, and its files."""
        shutil.rmtree(study.folder, ignore_errors=True)
        self._in_work -= 1

    def seconds_until_finished(self) -> float | None:
        """How long until a study may be finished, if nothing comes; ``None`` where nothing can finish by itself."""
        due = min((self._due(study) for study in self._studies.values()), default=float("inf"))
        return None if due == float("inf") else max(0.0, due - self._clock())

    def unfinished(self) -> int:
        """How many studies have not been taken."""
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
        study.refused, study.folder, study.instances, study.bytes = code, None, {}, 0

    def _keep(self, study: Study, instance_uid: str, content: bytes) -> None:
        path, replaced = study.instances.get(instance_uid, (study.folder / f"{len(study.instances) + 1:06}.dcm", 0))
        write_private(path, content)
        study.instances[instance_uid] = path, len(content)
        study.bytes += len(content) - replaced
