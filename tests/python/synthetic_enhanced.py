"""Synthetic Enhanced MR cine studies: the same heart as :mod:`synthetic_dicom` in multi-frame instances."""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import EnhancedMRImageStorage
from synthetic_dicom import (
    DEFAULT,
    Recipe,
    SyntheticStudy,
    decimal,
    heart,
    instance,
    patient_and_study,
    put_pixels,
    series,
)

_DIMENSIONS = ("StackID", "InStackPositionNumber", "TemporalPositionIndex")


def item(**attributes: object) -> Sequence:
    """A sequence of one item."""
    made = Dataset()
    for name, value in attributes.items():
        setattr(made, name, value)
    return Sequence([made])


def _frame(recipe: Recipe, s: int, t: int) -> Dataset:
    """Functional groups of one frame."""
    trigger = recipe.trigger_ms(s, t)
    groups = Dataset()
    groups.FrameContentSequence = item(
        StackID="1",
        InStackPositionNumber=s + 1,
        TemporalPositionIndex=t + 1,
        DimensionIndexValues=[1, s + 1, t + 1],
        FrameAcquisitionDateTime=f"2020010210{s:02}00.{t:02}",
        FrameReferenceDateTime=f"2020010210{s:02}{t:02}.25",
        FrameAcquisitionDuration=34.0,
        FrameAcquisitionNumber=s + 1,
    )
    groups.PlanePositionSequence = item(ImagePositionPatient=decimal(recipe.geometry.slice_positions()[s]))
    groups.CardiacSynchronizationSequence = item(
        NominalCardiacTriggerDelayTime=trigger,
        ActualCardiacTriggerDelayTime=trigger,
        RRIntervalTimeNominal=float(recipe.rr_ms(s)),
    )
    return groups


def _code(value: str, scheme: str, meaning: str) -> Sequence:
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def _shared(recipe: Recipe) -> Dataset:
    """Functional groups that all frames share."""
    groups = Dataset()
    groups.PlaneOrientationSequence = item(ImageOrientationPatient=decimal(recipe.direction[:, :2].T.ravel()))
    groups.PixelMeasuresSequence = item(PixelSpacing=decimal(recipe.spacing[1:]), SliceThickness=str(recipe.thickness))
    slope, intercept = recipe.rescale
    groups.PixelValueTransformationSequence = item(
        RescaleSlope=str(slope), RescaleIntercept=str(intercept), RescaleType="US"
    )
    groups.MRImageFrameTypeSequence = item(
        FrameType=["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"],
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
        ComplexImageComponent="MAGNITUDE",
        AcquisitionContrast="UNKNOWN",
    )
    groups.FrameAnatomySequence = item(FrameLaterality="U", AnatomicRegionSequence=_code("80891009", "SCT", "Heart"))
    groups.FrameVOILUTSequence = item(WindowCenter="700", WindowWidth="1400")
    _protocol(groups)
    return groups


def _protocol(groups: Dataset) -> None:
    """How the pictures were taken: nothing that a segmentation needs, but a valid file has it."""
    groups.MRTimingAndRelatedParametersSequence = item(
        RepetitionTime="34",
        FlipAngle="58",
        EchoTrainLength=1,
        RFEchoTrainLength=0,
        GradientEchoTrainLength=1,
        GradientOutputType="DB_DT",
        GradientOutput=0.0,
    )
    groups.MRTimingAndRelatedParametersSequence[0].SpecificAbsorptionRateSequence = item(
        SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY", SpecificAbsorptionRateValue=0.1
    )
    groups.MRTimingAndRelatedParametersSequence[0].OperatingModeSequence = Sequence(
        item(OperatingModeType=kind, OperatingMode="IEC_NORMAL")[0] for kind in ("STATIC FIELD", "RF", "GRADIENT")
    )
    groups.MRFOVGeometrySequence = item(
        InPlanePhaseEncodingDirection="ROW",
        MRAcquisitionFrequencyEncodingSteps=72,
        MRAcquisitionPhaseEncodingStepsInPlane=64,
        PercentSampling="100",
        PercentPhaseFieldOfView="100",
    )
    groups.MREchoSequence = item(EffectiveEchoTime=1.5)
    groups.MRModifierSequence = item(
        InversionRecovery="NO",
        FlowCompensation="NONE",
        Spoiling="NONE",
        T2Preparation="NO",
        SpectrallySelectedExcitation="NONE",
        SpatialPresaturation="NONE",
        PartialFourier="NO",
        ParallelAcquisition="NO",
    )
    groups.MRImagingModifierSequence = item(
        MagnetizationTransfer="NONE",
        BloodSignalNulling="NO",
        Tagging="NONE",
        TransmitterFrequency=63.87,
        PixelBandwidth="977",
    )
    groups.MRReceiveCoilSequence = item(
        ReceiveCoilName="BODY", ReceiveCoilManufacturerName="", ReceiveCoilType="BODY", QuadratureReceiveCoil="YES"
    )
    groups.MRTransmitCoilSequence = item(
        TransmitCoilName="BODY", TransmitCoilManufacturerName="", TransmitCoilType="BODY"
    )
    groups.MRAveragesSequence = item(NumberOfAverages="1")


def _dimensions(made: Dataset, recipe: Recipe) -> None:
    uid = recipe.uid("dimensions")
    made.DimensionOrganizationSequence = item(DimensionOrganizationUID=uid)
    made.DimensionIndexSequence = Sequence(
        item(
            DimensionOrganizationUID=uid,
            DimensionIndexPointer=Tag(name),
            FunctionalGroupPointer=Tag("FrameContentSequence"),
        )[0]
        for name in _DIMENSIONS
    )


def _header(made: Dataset) -> None:
    """What Enhanced MR wants of every instance beside its frames."""
    made.ImageType = ["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"]
    made.PixelPresentation, made.VolumetricProperties, made.VolumeBasedCalculationTechnique = (
        "MONOCHROME",
        "VOLUME",
        "NONE",
    )
    made.ComplexImageComponent, made.AcquisitionContrast, made.ContentQualification = "MAGNITUDE", "UNKNOWN", "RESEARCH"
    made.MRAcquisitionType, made.ResonantNucleus, made.MagneticFieldStrength = "2D", "1H", "1.5"
    made.KSpaceFiltering, made.ApplicableSafetyStandardAgency, made.BurnedInAnnotation = "NONE", "IEC", "NO"
    made.LossyImageCompression, made.PresentationLUTShape, made.AcquisitionNumber = "00", "IDENTITY", 1
    made.AcquisitionDateTime, made.AcquisitionDuration, made.PulseSequenceName = "20200102100000", 10.0, "trufi"
    made.EchoPulseSequence, made.MultiPlanarExcitation = "GRADIENT", "NO"
    made.PhaseContrast, made.TimeOfFlightContrast = "NO", "NO"
    made.SteadyStatePulseSequence, made.EchoPlanarPulseSequence, made.SaturationRecovery = "FREE_PRECESSION", "NO", "NO"
    made.SpectrallySelectedSuppression, made.OversamplingPhase, made.SegmentedKSpaceTraversal = (
        "NONE",
        "NONE",
        "PARTIAL",
    )
    made.GeometryOfKSpaceTraversal, made.RectilinearPhaseEncodeReordering = "RECTILINEAR", "LINEAR"
    made.NumberOfKSpaceTrajectories = 1
    made.CardiacSynchronizationTechnique, made.CardiacSignalSource, made.CardiacRRIntervalSpecified = (
        "RETROSPECTIVE",
        "ECG",
        850.0,
    )
    made.CardiacBeatRejectionTechnique, made.LowRRValue, made.HighRRValue = "NONE", 700, 1000
    made.IntervalsAcquired = made.IntervalsRejected = None
    made.AcquisitionContextSequence = Sequence()
    made.SynchronizationTrigger, made.AcquisitionTimeSynchronized = "NO TRIGGER", "N"
    made.SynchronizationFrameOfReferenceUID = "1.2.840.10008.15.1.1"


def _enhanced(recipe: Recipe, common: Dataset, number: int, pairs: list, stored: np.ndarray) -> Dataset:
    made = instance(common, EnhancedMRImageStorage, recipe.uid("enhanced", number))
    del made.AcquisitionDate
    series(made, recipe, number, "cine_retro")
    made.InstanceNumber = 1
    _header(made)
    _dimensions(made, recipe)
    made.SharedFunctionalGroupsSequence = Sequence([_shared(recipe)])
    made.PerFrameFunctionalGroupsSequence = Sequence(_frame(recipe, s, t) for s, t in pairs)
    made.NumberOfFrames = len(pairs)
    put_pixels(made, np.stack([stored[t, s] for s, t in pairs]))
    return made


def enhanced_study(recipe: Recipe = DEFAULT, shuffle: int | None = None) -> SyntheticStudy:
    """A study of Enhanced MR: one instance per slice (``series_per_slice``) or one for all; frames may be shuffled."""
    stored, labels = heart(recipe)
    common = patient_and_study(recipe)
    pairs = [(s, t) for s in range(recipe.slices) for t in range(recipe.frames)]
    if shuffle is not None:
        pairs = [pairs[index] for index in np.random.default_rng(shuffle).permutation(len(pairs))]
    if not recipe.series_per_slice:
        return SyntheticStudy(recipe, stored, labels, [_enhanced(recipe, common, 7001, pairs, stored)])
    by_slice = [[pair for pair in pairs if pair[0] == s] for s in range(recipe.slices)]
    made = [_enhanced(recipe, common, 7001 + 1000 * s, part, stored) for s, part in enumerate(by_slice)]
    return SyntheticStudy(recipe, stored, labels, made)
