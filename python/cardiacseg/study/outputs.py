"""The files that a study's results are written to."""

from dataclasses import replace
from pathlib import Path

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import Cine, Note
from cardiacseg.io.dicom.errors import N_NO_DICOM_RESULTS
from cardiacseg.io.dicom_results import (
    DicomResultOptions,
    no_results_note,
    result_notes,
    write_dicom_results,
)
from cardiacseg.io.nifti import write_labels
from cardiacseg.io.page import write_page, write_pdf
from cardiacseg.io.preview import write_preview
from cardiacseg.io.report import REPORT, measurements_document, write_json
from cardiacseg.io.slice_list import write_slice_list
from cardiacseg.quality import find_flags, quality_document
from cardiacseg.segmented_cine import SegmentedCine
from cardiacseg.study.options import ResultOptions

# Every name that results may have; the last is the sign that all others are there.
RESULTS = (
    "labels.nii.gz",
    "measurements.json",
    "quality.json",
    "slices.csv",
    "preview.png",
    "report.html",
    "report.pdf",
    "seg-*.dcm",
    "labelmap-*.dcm",
    "sr.dcm",
    "rtstruct.dcm",
    REPORT,
)


def with_result_notes(cine: Cine, options: ResultOptions) -> Cine:
    """The cine with notes on what its DICOM results will lack; to be called before any long work."""
    wanted = options.dicom and cine.dicom is not None
    return _noted(cine, *result_notes(cine)) if wanted else cine


def write_results(folder: Path, segmented: SegmentedCine, options: ResultOptions) -> tuple[SegmentedCine, list[str]]:
    """Write all results but ``report.json`` into ``folder``; gives their names in order.

    DICOM results come first: if they cannot be written, the others say so, with a note, as does what is given back.
    """
    try:
        dicom = _write_dicom(folder, segmented, options)
    except DicomError as error:
        dicom = []
        segmented = replace(segmented, cine=_noted(segmented.cine, no_results_note(error)))
        segmented = replace(segmented, flags=find_flags(segmented))
    return segmented, [*_write_others(folder, segmented, options), *dicom]


def _noted(cine: Cine, *notes: Note) -> Cine:
    return replace(cine, notes=(*cine.notes, *notes))


def _write_others(folder: Path, segmented: SegmentedCine, options: ResultOptions) -> list[str]:
    cine, measurements = segmented.cine, segmented.measurements
    write_labels(folder / "labels.nii.gz", segmented.labels, cine)
    write_json(folder / "measurements.json", measurements_document(measurements, cine.spacing))
    write_json(folder / "quality.json", quality_document(segmented))
    write_slice_list(folder / "slices.csv", measurements)
    write_preview(folder / "preview.png", cine.image, segmented.labels, cine.spacing, measurements, segmented.title)
    if options.report:
        write_page(folder / "report.html", segmented)
        write_pdf(folder / "report.pdf", segmented)
    return [name for name in RESULTS if not name.endswith(".dcm") and (folder / name).is_file()]


def _write_dicom(folder: Path, segmented: SegmentedCine, options: ResultOptions) -> list[str]:
    impossible = any(note.code == N_NO_DICOM_RESULTS for note in segmented.cine.notes)
    if not options.dicom or segmented.cine.dicom is None or impossible:
        return []
    wanted = DicomResultOptions(
        phases=options.phases,
        labelmap=options.labelmap,
        rtstruct=options.rtstruct,
        series_number=options.series_number,
    )
    return write_dicom_results(folder, segmented, wanted)
