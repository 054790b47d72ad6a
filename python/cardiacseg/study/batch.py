"""Batch: many cases, one after another. It can be resumed, a failed case does not stop it, and a table lists all."""

import dataclasses
import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cardiacseg import _core
from cardiacseg.acquisition import UNKNOWN_BODY
from cardiacseg.errors import CancelledError, DicomError, Error, InvalidInputError
from cardiacseg.io.cine import Note
from cardiacseg.io.output import locked, output_errors, partial_folder, remove_leftovers, sync
from cardiacseg.segmenter import CardiacSegmenter, bundle_digest
from cardiacseg.study.case_folder import (
    TRACEBACK,
    finish,
    finished_row,
    key_of,
    provenance,
    refuse_foreign,
    summary_of,
    write_table,
    write_traceback,
)
from cardiacseg.study.nifti_cases import Case
from cardiacseg.study.segment import Outcome, Stopwatch, StudyOptions, read_study, segment_into

TABLE, LEFT_OUT = "summary.csv", "left out"


class StudySegmenter:
    """A function of a study's files and an empty folder, which writes all results there.

    It returns the paths of the DICOM results and all notes of the cine, including ``notes``.
    """

    def __init__(self, segmenter: CardiacSegmenter, options: StudyOptions):
        self._segmenter = segmenter
        self._options = options

    def __call__(self, source: Path, folder: Path, notes: Sequence[Note] = ()) -> tuple[list[Path], tuple[Note, ...]]:
        """Errors are those of reading and of the segmenter."""
        found = self.outcome(source, folder, notes)
        files = [folder / name for name in found.files if name.endswith(".dcm")]
        return files, found.segmented.cine.notes

    def outcome(
        self,
        source: Path | Sequence[Path],
        folder: Path,
        notes: Sequence[Note] = (),
        options: StudyOptions | None = None,
    ) -> Outcome:
        """Segment a study and write all results, with ``options`` in place of the study segmenter's."""
        watch, options = Stopwatch(), options or self._options
        with watch.time("read"):
            cine = read_study(source, options.read)
        cine = dataclasses.replace(cine, notes=(*notes, *cine.notes))
        return segment_into(folder, cine, self._segmenter, options, watch)


def options_of(case: Case, options: StudyOptions) -> StudyOptions:
    """``options`` with what the data set says of the case. Its frames of ED and ES give way to those in ``options``."""
    asked = options.measurements
    if case.ed_es is not None and (asked.ed, asked.es) == ("largest", "smallest"):
        asked = dataclasses.replace(asked, ed=case.ed_es[0], es=case.ed_es[1])
    return dataclasses.replace(
        options,
        measurements=asked,
        read=dataclasses.replace(options.read, series=case.series or options.read.series),
        body=case.body if options.body == UNKNOWN_BODY else options.body,
        heart_rate_per_min=options.heart_rate_per_min or case.heart_rate_per_min,
    )


class CaseSegmenter:
    """A function of a case and an empty folder, which writes all results there and returns the case's columns.

    ``made_with`` holds everything that results depend on beside the case's files.
    """

    def __init__(self, segmenter: CardiacSegmenter, options: StudyOptions, model: str):
        self._segment, self._options = StudySegmenter(segmenter, options), options
        self.made_with: Mapping[str, Any] = {
            "model": bundle_digest(model),
            "options": dataclasses.asdict(options),
            "precision": segmenter.precision,
            "version": _core.__version__,
        }

    def __call__(self, case: Case, folder: Path) -> Mapping[str, Any]:
        """Errors are those of reading and of the segmenter."""
        outcome = self._segment.outcome(case.source, folder, options=options_of(case, self._options))
        return {**summary_of(outcome.segmented), **provenance(self.made_with)}


class SegmentCase(Protocol):
    """The function that a batch calls for each case.

    ``made_with`` is JSON-ready and holds everything that the results depend on beside the case's files: digest of the
    model, options, version. The function writes all results into an empty folder and returns the case's columns of the
    table (:func:`cardiacseg.study.case_folder.summary_of`).
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
        return [row["case"] for row in self._in("failed")]

    @property
    def left_out(self) -> list[str]:
        """Names of entries that are not cases to segment, such as label maps beside the images."""
        return [row["case"] for row in self._in(LEFT_OUT)]

    def _in(self, state: str) -> list[Mapping[str, Any]]:
        return [row for row in self.rows if row["state"] == state]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"cases": [dict(row) for row in self.rows], "kept": list(self.kept), "table": str(self.table)}

    def lines(self) -> list[str]:
        """The summary for people, line by line."""
        total = len(self.rows) - len(self.left_out)
        head = f"{total - len(self.failed)} of {total} cases done ({len(self.kept)} before), {len(self.failed)} failed"
        head += f", {len(self.left_out)} left out" if self.left_out else ""
        reasons = [f"  {row['case']}: {row['error']}" for row in (*self._in("failed"), *self._in(LEFT_OUT))]
        return [head, *reasons, f"table: {self.table}"]


def run_batch(
    cases: Sequence[Case],
    output: str | Path,
    segment_one: SegmentCase,
    *,
    resume: bool = True,
    progress: Callable[[int, int], bool | None] | None = None,
) -> BatchSummary:
    """Segment ``cases``, each into ``output/NAME``, and write ``output/summary.csv``, also after each case.

    A case's results are written completely or not at all. With ``resume`` a case is kept if all of its results are
    unchanged and were made from the same files with the same ``made_with``. A case that fails becomes a row with the
    error, a case that is left out a row with the reason; the others go on. An unexpected error also leaves
    ``traceback.txt`` in the case's folder. ``progress`` is called with the number of cases done and of all cases, first
    with 0; if it returns False, the batch stops with :class:`CancelledError`. After that, or after
    ``KeyboardInterrupt``, finished cases and their table stay. Cases inside of ``output`` are ignored. Raises
    ``InvalidInputError`` before any work if ``output`` is a file, is in use by another run or holds all cases, and
    ``OutputError`` if the table cannot be written.
    """
    output = Path(output)
    if output.exists() and not output.is_dir():
        raise InvalidInputError(f"{output} is not a folder; expected a folder for the results")
    outside = [case for case in cases if output.resolve() not in (case.path.resolve(), *case.path.resolve().parents)]
    if cases and not outside:
        raise InvalidInputError(f"all cases lie inside of the output folder {output}; choose another output folder")
    cases = outside
    rows, kept = [], []
    with locked(output), partial_folder(output) as scratch:
        for folder in output.iterdir():
            if folder.is_dir() and not folder.is_symlink():
                remove_leftovers(folder)
        for done, case in enumerate(cases):
            _report(progress, done, len(cases))
            row, was_there = _run_case(case, output / case.name, segment_one, resume)
            rows.append(row)
            kept += [case.name] if was_there else []
            _put_table(scratch / TABLE, output / TABLE, rows)
        _report(progress, len(cases), len(cases))
    return BatchSummary(tuple(rows), tuple(kept), output / TABLE)


def _put_table(scratch: Path, table: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    write_table(scratch, rows)
    with output_errors("write", table):
        os.replace(scratch, table)
        sync(table.parent)


def _report(progress: Callable[[int, int], bool | None] | None, done: int, total: int) -> None:
    if progress is not None and progress(done, total) is False:
        raise CancelledError(f"the batch was stopped after {done} of {total} cases")


def _run_case(case: Case, folder: Path, segment_one: SegmentCase, resume: bool) -> tuple[dict[str, Any], bool]:
    """The case's row, and whether its results were kept from an earlier run."""
    started = time.perf_counter()
    if case.left_out:
        return {"case": case.name, "state": LEFT_OUT, "error": case.left_out}, False
    try:
        key = key_of(case, segment_one.made_with)
        row = finished_row(folder, key) if resume else None
        if row is not None:
            return row, True
        return _segment_into(case, folder, segment_one, key, started), False
    except CancelledError:
        raise
    except Exception as error:  # a failed case must not stop the others
        seconds = round(time.perf_counter() - started, 3)
        text = _sentence(error)
        if not isinstance(error, (Error, OSError)) and write_traceback(folder, error):
            text += f", see {case.name}/{TRACEBACK}"
        for parent in (case.path.parent, folder.parent):  # the table may be read on another machine
            text = text.replace(f"{parent}{os.sep}", "")
        row = {"case": case.name, "state": "failed", "seconds": seconds, "error": text, "error_code": _code(error)}
        return {**row, **provenance(segment_one.made_with)}, False


def _segment_into(case: Case, folder: Path, segment_one: SegmentCase, key: str, started: float) -> dict[str, Any]:
    refuse_foreign(folder)
    with locked(folder), partial_folder(folder) as made:
        (folder / TRACEBACK).unlink(missing_ok=True)
        found = dict(segment_one(case, made))
        row = {"case": case.name, "state": "done", "seconds": round(time.perf_counter() - started, 3), **found}
        finish(made, folder, key, row)
        return row


def _code(error: Exception) -> str:
    return getattr(error, "code", None) or type(error).__name__


def _sentence(error: Exception) -> str:
    """Code and sentence; of an unexpected error only type and place, because its text may hold a file's contents."""
    if isinstance(error, DicomError):
        return str(error)
    if isinstance(error, Error):
        return f"{type(error).__name__}: {error}"
    if isinstance(error, OSError):
        return f"{type(error).__name__}: {error.strerror}, {Path(error.filename or 'a file').name}"
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: unexpected, at line {place.lineno} of {Path(place.filename).name}"
