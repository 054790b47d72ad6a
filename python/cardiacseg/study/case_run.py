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
from cardiacseg.errors import CancelledError, DicomError, Error
from cardiacseg.io.cine import Note
from cardiacseg.io.output import locked, partial_folder, remove_leftovers
from cardiacseg.segmenter import CardiacSegmenter, bundle_digest
from cardiacseg.study.case_folder import (
    TRACEBACK,
    finish,
    finished_row,
    key_of,
    refuse_foreign,
    summary_of,
    write_traceback,
)
from cardiacseg.study.nifti_cases import Case
from cardiacseg.study.segment import Outcome, Stopwatch, StudyOptions, read_study, segment_into

LEFT_OUT = "left out"


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
        ed_es: tuple[int, int] | None = None,
    ) -> Outcome:
        """Segment a study and write all results.

        ``ed_es`` are the frames of ED and ES if the data set names them; explicit options override them.
        """
        watch, options = Stopwatch(), _with_ed_es(self._options, ed_es)
        with watch.time("read"):
            cine = read_study(source, options.read)
        cine = dataclasses.replace(cine, notes=(*notes, *cine.notes))
        return segment_into(folder, cine, self._segmenter, options, watch)


def _with_ed_es(options: StudyOptions, ed_es: tuple[int, int] | None) -> StudyOptions:
    asked = options.measurements
    if ed_es is None or (asked.ed, asked.es) != ("largest", "smallest"):
        return options
    return dataclasses.replace(options, measurements=dataclasses.replace(asked, ed=ed_es[0], es=ed_es[1]))


class CaseSegmenter:
    """A function of a case and an empty folder, which writes all results there and returns the case's columns.

    ``made_with`` holds everything that results depend on beside the case's files.
    """

    def __init__(self, segmenter: CardiacSegmenter, options: StudyOptions, model: str):
        self._segment = StudySegmenter(segmenter, options)
        self.made_with: Mapping[str, Any] = {
            "model": bundle_digest(model),
            "options": dataclasses.asdict(options),
            "precision": segmenter.precision,
            "version": _core.__version__,
        }

    def __call__(self, case: Case, folder: Path) -> Mapping[str, Any]:
        """Errors are those of reading and of the segmenter."""
        return summary_of(self._segment.outcome(case.source, folder, ed_es=case.ed_es).segmented)


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
        return failed(task, text, time.perf_counter() - started)


def left_out(task: CaseTask) -> CaseRun:
    """The run of a case that is not one to segment."""
    return CaseRun({"case": task.case.name, "state": LEFT_OUT, "error": task.case.left_out})


def failed(task: CaseTask, text: str, seconds: float) -> CaseRun:
    """The run of a case that failed; folders are removed from ``text``, because the table may be read elsewhere."""
    for parent in (task.case.path.parent, task.output):
        text = text.replace(f"{parent}{os.sep}", "")
    return CaseRun({"case": task.case.name, "state": "failed", "seconds": round(seconds, 3), "error": text})


def clear_after_kill(task: CaseTask) -> None:
    """Remove what a killed process left of a case, also its folder if nothing else is in it."""
    remove_leftovers(task.folder)
    with suppress(OSError):
        task.folder.rmdir()


def _segment_into(task: CaseTask, segment_one: SegmentCase, key: str, started: float) -> CaseRun:
    case, folder = task.case, task.folder
    refuse_foreign(folder)
    with locked(folder), partial_folder(folder) as made:
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
