"""Measurement groups of the structured report: one for each structure of the phases that were measured."""

import math
from collections.abc import Iterator

import numpy as np
from highdicom.seg import Segmentation
from highdicom.sr import (
    CodeContentItem,
    FindingSite,
    Measurement,
    QualitativeEvaluation,
    ReferencedSegment,
    TextContentItem,
    TimePointContext,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from highdicom.sr.enum import RelationshipTypeValues

from cardiacseg.io.dicom_results import codes
from cardiacseg.io.dicom_results.common import Common
from cardiacseg.io.dicom_results.content import algorithm, follows, number, text
from cardiacseg.io.dicom_results.options import Phase
from cardiacseg.io.dicom_results.segmentation import tracking
from cardiacseg.io.dicom_results.sources import sources_for_segment
from cardiacseg.io.dicom_results.structures import MYO, RV, STRUCTURES, Structure


def phase_groups(
    common: Common, segmentations: dict[Phase, Segmentation]
) -> Iterator[VolumetricROIMeasurementsAndQualitativeEvaluations]:
    """What was measured in the phases that were measured, each pointing to its segment."""
    only = len(segmentations) == 1
    for phase, segmentation in segmentations.items():
        for structure in STRUCTURES:
            role = _role(common, phase, structure)
            if role or only:
                yield _phase_group(common, phase, role, structure, segmentation)


def _role(common: Common, phase: Phase, structure: Structure) -> str | None:
    """``"ED"`` or ``"ES"`` if the structure was measured as such in this phase."""
    found = common.segmented.measurements
    if found.es_frame is None:
        return None
    ed, es = (found.rv_ed_frame, found.rv_es_frame) if structure is RV else (found.ed_frame, found.es_frame)
    return {es: "ES", ed: "ED"}.get(phase.index)


def _phase_group(common: Common, phase: Phase, role: str | None, structure: Structure, segmentation: Segmentation):
    identifier, uid = tracking(common, phase, structure)
    segment = ReferencedSegment(
        segmentation.SOPClassUID,
        segmentation.SOPInstanceUID,
        structure.number,
        source_images=sources_for_segment(common.source.frames[phase.index]),
    )
    group = VolumetricROIMeasurementsAndQualitativeEvaluations(
        TrackingIdentifier(uid, identifier),
        referenced_segment=segment,
        finding_type=structure.code,
        finding_sites=[FindingSite(structure.code)],
        # without the order of the time point, a number that readers take for a measurement
        time_point_context=TimePointContext(common.phase_words(phase), {"ED": codes.ED, "ES": codes.ES}.get(role)),
        algorithm_id=algorithm(common),
        measurements=_phase_values(common, phase, role, structure),
        qualitative_evaluations=[_papillary(common, structure)] if structure is not RV else None,
    )
    group[0].ContentSequence.extend(_left_out(common, phase, structure))
    return group


def _left_out(common: Common, phase: Phase, structure: Structure) -> Iterator[TextContentItem]:
    """The slices that were segmented but do not count."""
    counts = common.segmented.measurements.included[phase.index, :, structure.label - 1]
    if not counts.all():
        slices = ", ".join(str(s + 1) for s in np.flatnonzero(~counts))
        yield text(codes.COMMENT, f"Slices that do not count here: {slices}.")


def _phase_values(common: Common, phase: Phase, role: str | None, structure: Structure) -> list[Measurement]:
    found = common.segmented.measurements
    if role is None:
        volume = (found.lv_ml, found.myo_ml, found.rv_ml)[structure.number - 1][phase.index]
        mass = [number(codes.WALL_MASS, found.lv_mass_g, codes.G, structure.code)] if structure is MYO else []
        return [number(codes.VOLUME, volume, codes.ML, structure.code), *mass]
    quantity = codes.OF_PHASE[structure.short, role]
    values = [number(quantity.concept, getattr(found, quantity.name), quantity.unit, structure.code)]
    if quantity.indexed in found.indexed:
        indexed = number(quantity.concept, found.indexed[quantity.indexed], quantity.index_unit, structure.code)
        modifier = CodeContentItem(codes.INDEX, codes.BSA, RelationshipTypeValues.HAS_CONCEPT_MOD)
        indexed[0].ContentSequence.append(modifier)
        values.append(indexed)
    return values + (_wall_values(found.wall, role) if structure is MYO and found.wall is not None else [])


def _wall_values(wall, role: str) -> list[Measurement]:
    rows = [(codes.WALL_THICKNESS, codes.MM, wall.ed_mm if role == "ED" else wall.es_mm)]
    if role == "ES":
        rows.append((codes.THICKENING, codes.PERCENT, wall.thickening_percent))
    return [
        number(concept, value, unit, site)
        for concept, unit, values in rows
        for value, site in zip(values, codes.AHA_SEGMENTS, strict=True)
        if not math.isnan(value)
    ]


def _papillary(common: Common, structure: Structure) -> QualitativeEvaluation:
    """Whether what was measured here, the LV's volume or the mass, holds the papillary muscles."""
    in_mass = follows(common, "papillary_muscles", papillary="mass")
    return QualitativeEvaluation(codes.PAPILLARY, codes.INCLUDED if (structure is MYO) == in_mass else codes.EXCLUDED)
