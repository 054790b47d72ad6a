"""Files inside zips, tars and compressed files, recognized by content, not by name. Nothing is unpacked to disk."""

import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from io import SEEK_CUR, SEEK_END, RawIOBase
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO

from cardiacseg.errors import DicomError, InvalidInputError
from cardiacseg.io.budget import Budget
from cardiacseg.io.dicom.errors import E_ARCHIVE
from cardiacseg.io.file_kind import (
    START_BYTES,
    decompressor,
    is_dicom_start,
    is_nifti_start,
    is_tar_start,
    is_zip_start,
)

_BLOCK, _LITTLE = 1 << 16, 1 << 12
# An archive, and one inside of it.
_DEPTH = 2
_NAMED = 5
_ENCRYPTED = 1  # flag of a file in a zip


class Stream:
    """A compressed file, read forward from its beginning; seeking backwards unpacks it again.

    ``open`` opens the compressed file again. All errors of decompression become ``E_ARCHIVE``.
    """

    def __init__(self, open_again: Callable[[], BinaryIO], name: str, budget: Budget):
        self._open, self._name, self._budget = open_again, name, budget
        self._rewind()

    def _rewind(self) -> None:
        self._file, self._window, self._window_start, self._place = self._open(), b"", 0, 0

    def _advance(self) -> bool:
        try:
            block = self._file.read(_BLOCK)
        except InvalidInputError:
            raise
        except Exception as error:
            raise archive_error(self._name, error) from error
        self._budget.take("bytes", len(block), self._name)
        self._window_start += len(self._window)
        self._window = block
        return bool(block)

    def seek(self, place: int) -> None:
        if place < self._window_start:
            self._rewind()
        self._place = place

    def tell(self) -> int:
        return self._place

    def read(self, count: int) -> bytes:
        parts = []
        while count:
            offset = self._place - self._window_start
            if offset >= len(self._window):
                if self._advance():
                    continue
                break
            parts.append(self._window[offset : offset + count])
            self._place += len(parts[-1])
            count -= len(parts[-1])
        return b"".join(parts)

    def close(self) -> None:
        self._file.close()


def archive_error(name: str, error: Exception) -> DicomError:
    """The error of a file in an archive, or of the archive: damaged, encrypted, unknown compression."""
    return DicomError(E_ARCHIVE, f"{name} cannot be unpacked ({type(error).__name__})")


class Unpacked(RawIOBase):
    """A file of an archive, unpacked only as far as it is read; the unpacked bytes are held in memory.

    ``source`` is read in order, from ``start`` on. ``length`` is that in the archive, ``None`` if it has none.
    ``owned`` is closed with the file.
    """

    def __init__(
        self,
        source: BinaryIO | Stream,
        length: int | None,
        name: str,
        budget: Budget,
        start: int = 0,
        owned: tuple[BinaryIO, ...] = (),
    ):
        super().__init__()
        self._owned = owned
        self._source, self._length, self._name, self._budget = source, length, name, budget
        self._start, self._held, self._place, self._ended = start, bytearray(), 0, False

    def _hold(self, end: int | None) -> None:
        end = self._length if end is None or (self._length is not None and end > self._length) else end
        self._budget.check("part_bytes", end or 0, self._name)
        while not self._ended and (end is None or len(self._held) < end):
            count = _BLOCK if end is None else min(_BLOCK, max(_LITTLE, end - len(self._held)))
            block = self._next(count if self._length is None else min(count, self._length - len(self._held)))
            self._budget.take("bytes", len(block), self._name)
            self._held += block
            self._budget.check("part_bytes", len(self._held), self._name)
            self._ended = not block

    def _next(self, count: int) -> bytes:
        try:
            if isinstance(self._source, Stream) or self._start:
                self._source.seek(self._start + len(self._held))
            return self._source.read(count)
        except InvalidInputError:
            raise
        # Each compression raises errors of its own, and so does a cipher.
        except Exception as error:
            raise archive_error(self._name, error) from error

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == SEEK_END and self._length is None:
            self._hold(None)
        ends = {SEEK_CUR: self._place, SEEK_END: len(self._held) if self._length is None else self._length}
        self._place = max(0, ends.get(whence, 0) + offset)
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        end = None if size is None or size < 0 else self._place + size
        self._hold(end)
        content = bytes(memoryview(self._held)[self._place : end])
        self._place += len(content)
        return content

    def readall(self) -> bytes:
        return self.read()

    def close(self) -> None:
        for file in self._owned:
            file.close()
        super().close()


@dataclass(frozen=True)
class Entry:
    """A file, on disk or in an archive; ``open`` opens it at its beginning."""

    name: str
    open: Callable[[], BinaryIO]

    def start(self) -> bytes:
        with self.open() as file:
            return file.read(START_BYTES)


class Unpacker:
    """The files of one input.

    Archives stay open until ``stack`` is left; all unpacked bytes count to ``budget``.
    """

    def __init__(self, budget: Budget, stack: ExitStack):
        self._budget, self._stack = budget, stack

    def entries(self, file: Entry, inside: str = "", *, archives: bool = True, depth: int = _DEPTH) -> Iterator[Entry]:
        """The file itself, decompressed if it is DICOM, or the files inside it if it is an archive.

        ``inside`` is the prefix of their names. An archive that cannot be read is an entry that raises ``DicomError``
        when it is opened. Without ``archives`` no archive is opened.
        """
        try:
            found = self._inside(file, inside, archives, depth) if depth else None
        except DicomError as error:
            found = iter([Entry(file.name, partial(_raise, error))])
        yield from [file] if found is None else found

    def _inside(self, file: Entry, inside: str, archives: bool, depth: int) -> Iterator[Entry] | None:
        start = file.start()
        if is_dicom_start(start):
            return None
        if archives and is_zip_start(start):
            return self._all(self._of_zip(file), inside, depth)
        if archives and is_tar_start(start):
            return self._all(self._of_tar(file.name, self._stack.enter_context(file.open())), inside, depth)
        unpacked = self.unpacked(file, start)
        start = b"" if unpacked is None else _start_or_nothing(unpacked)
        if archives and is_tar_start(start):
            stream = Stream(partial(self._reopen, file), file.name, self._budget)
            return self._all(self._of_tar(file.name, stream), inside, depth)
        return iter([unpacked]) if is_dicom_start(start) else None

    def unpacked(self, file: Entry, start: bytes) -> Entry | None:
        """The file, which begins with ``start``, decompressed; ``None`` if it is not compressed."""
        opener = decompressor(start)
        return None if opener is None else Entry(file.name, partial(_open_compressed, file, opener, self._budget))

    def _reopen(self, file: Entry) -> BinaryIO:
        opened = self._stack.enter_context(file.open())
        return decompressor(file.start())(opened)

    def _all(self, entries: list[Entry], inside: str, depth: int) -> Iterator[Entry]:
        for entry in entries:
            named = replace(entry, name=inside + entry.name)
            yield from self.entries(named, f"{named.name}/", depth=depth - 1)

    def _of_zip(self, file: Entry) -> list[Entry]:
        try:
            archive = self._stack.enter_context(zipfile.ZipFile(self._stack.enter_context(file.open())))
        except DicomError:
            raise
        except Exception as error:  # of many types
            raise archive_error(file.name, error) from error
        infos = sorted((info for info in archive.infolist() if not info.is_dir()), key=attrgetter("filename"))
        self._budget.take("files", len(infos), file.name)
        return [Entry(info.filename, partial(_open_in_zip, archive, info, self._budget)) for info in infos]

    def _of_tar(self, name: str, stream: BinaryIO | Stream) -> list[Entry]:
        """Its files in stored order, because a compressed tar is read forward. Links are left out."""
        found = []
        try:
            for info in tarfile.TarFile(fileobj=stream):
                self._budget.take("files", 1, name)
                if info.isreg() and not info.issparse():
                    found.append(Entry(info.name, partial(_open_in_tar, stream, info, self._budget)))
        except InvalidInputError:
            raise
        except Exception as error:  # of many types
            raise archive_error(name, error) from error
        return found


def _open_compressed(file: Entry, opener: Callable[[BinaryIO], BinaryIO], budget: Budget) -> BinaryIO:
    compressed = file.open()
    unpacked = opener(compressed)
    return Unpacked(unpacked, None, file.name, budget, owned=(unpacked, compressed))


def _start_or_nothing(file: Entry) -> bytes:
    try:
        return file.start()
    except DicomError:  # damaged; the reader of the file reports it
        return b""


def _raise(error: DicomError) -> BinaryIO:
    raise error


def _open_in_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> BinaryIO:
    if info.flag_bits & _ENCRYPTED:
        raise DicomError(E_ARCHIVE, f"{info.filename} is encrypted; expected an archive without a password")
    try:
        entry = archive.open(info)
        return Unpacked(entry, info.file_size, info.filename, budget, owned=(entry,))
    except Exception as error:  # unknown compression, damaged
        raise archive_error(info.filename, error) from error


def _open_in_tar(stream: BinaryIO | Stream, info: tarfile.TarInfo, budget: Budget) -> BinaryIO:
    return Unpacked(stream, info.size, info.name, budget, info.offset_data)


def nifti_inside(path: Path, budget: Budget) -> tuple[str, bytes] | None:
    """Name and bytes of the only NIfTI file in an archive; ``None`` if there is none, or if it holds DICOM.

    Raises ``InvalidInputError`` if it holds several, or cannot be read.
    """
    with ExitStack() as stack:
        unpacker, found = Unpacker(budget, stack), []
        for entry in unpacker.entries(Entry(path.name, partial(open, path, "rb"))):
            start = entry.start()
            if is_dicom_start(start):
                return None
            unpacked = unpacker.unpacked(entry, start)
            if is_nifti_start(start if unpacked is None else _start_or_nothing(unpacked)):
                found.append(entry)
        if len(found) > 1:
            names = ", ".join(entry.name for entry in found[:_NAMED]) + (", ..." if len(found) > _NAMED else "")
            raise InvalidInputError(f"expected one NIfTI file in {path}, got {len(found)} ({names}); give one of them")
        return next(((entry.name, _content(entry)) for entry in found), None)


def _content(entry: Entry) -> bytes:
    with entry.open() as file:
        return file.read()
