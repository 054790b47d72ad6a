"""Files that are either whole or not there, also after a power cut."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from cardiacseg.errors import Error, OutputError

_NUMBERS = count()


def write_bytes(path: Path, content: bytes) -> None:
    """Write beside ``path``, then rename over it. Raises ``OutputError`` and then leaves what was there."""
    path = Path(path)
    beside = path.with_name(f".{path.name[:200]}.{os.getpid()}-{next(_NUMBERS)}.partial")
    with saying("write", path):
        try:
            _write_new(beside, content)
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        sync(path.parent)


def _write_new(path: Path, content: bytes) -> None:
    """A file that was not there before: a link in its place is not followed."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk; nothing where a file system cannot."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def saying(action: str, path: Path) -> Iterator[None]:
    """An ``OSError`` inside becomes an ``OutputError``: what could not be done, with which path, and why."""
    try:
        yield
    except Error:
        raise
    except OSError as error:
        raise OutputError(f"cannot {action} {path}: {error.strerror or type(error).__name__}") from error
