"""A case's folder of results in a batch, and the file in it that says of what they were made."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.report import sha256_of, write_json
from cardiacseg.study.cases import Case

# Written last: where it is there and says "complete", so are all files that it names.
MARKER = "case.json"


def key_of(case: Case, made_with: Mapping[str, Any]) -> str:
    """SHA-256 of names and contents of the case's files and of ``made_with``. Raises ``OSError``."""
    files = {name: sha256_of(path) for name, path in _files_of(case.path)}
    document = json.dumps([case.kind, files, dict(made_with)], sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()


def _files_of(path: Path) -> Iterable[tuple[str, Path]]:
    """Regular files at or below ``path``, by their names relative to it."""
    if not path.is_dir():
        return [(path.name, path)]
    below = sorted(file for file in path.rglob("*") if file.is_file())
    return [(file.relative_to(path).as_posix(), file) for file in below]


def finished_row(folder: Path, key: str) -> dict[str, Any] | None:
    """The case's row of the table, if all of its results are in ``folder`` and were made with ``key``."""
    marker = _read_marker(folder)
    if marker is None or marker.get("state") != "complete" or marker.get("key") != key:
        return None
    return marker["row"] if all((folder / name).exists() for name in marker["files"]) else None


def refuse_foreign(folder: Path) -> None:
    """Raise ``InvalidInputError`` if ``folder`` is there and holds something that is not a batch's."""
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and _read_marker(folder) is None)):
        raise InvalidInputError(f"{folder.name} in the output folder was not written by a batch; move it away")


def move_results(made: Path, folder: Path, key: str, row: Mapping[str, Any]) -> None:
    """Move all files of ``made`` into ``folder``, in place of those of an earlier run, and mark it complete.

    Files that no batch wrote stay. Where this is interrupted, the marker says that the folder is not complete.
    """
    names = sorted(path.name for path in made.iterdir())
    document = {"state": "complete", "key": key, "files": names, "row": dict(row)}
    if not folder.exists():
        write_json(made / MARKER, document)
        os.replace(made, folder)
        return
    stale = set((_read_marker(folder) or {}).get("files", ()))
    write_json(folder / MARKER, {"state": "incomplete", "key": "", "files": sorted(stale | set(names)), "row": {}})
    for name in names:
        os.replace(made / name, folder / name)
    for name in stale - set(names):
        (folder / name).unlink(missing_ok=True)
    write_json(folder / MARKER, document)


def _read_marker(folder: Path) -> dict[str, Any] | None:
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    known = isinstance(marker, dict) and isinstance(marker.get("files"), list) and isinstance(marker.get("row"), dict)
    return marker if known else None
