"""The folder in which a receiver keeps studies: on the disk before they are acknowledged, until they are delivered.

    SPOOL/studies/NAME/           a study; NAME is the time at which it began and a random number
        study.json                its state, a :class:`Record`; a folder without this file holds nothing
        images/000001.dcm ...     what arrived
        results/                  what is delivered
        to-KIND.json              a delivery that is due, one for each kind of destination (delivery.py)
    SPOOL/aside/NAME/             the same, for studies that nothing happens to until a person or a sender acts

Every change is a file that is written beside and renamed, or a folder that is renamed, and is on the disk before the
next one begins. So a receiver that is killed, or loses its power, at any moment finds each study in one of its states.
"""

import fcntl
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cardiacseg.errors import Error, InvalidInputError, OutputError
from cardiacseg.network.durable import PARTIAL, remove_folder, sync, write_json

LOGGER = logging.getLogger("cardiacseg.network")
DAMAGED = "E_DAMAGED_ENTRY"
ARRIVING, WAITING, DELIVERING, ASIDE = "arriving", "waiting", "delivering", "aside"
_NAME = re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}")
_RECORD = "study.json"


@dataclass
class Record:
    """What is known of a study beside its files.

    ``open``: associations may still bring images, so after a restart some may be missing. ``fault`` says why images
    may be missing, or is empty. ``attempts`` counts how often the segmentation began. ``incomplete`` are the reasons of
    the results' notes; ``dicom`` the names of the DICOM results. ``reason`` is why the study lies aside, ``since`` the
    time (seconds since 1970) of its state.
    """

    study_uid: str
    state: str = ARRIVING
    open: bool = True
    fault: str = ""
    attempts: int = 0
    incomplete: list[str] = field(default_factory=list)
    dicom: list[str] = field(default_factory=list)
    reason: str = ""
    since: float = field(default_factory=time.time)


class Entry:
    """A study's folder and its record. Methods raise ``OSError``; the record in memory then is as before."""

    def __init__(self, folder: Path, record: Record):
        self.folder, self.record = folder, record

    @property
    def name(self) -> str:
        """The study's name in the spool, in log lines and in the names of results."""
        return self.folder.name

    @property
    def images(self) -> Path:
        return self.folder / "images"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def update(self, **changes: Any) -> None:
        """Change the record, first on the disk."""
        if changes.get("state", self.record.state) != self.record.state:
            changes["since"] = time.time()
        record = Record(**{**asdict(self.record), **changes})
        write_json(self.folder / _RECORD, asdict(record))
        self.record = record

    def new_results(self) -> Path:
        """An empty folder for results; those of an earlier attempt are removed."""
        remove_folder(self.results)
        self.results.mkdir(mode=0o700)
        return self.results

    def sync_results(self) -> None:
        """Wait until all results are on the disk."""
        for path in (*self.results.rglob("*"), self.results, self.folder):
            sync(path)

    def move(self, parent: Path, name: str = "") -> None:
        """Rename the folder into ``parent``."""
        target = parent / (name or self.name)
        os.rename(self.folder, target)
        sync(parent)
        sync(self.folder.parent)
        self.folder = target

    def remove(self) -> None:
        """Remove the folder. If this is interrupted, a folder without a record is left, which holds nothing."""
        (self.folder / _RECORD).unlink(missing_ok=True)
        sync(self.folder)
        remove_folder(self.folder)


class Spool:
    """The folder ``root``, which is made if it is missing, and which one receiver can use at a time.

    Its folders have mode 0700 and its files 0600. Raises ``InvalidInputError`` if another receiver uses it, and
    ``OutputError`` if it cannot be made or written.
    """

    def __init__(self, root: Path):
        self.root, self._studies, self._aside = root, root / "studies", root / "aside"
        try:
            for folder in (root, self._studies, self._aside):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _locked(root)
            for folder in (self._studies, self._aside):
                folder.chmod(0o700)
        except Error:
            raise
        except OSError as error:
            raise OutputError(f"cannot use {root} as the spool: {error.strerror or type(error).__name__}") from error

    def new(self, study_uid: str) -> Entry:
        """A new entry for an arriving study. Raises ``OSError``."""
        folder = self._studies / _new_name()
        folder.mkdir(mode=0o700)  # not its parents: the disk of the spool may be unmounted
        (folder / "images").mkdir(mode=0o700)
        entry = Entry(folder, Record(study_uid))
        try:
            entry.update()
        except BaseException:
            remove_folder(folder)
            raise
        sync(self._studies)
        return entry

    def entries(self) -> list[Entry]:
        """The studies that an earlier receiver left, oldest first; what was left in between two states is put right."""
        found = list(self._found(self._studies))
        for entry in [entry for entry in found if entry.record.state == ASIDE]:
            LOGGER.warning("study %s: kept aside: %s", entry.name, entry.record.reason)
            entry.move(self._aside)
            found.remove(entry)
        for entry in [entry for entry in self._found(self._aside) if entry.record.state != ASIDE]:
            entry.move(self._studies, _new_name())
            found.append(entry)
        return found

    def aside(self) -> list[Entry]:
        """The studies that lie aside, oldest first."""
        return list(self._found(self._aside))

    def put_aside(self, entry: Entry, reason: str) -> None:
        """Keep the images of a study, and why, until a sender sends the study again or a person acts."""
        entry.update(state=ASIDE, reason=reason, open=False)
        if reason != DAMAGED:
            remove_folder(entry.results)
        entry.move(self._aside)

    def take_back(self, entry: Entry) -> None:
        """Let a study that lies aside arrive again, under another name, which its results will have."""
        if not entry.record.fault and entry.record.incomplete:
            entry.record.fault = entry.record.incomplete[0]
        entry.update(state=ARRIVING, open=True, attempts=0, incomplete=[], reason="")
        entry.move(self._studies, _new_name())

    def free_bytes(self) -> int:
        """Bytes that are free on the spool's disk. Raises ``OSError`` if it is not there."""
        state = os.statvfs(self._studies)
        return state.f_bavail * state.f_frsize

    def close(self) -> None:
        """Unlock the spool; empty folders are removed."""
        for folder in (self._studies, self._aside):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        os.close(self._lock)

    def _found(self, parent: Path) -> Iterator[Entry]:
        for folder in sorted(path for path in parent.iterdir() if _NAME.fullmatch(path.name)):
            if not (folder / _RECORD).exists():  # being made or being removed
                remove_folder(folder)
                continue
            yield _read_entry(folder)


def _new_name() -> str:
    return f"{time.strftime('%Y%m%dT%H%M%S')}-{secrets.token_hex(4)}"


def _read_entry(folder: Path) -> Entry:
    for path in folder.rglob(f"*{PARTIAL}"):
        path.unlink()
    try:
        return Entry(folder, Record(**json.loads((folder / _RECORD).read_text())))
    except (ValueError, TypeError):  # no receiver writes such a file
        return Entry(folder, Record("", state=ASIDE, reason=DAMAGED))


def _locked(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise InvalidInputError(
            f"the spool {folder} is in use by another receiver; expected a folder for this one"
        ) from None
    return descriptor
