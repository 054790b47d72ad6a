"""An output folder that receives all of its results at once, or none."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cardiacseg.errors import InvalidInputError


@contextmanager
def output_folder(target: Path, patterns: Sequence[str], overwrite: bool) -> Iterator[Path]:
    """A temporary folder beside ``target``, whose files are moved into ``target`` when the block succeeds.

    ``patterns`` (``seg-*.dcm``) name all files that such results may have: with ``overwrite`` those of an earlier run
    that this one did not make are removed, so that no stale result stays beside new ones. Other files in ``target``
    stay as they are. Raises ``InvalidInputError`` at once, before any work, if ``target`` is a file or has results
    without ``overwrite``, and ``OSError`` if the folder cannot be written.
    """
    refuse_results(target, patterns, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
    try:
        yield temporary
        target.mkdir(exist_ok=True)
        made = sorted(path.name for path in temporary.iterdir())
        for name in made:
            os.replace(temporary / name, target / name)
        for name in set(present(target, patterns)) - set(made):
            (target / name).unlink()
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_results(target: Path, patterns: Sequence[str], overwrite: bool) -> None:
    """Raise ``InvalidInputError`` if ``target`` is a file, or holds results and ``overwrite`` does not allow that."""
    if target.exists() and not target.is_dir():
        raise InvalidInputError(f"{target} is not a folder; wanted a folder for the results")
    found = present(target, patterns)
    if found and not overwrite:
        raise InvalidInputError(f"{target} already holds {', '.join(found)}; choose another folder or use --overwrite")


def free_folder(wanted: Path, patterns: Sequence[str], overwrite: bool) -> Path:
    """``wanted``, or with a number behind it where that one holds results that must stay."""
    folder, number = wanted, 1
    while not overwrite and (present(folder, patterns) or (folder.exists() and not folder.is_dir())):
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder


def present(folder: Path, patterns: Sequence[str]) -> list[str]:
    """Names of the files in ``folder`` that one of ``patterns`` describes."""
    return [path.name for pattern in patterns for path in sorted(folder.glob(pattern))]
