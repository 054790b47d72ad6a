"""Finding the DICOM files of a folder, a list of files, a DICOMDIR or an archive."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from cardiacseg.errors import DicomError
from cardiacseg.io.archives import Entry, Unpacker
from cardiacseg.io.budget import Budget
from cardiacseg.io.dicom.bounded_file import open_bounded
from cardiacseg.io.dicom.dicomdir import files_of_dicomdir
from cardiacseg.io.dicom.errors import E_DAMAGED, E_MISSING_FILE
from cardiacseg.io.file_kind import START_BYTES, is_dicom_start


@dataclass(frozen=True)
class File:
    """One file, called ``name`` relative to what the caller gave; ``open`` gives its bytes from the beginning.

    Characters that cannot be printed, which names on disk and in a zip may have, are escaped in ``name``. What is read
    is spent from ``budget``, which all files of an input share.
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

    Archives and compressed files are looked into, also in archives and, if no other file there is DICOM, in folders.
    Raises ``DicomError`` for what is missing, too many or too large.
    """
    budget = budget or Budget(dicom=True)
    paths = [Path(source)] if isinstance(source, (str, os.PathLike)) else [Path(path) for path in source]
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None or not paths:
        raise DicomError(E_MISSING_FILE, f"wanted DICOM files; {missing or 'an empty list'} has none")
    named = sorted(_named(paths, budget).items())
    budget.take("files", len(named), paths[0].name)
    on_disk = [_OnDisk(name, partial(open_bounded, path, budget), path) for name, path in named]
    # Beside DICOM files an archive holds something else, or the same files once more.
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
        raise DicomError(E_MISSING_FILE, f"wanted a file or a folder; {path} is neither")
    return files_of_dicomdir(path, budget) if path.name.upper() == "DICOMDIR" else [path]


def _is_regular(path: Path) -> bool:
    """Not a folder, and not a pipe or a device, whose reading may never end."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
