"""A private folder for what is being received: removed by whoever made it, or by the next one if that was killed."""

import fcntl
import logging
import os
import shutil
import tempfile
import time
from pathlib import Path

LOGGER = logging.getLogger("cardiacseg.network")
_PREFIX = "cardiacseg-receive-"
_YOUNG_S = 60.0  # a folder that was made just now may not have its lock yet


class Spool:
    """A folder of mode 0700 in ``parent`` (the system's temporary folder), with files of mode 0600; or a hidden one.

    Patient data lie on disk, not in memory, because several studies may arrive while one is in work, and because what
    segments a study reads a folder. A lock marks the folder as in use, so that :class:`Spool` can remove what a killed
    process left; where the program ends without :meth:`remove`, Python removes it.
    """

    def __init__(self, parent: Path | None = None, hidden: bool = False):
        root, prefix = Path(parent or tempfile.gettempdir()), "." * hidden + _PREFIX
        _remove_abandoned(root, prefix)
        self._folder = tempfile.TemporaryDirectory(prefix=prefix, dir=root, ignore_cleanup_errors=True)
        self._lock = _locked(Path(self._folder.name))
        self.path = Path(self._folder.name)
        self._made = 0

    def new_folder(self) -> Path:
        """A new empty folder inside."""
        self._made += 1
        folder = self.path / f"{self._made:06}"
        folder.mkdir(mode=0o700)
        return folder

    def remove(self) -> None:
        """Remove the folder and all that is in it."""
        self._folder.cleanup()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 whole or not at all. Raises ``OSError``."""
    beside = path.with_suffix(".partial")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _locked(folder: Path) -> int | None:
    """A descriptor that locks the folder for as long as it is open, or ``None`` where another process has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_abandoned(root: Path, prefix: str) -> None:
    for folder in root.glob(f"{prefix}*"):
        try:
            state = folder.lstat()
            old = time.time() - state.st_mtime > _YOUNG_S
            if old and state.st_uid == os.getuid() and (lock := _locked(folder)) is not None:
                shutil.rmtree(folder)
                os.close(lock)
                LOGGER.warning("removed what a receiver that was killed had left")
        except OSError:  # someone else removes it at this moment, or it is no folder
            continue
