"""Files that may lie about their lengths."""

import io
import os
from pathlib import Path
from typing import BinaryIO

from cardiacseg.errors import DicomError
from cardiacseg.io.dicom.errors import E_TOO_LARGE

MAX_FILE_BYTES = 1 << 31
_READ_AT_ONCE = 1 << 20


def open_bounded(path: Path) -> BinaryIO:
    """A file of which nobody can read more than there is: an absurd length must not become an absurd buffer.

    Raises ``DicomError`` for a file above 2 GiB.
    """
    length = path.stat().st_size
    if length > MAX_FILE_BYTES:
        raise DicomError(E_TOO_LARGE, f"{path.name} has {length} bytes; at most {MAX_FILE_BYTES} are read")
    file = _BoundedFile(path, length)
    if length > _READ_AT_ONCE:
        return file
    with file:
        return io.BytesIO(file.read())


class _BoundedFile(io.BufferedReader):
    def __init__(self, path: Path, length: int):
        super().__init__(io.FileIO(os.fspath(path)))
        self._length = length

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._length - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))
