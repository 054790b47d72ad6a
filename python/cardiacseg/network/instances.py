"""DICOM instances: the files of a folder that can be sent, and what is read of one that arrives."""

import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.uid import UID, MediaStorageDirectoryStorage

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.log_suppression import PYDICOM, suppress_logs

# Anonymizers write UIDs with leading zeros, letters and more than 64 characters; such files can be read as well.
_STUDY_UID = re.compile(r"[0-9A-Za-z._-]{1,128}")
_TAGS = ["StudyInstanceUID", "SeriesInstanceUID", "NumberOfSeriesRelatedInstances"]


@dataclass(frozen=True)
class Instance:
    """A DICOM file: ``name`` is its path relative to the given folder; ``bytes`` its size on disk."""

    path: Path
    name: str
    sop_class_uid: UID
    sop_instance_uid: str
    transfer_syntax_uid: UID
    bytes: int


def find_instances(source: str | Path | Sequence[str | Path]) -> tuple[list[Instance], int]:
    """The given DICOM files (PS3.10) and those in given folders and below, each once, folders in order of name.

    The second value counts other files in the folders, including a DICOMDIR, which are left out. Raises
    ``InvalidInputError`` for a given file that is not DICOM, for a damaged one, and if there is no DICOM file.
    """
    named = [source] if isinstance(source, (str, Path)) else source
    names = {file: name for path in map(Path, named) for file, name in _files(path)}
    instances = [_instance(path, name) for path, name in names.items() if _has_preamble(path)]
    stored = [instance for instance in instances if instance.sop_class_uid != MediaStorageDirectoryStorage]
    if not stored:
        raise InvalidInputError("nothing to send: expected at least one DICOM file")
    return stored, len(names) - len(stored)


def _files(path: Path) -> list[tuple[Path, str]]:
    """A folder's regular files and those below it, or the one file, with the names for messages."""
    if path.is_dir():
        return [(file, str(file.relative_to(path))) for file in sorted(path.rglob("*")) if file.is_file()]
    _require_dicom(path)
    return [(path, path.name)]


def _require_dicom(path: Path) -> None:
    if not path.is_file():
        raise InvalidInputError(f"{path.name} does not exist or is not a file; expected a DICOM file")
    if not _has_preamble(path):
        raise InvalidInputError(f"{path.name} is not a DICOM file: the letters DICM are missing at byte 128")


def _has_preamble(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def _instance(path: Path, name: str) -> Instance:
    try:
        dataset = pydicom.dcmread(path, specific_tags=["SOPClassUID", "SOPInstanceUID"], stop_before_pixels=True)
        syntax = UID(dataset.file_meta.TransferSyntaxUID)
        kind = UID(uid_text(dataset, "SOPClassUID") or dataset.file_meta.MediaStorageSOPClassUID)
        is_dicomdir = kind == MediaStorageDirectoryStorage
        uid = uid_text(dataset, "SOPInstanceUID")
    except Exception as error:  # pydicom raises many kinds of errors for damaged files
        raise InvalidInputError(f"{name}: the DICOM header is damaged ({type(error).__name__})") from None
    if not (kind.is_valid and syntax.is_valid and (uid or is_dicomdir)):
        raise InvalidInputError(
            f"{name}: SOP Class UID, SOP Instance UID or Transfer Syntax UID is missing or not a UID"
        )
    return Instance(path, name, kind, uid, syntax, os.path.getsize(path))


def uid_text(dataset: pydicom.Dataset, keyword: str) -> str:
    """A UID of a dataset, or an empty text; unlike pydicom's own access, without warnings that quote values."""
    element = dataset.get_item(keyword)
    value = element.value if element is not None else b""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return text.strip("\0 ")


@dataclass(frozen=True)
class Arrival:
    """A received instance: its UIDs, its bytes, the size of its series by its header (0: unknown), its sender's host.

    ``content`` is a DICOM file (PS3.10).
    """

    study_uid: str
    series_uid: str
    instance_uid: str
    content: bytes
    announced: int = 0
    host: str = ""

    @property
    def names_study(self) -> bool:
        """Whether its Study Instance UID can be used."""
        return _STUDY_UID.fullmatch(self.study_uid) is not None


def read_arrival(source: bytes | Path, host: str = "") -> Arrival:
    """The instance in the bytes of a DICOM file, or in a file, then without its content.

    Its UID is that of the file meta information. pydicom raises errors of many kinds for damaged data.
    """
    content = source if isinstance(source, bytes) else b""
    with suppress_logs(PYDICOM):
        head = pydicom.dcmread(io.BytesIO(content) if content else source, specific_tags=_TAGS, stop_before_pixels=True)
        announced = uid_text(head, "NumberOfSeriesRelatedInstances")
        return Arrival(
            uid_text(head, "StudyInstanceUID"),
            uid_text(head, "SeriesInstanceUID"),
            uid_text(head.file_meta, "MediaStorageSOPInstanceUID"),
            content,
            int(announced) if re.fullmatch("[0-9]{1,9}", announced) else 0,
            host,
        )
