"""Bytes of a NIfTI file: on disk or in memory, plain or compressed, in one file or in a pair."""

import bz2
import gzip
import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.budget import Budget

_GZIP, _BZIP2, _ZSTD = b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd"
_EXPECTED = "expected a NIfTI file (.nii or .nii.gz)"
# Compressing again does not halve the size of compressed data.
_TWICE_FACTOR, _TWICE_MORE = 2, 1 << 16


@dataclass(frozen=True)
class Content:
    """A file's bytes. ``name`` is for messages; ``held`` are the bytes, or ``None`` if they are on disk.

    Compression is recognized by the bytes, not by the name. Unpacking counts to the time of ``budget``.
    """

    name: str
    path: Path
    budget: Budget
    held: bytes | None = None

    @property
    def length(self) -> int:
        """Number of stored bytes."""
        return self.path.stat().st_size if self.held is None else len(self.held)

    @property
    def compressed(self) -> bool:
        with self._stored() as file:
            return _is_compressed(file.read(4))

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The decompressed bytes, from the first on."""
        with ExitStack() as stack:
            file = stack.enter_context(self._stored())
            start = file.read(4)
            file.seek(0)
            if _is_compressed(start):
                watched = stack.enter_context(io.BufferedReader(_Watched(file, self), 1 << 16))
                file = stack.enter_context(_unpacked(watched, start))
            yield file

    def _stored(self) -> BinaryIO:
        return open(self.path, "rb") if self.held is None else io.BytesIO(self.held)


class _Watched(io.RawIOBase):
    """A file that checks the time: many compressed bytes may unpack to nothing."""

    def __init__(self, file: BinaryIO, content: Content):
        self._file, self._content = file, content

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:
        self._content.budget.check_time(self._content.name)
        return self._file.readinto(buffer)


def _is_compressed(start: bytes) -> bool:
    return start.startswith((_GZIP, _BZIP2, _ZSTD))


def _unpacked(file: BinaryIO, start: bytes) -> BinaryIO:
    if start.startswith(_GZIP):
        return gzip.GzipFile(fileobj=file)
    if start.startswith(_BZIP2):
        return bz2.BZ2File(file)
    from nibabel.openers import Opener

    return Opener.compress_ext_map[".zst"][0](file, mode="rb")


def content_of(path: Path, budget: Budget, held: bytes | None = None, name: str | None = None) -> Content:
    """The file at ``path``, or the bytes ``held`` from it. Of two compressions one is removed.

    Raises ``InvalidInputError`` if there is no file, and the errors of the compression's library for damaged bytes.
    """
    content = Content(name or str(path), path, budget, held)
    if held is None and not path.is_file():
        raise InvalidInputError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}; {_EXPECTED}")
    if not content.compressed:
        return content
    with content.open() as file:
        start = file.read(4)
        if not _is_compressed(start):
            return content
        most = min(_TWICE_FACTOR * content.length + _TWICE_MORE, budget.limits.part_bytes)
        inside = start + file.read(most)
    once = Content(content.name, path, budget, inside)
    with once.open() as file:
        if len(inside) > most or _is_compressed(file.read(4)):
            raise InvalidInputError(f"{content.name} is compressed twice and large, or more than twice; {_EXPECTED}")
    return once


def is_voxels_name(name: str) -> bool:
    """Whether a file has the name of the second file of a pair."""
    return name.lower().endswith((".img", ".img.gz"))


def is_half_of_pair(path: Path) -> bool:
    """Whether both files of a pair exist; the voxels' file has no recognizable first bytes."""
    return is_voxels_name(path.name) and other_of_pair(path) is not None


def other_of_pair(path: Path) -> Path | None:
    """The ``.img`` beside a ``.hdr``, or the ``.hdr`` beside an ``.img``, each also compressed; ``None`` without it."""
    for ours, other in ((".hdr", ".img"), (".img", ".hdr")):
        for ending in (ours, f"{ours}.gz"):
            if path.name.lower().endswith(ending):
                stem = path.name[: -len(ending)]
                endings = sorted((other, f"{other}.gz"), key=lambda one: one.endswith(".gz") != ending.endswith(".gz"))
                names = [stem + way for one in endings for way in (one, one.upper())]
                return next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)
    return None


def read_unless_ended(stream: BinaryIO, most: int) -> bytes:
    """Some bytes; empty at the end of a compressed stream, even if a program appended other data to it."""
    try:
        return stream.read1(most)
    except Exception as error:
        if "Not a gzipped file" in str(error):
            return b""
        raise


def one_line(error: Exception) -> str:
    """A library's error in one line."""
    return " ".join(str(error).split()) or type(error).__name__
