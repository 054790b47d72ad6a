"""One SEG for each phase, each in a separate series: BINARY, or optionally LABELMAP, of RV, myocardium and LV."""

from collections.abc import Sequence

import highdicom
import numpy as np
from highdicom.content import AlgorithmIdentificationSequence, PlanePositionSequence
from highdicom.seg import Segmentation, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom import Dataset
from pydicom.sr.codedict import codes

from cardiacseg.io.cine import SourceFrame
from cardiacseg.io.dicom_results import Phase, phase_series_number
from cardiacseg.io.dicom_results.codes import STRUCTURES, Structure
from cardiacseg.io.dicom_results.common import Common
from cardiacseg.io.dicom_results.sources import (
    by_study,
    derivation,
    frames_by_instance,
    referenced_instance,
    referenced_series,
)
from cardiacseg.io.json_files import RESEARCH_USE

_CATEGORY = CodedConcept("91723000", "SCT", "Anatomical Structure")
_NAMES = {"BINARY": "cardiacseg", "LABELMAP": "cardiacseg label map"}


def make_segmentation(common: Common, phase: Phase, kind: str, first_number: int) -> Segmentation:
    """The SEG of one phase; ``kind`` is ``"BINARY"`` or ``"LABELMAP"``, ``first_number`` that of the first series.

    Every slice of every segment has a frame, even an empty one, so that viewers that stack frames show the right slice.
    A structure that is absent from the phase keeps its segment; the description says so.
    """
    frames = common.source.frames[phase.index]
    labels = common.segmented.labels[phase.index]
    series_number = phase_series_number(first_number, phase, kind)
    made_of = (kind, series_number, phase.index, phase.roles, common.times)
    segmentation = Segmentation(
        source_images=[common.classic],
        pixel_array=segment_numbers(labels),
        segmentation_type=kind,
        segment_descriptions=[_description(common, phase, structure, labels) for structure in STRUCTURES],
        series_instance_uid=common.identity.uid("series", *made_of),
        series_number=series_number,
        sop_instance_uid=common.identity.uid(*made_of),
        instance_number=phase.index + 1,
        content_label="CARDIACSEG",
        content_description=common.phase_words(phase),
        plane_positions=[PlanePositionSequence("PATIENT", frame.position) for frame in frames],
        omit_empty_frames=False,
        series_description=f"{_NAMES[kind]} {common.phase_name(phase)} (research)",
        **common.dates,
        **common.identity.equipment,
    )
    common.finish(segmentation)
    segmentation.BurnedInAnnotation, segmentation.ContentCreatorName = "NO", ""
    _name_studies(segmentation, common, _fullest_first(frames, labels))
    _name_sources(segmentation, frames)
    _name_dimensions(segmentation, common.identity.uid("dimensions", kind))
    return segmentation


def segment_numbers(labels: np.ndarray) -> np.ndarray:
    """Labels (1 RV, 2 MYO, 3 LV) as the segments' numbers (1 LV, 2 MYO, 3 RV), uint8 of the same shape."""
    numbers = np.zeros(4, np.uint8)
    numbers[[structure.label for structure in STRUCTURES]] = [structure.number for structure in STRUCTURES]
    return numbers[labels]


def tracking(common: Common, phase: Phase, structure: Structure) -> tuple[str, str]:
    """Tracking identifier and UID, which SEG and SR share: one for each structure of each phase."""
    identifier = f"cardiacseg {structure.short} phase {phase.index + 1}"
    return identifier, common.identity.uid("tracking", structure.short, phase.index)


def _description(common: Common, phase: Phase, structure: Structure, labels: np.ndarray) -> SegmentDescription:
    identity = common.identity
    identifier, uid = tracking(common, phase, structure)
    automatic = identity.model is not None
    item = SegmentDescription(
        structure.number,
        structure.title,
        _CATEGORY,
        structure.code,
        "AUTOMATIC" if automatic else "MANUAL",
        _algorithm(identity) if automatic else None,
        tracking_uid=uid,
        tracking_id=identifier,
    )
    item.RecommendedDisplayCIELabValue = list(structure.lab)
    item.SegmentDescription = " ".join(_sentences(common, structure, labels))
    if structure.cavity is not None:
        region = Dataset.from_json(structure.code.to_json())
        region.AnatomicRegionModifierSequence = [structure.cavity]
        item.AnatomicRegionSequence = [region]
    return item


def _sentences(common: Common, structure: Structure, labels: np.ndarray) -> list[str]:
    absent = [] if (labels == structure.label).any() else ["Not seen in this phase."]
    made_by = f"{common.identity.made_by[0].upper()}{common.identity.made_by[1:]}."
    return [f"{structure.title}: {common.papillary_words(structure)}.", *absent, made_by, RESEARCH_USE]


def _algorithm(identity) -> AlgorithmIdentificationSequence:
    parameters = {"model": identity.model, "model_sha256": identity.model_digest}
    family = codes.cid7162.ArtificialIntelligence
    return AlgorithmIdentificationSequence("cardiacseg", family, identity.version, parameters=parameters)


def _fullest_first(frames: Sequence[SourceFrame], labels: np.ndarray) -> list[SourceFrame]:
    """The slice with the most labels, then all in order: some viewers open the first of several referenced series."""
    return [frames[int(np.count_nonzero(labels, axis=(1, 2)).argmax())], *frames]


def _name_studies(segmentation: Segmentation, common: Common, frames: Sequence[SourceFrame]) -> None:
    """Reference the series of the sources, those of other studies separately."""
    own, *others = by_study(common.source, frames, common.head.StudyInstanceUID).items()
    segmentation.ReferencedSeriesSequence = referenced_series(own[1])
    if not own[1]:
        del segmentation.ReferencedSeriesSequence
    if others:
        segmentation.StudiesContainingOtherReferencedInstancesSequence = [_study(*other) for other in others]


def _study(uid: str, frames: Sequence[SourceFrame]) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = uid
    item.ReferencedSeriesSequence = referenced_series(frames)
    return item


def _name_sources(segmentation: Segmentation, frames: Sequence[SourceFrame]) -> None:
    """Name the phase's frames as sources, and for each frame of the SEG the source frame at its position."""
    by_instance = frames_by_instance(frames).values()
    segmentation.SourceImageSequence = [referenced_instance(of_instance) for of_instance in by_instance]
    positions = np.array([frame.position for frame in frames])
    for group in segmentation.PerFrameFunctionalGroupsSequence:
        position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        nearest = int(np.linalg.norm(positions - position, axis=1).argmin())
        group.DerivationImageSequence = [derivation(frames[nearest])]


def _name_dimensions(segmentation: highdicom.seg.Segmentation, uid: str) -> None:
    """Give the dimension organization a reproducible UID."""
    segmentation.DimensionOrganizationSequence[0].DimensionOrganizationUID = uid
    for index in segmentation.DimensionIndexSequence:
        index.DimensionOrganizationUID = uid
