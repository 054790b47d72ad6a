"""One record for each two-dimensional frame, from any kind of MR object, and damaged files."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage, MRImageStorage

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.attributes import (
    CINE_KINDS,
    CLASSIC_TAGS,
    ENHANCED_TAGS,
    classic_attributes,
    enhanced_attributes,
    image_kind,
)
from cardiacseg.io.dicom.errors import (
    E_DAMAGED,
    E_MISSING_PHASE,
    E_NO_SAX,
    E_NONUNIFORM_SPACING,
    E_TOO_LARGE,
    N_DAMAGED_FILE,
)
from cardiacseg.io.dicom.headers import Header, items, read_damaged, read_header, text, whole, words
from cardiacseg.io.dicom.sources import File

_ENHANCED = {EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage}
_MR = {MRImageStorage, *_ENHANCED}
_PERSON_TAGS = ["PatientID", "PatientName", "PatientBirthDate", "StudyDate"]
_DESCRIPTION_TAGS = ["SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName", "ImageType"]
_TAGS = CLASSIC_TAGS + ENHANCED_TAGS + _PERSON_TAGS + _DESCRIPTION_TAGS
_LACKING = (E_NO_SAX, E_MISSING_PHASE, E_NONUNIFORM_SPACING)


@dataclass(frozen=True, slots=True)
class Frame:
    """Attributes of one frame; ``None`` or "" if absent or unusable.

    ``number`` counts from 1 in a multi-frame instance and is ``None`` in a classic one. ``position`` and
    ``orientation`` are Image Position and Orientation (Patient), ``pixel_spacing`` is (row, column) in mm. ``kind`` is
    one of :mod:`cardiacseg.io.dicom.attributes`. ``taken_at`` and ``content_at`` are date and time as text that sorts.
    ``converted_from`` is the SOP instance UID of the classic image that a Legacy Converted frame was made of.
    ``trigger_time_ms`` and ``rr_interval_ms`` are in the file's unit until
    :func:`cardiacseg.io.dicom.timing.in_ms` converts them. ``protocol``: attributes that distinguish acquisitions with
    different parameters. ``b_value``: the diffusion weighting in s/mm2. ``person``: attributes that distinguish
    patients and days; ``described``: names of the sequence by people and scanners, in capitals; neither leaves the
    program. ``problem``: the fault of the file's pixels.
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
    percent_of_cardiac_cycle: float | None
    rr_interval_ms: float | None
    heart_rate_per_min: float | None
    inversion_time_ms: float | None
    b_value: float | None
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
class Damaged:
    """One file. ``series_uid`` is "" if the damage comes before it; ``may_be_cine`` unless the file says otherwise."""

    error: DicomError
    series_uid: str
    may_be_cine: bool


@dataclass(frozen=True)
class Scan:
    """All MR frames of a source, the number of other files of each kind, and unreadable files."""

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
            damaged.append(_read_damage(file, error))
            continue
        if header is None:
            counts["not_dicom"] += 1
        elif header.sop_class_uid not in _MR:
            counts["other_dicom"] += 1
        else:
            frames += _frames(file, header)
            counts["mr_instances"] += 1
    return Scan(tuple(sorted(frames, key=Frame.order)), dict(counts), tuple(damaged))


def _read_damage(file: File, error: DicomError) -> Damaged:
    rest = read_damaged(file, CLASSIC_TAGS)
    is_mr = text(rest, "SOPClassUID") in {"", *_MR}
    kind = image_kind(words(rest, "ImageType"), words(rest, "ComplexImageComponent"))
    return Damaged(error, text(rest, "SeriesInstanceUID"), is_mr and kind in CINE_KINDS)


def _frames(file: File, header: Header) -> Iterator[Frame]:
    instance = _instance_attributes(file, header)
    if header.sop_class_uid not in _ENHANCED:
        file.budget.take("frames", 1, file.name)
        yield Frame(number=None, **instance | classic_attributes(header.dataset))
        return
    count = whole(header.dataset, "NumberOfFrames") or 0
    instance["problem"] = instance["problem"] or _count_problem(file.name, header.dataset, count)
    if instance["problem"] is None:
        file.budget.take("frames", count, file.name)
    # An instance with a problem is listed by its first frame; its pixels are not read.
    frames = enhanced_attributes(header.dataset, count if instance["problem"] is None else 1)
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


@contextmanager
def raise_damage(damaged: Sequence[Damaged]) -> Iterator[None]:
    """If an error says that a stack is missing or incomplete, raise the error of the first damaged file that may
    hold it."""
    try:
        yield
    except DicomError as error:
        if damaged and error.code in _LACKING:
            raise damaged[0].error from error
        raise


def may_belong(damaged: Iterable[Damaged], frames: Iterable[Frame], chosen: Iterable[Frame]) -> list[Damaged]:
    """The files that may be images of the chosen stack; not those of a series with other, unused images."""
    not_taken = {frame.series_uid for frame in frames} - {frame.series_uid for frame in chosen} - {""}
    return [file for file in damaged if file.may_be_cine and file.series_uid not in not_taken]


def damage_notes(damaged: Sequence[Damaged], possible: Sequence[Damaged], phases: int) -> tuple[Note, ...]:
    """Notes for a stack of ``phases`` that is complete by the distances of its slices and their numbers of phases.

    Raises the error of the first of the ``possible`` files if they may hold a whole slice at an end of it.
    """
    if len(possible) >= phases:
        raise possible[0].error
    others = [file for file in damaged if file not in possible]
    notes = [_note(others, "they are not of the stack")] if others else []
    return (*notes, _note(possible, "the stack has its slices without them")) if possible else tuple(notes)


def _note(damaged: Sequence[Damaged], why: str) -> Note:
    text = f"damaged files that were left out: {len(damaged)}; {why} (first: {damaged[0].error.sentence})"
    return Note(N_DAMAGED_FILE, text)
