"""A study's files to a folder of results."""

from dataclasses import dataclass
from pathlib import Path

from cardiacseg.io import read_cine
from cardiacseg.io.cine import Cine
from cardiacseg.io.report import input_document, report_document, write_json
from cardiacseg.segmented_cine import SegmentedCine
from cardiacseg.segmenter import CardiacSegmenter, Progress
from cardiacseg.study.analysis import analyse
from cardiacseg.study.options import ReadOptions, StudyOptions
from cardiacseg.study.outputs import with_result_notes, write_results
from cardiacseg.study.stopwatch import Stopwatch


@dataclass(frozen=True, eq=False)
class Outcome:
    """``files`` are the names written, ``seconds`` the wall time of reading, segmenting and writing."""

    segmented: SegmentedCine
    files: list[str]
    seconds: dict[str, float]


def read_study(source: Path, options: ReadOptions) -> Cine:
    """A cine from a NIfTI file, or from a DICOM folder, file, zip or DICOMDIR. Errors are those of ``read_cine``."""
    return read_cine(source, **vars(options))


def title_of(cine: Cine) -> str:
    """What pictures call a cine: a NIfTI file's name. DICOM folders are often named after a patient."""
    return cine.path.name if cine.dicom is None else "Short-axis cine"


def segment_into(
    folder: Path,
    cine: Cine,
    segmenter: CardiacSegmenter,
    options: StudyOptions,
    watch: Stopwatch,
    progress: Progress | None = None,
) -> Outcome:
    """Segment ``cine`` and write all results into ``folder``, which is the caller's to make and to move."""
    cine = with_result_notes(cine, options.results)
    with watch.time("segment"):
        segmented = analyse(cine, segmenter, options, title_of(cine), progress)
    return write_outcome(folder, segmented, options, watch)


def write_outcome(folder: Path, segmented: SegmentedCine, options: StudyOptions, watch: Stopwatch) -> Outcome:
    """Write all results of what was segmented and measured, ``report.json`` last."""
    with watch.time("write"):
        segmented, files = write_results(folder, segmented, options.results)
    files.append("report.json")
    document = report_document(segmented, input_document(segmented.cine), files, watch.seconds)
    write_json(folder / "report.json", document)
    return Outcome(segmented, files, watch.seconds)
