"""All DICOM results of one cine, made first and then written."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmwrite

from cardiacseg.io.atomic import write_bytes
from cardiacseg.io.dicom_results.common import Common
from cardiacseg.io.dicom_results.options import DicomResultOptions, chosen_phases, result_names
from cardiacseg.io.dicom_results.report import make_report
from cardiacseg.io.dicom_results.rtstruct import make_rtstruct
from cardiacseg.io.dicom_results.segmentation import make_segmentation
from cardiacseg.io.quiet import PYDICOM, quiet
from cardiacseg.segmented_cine import SegmentedCine


def write_all(folder: Path, segmented: SegmentedCine, options: DicomResultOptions) -> list[str]:
    """Make and write the files of :func:`result_names`, in their order."""
    names = result_names(segmented.measurements, options)
    with quiet(PYDICOM):
        for name, result in zip(names, _results(Common(segmented), options), strict=True):
            write_bytes(folder / name, encoded(result))
    return names


def _results(common: Common, options: DicomResultOptions) -> Iterator[Dataset]:
    phases = chosen_phases(common.segmented.measurements, options)
    number = options.series_number
    segmentations = [make_segmentation(common, phase, "BINARY", number) for phase in phases]
    yield from segmentations
    if options.labelmap:
        yield from (make_segmentation(common, phase, "LABELMAP", number + 1) for phase in phases)
    yield make_report(common, dict(zip(phases, segmentations, strict=True)), number + 2)
    if options.rtstruct:
        yield make_rtstruct(common, phases, number + 3)


def encoded(result: Dataset) -> bytes:
    """A DICOM file's bytes, explicit VR little endian."""
    buffer = BytesIO()
    dcmwrite(buffer, result, enforce_file_format=True)
    return buffer.getvalue()
