"""CSV tables that people write: with a head, in UTF-8, separated by commas, semicolons or tabs."""

import csv
import math
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

from cardiacseg.errors import InvalidInputError

_LARGEST = 256 << 20  # bytes
Row = tuple[str, dict[str, str]]


def read_csv_table(path: str | Path, needed: Sequence[str]) -> tuple[list[str], list[Row]]:
    """The columns, and each row that is not empty: its place (file and line) for messages, and its cells by column.

    Raises ``InvalidInputError`` if it is no such file, a column of ``needed`` is missing, or one is there twice.
    """
    path = Path(path)
    text = _text(path)
    head = text.partition("\n")[0]
    table = csv.DictReader(StringIO(text), delimiter=max(",;\t", key=head.count))
    names = [(name or "").strip() for name in table.fieldnames or ()]
    shown = ascii(", ".join(names)[:100])
    if missing := [name for name in needed if name not in names]:
        raise InvalidInputError(f"{path}: expected a column named {missing[0]}, got {shown}")
    if len(set(names)) < len(names):
        raise InvalidInputError(f"{path}: expected each column once, got {shown}")
    table.fieldnames = names
    rows: list[Row] = []
    try:
        for row in table:
            cells = {name: (row[name] or "").strip() for name in names}
            if any(cells.values()):
                rows.append((f"{path}, line {table.line_num}", cells))
    except csv.Error as error:
        raise InvalidInputError(f"{path}, line {table.line_num}: it is not readable as CSV ({error})") from error
    return names, rows


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise InvalidInputError(f"{path}: expected a list of at most {_LARGEST >> 20} MB")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path}: expected text in UTF-8") from error


def cell_number(row: Mapping[str, str], name: str, place: str, low: float, high: float) -> float:
    """The number in a cell. Raises ``InvalidInputError`` if it is none from ``low`` to ``high``."""
    try:
        number = float(row[name])
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        raise InvalidInputError(
            f"{place}: expected a number from {low:g} to {high:g} under {name}, got {row[name][:30]!a}"
        )
    return number
