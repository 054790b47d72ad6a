"""Classic MR: one frame in each instance, whose attributes lie side by side."""

from pydicom.dataset import Dataset

from cardiacseg.io.dicom.image_kind import image_kind
from cardiacseg.io.dicom.orientation import is_orientation
from cardiacseg.io.dicom.pixel_header import PALETTE_TAGS, has_grey_palette, is_palette
from cardiacseg.io.dicom.values import number, numbers, text, whole, words

TAGS = [
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "SeriesNumber",
    "InstanceNumber",
    "AcquisitionNumber",
    "AcquisitionDate",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "ContentDate",
    "ContentTime",
    "ImageType",
    "ComplexImageComponent",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    *PALETTE_TAGS,
    "LossyImageCompression",
    "BitsAllocated",
    "NumberOfFrames",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "TriggerTime",
    "TemporalPositionIdentifier",
    "NominalPercentageOfCardiacPhase",
    "NominalInterval",
    "HeartRate",
    "ScanningSequence",
    "SequenceVariant",
    "EchoTime",
    "InversionTime",
]


def frame_attributes(dataset: Dataset) -> dict:
    """Attributes of the frame, in the words of :class:`cardiacseg.io.dicom.frames.Frame`."""
    one_frame = (whole(dataset, "NumberOfFrames") or 1) == 1
    is_grey = (whole(dataset, "SamplesPerPixel") or 1) == 1 and (not is_palette(dataset) or has_grey_palette(dataset))
    usable = one_frame and is_grey
    lossy = text(dataset, "LossyImageCompression") == "01"
    kind = image_kind(words(dataset, "ImageType"), words(dataset, "ComplexImageComponent"), lossy)
    orientation = numbers(dataset, "ImageOrientationPatient", 6)
    spacing = numbers(dataset, "PixelSpacing", 2)
    return {
        "converted_from": "",
        "acquisition_number": whole(dataset, "AcquisitionNumber"),
        "taken_at": _taken_at(dataset),
        "kind": kind if usable else "other",
        "protocol": _protocol(dataset),
        "position": numbers(dataset, "ImagePositionPatient", 3),
        "orientation": orientation if is_orientation(orientation) else None,
        "pixel_spacing": spacing if spacing is not None and min(spacing) > 0 else None,
        "thickness_mm": number(dataset, "SliceThickness"),
        "spacing_between_slices_mm": number(dataset, "SpacingBetweenSlices"),
        "trigger_time_ms": trigger_time((dataset, "TriggerTime")),
        "temporal_position": whole(dataset, "TemporalPositionIdentifier"),
        "percent_of_beat": number(dataset, "NominalPercentageOfCardiacPhase"),
        "rr_interval_ms": number(dataset, "NominalInterval"),
        "heart_rate_per_min": number(dataset, "HeartRate"),
        "inversion_time_ms": number(dataset, "InversionTime"),
    }


def trigger_time(*places: tuple[Dataset, str]) -> float | None:
    """The first of the attributes that is there; -1 says "unknown", other negative times lie before the R wave."""
    times = (number(dataset, name) for dataset, name in places)
    return next((time for time in times if time is not None and time != -1), None)


def _taken_at(dataset: Dataset) -> str:
    date, time = text(dataset, "AcquisitionDate"), text(dataset, "AcquisitionTime").replace(":", "")
    return date + time if time else text(dataset, "AcquisitionDateTime")


def _protocol(dataset: Dataset) -> tuple[str, ...]:
    echo = number(dataset, "EchoTime")
    names = (text(dataset, "ScanningSequence"), text(dataset, "SequenceVariant"))
    return (*names, "" if echo is None else f"{echo:.1f}")
