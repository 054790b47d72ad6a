"""One record for each two-dimensional frame, whichever kind of MR object it came in."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage, MRImageStorage

from cardiacseg.errors import DicomError
from cardiacseg.io.dicom import classic, enhanced
from cardiacseg.io.dicom.damaged import Damaged
from cardiacseg.io.dicom.errors import E_DAMAGED, E_TOO_LARGE
from cardiacseg.io.dicom.files import File
from cardiacseg.io.dicom.headers import Header, read_damaged, read_header
from cardiacseg.io.dicom.image_kind import CINE_KINDS, image_kind
from cardiacseg.io.dicom.values import items, text, whole, words

_ENHANCED = {EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage}
_MR = {MRImageStorage, *_ENHANCED}
_PERSON_TAGS = ["PatientID", "PatientName", "PatientBirthDate", "StudyDate"]
_DESCRIPTION_TAGS = ["SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName", "ImageType"]
_TAGS = classic.TAGS + enhanced.TAGS + _PERSON_TAGS + _DESCRIPTION_TAGS


@dataclass(frozen=True, slots=True)
class Frame:
    """What the header says of one frame; ``None`` or "" where it says nothing that can be used.

    ``number`` counts from 1 in a multi-frame instance and is ``None`` in a classic one. ``position`` and
    ``orientation`` are Image Position and Orientation (Patient), ``pixel_spacing`` is (row, column) in mm. ``kind`` is
    one of :mod:`cardiacseg.io.dicom.image_kind`. ``taken_at`` and ``content_at`` are date and time as text that sorts.
    ``converted_from`` is the SOP instance UID of the classic image that a Legacy Converted frame was made of.
    ``trigger_time_ms`` and ``rr_interval_ms`` are as the file has them, until
    :func:`cardiacseg.io.dicom.time_unit.in_ms` makes ms of other units. ``protocol`` is what tells one way of taking
    pictures from another. ``person`` is what tells patients and days apart, ``described`` what people and scanners call
    the sequence, in capitals: neither leaves the program. ``problem`` is what is wrong with the file's pixels.
    """

    file: File
    number: int | None
    sop_class_uid: str
    sop_instance_uid: str
    converted_from: str
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    series_number: int | None
    instance_number: int | None
    acquisition_number: int | None
    taken_at: str
    content_at: str
    kind: str
    protocol: tuple[str, ...]
    rows: int
    columns: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    thickness_mm: float | None
    spacing_between_slices_mm: float | None
    trigger_time_ms: float | None
    temporal_position: int | None
    percent_of_beat: float | None
    rr_interval_ms: float | None
    heart_rate_per_min: float | None
    inversion_time_ms: float | None
    person: tuple[str, ...] = field(repr=False, compare=False)
    described: str = field(repr=False, compare=False)
    problem: DicomError | None

    @property
    def has_geometry(self) -> bool:
        """Whether the frame can be placed in the patient."""
        return self.position is not None and self.orientation is not None and self.pixel_spacing is not None

    def order(self) -> tuple:
        """A key that does not depend on the names of files."""
        return self.series_number or 0, self.instance_number or 0, self.number or 0, self.sop_instance_uid


@dataclass(frozen=True)
class Scan:
    """All MR frames of a source, what else there was (a count for each kind of file), and files past reading."""

    frames: tuple[Frame, ...]
    counts: dict[str, int]
    damaged: tuple[Damaged, ...]


def scan(files: list[File]) -> Scan:
    """Read every header once."""
    frames, damaged, counts = [], [], Counter(files=len(files))
    for file in files:
        try:
            header = read_header(file, _TAGS, _MR)
        except DicomError as error:
            if error.code == E_TOO_LARGE:
                raise
            damaged.append(_damaged(file, error))
            continue
        if header is None:
            counts["not_dicom"] += 1
        elif header.sop_class_uid not in _MR:
            counts["other_dicom"] += 1
        else:
            frames += _frames(file, header)
            counts["mr_instances"] += 1
    return Scan(tuple(sorted(frames, key=Frame.order)), dict(counts), tuple(damaged))


def _damaged(file: File, error: DicomError) -> Damaged:
    rest = read_damaged(file, classic.TAGS)
    is_mr = text(rest, "SOPClassUID") in {"", *_MR}
    kind = image_kind(words(rest, "ImageType"), words(rest, "ComplexImageComponent"))
    return Damaged(error, text(rest, "SeriesInstanceUID"), is_mr and kind in CINE_KINDS)


def _frames(file: File, header: Header) -> Iterator[Frame]:
    instance = _instance_attributes(file, header)
    if header.sop_class_uid not in _ENHANCED:
        file.budget.take("frames", 1, file.name)
        yield Frame(number=None, **instance | classic.frame_attributes(header.dataset))
        return
    count = whole(header.dataset, "NumberOfFrames") or 0
    instance["problem"] = instance["problem"] or _count_problem(file.name, header.dataset, count)
    if instance["problem"] is None:
        file.budget.take("frames", count, file.name)
    # An instance with a problem is listed by its first frame, and never read.
    frames = enhanced.frame_attributes(header.dataset, count if instance["problem"] is None else 1)
    for number, attributes in enumerate(frames, start=1):
        yield Frame(number=number, **instance | attributes)


def _count_problem(name: str, dataset: Dataset, count: int) -> DicomError | None:
    if count < 1:
        return DicomError(E_DAMAGED, f"expected at least one frame, got {count} in {name}")
    groups = len(items(dataset, "PerFrameFunctionalGroupsSequence"))
    if groups != count:
        return DicomError(E_DAMAGED, f"{name} has {count} frames and functional groups for {groups}")
    return None


def _instance_attributes(file: File, header: Header) -> dict:
    """What all frames of an instance share."""
    dataset = header.dataset
    rows, columns = whole(dataset, "Rows") or 0, whole(dataset, "Columns") or 0
    return {
        "file": file,
        "sop_class_uid": header.sop_class_uid,
        "sop_instance_uid": text(dataset, "SOPInstanceUID"),
        "study_uid": text(dataset, "StudyInstanceUID"),
        "series_uid": text(dataset, "SeriesInstanceUID"),
        "frame_of_reference_uid": text(dataset, "FrameOfReferenceUID"),
        "series_number": whole(dataset, "SeriesNumber"),
        "content_at": text(dataset, "ContentDate") + text(dataset, "ContentTime").replace(":", ""),
        "instance_number": whole(dataset, "InstanceNumber"),
        "rows": rows,
        "columns": columns,
        "person": tuple(text(dataset, name) for name in _PERSON_TAGS),
        "described": " ".join(text(dataset, name) for name in _DESCRIPTION_TAGS).upper(),
        "problem": header.problem or _size_problem(file, rows, columns),
    }


def _size_problem(file: File, rows: int, columns: int) -> DicomError | None:
    if rows < 1 or columns < 1:
        return DicomError(
            E_DAMAGED, f"{file.name} has {rows} rows and {columns} columns; expected at least one of each"
        )
    try:
        file.budget.check("side", max(rows, columns), file.name)
    except DicomError as error:
        return error
    return None
