"""Finding the DICOM files of a folder, a list of files, a DICOMDIR or a zip."""

import io
import os
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO

from cardiacseg.errors import DicomError
from cardiacseg.io.budget import Budget
from cardiacseg.io.dicom.bounded_file import open_bounded
from cardiacseg.io.dicom.dicomdir import files_of_dicomdir
from cardiacseg.io.dicom.errors import E_ARCHIVE, E_MISSING_FILE

MARK_BYTES = 132


@dataclass(frozen=True)
class File:
    """One file, called ``name`` relative to what the caller gave; ``open`` gives its bytes from the beginning.

    Characters that cannot be printed, which names on disk and in a zip may have, are escaped in ``name``. What is read
    is spent from ``budget``, which all files of an input share.
    """

    name: str
    open: Callable[[], BinaryIO]
    budget: Budget = field(compare=False, repr=False)

    def __post_init__(self):
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in self.name)
        object.__setattr__(self, "name", shown)


@contextmanager
def find_files(source: Path | Sequence[Path], budget: Budget | None = None) -> Iterator[list[File]]:
    """All files of a source in the order of their names, of any kind, while a zip stays open.

    Raises ``DicomError`` for what is missing, too many or too large, or a zip that cannot be read.
    """
    budget = budget or Budget(dicom=True)
    paths = [Path(source)] if isinstance(source, (str, os.PathLike)) else [Path(path) for path in source]
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None or not paths:
        raise DicomError(E_MISSING_FILE, f"wanted DICOM files; {missing or 'an empty list'} has none")
    if len(paths) == 1 and paths[0].is_file() and zipfile.is_zipfile(paths[0]):
        with _open_zip(paths[0]) as archive:
            yield _entries(archive, budget)
        return
    named = sorted(_named(paths, budget).items())
    budget.take("files", len(named), paths[0].name)
    yield [File(name, partial(open_bounded, path, budget), budget) for name, path in named]


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
        raise DicomError(E_MISSING_FILE, f"wanted a file or a folder; {path} is neither")
    return files_of_dicomdir(path, budget) if path.name.upper() == "DICOMDIR" else [path]


def _is_regular(path: Path) -> bool:
    """Not a folder, and not a pipe or a device, whose reading may never end."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def looks_like_dicom(beginning: bytes) -> bool:
    """By the first ``MARK_BYTES`` of a file: DICOM's mark, or without it a first element of group 2 or 8."""
    if beginning[128:MARK_BYTES] == b"DICM":
        return True
    return beginning[:2] in (b"\x02\x00", b"\x08\x00") or beginning[:2] == b"\x00\x08"


@contextmanager
def _open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DicomError(E_ARCHIVE, f"{path.name} is a damaged zip") from error
    with archive:
        yield archive


def _entries(archive: zipfile.ZipFile, budget: Budget) -> list[File]:
    infos = sorted((info for info in archive.infolist() if not info.is_dir()), key=attrgetter("filename"))
    budget.take("files", len(infos), Path(archive.filename).name)
    return [File(info.filename, partial(_open_entry, archive, info, budget), budget) for info in infos]


def _open_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> BinaryIO:
    """An entry in memory; of what is no DICOM only the first bytes, so that nothing large is unpacked for nothing."""
    try:
        with archive.open(info) as entry:
            beginning = entry.read(MARK_BYTES)
            if not looks_like_dicom(beginning):
                return io.BytesIO(beginning)
            budget.check("part_bytes", info.file_size, info.filename)
            budget.take("bytes", info.file_size, info.filename)
            return io.BytesIO(beginning + entry.read())
    except DicomError:
        raise
    # Each of zipfile's ways of compressing raises errors of its own.
    except Exception as error:
        raise DicomError(E_ARCHIVE, f"{info.filename} cannot be read from the zip ({type(error).__name__})") from error
