"""Tables of a batch for statistics: cases, frames and wall segments, as CSV and Parquet, with a data package.

``datapackage.json`` describes names, types and units of all columns as a Frictionless Data Package (version 1).
"""

import contextlib
import csv
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cardiacseg import _core
from cardiacseg.cohort.reference import UK_BIOBANK, Z_SCORE_COLUMNS, Person, ReferenceRange, z_scores
from cardiacseg.errors import InvalidInputError
from cardiacseg.io.json_files import REPORT, RESEARCH_USE, Record, read_record, write_json
from cardiacseg.io.output import csv_cell, locked, output_errors, partial_folder, sync
from cardiacseg.study.batch import TABLE
from cardiacseg.study.case_folder import read_table
from cardiacseg.study.columns import CASE_COLUMNS, FRAME_COLUMNS, SEGMENT_COLUMNS, TABLES_VERSION, Column

PACKAGE = "datapackage.json"
_ROW_GROUP = 50_000  # rows of a table that are written at once
_LARGEST = 1e12
Row = Mapping[str, Any]
Add = Callable[[Iterable[Row]], None]


@dataclass(frozen=True)
class Table:
    """A table with its columns, the columns that name a row, and a function that makes its rows of a case.

    ``rows_of`` gets the case's row of ``summary.csv``, its ``measurements.json`` and its ``report.json``.
    """

    name: str
    about: str
    columns: Sequence[Column]
    key: tuple[str, ...]
    rows_of: Callable[[Row, Record, Record], Iterable[Row]] | None = None


def frame_rows(case: Row, measured: Record, report: Record) -> Iterator[Row]:
    """One row for each frame of a case that is done. Raises ``InvalidInputError`` for results that are damaged."""
    frames = report.whole("frames", 1, 1_000_000)
    curves = {name: _numbers(measured, name, frames) for name in ("rv_ml", "myo_ml", "lv_ml")}
    times = _numbers(report.record("acquisition"), "frame_times_ms", frames)
    quality, agreement = _numbers(report, "predicted_quality", frames), report.list_of("stage_agreement", frames, True)
    ed, es = (measured.number(name, 0, frames - 1, optional=True) for name in ("ed_frame", "es_frame"))
    for frame in range(frames):
        found = agreement.record(str(frame)) if agreement else Record("", {})
        yield {
            "case": case["case"],
            "frame": frame + 1,
            "time_ms": times[frame],
            "is_ed": frame == ed,
            "is_es": frame == es,
            **{name: values[frame] for name, values in curves.items()},
            "predicted_quality": quality[frame],
            **{f"agreement_{name}": found.number(name, 0, 1, optional=True) for name in ("rv", "myo", "lv")},
        }


def segment_rows(case: Row, measured: Record, _report: Record) -> Iterator[Row]:
    """One row for each wall segment; none if the wall was not measured. Errors as in :func:`frame_rows`."""
    if measured.values.get("wall") is None:
        return
    columns = {name: _numbers(measured.record("wall"), name, 16) for name in ("ed_mm", "es_mm", "thickening_percent")}
    for index in range(16):
        row = {name: values[index] for name, values in columns.items()}
        yield {"case": case["case"], "segment": index + 1, **row}


def _numbers(record: Record, key: str, count: int) -> list[float | None]:
    """A list of numbers or nulls; nulls alone if there is no list."""
    found = record.list_of(key, count, optional=True)
    if found is None:
        return [None] * count
    return [found.number(str(index), -_LARGEST, _LARGEST, optional=True) for index in range(count)]


CASES = Table("summary", "one row for each case", CASE_COLUMNS, ("case",))
TABLES = (
    CASES,
    Table("frames", "one row for each frame of each case", FRAME_COLUMNS, ("case", "frame"), frame_rows),
    Table("segments", "one row for each AHA segment of each case", SEGMENT_COLUMNS, ("case", "segment"), segment_rows),
)
Z_SCORES = Table("z_scores", "one row for each measure with a reference range", Z_SCORE_COLUMNS, ("case", "measure"))


def read_summary(results: str | Path) -> list[dict[str, Any]]:
    """The rows of a batch's ``summary.csv``, typed; missing values are left out.

    Raises ``InvalidInputError`` if ``results`` holds no such table, a damaged one, or one with other columns.
    """
    path = Path(results) / TABLE
    if not path.is_file():
        raise InvalidInputError(f"{path} does not exist; expected the folder of results of a batch")
    return read_table(path)


def write_tables(
    results: str | Path,
    parquet: bool = False,
    persons: Mapping[str, Person] | None = None,
    ranges: Sequence[ReferenceRange] = UK_BIOBANK,
) -> list[Path]:
    """Write ``frames.csv``, ``segments.csv`` and ``datapackage.json`` into a batch's folder of results.

    With ``persons``, sex and age by case, also ``z_scores.csv`` against ``ranges``. With ``parquet`` (needs pyarrow)
    all tables are written as Parquet, too. Rows are those of the cases that are done, in the order of ``summary.csv``.
    All files are replaced together at the end. Raises ``InvalidInputError`` if a case's results are missing or damaged
    or a batch is at work there, ``OutputError`` if they cannot be written, and ``ModuleNotFoundError`` without pyarrow.
    """
    results = Path(results)
    cases = read_summary(results)
    tables = [*TABLES, *([] if persons is None else [Z_SCORES])]
    with locked(results), partial_folder(results) as scratch, output_errors("write the tables into", results):
        with contextlib.ExitStack() as stack:
            add = {table.name: stack.enter_context(_opened(table, scratch, parquet)) for table in tables}
            add[CASES.name](cases)
            if persons is not None:
                add[Z_SCORES.name](z_scores(cases, persons, ranges))
            _add_measured(add, cases, results)
        write_json(scratch / PACKAGE, package_document(tables, parquet))
        made = sorted(path.name for path in scratch.iterdir())
        for name in made:
            if (results / name).is_dir():
                raise InvalidInputError(f"{name} in {results} is a folder; expected room for a table")
            sync(scratch / name)
        for name in made:
            os.replace(scratch / name, results / name)
        sync(results)
    return [results / name for name in made]


def _add_measured(add: Mapping[str, Add], cases: Sequence[Row], results: Path) -> None:
    """Add the rows of each case that is done to the tables that are made of its results, which are read once."""
    for case in cases:
        if case["state"] != "done":
            continue
        folder = results / case["case"]
        measured, report = read_record(folder / "measurements.json"), read_record(folder / REPORT)
        for table in TABLES:
            if table.rows_of is not None:
                add[table.name](table.rows_of(case, measured, report))


@contextlib.contextmanager
def _opened(table: Table, scratch: Path, parquet: bool) -> Iterator[Add]:
    """A function that adds rows to the table's files: CSV, unless the batch keeps that itself, and Parquet."""
    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        sinks = [_parquet_sink(stack, scratch / f"{table.name}.parquet", table)] if parquet else []
        if table is not CASES:
            file = stack.enter_context(open(scratch / f"{table.name}.csv", "x", newline="", encoding="utf-8"))
            sinks.append(_csv_sink(file, table))

        def write() -> None:
            for sink in sinks:
                sink(rows)
            rows.clear()

        def add(more: Iterable[Row]) -> None:
            rows.extend(more)
            if len(rows) >= _ROW_GROUP:
                write()

        yield add
        write()


def _csv_sink(file, table: Table) -> Callable[[Sequence[Row]], None]:
    writer = csv.DictWriter(file, [column.name for column in table.columns], restval="")
    writer.writeheader()

    def write(rows: Sequence[Row]) -> None:
        writer.writerows({name: csv_cell(_as_text(value)) for name, value in row.items()} for row in rows)

    return write


def _as_text(value: Any) -> Any:
    """``true`` or ``false``, as the data package has them; other values as they are."""
    return str(value).lower() if isinstance(value, bool) else value


def _parquet_sink(stack: contextlib.ExitStack, path: Path, table: Table) -> Callable[[Sequence[Row]], None]:
    import pyarrow
    from pyarrow import parquet

    kinds = {
        "string": pyarrow.string(),
        "integer": pyarrow.int64(),
        "number": pyarrow.float64(),
        "boolean": pyarrow.bool_(),
    }
    fields = [
        pyarrow.field(column.name, kinds[column.kind], metadata={"unit": column.unit, "description": column.meaning})
        for column in table.columns
    ]
    schema = pyarrow.schema(fields, metadata={"tables_version": str(TABLES_VERSION)})
    writer = stack.enter_context(parquet.ParquetWriter(path, schema, compression="zstd"))
    return lambda rows: writer.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows], schema))


def package_document(tables: Sequence[Table], parquet: bool) -> dict[str, Any]:
    """The content of ``datapackage.json``: each table as a resource with its columns."""
    endings = ("csv", "parquet") if parquet else ("csv",)
    return {
        "profile": "data-package",
        "name": "cardiacseg-batch",
        "title": "Measurements of a batch of short-axis cines",
        "version": f"{TABLES_VERSION}.0.0",
        "description": RESEARCH_USE,
        "cardiacseg_version": _core.__version__,
        "resources": [_resource(table, ending) for ending in endings for table in tables],
    }


def _resource(table: Table, ending: str) -> dict[str, Any]:
    fields = [
        {"name": column.name, "type": column.kind, "description": column.meaning, "unit": column.unit}
        for column in table.columns
    ]
    return {
        "name": table.name if ending == "csv" else f"{table.name}-{ending}",
        "path": f"{table.name}.{ending}",
        "description": table.about,
        "format": ending,
        "schema": {"fields": fields, "primaryKey": list(table.key), "missingValues": [""]},
    }
