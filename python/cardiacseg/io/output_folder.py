"""An output folder that receives all of its results at once, or none."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cardiacseg.errors import InvalidInputError


@contextmanager
def output_folder(target: Path, names: Sequence[str], overwrite: bool) -> Iterator[Path]:
    """A temporary folder beside ``target``, whose files ``names`` are moved into ``target`` when the block succeeds.

    Other files in ``target`` stay as they are. Raises ``InvalidInputError`` at once, before any work, if ``target`` is
    a file or has one of ``names`` without ``overwrite``, and ``OSError`` if the folder cannot be written.
    """
    if target.exists() and not target.is_dir():
        raise InvalidInputError(f"{target} is not a folder; wanted a folder for the results")
    found = _present(target, names)
    if found and not overwrite:
        raise InvalidInputError(f"{target} already holds {', '.join(found)}; choose another folder or use --overwrite")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
    try:
        yield temporary
        target.mkdir(exist_ok=True)
        for name in names:
            os.replace(temporary / name, target / name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def free_folder(wanted: Path, names: Sequence[str], overwrite: bool) -> Path:
    """``wanted``, or with a number behind it where that one holds results that must stay."""
    folder, number = wanted, 1
    while not overwrite and (_present(folder, names) or (folder.exists() and not folder.is_dir())):
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder


def _present(folder: Path, names: Sequence[str]) -> list[str]:
    return [name for name in names if (folder / name).exists()]
