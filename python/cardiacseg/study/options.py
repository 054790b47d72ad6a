"""What a caller may ask for."""

from dataclasses import dataclass

from cardiacseg.acquisition import UNKNOWN_BODY, Body
from cardiacseg.errors import InvalidInputError
from cardiacseg.measurements import MeasurementOptions


@dataclass(frozen=True)
class ReadOptions:
    """How a study is read: all but ``spacing`` is for DICOM.

    ``series`` takes one group of images by its number in ``--list``, its Series Number or Series Instance UID.
    ``nearest_phase`` and ``latest_retake`` allow the two repairs that are safe; each is noted. ``uneven`` takes slices
    that are unevenly spaced, and measures each with its own share of the axis. ``spacing`` (slice, row, column), in mm,
    is for NIfTI files alone, and goes before the file's.
    """

    series: str | None = None
    nearest_phase: bool = False
    latest_retake: bool = False
    uneven: bool = False
    spacing: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class ResultOptions:
    """Which files are written. ``phases`` is of the DICOM segmentations: ``"ed-es"`` or ``"all"``.

    ``report`` are the page and the PDF; ``dicom`` are all DICOM results, of which ``labelmap`` and ``rtstruct`` ask for
    more. ``series_number`` is that of the first DICOM series that is written. Raises ``InvalidInputError`` for DICOM
    objects without DICOM results. ``title`` heads page, PDF and preview, as it is given: whoever gives it decides
    whether it names a patient.
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
    """Everything about one study. ``body`` and ``heart_rate_per_min``, if given, go before what the files say.

    ``temporal`` is that of :meth:`CardiacSegmenter.run`.
    """

    read: ReadOptions = _READ
    measurements: MeasurementOptions = _MEASUREMENTS
    results: ResultOptions = _RESULTS
    body: Body = UNKNOWN_BODY
    heart_rate_per_min: float | None = None
    temporal: str = "auto"
