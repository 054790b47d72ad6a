"""Cine studies whose headers have the structure of Philips, Canon, UIH and Siemens: where each keeps what of a frame.

The structure, not the values, is that of public files, the test files of dcm2niix: Philips Ingenia and Achieva dStream
(neurolabusc/dcm_qa_philips_enh, dcm_qa_enh), Siemens XA10 (dcm_qa_enh), Canon Galan V6.1 (dcm_qa_canon_61), UIH uMR 770
(dcm_qa_uih). None of them is a cine, so the attributes of a cine are where the standard has them. No public Enhanced MR
of UIH was found; its header here is that of classic MR.
"""

import copy

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import MRImageStorage
from synthetic_dicom import DEFAULT, Recipe, SyntheticStudy, classic_study, decimal
from synthetic_enhanced import enhanced_study, item

_PHILIPS = "Philips MR Imaging DD 005"


def one_instance(recipe: Recipe) -> SyntheticStudy:
    return enhanced_study(Recipe(**{**vars(recipe), "series_per_slice": False}))


def _frames(dataset: Dataset) -> list[Dataset]:
    return list(dataset.PerFrameFunctionalGroupsSequence)


def _dimensions(dataset: Dataset, *pointers: tuple, values) -> None:
    """Dimension pointers, each with its functional group and perhaps a private creator; ``values(s, t)``."""
    uid = dataset.DimensionOrganizationSequence[0].DimensionOrganizationUID
    listed = []
    for pointer, group, creator in pointers:
        made = item(DimensionOrganizationUID=uid, DimensionIndexPointer=Tag(pointer), FunctionalGroupPointer=Tag(group))
        if creator:
            made[0].DimensionIndexPrivateCreator, made[0].FunctionalGroupPrivateCreator = creator, _PHILIPS
        listed.append(made[0])
    dataset.DimensionIndexSequence = Sequence(listed)
    for frame in _frames(dataset):
        content = frame.FrameContentSequence[0]
        content.DimensionIndexValues = values(content.InStackPositionNumber, content.TemporalPositionIndex)


def _one_time(frame: Dataset) -> None:
    """Acquisition times of the whole acquisition, as of all vendors but Siemens."""
    content = frame.FrameContentSequence[0]
    content.FrameAcquisitionDateTime = content.FrameReferenceDateTime = "20200102102000.00"
    content.FrameAcquisitionDuration = 9000.0
    del content.FrameAcquisitionNumber


def philips(recipe: Recipe = DEFAULT, public_times: bool = True) -> SyntheticStudy:
    """All in one instance, hardly anything shared; the classic image's attributes once more in a private sequence.

    The temporal position counts repetitions of the acquisition, so it is 1. Private positions lie half a voxel off.
    Without ``public_times`` trigger times are in the private sequence alone.
    """
    study = one_instance(recipe)
    (dataset,) = study.datasets
    dataset.Manufacturer, dataset.ImageType = "Philips", ["ORIGINAL", "PRIMARY", "T1", "MIXED"]
    dataset.AcquisitionNumber = 7
    del dataset.CardiacRRIntervalSpecified
    _dimensions(
        dataset,
        ("StackID", "FrameContentSequence", None),
        ("InStackPositionNumber", "FrameContentSequence", None),
        ((0x2005, 0x1011), (0x2005, 0x140F), "Philips MR Imaging DD 001"),
        ("NominalCardiacTriggerDelayTime", "CardiacSynchronizationSequence", None),
        values=lambda s, t: [1, s, 0, t],
    )
    shared = dataset.SharedFunctionalGroupsSequence[0]
    own = [shared.pop(name) for name in _OF_EACH_FRAME]
    shared.private_block(0x2005, _PHILIPS, create=True).add_new(0x0E, "SQ", Sequence([Dataset()]))
    for number, frame in enumerate(_frames(dataset), start=1):
        frame.update({element.tag: copy.deepcopy(element) for element in own})
        _one_time(frame)
        _philips_frame(frame, number, public_times)
    return study


_OF_EACH_FRAME = (
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "MRImageFrameTypeSequence",
    "FrameVOILUTSequence",
    "MREchoSequence",
)


def _philips_frame(frame: Dataset, number: int, public_times: bool) -> None:
    content, heart = frame.FrameContentSequence[0], frame.CardiacSynchronizationSequence[0]
    phase, content.TemporalPositionIndex = content.TemporalPositionIndex, 1
    frame.MRImageFrameTypeSequence[0].FrameType = ["ORIGINAL", "PRIMARY", "T1", "M"]
    classic = Dataset()
    classic.ImageType, classic.InstanceNumber = ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"], number
    classic.TriggerTime = decimal([heart.NominalCardiacTriggerDelayTime])[0]
    classic.HeartRate = round(60000 / heart.RRIntervalTimeNominal)
    classic.TemporalPositionIdentifier, classic.NumberOfTemporalPositions = 1, 1
    classic.ImagePositionPatient = decimal(np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float) - 1.2)
    block = classic.private_block(0x2001, "Philips Imaging DD 001", create=True)
    block.add_new(0x08, "IS", phase)
    block.add_new(0x0A, "IS", content.InStackPositionNumber)
    frame.private_block(0x2005, _PHILIPS, create=True).add_new(0x0F, "SQ", Sequence([classic]))
    del heart.RRIntervalTimeNominal, heart.ActualCardiacTriggerDelayTime
    if not public_times:
        del frame.CardiacSynchronizationSequence


def canon(recipe: Recipe = DEFAULT, times: bool = True) -> SyntheticStudy:
    """All in one instance, phase after phase, signed pixels with zero as padding, no character set."""
    study = one_instance(recipe)
    (dataset,) = study.datasets
    del dataset.SpecificCharacterSet
    dataset.Manufacturer, dataset.ImageType = "CANON_MEC", ["ORIGINAL", "PRIMARY", "GDC", "NONE"]
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation, dataset.VolumetricProperties = 16, 15, 1, "MIXED"
    dataset.add_new("PixelPaddingValue", "SS", 0)
    dataset.PulseSequenceName = dataset.ProtocolName = dataset.SeriesDescription
    _dimensions(
        dataset,
        ("TemporalPositionIndex", "FrameContentSequence", None),
        ("EffectiveEchoTime", "MREchoSequence", None),
        ("StackID", "FrameContentSequence", None),
        ("InStackPositionNumber", "FrameContentSequence", None),
        values=lambda s, t: [t, 1, 1, s],
    )
    for frame in _frames(dataset):
        _one_time(frame)
        if not times:
            del frame.CardiacSynchronizationSequence
    _reorder(dataset, lambda frame: tuple(frame.FrameContentSequence[0].DimensionIndexValues))
    return study


def _reorder(dataset: Dataset, key) -> None:
    frames = _frames(dataset)
    order = sorted(range(len(frames)), key=lambda index: key(frames[index]))
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames[index] for index in order)
    pixels = np.frombuffer(dataset.PixelData, "<u2").reshape(len(frames), -1)
    dataset.PixelData = pixels[order].tobytes()


def siemens(recipe: Recipe = DEFAULT) -> SyntheticStudy:
    """An instance for each phase, with all slices; private sequences beside the functional groups of each frame."""
    study = one_instance(recipe)
    (dataset,) = study.datasets
    frames, pixels = _frames(dataset), np.frombuffer(dataset.PixelData, "<u2")
    pixels = pixels.reshape(len(frames), dataset.Rows, dataset.Columns)
    study.datasets[:] = [_siemens_instance(recipe, dataset, frames, pixels, t) for t in range(1, recipe.frames + 1)]
    return study


def _siemens_instance(recipe: Recipe, dataset: Dataset, frames: list[Dataset], pixels: np.ndarray, t: int) -> Dataset:
    of_phase = [at for at, frame in enumerate(frames) if frame.FrameContentSequence[0].TemporalPositionIndex == t]
    made = copy.deepcopy(dataset)
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = recipe.uid("phase", t)
    made.Manufacturer, made.InstanceNumber, made.AcquisitionNumber = "Siemens Healthineers", t, t
    made.PerFrameFunctionalGroupsSequence = Sequence(copy.deepcopy(frames[at]) for at in of_phase)
    for frame in _frames(made):
        frame.FrameContentSequence[0].FrameAcquisitionNumber = t
        private = frame.private_block(0x0021, "SIEMENS MR SDI 02", create=True)
        private.add_new(0xFE, "SQ", item(ImageComments="frame"))
    made.NumberOfFrames, made.PixelData = len(of_phase), pixels[of_phase].tobytes()
    return made


def uih(recipe: Recipe = DEFAULT) -> SyntheticStudy:
    """Classic MR with private groups 61 and 65."""
    study = classic_study(recipe)
    for dataset in study.datasets:
        dataset.Manufacturer, dataset.ImageType = "UIH", ["ORIGINAL", "PRIMARY", "M", "UCA", "IF"]
        dataset.ComplexImageComponent, dataset.EchoNumbers = "", None
        dataset.private_block(0x0061, "Common Private Header", create=True).add_new(0x02, "US", 0)
        private = dataset.private_block(0x0065, "Image Private Header", create=True)
        private.add_new(0x14, "DS", decimal(recipe.direction[:, 2]))
        private.add_new(0x2B, "LT", "")
    return study


def uih_grid(recipe: Recipe = DEFAULT) -> Dataset:
    """All slices of one phase as tiles of one classic image; each tile has its position in a private sequence."""
    dataset = uih(recipe).datasets[0]
    assert dataset.SOPClassUID == MRImageStorage
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "VFRAME"]
    private = dataset.private_block(0x0065, "Image Private Header")
    positions = [item(ImagePositionPatient=decimal(place))[0] for place in recipe.geometry.slice_positions()]
    private.add_new(0x50, "DS", str(recipe.slices))
    private.add_new(0x51, "SQ", Sequence(positions))
    del dataset.ImagePositionPatient
    return dataset
