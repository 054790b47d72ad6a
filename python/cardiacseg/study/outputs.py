"""The files that a study's results are written to."""

from pathlib import Path

from cardiacseg.io.nifti import write_labels
from cardiacseg.io.page import write_page, write_pdf
from cardiacseg.io.preview import write_preview
from cardiacseg.io.report import measurements_document, write_json
from cardiacseg.io.slice_list import write_slice_list
from cardiacseg.quality import quality_document
from cardiacseg.segmented_cine import SegmentedCine
from cardiacseg.study.options import ResultOptions

# Every name that results may have; report.json is written last, as the sign that all others are there.
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
    "report.json",
)


def write_results(folder: Path, segmented: SegmentedCine, options: ResultOptions) -> list[str]:
    """Write all results but ``report.json`` into ``folder``; gives their names in order."""
    cine, measurements = segmented.cine, segmented.measurements
    write_labels(folder / "labels.nii.gz", segmented.labels, cine)
    write_json(folder / "measurements.json", measurements_document(measurements, cine.spacing))
    write_json(folder / "quality.json", quality_document(segmented))
    write_slice_list(folder / "slices.csv", measurements)
    write_preview(folder / "preview.png", cine.image, segmented.labels, cine.spacing, measurements, segmented.title)
    if options.report:
        write_page(folder / "report.html", segmented)
        write_pdf(folder / "report.pdf", segmented)
    names = [name for name in RESULTS if (folder / name).is_file()]
    return [*names, *(_write_dicom(folder, segmented, options) if cine.dicom else [])]


def _write_dicom(folder: Path, segmented: SegmentedCine, options: ResultOptions) -> list[str]:
    from cardiacseg.io.dicom_results import DicomResultOptions, write_dicom_results

    wanted = DicomResultOptions(
        phases=options.phases,
        labelmap=options.labelmap,
        rtstruct=options.rtstruct,
        series_number=options.series_number,
    )
    return write_dicom_results(folder, segmented, wanted)
