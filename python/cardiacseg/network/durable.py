"""Private files that are on the disk, whole, when the function that writes them returns."""

import errno
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

NO_SPACE, NOT_WRITTEN = "E_NO_SPACE", "E_NOT_WRITTEN"
PARTIAL = ".partial"  # end of the name of a file that is being written
_FULL = {errno.ENOSPC, errno.EDQUOT}
_CANNOT_SYNC = {errno.EINVAL, errno.EBADF, errno.ENOTSUP}


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a small file of mode 0600. Raises ``OSError``."""
    write_private(path, json.dumps(document, indent=1).encode())


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 completely or not at all; when this returns it is on the disk. Raises ``OSError``."""
    beside = path.with_name(path.name + PARTIAL)
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk. Raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:  # some file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def remove_folder(folder: Path) -> None:
    """Remove a folder and all that is in it, if it is there. Raises ``OSError``."""
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


def code_of(error: BaseException) -> str:
    """``E_NO_SPACE`` if the disk is full, as the error or one of its causes says, else ``E_NOT_WRITTEN``."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return NO_SPACE
        cause = cause.__cause__ or cause.__context__
    return NOT_WRITTEN
