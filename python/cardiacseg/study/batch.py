"""Many cases, one after another: resumable, past cases that fail, with a table of all of them."""

import os
import shutil
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cardiacseg.errors import CancelledError, DicomError, Error, InvalidInputError
from cardiacseg.study.batch_table import write_table
from cardiacseg.study.case_folder import finished_row, key_of, move_results, refuse_foreign
from cardiacseg.study.cases import Case

TABLE = "summary.csv"


class SegmentCase(Protocol):
    """What a batch does with a case.

    ``made_with`` is JSON-ready and holds all that the results depend on beside the case's files: digest of the model,
    options, version. Called with a case and an empty folder it writes all results there and gives the case's columns
    of the table (:func:`cardiacseg.study.batch_table.summary_of`).
    """

    made_with: Mapping[str, Any]

    def __call__(self, case: Case, folder: Path) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class BatchSummary:
    """``rows`` are those of the table, in order of the cases; ``kept`` names cases that were finished before."""

    rows: tuple[Mapping[str, Any], ...]
    kept: tuple[str, ...]
    table: Path

    @property
    def failed(self) -> list[str]:
        """Names of the cases that failed."""
        return [row["case"] for row in self.rows if row["state"] == "failed"]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"cases": [dict(row) for row in self.rows], "kept": list(self.kept), "table": str(self.table)}

    def lines(self) -> list[str]:
        """What a person wants to read at the end."""
        done = len(self.rows) - len(self.failed)
        head = f"{done} of {len(self.rows)} cases done ({len(self.kept)} before), {len(self.failed)} failed"
        failures = [f"  {row['case']}: {row['error']}" for row in self.rows if row["state"] == "failed"]
        return [head, *failures, f"table: {self.table}"]


def run_batch(
    cases: Sequence[Case],
    output: str | Path,
    segment_one: SegmentCase,
    *,
    resume: bool = True,
    progress: Callable[[int, int], bool | None] | None = None,
) -> BatchSummary:
    """Segment ``cases``, each into ``output/NAME``, and write ``output/summary.csv``, also after each case.

    A case's results are written whole or not at all. With ``resume`` a case is kept as it is whose results are all
    there and were made from the same files with the same ``made_with``. A case that fails becomes a row with the
    error; the others go on. ``progress`` is called with cases done and in total, first with 0; if it returns False,
    the batch stops with :class:`CancelledError`. That and ``KeyboardInterrupt`` leave what is done, and its table.
    Cases inside of ``output`` are left out. Raises ``InvalidInputError`` before any work if ``output`` is a file.
    """
    output = Path(output)
    if output.exists() and not output.is_dir():
        raise InvalidInputError(f"{output} is not a folder; wanted a folder for the results")
    output.mkdir(parents=True, exist_ok=True)
    cases = [case for case in cases if output.resolve() not in (case.path.resolve(), *case.path.resolve().parents)]
    rows, kept = [], []
    for done, case in enumerate(cases):
        _report(progress, done, len(cases))
        row, was_there = _run_case(case, output / case.name, segment_one, resume)
        rows.append(row)
        kept += [case.name] if was_there else []
        write_table(output / TABLE, rows)
    _report(progress, len(cases), len(cases))
    return BatchSummary(tuple(rows), tuple(kept), output / TABLE)


def _report(progress: Callable[[int, int], bool | None] | None, done: int, total: int) -> None:
    if progress is not None and progress(done, total) is False:
        raise CancelledError(f"the batch was stopped after {done} of {total} cases")


def _run_case(case: Case, folder: Path, segment_one: SegmentCase, resume: bool) -> tuple[dict[str, Any], bool]:
    """The case's row, and whether its results were there already."""
    started = time.perf_counter()
    try:
        key = key_of(case, segment_one.made_with)
        row = finished_row(folder, key) if resume else None
        if row is not None:
            return row, True
        refuse_foreign(folder)
        return _segment_into(case, folder, segment_one, key, started), False
    except CancelledError:
        raise
    except Exception as error:  # one bad case must not stop the others
        seconds = round(time.perf_counter() - started, 3)
        text = _sentence(error).replace(f"{case.path.parent}{os.sep}", "")  # tables travel, folders do not
        return {"case": case.name, "state": "failed", "seconds": seconds, "error": text}, False


def _segment_into(case: Case, folder: Path, segment_one: SegmentCase, key: str, started: float) -> dict[str, Any]:
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    partial.mkdir()
    try:
        found = dict(segment_one(case, partial))
        row = {"case": case.name, "state": "done", "seconds": round(time.perf_counter() - started, 3), **found}
        move_results(partial, folder, key, row)
        return row
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sentence(error: Exception) -> str:
    """Code and sentence; of what nobody expected only type and place, as its text might hold a file's contents."""
    if isinstance(error, DicomError):
        return str(error)
    if isinstance(error, Error):
        return f"{type(error).__name__}: {error}"
    if isinstance(error, OSError):
        return f"{type(error).__name__}: {error.strerror}, {Path(error.filename or 'a file').name}"
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: unexpected, at line {place.lineno} of {Path(place.filename).name}"
