"""RT Structure Set: contours of the chosen phases, for software that reads no SEG."""

from collections.abc import Iterator, Sequence

import numpy as np
from highdicom import SOPClass
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage

from cardiacseg.io.cine import SourceFrame
from cardiacseg.io.contours import polygons
from cardiacseg.io.dicom_results import Phase
from cardiacseg.io.dicom_results.codes import STRUCTURES, Structure
from cardiacseg.io.dicom_results.common import Common
from cardiacseg.io.dicom_results.sources import by_study, frames_by_instance, referenced_instance
from cardiacseg.io.json_files import RESEARCH_USE

_STUDY = "1.2.840.10008.3.1.2.3.1"  # Detached Study Management, which the module still requires


def make_rtstruct(common: Common, phases: Sequence[Phase], series_number: int) -> Dataset:
    """One region of interest for each structure of each phase, because the format has no time.

    A structure that is absent from a phase has a region without contours. Coordinates are mm, LPS, to 0.0001.
    """
    result = _document(common, phases, series_number)
    result.ReferencedFrameOfReferenceSequence = [_frame_of_reference(common, phases)]
    result.StructureSetROISequence, result.ROIContourSequence, result.RTROIObservationsSequence = [], [], []
    regions = [(phase, structure) for phase in phases for structure in STRUCTURES]
    for number, (phase, structure) in enumerate(regions, 1):
        result.StructureSetROISequence.append(_region(common, phase, structure, number))
        result.ROIContourSequence.append(_contours(common, phase, structure, number))
        result.RTROIObservationsSequence.append(_observation(structure, number))
    common.finish(result)
    return result


def _document(common: Common, phases: Sequence[Phase], series_number: int) -> Dataset:
    head = common.head
    result = SOPClass(
        study_instance_uid=head.StudyInstanceUID,
        series_instance_uid=common.identity.uid("series", "RTSTRUCT", series_number),
        series_number=series_number,
        sop_instance_uid=common.identity.uid(
            "RTSTRUCT", series_number, [[phase.index, phase.roles] for phase in phases], common.times
        ),
        sop_class_uid=RTStructureSetStorage,
        instance_number=1,
        modality="RTSTRUCT",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set=head.get("SpecificCharacterSet"),
        series_description="cardiacseg contours (research)",
        **common.identity.equipment,
    )
    result.copy_patient_and_study_information(head)
    result.OperatorsName = result.PositionReferenceIndicator = ""
    result.FrameOfReferenceUID = head.FrameOfReferenceUID
    result.StructureSetLabel, result.ApprovalStatus = "CARDIACSEG", "UNAPPROVED"
    result.StructureSetDescription = f"{common.identity.made_by}. {RESEARCH_USE}"
    result.StructureSetDate, result.StructureSetTime = common.date, common.time
    return result


def _frame_of_reference(common: Common, phases: Sequence[Phase]) -> Dataset:
    frames = [frame for phase in phases for frame in common.source.frames[phase.index]]
    studies = by_study(common.source, frames, common.head.StudyInstanceUID)
    item = Dataset()
    item.FrameOfReferenceUID = common.head.FrameOfReferenceUID
    item.RTReferencedStudySequence = [_study(uid, of_study) for uid, of_study in studies.items() if of_study]
    return item


def _study(uid: str, frames: Sequence[SourceFrame]) -> Dataset:
    by_series: dict[str, list[Dataset]] = {}
    for of_instance in frames_by_instance(frames).values():
        by_series.setdefault(of_instance[0].series_instance_uid, []).append(referenced_instance(of_instance))
    study = Dataset()
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = _STUDY, uid
    study.RTReferencedSeriesSequence = [_series(series, images) for series, images in by_series.items()]
    return study


def _series(uid: str, images: list[Dataset]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = uid
    item.ContourImageSequence = images
    return item


def _region(common: Common, phase: Phase, structure: Structure, number: int) -> Dataset:
    item = Dataset()
    item.ROINumber = number
    item.ReferencedFrameOfReferenceUID = common.head.FrameOfReferenceUID
    item.ROIName = f"{structure.title} {' '.join(['phase', str(phase.index + 1), *phase.roles])}"
    item.ROIDescription = common.phase_words(phase)
    item.ROIGenerationAlgorithm = "MANUAL" if common.identity.model is None else "AUTOMATIC"
    return item


def _contours(common: Common, phase: Phase, structure: Structure, number: int) -> Dataset:
    item = Dataset()
    item.ROIDisplayColor = list(structure.rgb)
    labels, frames = common.segmented.labels[phase.index], common.source.frames[phase.index]
    contours = [
        _contour(common, points, frame)
        for picture, frame in zip(labels, frames, strict=True)
        for points in polygons(picture == structure.label)
    ]
    if contours:
        item.ContourSequence = contours
    item.ReferencedROINumber = number
    return item


def _contour(common: Common, points: np.ndarray, frame: SourceFrame) -> Dataset:
    item = Dataset()
    item.ContourImageSequence = [referenced_instance([frame])]
    item.ContourGeometricType = "CLOSED_PLANAR"
    item.NumberOfContourPoints = len(points)
    item.ContourData = list(_coordinates(common, points, frame))
    return item


def _coordinates(common: Common, points: np.ndarray, frame: SourceFrame) -> Iterator[str]:
    """x, y, z of each (column, row) in mm, LPS."""
    along_row, along_column = np.reshape(common.source.orientation, (2, 3))
    _, row_mm, column_mm = common.segmented.cine.spacing
    steps = np.stack([along_row * column_mm, along_column * row_mm])
    return (f"{value:.4f}" for value in (np.asarray(frame.position) + points @ steps).ravel())


def _observation(structure: Structure, number: int) -> Dataset:
    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = number
    item.RTROIIdentificationCodeSequence = [structure.code]
    item.RTROIInterpretedType = "ORGAN"
    item.ROIInterpreter = ""
    return item
