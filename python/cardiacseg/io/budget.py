"""Limits of one input: bytes, files, frames, pixels and seconds, counted over the whole input, not for each file.

budget = Budget()                                # a NIfTI file; Budget(dicom=True) raises ``DicomError``
budget.take("bytes", len(block), path.name)      # before memory is allocated for a size in a header
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
    """The largest amounts for one input.

    ``bytes``: bytes read from its files or unpacked from them; ``file_bytes``: those of one file; ``part_bytes``: those
    of one part that is held in memory while it is unpacked (an entry of an archive, a deflated dataset). ``files``:
    files in a folder or an archive; ``records``: records of a DICOMDIR; ``fragments``: fragments of the compressed
    pixels of a file; ``frames``: two-dimensional images whose header is read; ``groups``: groups of these; ``pixels``:
    pixels of the cine; ``side``: rows or columns. ``seconds``: processor time of the reading thread, so that a slow
    disk or a busy machine makes no difference.
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
    """The amounts spent on one input, by one thread.

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
        """The unspent part of the limit ``what``."""
        return getattr(self.limits, what) - self._spent[what]

    def check(self, what: Size, size: int, name: str) -> None:
        """Compare a single size of the file ``name`` with its limit."""
        limit = getattr(self.limits, what)
        if size > limit:
            raise self.refusal(f"expected at most {limit} {_WORDS[what]}, got {size} at {name}")

    def check_time(self, name: str) -> None:
        """Raise if reading has exceeded its time at the file ``name``; for loops that spend nothing else."""
        if time.thread_time() - self._start > self.limits.seconds:
            raise self.refusal(f"expected at most {self.limits.seconds:g} s of work for one input, got more at {name}")

    def refusal(self, sentence: str) -> InvalidInputError:
        """The error to raise for an exceeded limit."""
        return DicomError(E_TOO_LARGE, sentence) if self._dicom else InvalidInputError(sentence, code=E_TOO_LARGE)


_WORDS = {
    "file_bytes": "bytes to be read of one file",
    "part_bytes": "bytes in an entry of an archive or a deflated dataset",
    "records": "records in a DICOMDIR",
    "groups": "groups of images",
    "side": "rows or columns",
}
