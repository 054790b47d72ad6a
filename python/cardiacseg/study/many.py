"""One segmenter for one study after another: what a batch and a listener are given."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cardiacseg import _core
from cardiacseg.io.cine import Note
from cardiacseg.segmenter import CardiacSegmenter, bundle_digest
from cardiacseg.study.batch_table import summary_of
from cardiacseg.study.case import Case
from cardiacseg.study.options import StudyOptions
from cardiacseg.study.segment import Outcome, read_study, segment_into
from cardiacseg.study.stopwatch import Stopwatch


class StudySegmenter:
    """Called with a study's files and an empty folder, writes all results there.

    Gives the paths of the DICOM results and all notes of the cine, which ``notes`` become part of.
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
        """What was found, after all results were written.

        ``ed_es`` are the frames of ED and ES where the data set says which they are; options go before it.
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
    """Called with a case of a batch and an empty folder, writes all results there and gives the case's columns.

    ``made_with`` is all that results depend on beside the case's files.
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
