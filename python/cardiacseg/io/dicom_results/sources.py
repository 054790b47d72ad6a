"""Attributes that DICOM results copy from their sources (patient, study, frame of reference), and references to
them."""

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
from highdicom.sr import CodedConcept, SourceImageForSegmentation
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.multival import MultiValue
from pydicom.sr.codedict import codes
from pydicom.valuerep import DA, TM, format_number_as_ds

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import Cine, DicomSource, SourceFrame
from cardiacseg.io.dicom.errors import E_NO_DICOM_RESULTS

# Attributes of type 2 that every result has, empty if the source has none.
_TYPE_2 = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
# (date, time) attributes for the time of the images; the latest counts.
_MOMENTS = (
    ("ContentDate", "ContentTime"),
    ("AcquisitionDate", "AcquisitionTime"),
    ("SeriesDate", "SeriesTime"),
    ("StudyDate", "StudyTime"),
)
_BULK = (0x5200, 0x7FE0)
_LONG_STRING = 64  # the most characters of the value representation LO
UNKNOWN_MOMENT = ("19000101", "000000")  # of a study without dates


def instance_uids(source: DicomSource) -> list[str]:
    """SOP instance UIDs of all sources, each once, in an order that depends only on them."""
    return sorted({frame.sop_instance_uid for phase in source.frames for frame in phase})


def with_series(source: DicomSource) -> DicomSource:
    """The source, in which frames without a Series Instance UID share one that is generated from the sources' UIDs."""
    if all(frame.series_instance_uid for phase in source.frames for frame in phase):
        return source
    made = made_uid("series", instance_uids(source))
    frames = tuple(
        tuple(replace(frame, series_instance_uid=frame.series_instance_uid or made) for frame in phase)
        for phase in source.frames
    )
    return replace(source, frames=frames)


def frames_by_instance(frames: Iterable[SourceFrame]) -> dict[str, list[SourceFrame]]:
    """Frames by their SOP instance UID, in order of first appearance."""
    found: dict[str, list[SourceFrame]] = {}
    for frame in frames:
        found.setdefault(frame.sop_instance_uid, []).append(frame)
    return found


def referenced_instance(frames: Sequence[SourceFrame]) -> Dataset:
    """An image SOP instance reference to frames of one instance."""
    item = Dataset()
    item.ReferencedSOPClassUID = frames[0].sop_class_uid
    item.ReferencedSOPInstanceUID = frames[0].sop_instance_uid
    numbers = [frame.frame_number for frame in frames if frame.frame_number is not None]
    if numbers:
        item.ReferencedFrameNumber = numbers
    return item


def referenced_series(frames: Sequence[SourceFrame]) -> list[Dataset]:
    """Items of the Referenced Series Sequence: every instance once, below its own series."""
    by_series: dict[str, list[Dataset]] = {}
    for of_instance in frames_by_instance(frames).values():
        item = referenced_instance(of_instance[:1])
        item.pop("ReferencedFrameNumber", None)
        by_series.setdefault(of_instance[0].series_instance_uid, []).append(item)
    items = []
    for series, instances in by_series.items():
        item = Dataset()
        item.SeriesInstanceUID = series
        item.ReferencedInstanceSequence = instances
        items.append(item)
    return items


def by_study(source: DicomSource, frames: Iterable[SourceFrame], study_uid: str) -> dict[str, list[SourceFrame]]:
    """Frames by the study in their headers, ``study_uid`` first; frames without a study belong to that one.

    De-identified files may each have a different study.
    """
    found: dict[str, list[SourceFrame]] = {study_uid: []}
    for frame in frames:
        of_frame = source.instances[frame.sop_instance_uid].get("StudyInstanceUID") or study_uid
        found.setdefault(str(of_frame), []).append(frame)
    return found


def derivation(frame: SourceFrame) -> Dataset:
    """Item of the Derivation Image Sequence: segmented from this frame, on its own grid."""
    source = referenced_instance([frame])
    source.SpatialLocationsPreserved = "YES"
    source.PurposeOfReferenceCodeSequence = [CodedConcept.from_code(codes.DCM.SourceImageForImageProcessingOperation)]
    item = Dataset()
    item.DerivationCodeSequence = [CodedConcept.from_code(codes.DCM.Segmentation)]
    item.SourceImageSequence = [source]
    return item


def sources_for_segment(frames: Sequence[SourceFrame]) -> list[SourceImageForSegmentation]:
    """The structured report's content items that name a segment's sources."""
    return [
        SourceImageForSegmentation(
            of_instance[0].sop_class_uid,
            uid,
            [frame.frame_number for frame in of_instance if frame.frame_number is not None] or None,
        )
        for uid, of_instance in frames_by_instance(frames).items()
    ]


def evidence(source: DicomSource, study_uid: str) -> list[Dataset]:
    """Every instance of the cine, with the attributes that the structured report's evidence needs."""
    studies = by_study(source, (frame for phase in source.frames for frame in phase), study_uid)
    return [
        _evidence_item(of_instance[0], study)
        for study, frames in studies.items()
        for of_instance in frames_by_instance(frames).values()
    ]


def _evidence_item(frame: SourceFrame, study_uid: str) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = study_uid
    item.SeriesInstanceUID = frame.series_instance_uid
    item.SOPClassUID = frame.sop_class_uid
    item.SOPInstanceUID = frame.sop_instance_uid
    return item


def made_uid(*parts: object) -> str:
    """``2.25`` with a UUID from the SHA-256 of ``parts`` (JSON values): the same parts give the same UID."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def source_head(cine: Cine) -> Dataset:
    """The first source's attributes without private ones, at any depth, and with every attribute of type 2.

    Highdicom copies only the patient's and the study's modules from it. Texts become UTF-8. Unreadable attributes are
    left out; invalid dates, times and sexes are left empty. Raises ``DicomError`` if the study has no UID, because the
    results would not belong to it, or if the sources cannot be named.
    """
    if cine.dicom.unusable_for_results:
        raise DicomError(E_NO_DICOM_RESULTS, cine.dicom.unusable_for_results)
    head = _readable(cine.dicom.instances[cine.dicom.frames[0][0].sop_instance_uid])
    head.SpecificCharacterSet = "ISO_IR 192"
    if not _one_uid(head, "StudyInstanceUID"):
        raise DicomError(
            E_NO_DICOM_RESULTS, "DICOM results need StudyInstanceUID, which the first source instance does not have"
        )
    for keyword in _TYPE_2:
        if head.get(keyword) is None or not _is_valid(keyword, head[keyword].value):
            setattr(head, keyword, "")
    return head


def complete(head: Dataset, cine: Cine) -> Iterator[str]:
    """Add attributes to ``head`` that results need and the sources lack; yield a sentence for each."""
    if not _one_uid(head, "FrameOfReferenceUID"):
        head.FrameOfReferenceUID = made_uid("frame of reference", instance_uids(cine.dicom))
        yield (
            "the sources have no FrameOfReferenceUID; DICOM results have one that was generated from the UIDs of the "
            "sources, and a viewer may not show them over the images"
        )
    if isinstance(head.PatientName, MultiValue):
        head.PatientName = " ".join(map(str, head.PatientName))
        yield "PatientName has several values; DICOM results hold them as one"
    for keyword in ("Manufacturer", "ManufacturerModelName"):
        value = head.get(keyword) or ""
        if (words := _long_string(value)) != value:
            setattr(head, keyword, words)
            yield f"{keyword} is not one text of up to {_LONG_STRING} characters; DICOM results hold it shortened"


def _one_uid(head: Dataset, keyword: str) -> str:
    value = head.get(keyword)
    return value if isinstance(value, str) else ""


def _long_string(value: object) -> str:
    """The value, or the values of a multi-valued attribute, as one text of the value representation LO."""
    words = value if isinstance(value, str) else " ".join(map(str, value))
    return "".join(c for c in words if c.isprintable() and c != "\\")[:_LONG_STRING].strip()


def _readable(instance: Dataset) -> Dataset:
    """A copy of the standard attributes that can be read and written, without pixels and groups of frames."""
    head = Dataset()
    for tag in instance.keys():  # noqa: SIM118, iterating over the dataset itself reads the values
        if tag.is_private or tag.group in _BULK:
            continue
        try:
            one = Dataset()
            one.add(deepcopy(instance[tag]))
            one.remove_private_tags()
            one.to_json_dict()  # fails for values that should be numbers and are not
            write_dataset(_nowhere(), one, "utf8")
        except Exception:  # pydicom raises almost any error for damaged values
            continue
        head.update(one)
    return head


def _nowhere() -> DicomBytesIO:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    return buffer


def _is_valid(keyword: str, value: object) -> bool:
    if keyword == "PatientSex":
        return value in ("M", "F", "O", "")
    return not keyword.endswith(("Date", "Time")) or _parsed(keyword, value) is not None


def _parsed(keyword: str, value: object) -> str | None:
    """The date as YYYYMMDD or the time as HHMMSS; ``None`` for an empty or a malformed value."""
    try:
        moment = DA(value) if keyword.endswith("Date") else TM(value)
    except (ValueError, TypeError):
        return None
    return moment.strftime("%Y%m%d" if keyword.endswith("Date") else "%H%M%S") if moment else None


def moment_of(cine: Cine) -> tuple[str, str]:
    """The latest date and time in the sources, in DICOM's form; :data:`UNKNOWN_MOMENT` if there is none.

    It becomes the results' content date: a result describes the heart at that time, and the current date would give
    other bytes for each run.
    """
    found = [
        (date, (instance.get(time) and _parsed(time, instance.get(time))) or "000000")
        for instance in cine.dicom.instances.values()
        for day, time in _MOMENTS
        if instance.get(day) and (date := _parsed(day, instance.get(day)))
    ]
    return max(found, default=UNKNOWN_MOMENT)


def as_classic_image(head: Dataset, cine: Cine) -> Dataset:
    """``head`` as a single classic MR image on the cine's grid, from which highdicom copies the geometry.

    Highdicom does not accept sources of several series or of Enhanced MR; this module references the sources instead.
    """
    image = deepcopy(head)
    image.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    image.pop("NumberOfFrames", None)
    slice_mm, row_mm, column_mm = cine.spacing
    image.Rows, image.Columns = cine.image.shape[-2:]
    image.ImageOrientationPatient = _decimals(cine.dicom.orientation)
    image.ImagePositionPatient = _decimals(cine.dicom.frames[0][0].position)
    image.PixelSpacing = _decimals((row_mm, column_mm))
    image.SliceThickness = _decimals([cine.dicom.slice_thickness_mm or slice_mm])[0]
    image.pop("SpacingBetweenSlices", None)
    if cine.geometry.slice_offsets_mm is None:  # uneven slices have no single distance; each frame has its position
        image.SpacingBetweenSlices = _decimals([slice_mm])[0]
    return image


def _decimals(values) -> list[str]:
    """Decimal strings of at most 16 characters, as DICOM requires, with as many digits as fit."""
    return [format_number_as_ds(float(value)) for value in np.asarray(values).ravel()]
