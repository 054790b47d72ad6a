"""CSV tables that people write: with a head, in UTF-8, separated by commas, semicolons or tabs."""

import csv
import math
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

from cardiacseg.errors import InvalidInputError

_LARGEST = 256 << 20  # bytes
_DECIMAL_COMMA = re.compile(r"^(-?\d+),(\d{1,2})$")
Row = tuple[str, dict[str, str]]


def read_csv_table(path: str | Path, needed: Sequence[str]) -> tuple[list[str], list[Row]]:
    """The columns, and each row that is not empty: its place (file and line) for messages, and its cells by column.

    Columns without a name are ignored. Raises ``InvalidInputError`` if it is no such file, a column of ``needed`` is
    missing, one is there twice, or a row has more cells than the head.
    """
    path = Path(path)
    text = _text(path)
    separator = max(",;\t", key=text.partition("\n")[0].count)
    table = csv.reader(StringIO(text), delimiter=separator, strict=True)
    rows: list[Row] = []
    try:
        head = [name.strip() for name in next(table, [])]
        names = [name for name in head if name]
        _check_names(names, needed, path)
        for line in table:
            place, line = f"{path}, line {table.line_num}", [cell.strip() for cell in line]
            if any(line[len(head) :]):
                raise InvalidInputError(
                    f"{place}: expected {len(head)} cells, got {len(line)}; a text with the separator needs quotes"
                )
            if any(line):
                cells = dict(zip(head, line, strict=False))
                rows.append((place, {name: cells.get(name, "") for name in names}))
    except csv.Error as error:
        raise InvalidInputError(f"{path}, line {table.line_num}: it is not readable as CSV ({error})") from error
    return names, rows


def _check_names(names: Sequence[str], needed: Sequence[str], path: Path) -> None:
    shown = ascii(", ".join(names)[:100])
    if missing := [name for name in needed if name not in names]:
        raise InvalidInputError(f"{path}: expected a column named {missing[0]}, got {shown}")
    if len(set(names)) < len(names):
        raise InvalidInputError(f"{path}: expected each column once, got {shown}")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise InvalidInputError(f"{path}: expected a list of at most {_LARGEST >> 20} MB")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path}: expected a table as CSV, in UTF-8") from error


def cell_number(row: Mapping[str, str], name: str, place: str, low: float, high: float) -> float:
    """The number in a cell; ``1,75`` is 1.75, but ``1,755`` could be a thousand and is no number.

    Raises ``InvalidInputError`` if it is none from ``low`` to ``high``.
    """
    try:
        number = float(_DECIMAL_COMMA.sub(r"\1.\2", row[name]))
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        raise InvalidInputError(
            f"{place}: expected a number from {low:g} to {high:g} under {name}, got {row[name][:30]!a}"
        )
    return number
