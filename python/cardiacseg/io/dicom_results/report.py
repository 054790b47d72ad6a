"""The structured report: TID 1500 Measurement Report, Comprehensive 3D SR."""

from collections.abc import Iterator

from highdicom.seg import Segmentation
from highdicom.sr import (
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    TextContentItem,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes as standard

from cardiacseg.io.dicom_results import codes
from cardiacseg.io.dicom_results.common import Common
from cardiacseg.io.dicom_results.content import text
from cardiacseg.io.dicom_results.function_group import function_group
from cardiacseg.io.dicom_results.identity import MANUFACTURER
from cardiacseg.io.dicom_results.options import Phase
from cardiacseg.io.dicom_results.phase_groups import phase_groups
from cardiacseg.io.dicom_results.sources import evidence
from cardiacseg.io.report import RESEARCH_USE


def make_report(common: Common, segmentations: dict[Phase, Segmentation], series_number: int) -> Comprehensive3DSR:
    """The measurements, coded, with the segments that they were measured in. Unverified and preliminary."""
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
    whole = function_group(common)
    whole[0].ContentSequence.extend(_texts(common))
    return MeasurementReport(
        ObservationContext(observer_device_context=_observer(common)),
        procedure_reported=codes.CARDIAC_MRI,
        imaging_measurements=[whole, *phase_groups(common, segmentations)],
        title=standard.DCM.ImagingMeasurementReport,
    )


def _separate(item: Dataset) -> None:
    """Ask readers to show every value with its name; highdicom's containers ask for running text."""
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
    """What a person must know: not for diagnosis, by which conventions, and what looks doubtful."""
    yield text(codes.COMMENT, RESEARCH_USE)
    yield text(codes.COMMENT, f"Made by: {common.identity.made_by}. Slices and phases count from 1.")
    for flag in common.segmented.flags:
        yield text(codes.QUALITY_FLAG, f"{flag.code}: {flag.text}")
    for name, words in common.segmented.measurements.conventions.items():
        yield text(codes.CONVENTION, f"{name.replace('_', ' ')}: {words}")
