"""What one input may cost: bytes, files, frames, pixels and seconds, counted over the whole input, not for each file.

budget = Budget()                                # a NIfTI file; Budget(dicom=True) raises ``DicomError``
budget.take("bytes", len(block), path.name)      # before the memory is taken if a header promises it
"""

import time
from dataclasses import dataclass
from typing import Literal, get_args

from cardiacseg.errors import DicomError, InvalidInputError

E_TOO_LARGE = "E_TOO_LARGE"

Spent = Literal["bytes", "files", "frames", "pixels"]
Size = Literal["file_bytes", "part_bytes", "records", "groups", "side"]


@dataclass(frozen=True)
class Limits:
    """At most so much is spent on one input.

    ``bytes`` are read from its files or unpacked from them, of which ``file_bytes`` may be of one file, and
    ``part_bytes`` of one part that is held in memory to be unpacked: an entry of an archive, a deflated dataset.
    ``files`` counts those of a folder or an archive, ``records`` those of a DICOMDIR, ``fragments`` those into which
    the compressed pixels of a file are cut, ``frames`` two-dimensional images of which the header is read, ``groups``
    those that the frames fall into, and ``pixels`` those of the cine that is made; ``side`` is of rows and columns.
    ``seconds`` are of the reading thread's processor time, so that a slow disk or a busy machine refuses nothing.
    """

    bytes: int = 8 << 30
    file_bytes: int = 2 << 30
    part_bytes: int = 1 << 29
    files: int = 100_000
    records: int = 100_000
    fragments: int = 200_000
    frames: int = 50_000
    groups: int = 1_000
    pixels: int = 1 << 29
    side: int = 8192
    seconds: float = 300.0


LIMITS = Limits()


class Budget:
    """What is spent on one input, by one thread.

    Raises ``InvalidInputError`` (for DICOM ``DicomError``) with the code ``E_TOO_LARGE`` once a limit is passed.
    """

    def __init__(self, limits: Limits = LIMITS, dicom: bool = False):
        self.limits = limits
        self._dicom = dicom
        self._spent = dict.fromkeys(get_args(Spent), 0)
        self._start = time.thread_time()

    def take(self, what: Spent, count: int, name: str) -> None:
        """Spend ``count`` of the limit ``what`` on the file ``name``."""
        if count > self.left(what):
            raise self.refusal(f"expected at most {getattr(self.limits, what)} {what} in one input, got more at {name}")
        self._spent[what] += count
        self.check_time(name)

    def left(self, what: Spent) -> int:
        """How much of the limit ``what`` is not spent."""
        return getattr(self.limits, what) - self._spent[what]

    def check(self, what: Size, size: int, name: str) -> None:
        """Compare a size of the file ``name``, which is not added to others, with its limit."""
        limit = getattr(self.limits, what)
        if size > limit:
            raise self.refusal(f"expected at most {limit} {_WORDS[what]}, got {size} at {name}")

    def check_time(self, name: str) -> None:
        """Raise if reading has taken too long by the file ``name``; for loops that spend nothing else."""
        if time.thread_time() - self._start > self.limits.seconds:
            raise self.refusal(f"expected at most {self.limits.seconds:g} s of work for one input, got more at {name}")

    def refusal(self, sentence: str) -> InvalidInputError:
        """The error of a limit that is passed, to be raised."""
        return DicomError(E_TOO_LARGE, sentence) if self._dicom else InvalidInputError(sentence, code=E_TOO_LARGE)


_WORDS = {
    "file_bytes": "bytes to be read of one file",
    "part_bytes": "bytes in an entry of an archive or a deflated dataset",
    "records": "records in a DICOMDIR",
    "groups": "groups of images",
    "side": "rows or columns",
}
