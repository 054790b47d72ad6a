"""Which slices count, as a CSV that a person edits: ``slices.csv``. Slices and phases count from 1 in it."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.output import write_bytes
from cardiacseg.measurements import Measurements

_STRUCTURES = ("rv", "myo", "lv")
_MARKS = ("slice", "phase", *_STRUCTURES)
_ALL = "all"
_LARGEST = 16 << 20  # bytes
_HEAD = (
    "# Which slices count for RV, myocardium and LV: 1 counts, 0 does not. Slices and phases are numbered from 1. "
    "A row of a single phase overrules the row of all phases. Areas are for information."
)


def write_slice_list(path: str | Path, measurements: Measurements) -> None:
    """Write which slices counted, with the areas in mm2 at ED and ES beside, atomically.

    A slice has one row for all phases, or if its phases differ, one for each.
    """
    phases = {"ed": measurements.ed_frame, "es": measurements.es_frame}
    shown = {name: frame for name, frame in phases.items() if frame is not None}
    text = io.StringIO()
    text.write(_HEAD + "\n")
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*_MARKS, *(f"{structure}_{phase}_mm2" for phase in shown for structure in _STRUCTURES)])
    for index in range(measurements.included.shape[1]):
        areas = [f"{area:.1f}" for frame in shown.values() for area in measurements.areas_mm2[frame, index]]
        for phase, marks in _rows(measurements.included[:, index]):
            table.writerow([index + 1, phase, *marks.astype(int), *areas])
    write_bytes(Path(path), text.getvalue().encode())


def _rows(marks: np.ndarray) -> list[tuple[str | int, np.ndarray]]:
    """Phase and marks of each row of one slice, from ``marks`` ``[T, 3]``."""
    if (marks == marks[0]).all():
        return [(_ALL, marks[0])]
    return [(frame + 1, row) for frame, row in enumerate(marks)]


def read_slice_list(path: str | Path, frames: int, slices: int) -> np.ndarray:
    """Which slices count: bool ``[T, S, 3]`` (RV, MYO, LV) for a cine of ``frames`` and ``slices``.

    Columns are separated by commas, semicolons or tabs; columns other than ``slice``, ``phase`` (optional), ``rv``,
    ``myo`` and ``lv`` are ignored. Raises ``InvalidInputError``, with the number of the line, for a file that is not
    such a list, for a slice or phase that the cine does not have, and for a slice that is missing or present twice.
    """
    path = Path(path)
    included = np.zeros((frames, slices, 3), dtype=bool)
    # How each slice of each phase was named: not at all, in a row of all phases, or in a row of its own.
    named = np.zeros((frames, slices), dtype=int)
    for line, row in _table(path):
        where = f"{path.name}, line {line}"
        index = _number(row, "slice", slices, where)
        frame = None if row.get("phase", _ALL).lower() == _ALL else _number(row, "phase", frames, where)
        place, exactness = (slice(None) if frame is None else frame, index), 1 if frame is None else 2
        if (named[place] == exactness).any():
            phase = "all phases" if frame is None else f"phase {frame + 1}"
            raise InvalidInputError(f"{where}: slice {index + 1} of {phase} is named twice")
        marks = [_mark(row, structure, where) for structure in _STRUCTURES]
        free = named[place] < exactness
        included[place] = np.where(np.expand_dims(free, -1), marks, included[place])
        named[place] = np.maximum(named[place], exactness)
    _refuse_gaps(named, path.name)
    return included


def _refuse_gaps(named: np.ndarray, name: str) -> None:
    missing = np.argwhere(named.T == 0)
    if len(missing):
        index, frame = missing[0] + 1
        raise InvalidInputError(f"{name}: expected a row for every slice, got none for slice {index} in phase {frame}")


def _table(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Number of the line and values by column of each row below the header."""
    heads: list[str] = []
    for line, cells in _cells(path):
        if heads:
            yield line, dict(zip(heads, cells, strict=False))
        else:
            heads = [cell.lower() for cell in cells]
            _check_heads(heads, f"{path.name}, line {line}")
    if not heads:
        raise InvalidInputError(f"{path.name}: expected a line with the columns {', '.join(_MARKS)}, got none")


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line that is neither empty nor a comment."""
    lines = _text(path).splitlines()
    first = next((line for line in lines if line.strip("\"', ;\t") and not _is_remark(line)), "")
    reader = csv.reader(lines, delimiter=max(",;\t", key=first.count))
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells) and not _is_remark(cells[0]):
                yield reader.line_num, cells
    except csv.Error as error:
        where = f"{path.name}, line {reader.line_num}"
        raise InvalidInputError(f"{where}: expected a slice list (CSV), got another file: {error}") from error


def _is_remark(text: str) -> bool:
    return text.lstrip("\"' ").startswith("#")


def _check_heads(heads: list[str], where: str) -> None:
    missing = [name for name in _MARKS if name not in heads and name != "phase"]
    if missing:
        raise InvalidInputError(
            f"{where}: expected the columns {', '.join(_MARKS)}, got none named {', '.join(missing)}"
        )


def _text(path: Path) -> str:
    if not path.is_file():
        raise InvalidInputError(f"{path.name} is not a file; expected a slice list (CSV)")
    if path.stat().st_size > _LARGEST:
        raise InvalidInputError(f"{path.name}: expected a slice list (CSV) of at most {_LARGEST >> 20} MB")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path.name}: expected a slice list (CSV) in UTF-8, got other bytes") from error


def _number(row: dict[str, str], column: str, largest: int, where: str) -> int:
    """The index, from 0, of a column's number, from 1."""
    text = row.get(column, "")
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= largest):
        allowed = f"1 to {largest}" + (f' or "{_ALL}"' if column == "phase" else "")
        raise InvalidInputError(f"{where}, column {column}: expected {allowed}, got {_short(text)}")
    return int(text) - 1


def _mark(row: dict[str, str], column: str, where: str) -> bool:
    text = row.get(column, "")
    if text not in ("0", "1"):
        raise InvalidInputError(f"{where}, column {column}: expected 1 or 0, got {_short(text)}")
    return text == "1"


def _short(text: str) -> str:
    return repr(text if len(text) <= 20 else text[:20] + "...") if text else "nothing"
