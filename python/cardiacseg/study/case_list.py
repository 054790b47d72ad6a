"""A list of cases as CSV: where each study lies, and what its files do not say of the person."""

import csv
import math
from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path

from cardiacseg.acquisition import Body
from cardiacseg.errors import InvalidInputError
from cardiacseg.study.cases import Case, scan_folder, with_unique_names
from cardiacseg.study.nifti_cases import is_nifti

COLUMNS = ("path", "id", "height_m", "weight_kg", "heart_rate_per_min", "ed_frame", "es_frame", "series")
_LARGEST = 256 << 20  # bytes
_RANGES = {"height_m": (0.2, 2.6), "weight_kg": (0.5, 500.0), "heart_rate_per_min": (15.0, 300.0)}


def read_case_list(path: str | Path) -> tuple[list[Case], list[str]]:
    """The cases that a CSV lists, in order of name, and the names of its columns that are not used.

    ``path`` is the one column that must be there: a file or folder, relative to the list's folder. ``id`` becomes the
    case's name. ``ed_frame`` and ``es_frame`` count from 1. Cells may be empty; columns are separated by commas,
    semicolons or tabs. A row whose path holds no case, or several, is left out with the reason. Raises
    ``InvalidInputError``, with the line, for a file that is not such a list, a wrong value, and an ``id`` given twice.
    """
    path = Path(path)
    rows, unused = _rows(path)
    cases, lines = [], {}
    for line, row in rows:
        place = f"{path}, line {line}"
        case = _case(row, path.parent, place)
        if row.get("id") and lines.setdefault(row["id"], line) != line:
            raise InvalidInputError(f"{place}: expected another id for each case, got that of line {lines[row['id']]}")
        cases.append(case)
    if not cases:
        raise InvalidInputError(f"{path}: expected a row for each case, got none")
    return sorted(with_unique_names(cases), key=lambda case: case.name), unused


def _rows(path: Path) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
    """Each row that is not empty, with the number of its line; and the columns that are not used."""
    text = _text(path)
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    table = csv.DictReader(StringIO(text), delimiter=separator)
    names = [(name or "").strip() for name in table.fieldnames or ()]
    if "path" not in names:
        raise InvalidInputError(f"{path}: expected a column named path, got {', '.join(names)[:100]!a}")
    if len(set(names)) < len(names):
        raise InvalidInputError(f"{path}: expected each column once, got {', '.join(names)[:100]!a}")
    table.fieldnames = names
    try:
        rows = [
            (table.line_num, {name: (value or "").strip() for name, value in row.items() if name in COLUMNS})
            for row in table
        ]
    except csv.Error as error:
        raise InvalidInputError(f"{path}, line {table.line_num}: it is not readable as CSV ({error})") from error
    return [(line, row) for line, row in rows if any(row.values())], [name for name in names if name not in COLUMNS]


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise InvalidInputError(f"{path}: expected a list of at most {_LARGEST >> 20} MB")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path}: expected text in UTF-8") from error


def _case(row: Mapping[str, str], folder: Path, place: str) -> Case:
    if not row["path"]:
        raise InvalidInputError(f"{place}: expected a path")
    found = _found(folder / row["path"])
    frames = [_frame(row, name, place) for name in ("ed_frame", "es_frame")]
    if (frames[0] is None) != (frames[1] is None):
        raise InvalidInputError(f"{place}: expected both ed_frame and es_frame, or neither")
    return replace(
        found,
        name=row.get("id") or found.name,
        ed_es=found.ed_es if frames[0] is None else (frames[0], frames[1]),
        body=Body(_number(row, "height_m", place), _number(row, "weight_kg", place)),
        heart_rate_per_min=_number(row, "heart_rate_per_min", place),
        series=row.get("series") or None,
    )


def _found(path: Path) -> Case:
    """The case at ``path``, or one that is left out with the reason."""
    if not path.is_dir():
        kind = "nifti" if is_nifti(path) else "dicom"
        reason = "" if path.is_file() else "its path does not exist"
        return Case(path.name.partition(".")[0] or path.name, path, kind, left_out=reason)
    cases = scan_folder(path, lambda _: False).cases()
    usable = [case for case in cases if not case.left_out]
    if len(usable) == 1:
        return usable[0]
    reason = f"its folder holds {len(usable)} cases; expected one" if usable else cases[0].left_out
    return Case(path.name, path, "dicom", left_out=reason)


def _number(row: Mapping[str, str], name: str, place: str) -> float | None:
    text = row.get(name)
    if not text:
        return None
    low, high = _RANGES[name]
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        raise InvalidInputError(f"{place}: expected a number from {low:g} to {high:g} under {name}, got {text[:30]!a}")
    return number


def _frame(row: Mapping[str, str], name: str, place: str) -> int | None:
    text = row.get(name)
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise InvalidInputError(f"{place}: expected the number of a frame, from 1, under {name}, got {text[:30]!a}")
    return int(text) - 1
