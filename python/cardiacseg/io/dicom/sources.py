"""Sources of DICOM bytes: folders, lists of files, DICOMDIRs and archives, read within the budget of the input."""

import io
import os
import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.filereader import read_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from cardiacseg.errors import DicomError
from cardiacseg.io.archives import Entry, Unpacker
from cardiacseg.io.budget import Budget
from cardiacseg.io.dicom.errors import E_DAMAGED, E_MISSING_FILE
from cardiacseg.io.file_kind import START_BYTES, is_dicom_start
from cardiacseg.io.log_suppression import PYDICOM, suppress_logs

_READ_AT_ONCE, _LITTLE = 1 << 16, 1 << 12
_PREAMBLE_BYTES, _ITEM = 132, b"\xfe\xff\x00\xe0"


def open_bounded(path: Path, budget: Budget) -> BinaryIO:
    """A file that is never read past its end, so that a wrong length does not allocate a huge buffer.

    Bytes that are read count to ``budget``. Raises ``DicomError`` if the system refuses to read the file.
    """
    try:
        length = path.stat().st_size
        file = _BoundedFile(path, length, budget)
        if length > _READ_AT_ONCE:
            budget.take("bytes", _READ_AT_ONCE, path.name)  # for all small reads
            return file
        with file:
            return io.BytesIO(file.read())
    except OSError as error:
        raise DicomError(E_DAMAGED, f"{path.name} cannot be read ({error.strerror})") from error


def inflate(stream: BinaryIO, name: str, budget: Budget) -> bytes:
    """The deflated dataset that begins at the stream's position; its size is limited."""
    start = stream.tell()
    budget.check("part_bytes", stream.seek(0, 2) - start, name)
    stream.seek(start)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    unpacked = inflater.decompress(stream.read(), budget.limits.part_bytes + 1)
    budget.check("part_bytes", len(unpacked), name)
    budget.take("bytes", 2 * len(unpacked), name)  # pydicom unpacks it again
    return unpacked


class _BoundedFile(io.BufferedReader):
    def __init__(self, path: Path, length: int, budget: Budget):
        super().__init__(io.FileIO(os.fspath(path)))
        self._length, self._budget, self._taken = length, budget, 0

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and 0 <= size <= _LITTLE:  # small reads, of which a header has many
            return super().read(size)
        left = max(0, self._length - self.tell())
        count = left if size is None or size < 0 else min(size, left)
        self._taken += count
        self._budget.check("file_bytes", self._taken, os.path.basename(self.name))
        self._budget.take("bytes", count, os.path.basename(self.name))
        return super().read(count)


def is_dicomdir(path: Path) -> bool:
    """Whether a file is the directory of a medium, by its name, which DICOM prescribes."""
    return path.name.upper() == "DICOMDIR"


def _files_of_dicomdir(path: Path, budget: Budget) -> list[Path]:
    """Paths of the files in use that the directory at ``path`` names.

    Raises ``DicomError`` if one is missing or outside of the medium.
    """
    found = {parts: _resolve(path.parent, parts) for parts in _file_identifiers(path, budget)}
    missing = ["/".join(parts) for parts, file in found.items() if file is None]
    if missing:
        raise DicomError(
            E_MISSING_FILE,
            f"{path.name} names {len(found)} files, of which {len(missing)} do not lie beside it (first: {missing[0]})",
        )
    return [file for file in found.values() if file is not None]


def _file_identifiers(path: Path, budget: Budget) -> list[tuple[str, ...]]:
    try:
        with suppress_logs(PYDICOM), open_bounded(path, budget) as file:
            _check_size(file, path.name, budget)
            records = pydicom.dcmread(file, specific_tags=["DirectoryRecordSequence"]).DirectoryRecordSequence
            used = [record for record in records if record.get("RecordInUseFlag") != 0]
            named = [record.ReferencedFileID for record in used if record.get("ReferencedFileID")]
    except DicomError:
        raise
    # pydicom raises almost any error for a damaged file.
    except Exception as error:
        raise DicomError(E_DAMAGED, f"{path.name} is no readable DICOMDIR") from error
    return [(part,) if isinstance(part, str) else tuple(map(str, part)) for part in named]


def _check_size(file: BinaryIO, name: str, budget: Budget) -> None:
    """Count the records before parsing, which is slow; each file has at least one."""
    budget.check("part_bytes", file.seek(0, 2), name)
    file.seek(_PREAMBLE_BYTES)
    meta = read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
    deflated = meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian
    content = inflate(file, name, budget) if deflated else file.read()
    budget.check("records", content.count(_ITEM), name)
    file.seek(0)


def _resolve(medium: Path, parts: tuple[str, ...]) -> Path | None:
    """A file's path; media copied from a CD often have lowercase names although the directory has capitals."""
    for names in (parts, tuple(part.lower() for part in parts)):
        file = medium.joinpath(*names)
        try:
            if file.is_file() and file.resolve().is_relative_to(medium.resolve()):
                return file
        except (OSError, ValueError):
            return None
    return None


@dataclass(frozen=True)
class File:
    """One file; ``name`` is relative to the caller's input; ``open`` opens it at its beginning.

    Characters that cannot be printed, which names on disk and in a zip may have, are escaped in ``name``. Bytes that
    are read count to ``budget``, which all files of an input share.
    """

    name: str
    open: Callable[[], BinaryIO]
    budget: Budget = field(compare=False, repr=False)
    place: int = 0

    def __post_init__(self):
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in self.name)
        object.__setattr__(self, "name", shown)


@dataclass(frozen=True)
class _OnDisk(Entry):
    path: Path

    def start(self) -> bytes:
        try:
            with open(self.path, "rb") as file:
                return file.read(START_BYTES)
        except OSError as error:
            raise DicomError(E_DAMAGED, f"{self.name} cannot be read ({error.strerror})") from error


@contextmanager
def find_files(source: Path | Sequence[Path], budget: Budget | None = None) -> Iterator[list[File]]:
    """All files of a source, of any kind, while archives stay open.

    Archives and compressed files are opened, also inside archives and, if a folder has no other DICOM file, in folders.
    Raises ``DicomError`` for missing files, and for too many or too large ones.
    """
    budget = budget or Budget(dicom=True)
    paths = [Path(source)] if isinstance(source, (str, os.PathLike)) else [Path(path) for path in source]
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None or not paths:
        raise DicomError(E_MISSING_FILE, f"expected DICOM files; {missing or 'an empty list'} has none")
    named = sorted(_named(paths, budget).items())
    budget.take("files", len(named), paths[0].name)
    on_disk = [_OnDisk(name, partial(open_bounded, path, budget), path) for name, path in named]
    # Beside DICOM files an archive holds other data, or the same files again.
    archives = not any(path.is_dir() for path in paths) or not any(map(_is_dicom, on_disk))
    with ExitStack() as stack:
        unpacker, found = Unpacker(budget, stack), []
        for file in on_disk:
            inside = "" if len(paths) == 1 and paths[0].is_file() else f"{file.name}/"
            found += unpacker.entries(file, inside, archives=archives)
        yield [File(entry.name, entry.open, budget, place) for place, entry in enumerate(found)]


def _is_dicom(file: Entry) -> bool:
    try:
        return is_dicom_start(file.start())
    except DicomError:
        return False


def _named(paths: list[Path], budget: Budget) -> dict[str, Path]:
    """Every regular file by its name relative to the input; each once, however often it is given."""
    found: dict[str, Path] = {}
    base = Path(os.path.commonpath([path.absolute() for path in paths]))
    for path in paths:
        for file in _below(path, budget):
            root = path if path.is_dir() and len(paths) == 1 else base
            name = os.path.relpath(file.absolute(), root.absolute() if root.is_dir() else root.absolute().parent)
            found[name] = file
    return found


def _below(path: Path, budget: Budget) -> list[Path]:
    if path.is_dir():
        # Links to folders are not followed: they may lead in circles.
        walked = [Path(folder) / name for folder, _, names in os.walk(path) for name in names]
        return [file for file in walked if _is_regular(file)]
    if not _is_regular(path):
        raise DicomError(E_MISSING_FILE, f"expected a file or a folder; {path} is neither")
    return _files_of_dicomdir(path, budget) if is_dicomdir(path) else [path]


def _is_regular(path: Path) -> bool:
    """Whether it is a regular file: reading a pipe or a device may never end."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
