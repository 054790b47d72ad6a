"""Options of reading, measuring and writing one study."""

from dataclasses import dataclass

from cardiacseg.acquisition import UNKNOWN_BODY, Body
from cardiacseg.errors import InvalidInputError
from cardiacseg.measurements import MeasurementOptions


@dataclass(frozen=True)
class ReadOptions:
    """How a study is read. ``spacing`` is for NIfTI files, all other options are for DICOM.

    ``series`` selects one group of images by its name in ``--list``, its Series Number or Series Instance UID.
    ``nearest_phase`` and ``latest_retake`` allow the two repairs that are safe; each is noted. ``uneven`` accepts
    unevenly spaced slices; volumes then use the distance of each slice to its adjacent slices. ``spacing`` (slice, row,
    column), in mm, replaces the spacing of the file.
    """

    series: str | None = None
    nearest_phase: bool = False
    latest_retake: bool = False
    uneven: bool = False
    spacing: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class ResultOptions:
    """The files to write. ``phases`` selects the DICOM segmentations: ``"ed-es"`` or ``"all"``.

    ``report``: the HTML page and the PDF. ``dicom``: all DICOM results; ``labelmap`` and ``rtstruct`` add further ones.
    ``series_number`` is that of the first DICOM series that is written. ``title`` stands unchanged at the top of page,
    PDF and preview, so the caller decides whether it names a patient. Raises ``InvalidInputError`` if ``labelmap`` or
    ``rtstruct`` is set without ``dicom``.
    """

    report: bool = True
    phases: str = "ed-es"
    labelmap: bool = False
    rtstruct: bool = False
    series_number: int = 9000
    dicom: bool = True
    title: str | None = None

    def __post_init__(self):
        if not self.dicom and (self.labelmap or self.rtstruct):
            raise InvalidInputError("label maps and RT structure sets are DICOM results, which were switched off")


_READ, _MEASUREMENTS, _RESULTS = ReadOptions(), MeasurementOptions(), ResultOptions()


@dataclass(frozen=True)
class StudyOptions:
    """All options of one study. ``body`` and ``heart_rate_per_min``, if given, replace the values in the files.

    ``temporal`` is that of :meth:`CardiacSegmenter.run`.
    """

    read: ReadOptions = _READ
    measurements: MeasurementOptions = _MEASUREMENTS
    results: ResultOptions = _RESULTS
    body: Body = UNKNOWN_BODY
    heart_rate_per_min: float | None = None
    temporal: str = "auto"
