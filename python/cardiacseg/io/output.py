"""Files and folders of results that are written completely or not at all, even after a power cut; printable names.

During a run its folder holds two hidden entries: a lock, which the system releases even if the run is killed, and a
folder of unfinished results, which the next run removes.
"""

import errno
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from cardiacseg.errors import Error, InvalidInputError, OutputError

# First characters of a cell that a spreadsheet would run as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBERS = count()
try:
    import fcntl
except ImportError:  # a system without flock
    fcntl = None


_LOCK, _PARTIAL = ".cardiacseg.lock", ".cardiacseg.partial"
_RETRY = 0.2  # seconds
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


def printable(text: str) -> str:
    """``text`` with unprintable characters escaped: control characters, and bytes that are not text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def csv_cell(value: object) -> object:
    """A cell of a table: numbers stay, and a text that a spreadsheet would run as a formula gets ``'`` in front.

    So does a text that begins like a cell made here (``'=``), so that each text can be read back.
    """
    if not isinstance(value, str):
        return value
    return ("'" if value.lstrip("'").startswith(_FORMULA) else "") + printable(value)


def write_bytes(path: Path, content: bytes) -> None:
    """Write beside ``path``, then rename over it. Raises ``OutputError``; an older file then stays."""
    path = Path(path)
    beside = path.with_name(f".{path.name[:200]}.{os.getpid()}-{next(_NUMBERS)}.partial")
    with output_errors("write", path):
        try:
            _write_new(beside, content)
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        sync(path.parent)


def _write_new(path: Path, content: bytes) -> None:
    """Write a new file; a link in its place is not followed."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk; nothing if a file system cannot."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def output_errors(action: str, path: Path) -> Iterator[None]:
    """An ``OSError`` inside becomes an ``OutputError`` with the action, the path and the reason."""
    try:
        yield
    except Error:
        raise
    except OSError as error:
        raise OutputError(f"cannot {action} {path}: {error.strerror or type(error).__name__}") from error


@contextmanager
def output_folder(target: Path, patterns: Sequence[str], overwrite: bool) -> Iterator[Path]:
    """A folder for results, which are moved into ``target`` when the block succeeds.

    ``patterns`` (``seg-*.dcm``) match all files that such results may have; the last pattern is the marker file, whose
    presence means that all others exist, and is moved last. With ``overwrite`` the marker of an earlier run is removed
    first, and then its files that this run did not write, so that no stale result stays beside new ones. Other files in
    ``target`` stay as they are. Raises ``InvalidInputError`` at once, before any work, if ``target`` is a file, is in
    use by another run or has results without ``overwrite``, and ``OutputError`` if it cannot be written.
    """
    refuse_results(target, patterns, overwrite)
    with locked(target), partial_folder(target) as made:
        refuse_results(target, patterns, overwrite)  # results of a run that ended meanwhile
        yield made
        move_results(made, target, present(target, patterns), patterns[-1:])


@contextmanager
def locked(folder: Path, wait_s: float = 0.0) -> Iterator[None]:
    """Lock ``folder`` for this run; it is created if it is missing, and removed again if it stayed empty.

    Raises ``InvalidInputError`` if another run has the lock for longer than ``wait_s``.
    """
    new = not folder.exists()
    with output_errors("make the folder", folder):
        folder.mkdir(parents=True, exist_ok=True)
    descriptor = _lock(folder, time.monotonic() + wait_s)
    try:
        yield
    finally:
        (folder / _LOCK).unlink(missing_ok=True)
        os.close(descriptor)
        if new:
            with suppress(OSError):
                folder.rmdir()


def _lock(folder: Path, end: float) -> int:
    """The open file of the lock; tries again until the time ``end``."""
    path = folder / _LOCK
    while True:
        with output_errors("write", path):
            folder.mkdir(exist_ok=True)  # another run may have removed it at this moment
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                os.close(descriptor)
                if time.monotonic() < end:
                    time.sleep(_RETRY)
                    continue
                text = f"{folder} is in use by another run; wait for its end, or choose another folder"
                raise InvalidInputError(text) from error
        if _is_there(descriptor, path):
            return descriptor
        os.close(descriptor)


def _is_there(descriptor: int, path: Path) -> bool:
    """Whether ``path`` is still the open file, which the run that had the lock removes at its end."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except OSError:
        return False


@contextmanager
def partial_folder(target: Path) -> Iterator[Path]:
    """An empty folder inside ``target``, which must be locked; leftovers of a killed run are removed."""
    partial = target / _PARTIAL
    with output_errors("write", partial):
        _remove(partial)
        partial.mkdir()
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the leftovers of a killed run in ``folder``, unless a run is at work there."""
    if any(os.path.lexists(folder / name) for name in (_LOCK, _PARTIAL)):
        with suppress(InvalidInputError), locked(folder), partial_folder(folder):
            pass


def is_hidden(name: str) -> bool:
    """Whether ``name`` is that of a hidden entry of a run, at work or killed."""
    return name in (_LOCK, _PARTIAL)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def move_results(
    made: Path, target: Path, stale: Iterable[str], signs: Sequence[str], interim: Path | None = None
) -> None:
    """Move all files of ``made`` into ``target`` and remove the other ``stale`` ones there.

    ``signs`` are marker files, whose presence means that all files exist: those of an earlier run are removed first,
    and new ones are moved last, in their order. ``interim`` replaces the last marker meanwhile. If this is killed at
    any point, no marker stands beside files of another run. Raises ``InvalidInputError``, before anything is changed,
    if a folder stands in a file's place.
    """
    names = sorted(path.name for path in made.iterdir() if path != interim)
    for name in {*names, *stale}:
        if (target / name).is_dir() and not (target / name).is_symlink():
            raise InvalidInputError(f"{target / name} is a folder; expected a file of results, or nothing")
    with output_errors("write the results into", target):
        for name in names:
            sync(made / name)
        if interim is not None:
            os.replace(interim, target / signs[-1])
        for name in signs if interim is None else signs[:-1]:
            (target / name).unlink(missing_ok=True)
        sync(target)
        for name in set(stale) - {*names, *signs}:
            (target / name).unlink(missing_ok=True)
        for name in (*(name for name in names if name not in signs), *(name for name in signs if name in names)):
            if name in signs:
                sync(target)
            os.replace(made / name, target / name)
        sync(target)


def refuse_results(target: Path, patterns: Sequence[str], overwrite: bool) -> None:
    """Raise ``InvalidInputError`` if ``target`` is a file, or holds results and ``overwrite`` does not allow that."""
    if (target.exists() or target.is_symlink()) and not target.is_dir():
        raise InvalidInputError(f"{target} is not a folder; expected a folder for the results")
    found = present(target, patterns)
    if found and not overwrite:
        raise InvalidInputError(f"{target} already holds {', '.join(found)}; choose another folder or use --overwrite")


def free_folder(preferred: Path, patterns: Sequence[str], overwrite: bool) -> Path:
    """``preferred``, or with a number appended if ``preferred`` holds results that must stay."""
    folder, number = preferred, 1
    while not overwrite and (present(folder, patterns) or (folder.exists() and not folder.is_dir())):
        number += 1
        folder = preferred.with_name(f"{preferred.name}-{number}")
    return folder


def present(folder: Path, patterns: Sequence[str]) -> list[str]:
    """Names of the files in ``folder`` that one of ``patterns`` describes."""
    return [path.name for pattern in patterns for path in sorted(folder.glob(pattern))]
