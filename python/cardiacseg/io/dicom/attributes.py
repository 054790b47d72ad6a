"""Attributes of a frame, from the header of classic MR or from the functional groups of Enhanced (multi-frame) MR."""

from collections.abc import Callable, Iterator, Sequence

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from cardiacseg.io.dicom.grey_values import PALETTE_TAGS, has_grey_palette, is_palette
from cardiacseg.io.dicom.headers import first_item, items, number, numbers, text, value, whole, words
from cardiacseg.io.geometry import is_orientation

MAGNITUDE = "magnitude"
# Kinds that a cine can consist of, the best first: scanners that interpolate phases write DERIVED\PRIMARY.
CINE_KINDS = (MAGNITUDE, "derived primary", "derived")
REASONS = {
    "localizer": ("R_LOCALIZER", "it is a localizer"),
    "phase": ("R_PHASE", "its pixels are phases or velocities, not magnitudes"),
    "complex part": ("R_COMPLEX_PART", "its pixels are real or imaginary parts, not magnitudes"),
    "derived primary": ("R_DERIVED", "it is marked as derived from other images"),
    "derived": ("R_DERIVED", "it was derived from other images"),
    "other": ("R_OTHER", "its pixels are colors, or its classic instances hold several images each"),
}
_LOCALIZER = {"LOCALIZER", "SCOUT"}
_PHASE = {"P", "PHASE", "PHASE MAP", "VELOCITY", "VELOCITY MAP", "PHASE CONTRAST", "FLOW_VELOCITY"}
_PARTS = {"R", "I", "REAL", "IMAGINARY"}
_TILES = {"MOSAIC", "VFRAME"}  # of Siemens and of UIH: images beside and below each other in one
CLASSIC_TAGS = [
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
    "DiffusionBValue",
]
ENHANCED_TAGS = [
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
    "diffusion": "MRDiffusionSequence",
    "source": "ConversionSourceAttributesSequence",
    "classic": "UnassignedPerFrameConvertedAttributesSequence",
    "shared classic": "UnassignedSharedConvertedAttributesSequence",
}
# Group, creator and element. Philips keeps the attributes of the classic image in the first, for each frame.
_PHILIPS_CLASSIC = 0x2005, "Philips MR Imaging DD 005", 0x0F
_PHILIPS_PHASE_NUMBER = 0x2001, "Philips Imaging DD 001", 0x08


def image_kind(image_type: tuple[str, ...], component: tuple[str, ...], lossy: bool = False) -> str:
    """``MAGNITUDE`` or a key of ``REASONS``; words in capitals, as in the header.

    Vendors put the component anywhere after the first two words of Image Type; without one it is magnitude. Images
    after ``lossy`` compression must be marked as derived, and are accepted.
    """
    found = {*image_type[2:], *component}
    if found & _LOCALIZER:
        return "localizer"
    if found & _PHASE:
        return "phase"
    if found & _PARTS:
        return "complex part"
    if image_type[1:2] == ("SECONDARY",):
        return "derived"
    return "derived primary" if image_type[0] == "DERIVED" and not lossy else MAGNITUDE


def classic_attributes(dataset: Dataset) -> dict:
    """Attributes of the frame by the names of :class:`cardiacseg.io.dicom.frames.Frame`."""
    one_frame = (whole(dataset, "NumberOfFrames") or 1) == 1
    is_grey = (whole(dataset, "SamplesPerPixel") or 1) == 1 and (not is_palette(dataset) or has_grey_palette(dataset))
    usable = one_frame and is_grey and not _TILES & {*words(dataset, "ImageType")}
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
        "percent_of_cardiac_cycle": number(dataset, "NominalPercentageOfCardiacPhase"),
        "rr_interval_ms": number(dataset, "NominalInterval"),
        "heart_rate_per_min": number(dataset, "HeartRate"),
        "inversion_time_ms": number(dataset, "InversionTime"),
        "b_value": number(dataset, "DiffusionBValue"),
    }


def trigger_time(*places: tuple[Dataset, str]) -> float | None:
    """The first of the attributes that is present; -1 means unknown, other negative times lie before the R wave."""
    times = (number(dataset, name) for dataset, name in places)
    return next((time for time in times if time is not None and time != -1), None)


def _taken_at(dataset: Dataset) -> str:
    date, time = text(dataset, "AcquisitionDate"), text(dataset, "AcquisitionTime").replace(":", "")
    return date + time if time else text(dataset, "AcquisitionDateTime")


def _protocol(dataset: Dataset) -> tuple[str, ...]:
    echo = number(dataset, "EchoTime")
    names = (text(dataset, "ScanningSequence"), text(dataset, "SequenceVariant"))
    return (*names, "" if echo is None else f"{echo:.1f}")


def enhanced_attributes(dataset: Dataset, count: int) -> Iterator[dict]:
    """Attributes of each of ``count`` frames by the names of :class:`cardiacseg.io.dicom.frames.Frame`."""
    shared = first_item(dataset, "SharedFunctionalGroupsSequence") or Dataset()
    per_frame = (items(dataset, "PerFrameFunctionalGroupsSequence") or [Dataset()])[:count]
    common = {key: first_item(shared, sequence) for key, sequence in _GROUPS.items()}
    frames = [
        {key: first_item(own, sequence) or common[key] or Dataset() for key, sequence in _GROUPS.items()}
        | {"philips": first_item(own, _private(own, *_PHILIPS_CLASSIC)) or Dataset()}
        for own in per_frame
    ]
    for groups, position in zip(frames, _temporal_positions(dataset, frames), strict=True):
        yield _frame_attributes(dataset, groups, position)


def _private(dataset: Dataset, group: int, creator: str, element: int) -> tuple[int, int]:
    """The tag of a private attribute in the block that ``creator`` has in this dataset; (0, 0) if it has none."""
    blocks = (tag.element for tag in dataset.keys() if tag.group == group and 0x10 <= tag.element <= 0xFF)  # noqa: SIM118
    own = (block for block in blocks if text(dataset, (group, block)).upper() == creator.upper())
    return next(((group, block << 8 | element) for block in own), (0, 0))


def _temporal_positions(dataset: Dataset, frames: Sequence[dict[str, Dataset]]) -> list[int | None]:
    """The temporal position of each frame.

    Philips counts repetitions of the whole acquisition in it, so that it is 1 in every frame of a cine, and the phases
    in a private attribute.
    """
    dimension = _temporal_dimension(dataset)
    found = [_temporal_position(groups["content"], dimension) for groups in frames]
    if len(set(found)) > 1:
        return found
    phases = [whole(groups["philips"], _private(groups["philips"], *_PHILIPS_PHASE_NUMBER)) for groups in frames]
    return [position if phase is None else phase for position, phase in zip(found, phases, strict=True)]


def _frame_attributes(dataset: Dataset, groups: dict[str, Dataset], position: int | None) -> dict:
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
        "percent_of_cardiac_cycle": number(heart, "NominalPercentageOfCardiacPhase"),
        "b_value": number(groups["diffusion"], "DiffusionBValue"),
        **_times(dataset, groups, position),
    }


def _times(dataset: Dataset, groups: dict[str, Dataset], position: int | None) -> dict:
    """Times from the functional groups, else from classic attributes: those that a Legacy Converted instance keeps, or
    those that Philips keeps."""
    heart, classic = groups["heart"], (groups["classic"], groups["shared classic"], groups["philips"])
    if position is None:
        position = _of_classic(classic, "TemporalPositionIdentifier", whole)
    rr_interval = number(heart, "RRIntervalTimeNominal") or number(dataset, "CardiacRRIntervalSpecified")
    delays = (heart, "NominalCardiacTriggerDelayTime"), (heart, "ActualCardiacTriggerDelayTime")
    return {
        "trigger_time_ms": trigger_time(*delays, *((place, "TriggerTime") for place in classic)),
        "temporal_position": position,
        "rr_interval_ms": rr_interval or _of_classic(classic, "NominalInterval"),
        "heart_rate_per_min": number(dataset, "HeartRate") or _of_classic(classic, "HeartRate"),
    }


def _of_classic(places: Sequence[Dataset], name: str, read: Callable = number) -> float | None:
    return next((found for place in places if (found := read(place, name)) is not None), None)


def _kind(dataset: Dataset, frame_type: Dataset) -> str:
    image_type = words(frame_type, "FrameType") if "FrameType" in frame_type else words(dataset, "ImageType")
    lossy = text(dataset, "LossyImageCompression") == "01"
    return image_kind(image_type, words(frame_type, "ComplexImageComponent"), lossy)


def _temporal_dimension(dataset: Dataset) -> int | None:
    """The dimension index that counts the phases, found by its pointer, not by its position."""
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
