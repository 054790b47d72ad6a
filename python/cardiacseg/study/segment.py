"""A study's files to a folder of results."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cardiacseg.io import read_cine
from cardiacseg.io.cine import Cine, Note
from cardiacseg.io.dicom.errors import N_INCOMPLETE
from cardiacseg.io.printable import printable
from cardiacseg.io.report import REPORT, input_document, report_document, write_json
from cardiacseg.segmented_cine import SegmentedCine
from cardiacseg.segmenter import CardiacSegmenter, Progress
from cardiacseg.study.analysis import analyse
from cardiacseg.study.options import ReadOptions, StudyOptions
from cardiacseg.study.outputs import with_result_notes, write_results
from cardiacseg.study.stopwatch import Stopwatch

_GAP = 1.6  # distance of adjacent slices, in that of most, from which on another slice fits between


@dataclass(frozen=True, eq=False)
class Outcome:
    """``files`` are the names written, ``seconds`` the wall time of reading, segmenting and writing."""

    segmented: SegmentedCine
    files: list[str]
    seconds: dict[str, float]


def read_study(source: Path | Sequence[Path], options: ReadOptions) -> Cine:
    """A cine from NIfTI, or from a DICOM folder, file, zip or DICOMDIR. Errors are those of ``read_cine``."""
    cine = read_cine(source, **vars(options))
    return replace(cine, notes=(*cine.notes, *missing_images(cine)))


def missing_images(cine: Cine) -> Iterator[Note]:
    """Notes for a gap that another slice fits in, and for slices that have fewer images than the cine has frames."""
    if cine.dicom is None:
        return
    along_row, along_column = np.reshape(cine.dicom.orientation, (2, 3))
    depths = np.array([frame.position for frame in cine.dicom.frames[0]]) @ np.cross(along_row, along_column)
    steps = np.abs(np.diff(depths))
    usual = np.sort(steps)[(len(steps) - 1) // 2] if len(steps) else 0.0
    for s in np.flatnonzero(steps >= _GAP * usual) if len(steps) > 1 else ():
        words = f"slices {s + 1} and {s + 2} are {steps[s]:.1f} mm apart, others {usual:.1f} mm"
        yield Note(N_INCOMPLETE, f"images may be missing: {words}")
    nameless = cine.dicom.unusable_for_results  # then images cannot be told apart by their UIDs
    for s, frames in enumerate(zip(*cine.dicom.frames, strict=True)) if not nameless else ():
        images = len({(frame.sop_instance_uid, frame.frame_number) for frame in frames})
        if images < len(frames):
            yield Note(
                N_INCOMPLETE, f"images may be missing: slice {s + 1} has {images} images for {len(frames)} frames"
            )


def title_of(cine: Cine, options: StudyOptions) -> str:
    """What pictures call a cine: what was asked for, else a NIfTI file's name.

    DICOM folders are often named after a patient, and so are not named.
    """
    if options.results.title is not None:
        return printable(options.results.title)
    return printable(cine.path.name) if cine.dicom is None else "Short-axis cine"


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
        segmented = analyse(cine, segmenter, options, title_of(cine, options), progress)
    return write_outcome(folder, segmented, options, watch)


def write_outcome(folder: Path, segmented: SegmentedCine, options: StudyOptions, watch: Stopwatch) -> Outcome:
    """Write all results of what was segmented and measured, ``report.json`` last."""
    with watch.time("write"):
        segmented, files = write_results(folder, segmented, options.results)
    files.append(REPORT)
    document = report_document(segmented, input_document(segmented.cine), files, watch.seconds)
    write_json(folder / REPORT, document)
    return Outcome(segmented, files, watch.seconds)
