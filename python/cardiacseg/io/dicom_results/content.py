"""Content items that every group of the structured report is made of."""

from highdicom.sr import AlgorithmIdentification, CodedConcept, FindingSite, Measurement, TextContentItem
from highdicom.sr.enum import RelationshipTypeValues

from cardiacseg.io.dicom_results.codes import DECIMALS
from cardiacseg.io.dicom_results.common import Common
from cardiacseg.measurements import MeasurementOptions
from cardiacseg.measurements.conventions import describe


def number(
    name: CodedConcept, value: float, unit: CodedConcept, site: CodedConcept | None = None, **more
) -> Measurement:
    """A value with the decimals that :data:`~cardiacseg.io.dicom_results.codes.DECIMALS` has for it."""
    decimals = DECIMALS.get(name.value, DECIMALS[unit.value])
    sites = None if site is None else [FindingSite(site)]
    rounded = round(float(value), decimals) + 0.0  # no minus before a zero
    made = Measurement(name, rounded, unit, finding_sites=sites, **more)
    made[0].MeasuredValueSequence[0].NumericValue = f"{rounded:.{decimals}f}"
    del made[0].MeasuredValueSequence[0].FloatingPointValue  # for values that a decimal string cannot hold
    return made


def text(name: CodedConcept, words: str) -> TextContentItem:
    """A text inside a group."""
    return TextContentItem(name, words, relationship_type=RelationshipTypeValues.CONTAINS)


def algorithm(common: Common) -> AlgorithmIdentification | None:
    """The model that made the labels; ``None`` where no model ran."""
    identity = common.identity
    if identity.model is None:
        return None
    parameters = [f"model {identity.model}", f"model SHA-256 {identity.model_digest}"]
    return AlgorithmIdentification("cardiacseg", identity.version, parameters)


def follows(common: Common, convention: str, **option: str) -> bool:
    """Whether measurements name ``convention`` with the words that this option of ``MeasurementOptions`` has."""
    words = describe(MeasurementOptions(**option), rr_source=None, has_body=True, every_slice=True)
    return common.segmented.measurements.conventions[convention] == words[convention]
