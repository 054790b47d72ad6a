"""All DICOM results of one cine: all are made before the first is written."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmwrite

from cardiacseg.errors import DicomError, Error
from cardiacseg.io.cine import Cine, Note, SegmentedCine
from cardiacseg.io.dicom.errors import E_NO_DICOM_RESULTS
from cardiacseg.io.dicom_results import DicomResultOptions, Phase, chosen_phases, result_names
from cardiacseg.io.dicom_results.common import Common
from cardiacseg.io.dicom_results.rtstruct import make_rtstruct
from cardiacseg.io.dicom_results.segmentation import make_segmentation
from cardiacseg.io.dicom_results.structured_report import make_report
from cardiacseg.io.log_suppression import PYDICOM, suppress_logs
from cardiacseg.io.output import write_bytes


def write_all(folder: Path, segmented: SegmentedCine, options: DicomResultOptions) -> list[str]:
    """Make and write the files of :func:`result_names`, in their order."""
    names = result_names(segmented.measurements, options)
    with suppress_logs(PYDICOM), _typed_errors():
        contents = [encoded(result) for result in _results(Common(segmented), options)]
    for name, content in zip(names, contents, strict=True):
        write_bytes(folder / name, content)
    return names


def check_headers(cine: Cine) -> tuple[Note, ...]:
    """Make the SEG of the first phase without labels; return notes on generated or shortened attributes.

    Raises what writing raises.
    """
    first = replace(cine, image=cine.image[:1], dicom=replace(cine.dicom, frames=cine.dicom.frames[:1]))
    empty = np.zeros(first.image.shape, np.uint8)
    with suppress_logs(PYDICOM), _typed_errors():
        common = Common(SegmentedCine(first, empty, None, None))
        encoded(make_segmentation(common, Phase(0, "phase-01", ()), "BINARY", 1))
    return common.notes


@contextmanager
def _typed_errors() -> Iterator[None]:
    """Turn errors of pydicom and highdicom for unusable headers into this library's; their texts may hold values."""
    try:
        yield
    except (Error, MemoryError):
        raise
    except Exception as error:
        sentence = f"the headers of the sources make no valid DICOM results ({type(error).__name__})"
        raise DicomError(E_NO_DICOM_RESULTS, sentence) from error


def _results(common: Common, options: DicomResultOptions) -> Iterator[Dataset]:
    phases = chosen_phases(common.segmented.measurements, options)
    number = options.series_number
    segmentations = [make_segmentation(common, phase, "BINARY", number) for phase in phases]
    yield from segmentations
    if options.labelmap:
        yield from (make_segmentation(common, phase, "LABELMAP", number) for phase in phases)
    yield make_report(common, dict(zip(phases, segmentations, strict=True)), number)
    if options.rtstruct:
        yield make_rtstruct(common, phases, number + 1)


def encoded(result: Dataset) -> bytes:
    """A DICOM file's bytes, explicit VR little endian."""
    buffer = BytesIO()
    dcmwrite(buffer, result, enforce_file_format=True)
    return buffer.getvalue()
