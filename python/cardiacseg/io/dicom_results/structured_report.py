"""The structured report: TID 1500 Measurement Report, Comprehensive 3D SR.

Its groups: one for the whole cardiac cycle (function, flow, the person's size, predicted quality), and one for each
structure in each measured phase.
"""

import math
from collections.abc import Iterator

import numpy as np
from highdicom.seg import Segmentation
from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    ReferencedSegment,
    TextContentItem,
    TimePointContext,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from highdicom.sr.enum import RelationshipTypeValues
from pydicom import Dataset
from pydicom.sr.codedict import codes as standard

from cardiacseg.io.dicom_results import Phase, codes
from cardiacseg.io.dicom_results.codes import DECIMALS, LV, MYO, RV, STRUCTURES, Structure
from cardiacseg.io.dicom_results.common import MANUFACTURER, Common
from cardiacseg.io.dicom_results.segmentation import tracking
from cardiacseg.io.dicom_results.sources import evidence, sources_for_segment
from cardiacseg.io.json_files import RESEARCH_USE
from cardiacseg.measurements import MeasurementOptions
from cardiacseg.measurements.conventions import describe

_SITES = {"LV": LV, "RV": RV}


def make_report(common: Common, segmentations: dict[Phase, Segmentation], series_number: int) -> Comprehensive3DSR:
    """The coded measurements, with references to their segments. Unverified and preliminary."""
    content = _content(common, segmentations)
    study = common.head.StudyInstanceUID
    named = [segmentation.SOPInstanceUID for segmentation in segmentations.values()]
    report = Comprehensive3DSR(
        evidence=[common.head, *evidence(common.source, study), *segmentations.values()],
        content=content[0],
        series_instance_uid=common.identity.uid("series", "SR", series_number),
        series_number=series_number,
        sop_instance_uid=common.identity.uid("SR", series_number, named, content[0].to_json()),
        instance_number=1,
        is_complete=not common.incomplete,
        is_final=False,
        is_verified=False,
        performed_procedure_codes=[codes.CARDIAC_MRI],
        coding_schemes=[codes.SCHEME],
        series_description="cardiacseg measurements (research)",
        **common.dates,
        **common.identity.equipment,
    )
    common.finish(report)
    _separate(report)
    return report


def _content(common: Common, segmentations: dict[Phase, Segmentation]) -> MeasurementReport:
    whole = _function_group(common)
    whole[0].ContentSequence.extend(_texts(common))
    return MeasurementReport(
        ObservationContext(observer_device_context=_observer(common)),
        procedure_reported=codes.CARDIAC_MRI,
        imaging_measurements=[whole, *_phase_groups(common, segmentations)],
        title=standard.DCM.ImagingMeasurementReport,
    )


def _separate(item: Dataset) -> None:
    """Let readers show every value with its name; highdicom's containers request running text."""
    if item.ValueType == "CONTAINER":
        item.ContinuityOfContent = "SEPARATE"
    for inner in item.get("ContentSequence", ()):
        _separate(inner)


def _observer(common: Common) -> ObserverContext:
    identity = common.identity
    device = DeviceObserverIdentifyingAttributes(
        uid=identity.device_uid,
        name="cardiacseg",
        manufacturer_name=MANUFACTURER,
        model_name=identity.model or "none",
        serial_number=identity.serial_number,
    )
    return ObserverContext(standard.DCM.Device, device)


def _texts(common: Common) -> Iterator[TextContentItem]:
    """Texts for the reader: not for diagnosis, the conventions, and doubtful findings."""
    yield text(codes.COMMENT, RESEARCH_USE)
    yield text(codes.COMMENT, f"Made by: {common.identity.made_by}. Slices and phases count from 1.")
    for flag in common.segmented.flags:
        yield text(codes.QUALITY_FLAG, f"{flag.code}: {flag.text}")
    for name, words in common.segmented.measurements.conventions.items():
        yield text(codes.CONVENTION, f"{name.replace('_', ' ')}: {words}")


def _function_group(common: Common) -> MeasurementsAndQualitativeEvaluations:
    """Values of the whole cardiac cycle, or of no structure."""
    return MeasurementsAndQualitativeEvaluations(
        TrackingIdentifier(common.identity.uid("tracking", "function"), "cardiacseg ventricular function"),
        finding_type=codes.HEART,
        algorithm_id=_algorithm(common),
        measurements=[*_function_values(common), *_body_values(common), *_quality_values(common)],
    )


def _function_values(common: Common) -> Iterator[Measurement]:
    found = common.segmented.measurements
    for side, quantities in codes.FUNCTION.items():
        site = _SITES[side].code
        for quantity in quantities:
            value = found.indexed.get(quantity.name, getattr(found, quantity.name, None))
            if value is not None:
                yield number(quantity.concept, value, quantity.unit, site)
        rates = found.lv_rates if side == "LV" else found.rv_rates
        for name, time, concept in codes.RATES if rates is not None else ():
            yield number(concept, getattr(rates, name), codes.ML_S, site)
            yield number(codes.TIME_OF_PEAK, getattr(rates, time), codes.MS, site, derivation=concept)


def _body_values(common: Common) -> Iterator[Measurement]:
    found = common.segmented.measurements
    if found.heart_rate_per_min is not None:
        yield number(codes.HEART_RATE, found.heart_rate_per_min, codes.PER_MIN)
    if found.bsa_m2 is not None:
        yield number(codes.BSA, found.bsa_m2, codes.M2, method=_bsa_formula(common))


def _quality_values(common: Common) -> Iterator[Measurement]:
    """The model's prediction at ED and at ES, or of the only frame."""
    result, found = common.segmented.result, common.segmented.measurements
    if result is None:
        return
    for frame, code in ((found.ed_frame, codes.ED), (found.es_frame, codes.ES)):
        if frame is not None and not math.isnan(result.quality[frame]):
            derivation = code if found.es_frame is not None else None
            yield number(codes.PREDICTED_DICE, result.quality[frame], codes.NO_UNIT, derivation=derivation)


def _bsa_formula(common: Common) -> CodedConcept | None:
    formulas = codes.BSA_FORMULAS.items()
    return next((code for name, code in formulas if follows(common, "bsa", bsa_formula=name)), None)


def _phase_groups(
    common: Common, segmentations: dict[Phase, Segmentation]
) -> Iterator[VolumetricROIMeasurementsAndQualitativeEvaluations]:
    """The measurements of each phase, each with a reference to its segment."""
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
        # without the order of the time point, because readers show that number as a measurement
        time_point_context=TimePointContext(common.phase_words(phase), {"ED": codes.ED, "ES": codes.ES}.get(role)),
        algorithm_id=_algorithm(common),
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
    """Whether the measured value, the LV's volume or the mass, includes the papillary muscles."""
    in_mass = follows(common, "papillary_muscles", papillary="mass")
    return QualitativeEvaluation(codes.PAPILLARY, codes.INCLUDED if (structure is MYO) == in_mass else codes.EXCLUDED)


def number(
    name: CodedConcept, value: float, unit: CodedConcept, site: CodedConcept | None = None, **more
) -> Measurement:
    """A value with the decimals that :data:`~cardiacseg.io.dicom_results.codes.DECIMALS` has for it."""
    decimals = DECIMALS.get(name.value, DECIMALS[unit.value])
    sites = None if site is None else [FindingSite(site)]
    rounded = round(float(value), decimals) + 0.0  # 0 instead of -0
    made = Measurement(name, rounded, unit, finding_sites=sites, **more)
    made[0].MeasuredValueSequence[0].NumericValue = f"{rounded:.{decimals}f}"
    del made[0].MeasuredValueSequence[0].FloatingPointValue  # for values that a decimal string cannot hold
    return made


def text(name: CodedConcept, words: str) -> TextContentItem:
    """A text inside a group."""
    return TextContentItem(name, words, relationship_type=RelationshipTypeValues.CONTAINS)


def _algorithm(common: Common) -> AlgorithmIdentification | None:
    """The model that made the labels; ``None`` if no model ran."""
    identity = common.identity
    if identity.model is None:
        return None
    parameters = [f"model {identity.model}", f"model SHA-256 {identity.model_digest}"]
    return AlgorithmIdentification("cardiacseg", identity.version, parameters)


def follows(common: Common, convention: str, **option: str) -> bool:
    """Whether measurements name ``convention`` with the words that this option of ``MeasurementOptions`` has."""
    words = describe(MeasurementOptions(**option), rr_source=None, has_body=True, every_slice=True)
    return common.segmented.measurements.conventions[convention] == words[convention]
