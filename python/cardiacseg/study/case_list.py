"""A list of cases as CSV: where each study lies, and what its files do not say of the person."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cardiacseg.acquisition import HEART_RATE_PER_MIN, HEIGHT_M, WEIGHT_KG, Body
from cardiacseg.errors import InvalidInputError
from cardiacseg.io.csv_table import Row, cell_number, read_csv_table
from cardiacseg.study.cases import Case, Progress, folded, scan_folder, with_unique_names
from cardiacseg.study.nifti_cases import is_nifti

COLUMNS = ("path", "id", "height_m", "weight_kg", "heart_rate_per_min", "ed_frame", "es_frame", "series")
_RANGES = {"height_m": HEIGHT_M, "weight_kg": WEIGHT_KG, "heart_rate_per_min": HEART_RATE_PER_MIN}


def read_case_list(path: str | Path, progress: Progress = lambda _done, _total: None) -> tuple[list[Case], list[str]]:
    """The cases that a CSV lists, in order of name, and the names of its columns that are not used.

    ``path`` is the one column that must be there: a file or folder, relative to the list's folder. ``id`` becomes the
    case's name. ``ed_frame`` and ``es_frame`` count from 1. Cells may be empty; columns are separated by commas,
    semicolons or tabs. A row whose path holds no case, or several, is left out with the reason. ``progress`` is called
    with the number of rows whose path was searched and of all. Raises ``InvalidInputError``, with the line, for a file
    that is not such a list, a wrong value, an ``id`` that is given twice or cannot be a folder's name, and if all rows
    are left out.
    """
    path = Path(path)
    columns, rows = read_csv_table(path, ["path"])
    _check_ids(rows)
    cases = []
    for place, row in rows:
        cases.append(_case(row, path.parent, place))
        progress(len(cases), len(rows))
    if not cases:
        raise InvalidInputError(f"{path}: expected a row for each case, got none")
    if all(case.left_out for case in cases):
        first = f"{rows[0][1]['path'][:100]!a}: {cases[0].left_out}"
        raise InvalidInputError(f"{path}: expected at least one case to segment, got none ({first})")
    unused = [name for name in columns if name not in COLUMNS]
    return sorted(with_unique_names(cases), key=lambda case: case.name), unused


def _check_ids(rows: Sequence[Row]) -> None:
    places: dict[str, str] = {}
    for place, row in rows:
        name = row.get("id", "")
        if name.startswith(".") or not name.isprintable() or not {"/", "\\"}.isdisjoint(name):
            raise InvalidInputError(f"{place}: expected an id that can be a folder's name, got {name[:40]!a}")
        if name and (other := places.setdefault(folded(name), place)) != place:
            raise InvalidInputError(f"{place}: expected another id for each case, got that of {other}")


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
    if not os.path.isdir(path):  # Path.is_dir raises for a name that is too long
        kind = "nifti" if is_nifti(path) else "dicom"
        reason = "" if os.path.isfile(path) else "its path does not exist"
        return Case(path.name.partition(".")[0] or path.name, path, kind, left_out=reason)
    cases = scan_folder(path, lambda _: False).cases()
    usable = [case for case in cases if not case.left_out]
    if len(usable) == 1:
        return usable[0]
    reason = f"its folder holds {len(usable)} cases; expected one" if usable else cases[0].left_out
    return Case(path.name, path, "dicom", left_out=reason)


def _number(row: Mapping[str, str], name: str, place: str) -> float | None:
    return cell_number(row, name, place, *_RANGES[name]) if row.get(name) else None


def _frame(row: Mapping[str, str], name: str, place: str) -> int | None:
    text = row.get(name)
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise InvalidInputError(f"{place}: expected the number of a frame, from 1, under {name}, got {text[:30]!a}")
    return int(text) - 1
