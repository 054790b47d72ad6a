"""Frames of Enhanced (multi-frame) MR: their attributes lie in functional groups."""

from collections.abc import Callable, Iterator, Sequence

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from cardiacseg.io.dicom.classic import trigger_time
from cardiacseg.io.dicom.image_kind import image_kind
from cardiacseg.io.dicom.orientation import is_orientation
from cardiacseg.io.dicom.values import first_item, items, number, numbers, text, value, whole, words

TAGS = [
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "DimensionIndexSequence",
    "PulseSequenceName",
    "CardiacRRIntervalSpecified",
]
_GROUPS = {
    "content": "FrameContentSequence",
    "position": "PlanePositionSequence",
    "orientation": "PlaneOrientationSequence",
    "measures": "PixelMeasuresSequence",
    "heart": "CardiacSynchronizationSequence",
    "type": "MRImageFrameTypeSequence",
    "echo": "MREchoSequence",
    "modifier": "MRModifierSequence",
    "source": "ConversionSourceAttributesSequence",
    "classic": "UnassignedPerFrameConvertedAttributesSequence",
    "shared classic": "UnassignedSharedConvertedAttributesSequence",
}


def frame_attributes(dataset: Dataset, count: int) -> Iterator[dict]:
    """Attributes of each of ``count`` frames, in the words of :class:`cardiacseg.io.dicom.frames.Frame`."""
    shared = first_item(dataset, "SharedFunctionalGroupsSequence") or Dataset()
    per_frame = items(dataset, "PerFrameFunctionalGroupsSequence") or [Dataset()]
    temporal = _temporal_dimension(dataset)
    common = {key: first_item(shared, sequence) for key, sequence in _GROUPS.items()}
    for own in per_frame[:count]:
        groups = {key: first_item(own, sequence) or common[key] or Dataset() for key, sequence in _GROUPS.items()}
        yield _attributes(dataset, groups, temporal)


def _attributes(dataset: Dataset, groups: dict[str, Dataset], temporal: int | None) -> dict:
    measures, heart, content = (groups[key] for key in ("measures", "heart", "content"))
    orientation = numbers(groups["orientation"], "ImageOrientationPatient", 6)
    spacing = numbers(measures, "PixelSpacing", 2)
    echo = number(groups["echo"], "EffectiveEchoTime")
    return {
        "converted_from": text(groups["source"], "ReferencedSOPInstanceUID"),
        "acquisition_number": whole(content, "FrameAcquisitionNumber"),
        "taken_at": text(content, "FrameAcquisitionDateTime") or text(content, "FrameReferenceDateTime"),
        "kind": _kind(dataset, groups["type"]),
        "protocol": (text(dataset, "PulseSequenceName"), "" if echo is None else f"{echo:.1f}"),
        "position": numbers(groups["position"], "ImagePositionPatient", 3),
        "orientation": orientation if is_orientation(orientation) else None,
        "pixel_spacing": spacing if spacing is not None and min(spacing) > 0 else None,
        "thickness_mm": number(measures, "SliceThickness"),
        "spacing_between_slices_mm": number(measures, "SpacingBetweenSlices"),
        "inversion_time_ms": number(groups["modifier"], "InversionTimes"),
        "percent_of_beat": number(heart, "NominalPercentageOfCardiacPhase"),
        **_times(dataset, groups, temporal),
    }


def _times(dataset: Dataset, groups: dict[str, Dataset], temporal: int | None) -> dict:
    """From the functional groups, else from what a Legacy Converted instance keeps of its classic images."""
    heart, classic = groups["heart"], (groups["classic"], groups["shared classic"])
    position = _temporal_position(groups["content"], temporal)
    if position is None:
        position = _of_classic(classic, "TemporalPositionIdentifier", whole)
    beat = number(heart, "RRIntervalTimeNominal") or number(dataset, "CardiacRRIntervalSpecified")
    delays = (heart, "NominalCardiacTriggerDelayTime"), (heart, "ActualCardiacTriggerDelayTime")
    return {
        "trigger_time_ms": trigger_time(*delays, *((place, "TriggerTime") for place in classic)),
        "temporal_position": position,
        "rr_interval_ms": beat or _of_classic(classic, "NominalInterval"),
        "heart_rate_per_min": number(dataset, "HeartRate") or _of_classic(classic, "HeartRate"),
    }


def _of_classic(places: Sequence[Dataset], name: str, read: Callable = number) -> float | None:
    return next((found for place in places if (found := read(place, name)) is not None), None)


def _kind(dataset: Dataset, frame_type: Dataset) -> str:
    image_type = words(frame_type, "FrameType") if "FrameType" in frame_type else words(dataset, "ImageType")
    lossy = text(dataset, "LossyImageCompression") == "01"
    return image_kind(image_type, words(frame_type, "ComplexImageComponent"), lossy)


def _temporal_dimension(dataset: Dataset) -> int | None:
    """Which of the dimension indices counts the phases: that is said by its pointer, never by its place."""
    pointers = [value(item, "DimensionIndexPointer") for item in items(dataset, "DimensionIndexSequence")]
    for name in ("TemporalPositionIndex", "NominalCardiacTriggerDelayTime", "TriggerTime"):
        if Tag(name) in pointers:
            return pointers.index(Tag(name))
    return None


def _temporal_position(content: Dataset, dimension: int | None) -> int | None:
    position = whole(content, "TemporalPositionIndex")
    indices = value(content, "DimensionIndexValues")
    if position is None and dimension is not None and hasattr(indices, "__len__") and dimension < len(indices):
        return int(indices[dimension])
    return position
