"""Files that may lie about their lengths."""

import io
import os
import zlib
from pathlib import Path
from typing import BinaryIO

from cardiacseg.errors import DicomError
from cardiacseg.io.budget import Budget
from cardiacseg.io.dicom.errors import E_DAMAGED

_READ_AT_ONCE, _LITTLE = 1 << 16, 1 << 12


def open_bounded(path: Path, budget: Budget) -> BinaryIO:
    """A file of which nobody can read more than there is: an absurd length must not become an absurd buffer.

    What is read is spent from ``budget``. Raises ``DicomError`` for a file that the system does not let read.
    """
    try:
        length = path.stat().st_size
        file = _BoundedFile(path, length, budget)
        if length > _READ_AT_ONCE:
            budget.take("bytes", _READ_AT_ONCE, path.name)  # for all that is little
            return file
        with file:
            return io.BytesIO(file.read())
    except OSError as error:
        raise DicomError(E_DAMAGED, f"{path.name} cannot be read ({error.strerror})") from error


def inflate(stream: BinaryIO, name: str, budget: Budget) -> bytes:
    """The deflated dataset that begins where the stream stands; it must not grow without a limit."""
    start = stream.tell()
    budget.check("part_bytes", stream.seek(0, 2) - start, name)
    stream.seek(start)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    unpacked = inflater.decompress(stream.read(), budget.limits.part_bytes + 1)
    budget.check("part_bytes", len(unpacked), name)
    budget.take("bytes", 2 * len(unpacked), name)  # pydicom does it again
    return unpacked


class _BoundedFile(io.BufferedReader):
    def __init__(self, path: Path, length: int, budget: Budget):
        super().__init__(io.FileIO(os.fspath(path)))
        self._length, self._budget, self._taken = length, budget, 0

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and 0 <= size <= _LITTLE:  # of which there are many in a header
            return super().read(size)
        left = max(0, self._length - self.tell())
        wanted = left if size is None or size < 0 else min(size, left)
        self._taken += wanted
        self._budget.check("file_bytes", self._taken, os.path.basename(self.name))
        self._budget.take("bytes", wanted, os.path.basename(self.name))
        return super().read(wanted)
