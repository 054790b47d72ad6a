"""The measurement group of the whole beat: function, flow, the person's size, predicted quality."""

import math
from collections.abc import Iterator

from highdicom.sr import CodedConcept, Measurement, MeasurementsAndQualitativeEvaluations, TrackingIdentifier

from cardiacseg.io.dicom_results import codes
from cardiacseg.io.dicom_results.common import Common
from cardiacseg.io.dicom_results.content import algorithm, follows, number
from cardiacseg.io.dicom_results.structures import LV, RV

_SITES = {"LV": LV, "RV": RV}


def function_group(common: Common) -> MeasurementsAndQualitativeEvaluations:
    """What belongs to the whole beat, or to no structure."""
    return MeasurementsAndQualitativeEvaluations(
        TrackingIdentifier(common.identity.uid("tracking", "function"), "cardiacseg ventricular function"),
        finding_type=codes.HEART,
        algorithm_id=algorithm(common),
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
