"""Which source instances and frames a result was made of, in the sequences that DICOM has for it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from highdicom.sr import CodedConcept, SourceImageForSegmentation
from pydicom import Dataset
from pydicom.sr.codedict import codes

from cardiacseg.io.dicom.source import DicomSource, SourceFrame
from cardiacseg.io.dicom_results.identity import made_uid


def instance_uids(source: DicomSource) -> list[str]:
    """SOP instance UIDs of all sources, each once, in an order that depends on nothing else."""
    return sorted({frame.sop_instance_uid for phase in source.frames for frame in phase})


def with_series(source: DicomSource) -> DicomSource:
    """The source, in which frames without a Series Instance UID share one that was made from the sources' UIDs."""
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
    """Frames by the study that they are of by their headers, ``study_uid`` first; it has those without one, too.

    De-identified files may each have a study of their own.
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
    """Every instance of the cine, as far as the structured report's evidence needs it."""
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
