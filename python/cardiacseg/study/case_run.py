"""One case of a batch: whether its results are kept, segmenting it into its folder, its row of the table."""

import dataclasses
import os
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cardiacseg import _core
from cardiacseg.acquisition import UNKNOWN_BODY
from cardiacseg.errors import CancelledError, DicomError, Error
from cardiacseg.io.cine import Note
from cardiacseg.io.output import locked, partial_folder, remove_leftovers
from cardiacseg.segmenter import CardiacSegmenter, bundle_digest
from cardiacseg.study.case_folder import (
    TRACEBACK,
    finish,
    finished_row,
    key_of,
    provenance,
    refuse_foreign,
    summary_of,
    write_traceback,
)
from cardiacseg.study.nifti_cases import Case
from cardiacseg.study.segment import Outcome, Stopwatch, StudyOptions, read_study, segment_into

LEFT_OUT = "left out"
# Wait for a case that another run has in work, such as a worker that a Dask scheduler has lost: it may end soon.
_IN_USE_S = 300.0
WORKER_ENDED = "E_WORKER_ENDED"  # the process that had the case in work was killed


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


def load_case_segmenter(options: StudyOptions, model: str = "default", **arguments: Any) -> CaseSegmenter:
    """A :class:`CaseSegmenter` whose model is loaded here; ``arguments`` are those of :class:`CardiacSegmenter`."""
    return CaseSegmenter(CardiacSegmenter(model, **arguments), options, model)


class SegmentCase(Protocol):
    """The function that a batch calls for each case.

    ``made_with`` is JSON-ready and holds everything that the results depend on beside the case's files: digest of the
    model, options, version. The function writes all results into an empty folder and returns the case's columns of the
    table (:func:`cardiacseg.study.case_folder.summary_of`).
    """

    made_with: Mapping[str, Any]

    def __call__(self, case: Case, folder: Path) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class CaseTask:
    """A case to segment into ``output/NAME``; with ``resume`` its results are kept if they are complete."""

    case: Case
    output: Path
    resume: bool

    @property
    def folder(self) -> Path:
        """The case's folder of results."""
        return self.output / self.case.name


@dataclass(frozen=True)
class CaseRun:
    """The case's row of the table, and whether its results were ``kept`` from an earlier run."""

    row: Mapping[str, Any]
    kept: bool = False


def run_case(task: CaseTask, segment_one: SegmentCase) -> CaseRun:
    """Segment a case, unless its results are kept. An error becomes the row; :class:`CancelledError` is raised."""
    started = time.perf_counter()
    case, folder = task.case, task.folder
    try:
        if folder.is_dir() and not folder.is_symlink():
            remove_leftovers(folder)
        key = key_of(case, segment_one.made_with)
        row = finished_row(folder, key) if task.resume else None
        return _segment_into(task, segment_one, key, started) if row is None else CaseRun(row, kept=True)
    except CancelledError:
        raise
    except Exception as error:  # a failed case must not stop the others
        text = _sentence(error)
        if not isinstance(error, (Error, OSError)) and write_traceback(folder, error):
            text += f", see {case.name}/{TRACEBACK}"
        code = getattr(error, "code", None) or type(error).__name__
        run = failed(task, text, time.perf_counter() - started, code)
        return CaseRun({**run.row, **provenance(segment_one.made_with)})


def left_out(task: CaseTask) -> CaseRun:
    """The run of a case that is not one to segment."""
    return CaseRun({"case": task.case.name, "state": LEFT_OUT, "error": task.case.left_out})


def failed(task: CaseTask, text: str, seconds: float, code: str) -> CaseRun:
    """The run of a case that failed, with the error's stable code.

    Folders are removed from ``text``, because the table may be read elsewhere.
    """
    for parent in (task.case.path.parent, task.output):
        text = text.replace(f"{parent}{os.sep}", "")
    row = {"case": task.case.name, "state": "failed", "seconds": round(seconds, 3), "error": text, "error_code": code}
    return CaseRun(row)


def clear_after_kill(task: CaseTask) -> None:
    """Remove what a killed process left of a case, also its folder if nothing else is in it."""
    remove_leftovers(task.folder)
    with suppress(OSError):
        task.folder.rmdir()


def _segment_into(task: CaseTask, segment_one: SegmentCase, key: str, started: float) -> CaseRun:
    case, folder = task.case, task.folder
    refuse_foreign(folder)
    with locked(folder, _IN_USE_S), partial_folder(folder) as made:
        row = finished_row(folder, key) if task.resume else None
        if row is not None:  # another run has finished it meanwhile
            return CaseRun(row, kept=True)
        (folder / TRACEBACK).unlink(missing_ok=True)
        found = dict(segment_one(case, made))
        row = {"case": case.name, "state": "done", "seconds": round(time.perf_counter() - started, 3), **found}
        finish(made, folder, key, row)
        return CaseRun(row)


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
