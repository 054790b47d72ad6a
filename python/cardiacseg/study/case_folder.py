"""A case of a batch: its folder of results, the marker file that says what they were made from, its table row."""

import csv
import hashlib
import io
import json
import math
import os
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.cine import SegmentedCine
from cardiacseg.io.json_files import REPORT, Record, read_record, sha256_of, write_json
from cardiacseg.io.output import csv_cell, is_hidden, move_results, write_bytes
from cardiacseg.study.columns import CASE_COLUMNS
from cardiacseg.study.nifti_cases import Case

COLUMNS = tuple(column.name for column in CASE_COLUMNS)
_TEXTS = {column.name for column in CASE_COLUMNS if column.kind == "string"}
_VOLUMES = tuple(f"{side}_{name}" for side in ("lv", "rv") for name in ("edv_ml", "esv_ml", "sv_ml", "ef_percent"))
_MEASURED = (*_VOLUMES, "lv_mass_g", "heart_rate_per_min", "lv_co_l_min", "bsa_m2")
_INDEXED = tuple(name for name in COLUMNS if name.endswith("_m2") and name != "bsa_m2")
_LARGEST = 1e12  # no number of a row is larger
# Written last: if it is there and says "complete", so are all files that it names.
MARKER = "case.json"
# Traceback of an unexpected error; not a result, and removed when the case is segmented again.
TRACEBACK = "traceback.txt"


def summary_of(segmented: SegmentedCine) -> dict[str, Any]:
    """A case's columns, JSON-ready; values that do not exist are ``None``."""
    measured = segmented.measurements
    frames, slices = segmented.labels.shape[:2]
    codes = sorted({flag.code for flag in segmented.flags})
    return {
        "frames": frames,
        "slices": slices,
        **{name: _rounded(getattr(measured, name)) for name in _MEASURED},
        **{name: _rounded(measured.indexed.get(name)) for name in _INDEXED},
        "ed_frame": _from_one(measured.ed_frame),
        "es_frame": _from_one(measured.es_frame),
        "flag_count": len(segmented.flags),
        "flags": " ".join(codes),
        "predicted_quality": None if segmented.result is None else _rounded(np.min(segmented.result.quality)),
    }


def provenance(made_with: Mapping[str, Any]) -> dict[str, str | None]:
    """The columns that say what made a case's results; see :class:`cardiacseg.study.batch.SegmentCase`."""
    options = made_with.get("options")
    digest = options and hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()
    named = {"model_sha256": "model", "precision": "precision", "version": "version"}
    return {**{column: made_with.get(name) for column, name in named.items()}, "options_sha256": digest}


def _from_one(frame: int | None) -> int | None:
    return None if frame is None else frame + 1


def _rounded(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(float(value), 4)


def check_row(row: Record) -> dict[str, Any]:
    """The row of a finished case, read from a file. Raises ``InvalidInputError`` if it is not a row."""
    row.text("state")
    if "/" in (case := row.text("case")) or case in (".", ".."):
        raise InvalidInputError(f"{row.where}: expected the name of a folder under case, got {case[:40]!a}")
    for name in set(COLUMNS) & set(row.values):
        if name in _TEXTS:
            row.text(name)
        else:
            row.number(name, -_LARGEST, _LARGEST, optional=True)
    return {name: row.values[name] for name in COLUMNS if name in row.values}


def write_table(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write ``rows`` as CSV (RFC 4180, UTF-8) with :data:`COLUMNS`, atomically; missing values are empty.

    A text that a spreadsheet would run as a formula gets ``'`` in front.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore")
    table.writeheader()
    table.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
    write_bytes(path, text.getvalue().encode())


def read_table(path: Path) -> list[dict[str, Any]]:
    """The rows of a table of :func:`write_table`; numbers are numbers. Raises ``InvalidInputError``."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            table = csv.DictReader(file, strict=True)
            columns, cells = table.fieldnames, [{name: cell for name, cell in row.items() if cell} for row in table]
    except (OSError, ValueError, csv.Error) as error:
        raise InvalidInputError(f"{path} is not a readable table of a batch ({type(error).__name__})") from error
    if tuple(columns or ()) != COLUMNS or any(None in row for row in cells):
        raise InvalidInputError(f"{path}: expected the columns of this version, got others; run the batch again")
    return [check_row(Record(str(path), {name: _value(name, cell) for name, cell in row.items()})) for row in cells]


def _value(name: str, cell: str) -> str | int | float:
    """What :func:`write_table` wrote as ``cell``."""
    if name in _TEXTS:
        return cell[1:] if cell[:1] == "'" and csv_cell(cell[1:]) == cell else cell
    with suppress(ValueError):
        return int(cell)
    with suppress(ValueError):
        return float(cell)
    return cell  # which is refused as a row


def key_of(case: Case, made_with: Mapping[str, Any]) -> str:
    """SHA-256 of names and contents of the case's files and of ``made_with``. Raises ``OSError``."""
    files = {name: sha256_of(path) for name, path in _files_of(case)}
    listed = [case.body.height_m, case.body.weight_kg, case.heart_rate_per_min, case.series]
    parts = [case.kind, files, case.ed_es, dict(made_with), *([listed] if any(listed) else [])]
    document = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()


def _files_of(case: Case) -> Iterable[tuple[str, Path]]:
    """The case's regular files by their names, relative to its folder."""
    base = case.path if case.path.is_dir() else case.path.parent
    below = case.files or (sorted(base.rglob("*")) if base == case.path else [case.path])
    return [(file.relative_to(base).as_posix(), file) for file in below if case.path != base or file.is_file()]


def finished_row(folder: Path, key: str) -> dict[str, Any] | None:
    """The case's row of the table, if ``folder`` holds all of its results, unchanged and made with ``key``."""
    if folder.is_symlink() or not os.path.lexists(folder / MARKER):
        return None
    try:
        marker = _read_marker(folder)
        row = check_row(marker.record("row"))
    except InvalidInputError:
        return None
    if marker.values.get("state") != "complete" or marker.values.get("key") != key:
        return None
    digests = marker.values.get("sha256", {})
    return row if all(_is_as_written(folder / name, digests.get(name)) for name in _names(marker)) else None


def refuse_foreign(folder: Path) -> None:
    """Raise ``InvalidInputError`` if ``folder`` exists and holds something that no batch wrote."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InvalidInputError(f"{folder.name} in the output folder is not a folder; move it away")
    if not folder.exists() or all(is_hidden(path.name) or path.name == TRACEBACK for path in folder.iterdir()):
        return
    if not os.path.lexists(folder / MARKER):
        raise InvalidInputError(f"{folder.name} in the output folder was not written by a batch; move it away")
    try:
        _read_marker(folder)
    except InvalidInputError as error:
        raise InvalidInputError(f"{folder.name} in the output folder is damaged; move it away ({error})") from error


def write_traceback(folder: Path, error: Exception) -> bool:
    """Write the traceback of ``error`` into the case's ``folder``; returns whether that worked.

    It has types, files, lines and functions only: texts of errors and values of variables may be a patient's data.
    """
    try:
        refuse_foreign(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / TRACEBACK, "".join(_places(error)).encode("utf-8", "backslashreplace"))
    except (InvalidInputError, OSError):
        return False
    return True


def _places(error: BaseException | None) -> Iterator[str]:
    """The lines of a traceback, without texts of errors; of the errors that led to it, those it names come first."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    yield "The texts of the errors are left out: they may hold a patient's data.\n"
    for one in reversed(seen):
        yield "\nTraceback (most recent call last):\n"
        yield from traceback.format_tb(one.__traceback__)
        yield f"{type(one).__module__}.{type(one).__qualname__}\n"


def finish(made: Path, folder: Path, key: str, row: Mapping[str, Any]) -> None:
    """Replace the results of an earlier run in ``folder`` with all files of ``made``, and mark it complete.

    Files that no batch wrote stay. Results that were changed since they were written stay under another name. If this
    is interrupted, the marker says that the folder is not complete.
    """
    names = sorted(path.name for path in made.iterdir())
    digests = {name: sha256_of(made / name) for name in names}
    stale = set()
    if os.path.lexists(folder / MARKER):
        marker = _read_marker(folder)
        stale = _names(marker)
        _keep_changed(folder, marker)
    interim = made / f"interim-{MARKER}"
    write_json(interim, {"state": "incomplete", "key": "", "files": sorted(stale | set(names)), "row": {}})
    document = {"state": "complete", "key": key, "files": names, "sha256": digests, "row": dict(row)}
    write_json(made / MARKER, document)
    move_results(made, folder, stale, [*({REPORT} & {*names, *stale}), MARKER], interim)


def _keep_changed(folder: Path, marker: Record) -> None:
    """Rename results that a person has changed, such as corrected labels."""
    digests = marker.values.get("sha256", {})
    for name in sorted(_names(marker)):
        path = folder / name
        if path.is_file() and path.stat().st_size and not _is_as_left(path, digests.get(name)):
            number = 1
            while os.path.lexists(kept := folder / f"changed-{number}-{name}"):
                number += 1
            os.rename(path, kept)


def _is_as_left(path: Path, digest: object) -> bool:
    """Whether the file is unchanged, by its digest, or by its time if an older version wrote no digest."""
    if digest is None:
        return path.stat().st_mtime <= path.with_name(MARKER).stat().st_mtime
    return _is_as_written(path, digest)


def _is_as_written(path: Path, digest: object) -> bool:
    return path.is_file() and not path.is_symlink() and sha256_of(path) == digest


def _names(marker: Record) -> set[str]:
    return set(marker.values["files"])


def _read_marker(folder: Path) -> Record:
    """Raises ``InvalidInputError`` if it is not a marker, or if a name in it leads out of the folder."""
    path = folder / MARKER
    if path.is_symlink():
        raise InvalidInputError(f"{path.name} is a link")
    marker = read_record(path)
    files = marker.list_of("files", None)
    digests = marker.record("sha256").values if "sha256" in marker.values else {}
    for name in [*map(files.text, files.values), *digests]:
        if name in ("", ".", "..", MARKER) or is_hidden(name) or not {"/", "\\", "\0"}.isdisjoint(name):
            raise InvalidInputError(f"{path.name}: expected plain file names under files, got {name!a}")
    marker.record("row")
    return marker
