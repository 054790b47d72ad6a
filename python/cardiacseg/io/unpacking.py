"""Bytes under compression, unpacked as far as they are asked for, in memory and within the budget of the input."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from io import SEEK_CUR, SEEK_END, RawIOBase
from typing import BinaryIO

from cardiacseg.errors import DicomError, InvalidInputError
from cardiacseg.io.budget import Budget
from cardiacseg.io.dicom.errors import E_ARCHIVE

_BLOCK, _LITTLE = 1 << 16, 1 << 12
_OPENERS = {b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file), b"BZh": bz2.BZ2File, b"\xfd7zXZ\0": lzma.LZMAFile}


def decompressor(start: bytes) -> Callable[[BinaryIO], BinaryIO] | None:
    """What unpacks a file that begins like this; ``None`` if it is not compressed."""
    return next((opener for mark, opener in _OPENERS.items() if start.startswith(mark)), None)


class Stream:
    """A compressed file from its beginning on, read forward; going back unpacks it again.

    ``open`` gives the compressed file once more. Whatever the ways of compressing raise is an ``E_ARCHIVE`` here.
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
    """Of a file in an archive, or of the archive itself: damaged, encrypted, packed in an unknown way."""
    return DicomError(E_ARCHIVE, f"{name} cannot be unpacked ({type(error).__name__})")


class Unpacked(RawIOBase):
    """A file of an archive: what was unpacked is held, so that a header costs no more than its own length.

    ``source`` is asked for bytes in their order, from ``start`` on. ``length`` is what the archive says, ``None`` if it
    does not. ``owned`` is closed with the file.
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
            wanted = _BLOCK if end is None else min(_BLOCK, max(_LITTLE, end - len(self._held)))
            block = self._next(wanted if self._length is None else min(wanted, self._length - len(self._held)))
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
        # Each way of compressing raises errors of its own, and so does a cipher.
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
