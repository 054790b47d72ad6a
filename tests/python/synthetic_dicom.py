"""Synthetic DICOM cine studies of the synthetic heart, with their truth: classic MR and decoys.

:mod:`synthetic_enhanced` makes the same study as Enhanced MR.

The slices of a study lie in the order of increasing position along the normal, apex first, as on a scanner whose
pictures are seen from the feet. ``datasets`` may be altered by a test before :func:`write` puts them on disk.
"""

import functools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from cardiacseg.io.geometry import Geometry
from cardiacseg.phantom import beating_heart

# What identifies the person who does not exist: it must appear in no note, error, log or page.
SECRETS = ("Heartless", "Tin^Man", "MADEUP-4711", "19000101", "Emerald City", "PRIVATE-SECRET")
# A short-axis plane of a real heart: columns and rows, then the normal.
OBLIQUE = np.array([[0.792067, 0.377686, -0.479562], [0.0, 0.785613, 0.618716], [0.610434, -0.490067, 0.622258]])


def orthonormal(direction: np.ndarray) -> np.ndarray:
    """The right-handed orthonormal directions nearest to ``direction``."""
    left, _, right = np.linalg.svd(direction)
    matrix = left @ right
    return np.column_stack([matrix[:, 0], matrix[:, 1], np.cross(matrix[:, 0], matrix[:, 1])])


@dataclass(frozen=True, eq=False)
class Recipe:
    """How a study is made. ``spacing`` is (slice, row, column) in mm; ``thickness`` is not the distance of slices."""

    frames: int = 8
    slices: int = 5
    size: tuple[int, int] = (64, 72)
    spacing: tuple[float, float, float] = (11.5, 2.75, 2.5)
    thickness: float = 6.0
    direction: np.ndarray = field(default_factory=lambda: orthonormal(OBLIQUE))
    origin: tuple[float, float, float] = (-102.25, -61.5, -70.75)
    rescale: tuple[float, float] = (1.0, 0.0)
    series_per_slice: bool = True
    height_m: float | None = None
    weight_kg: float | None = None
    seed: int = 0

    @property
    def geometry(self) -> Geometry:
        """The grid, in x, y, z order."""
        return Geometry(self.origin, self.direction, self.spacing[::-1], (self.size[1], self.size[0], self.slices))

    def rr_ms(self, s: int) -> int:
        """The RR interval: each slice has its own, so trigger times never match between slices."""
        return 903 - 17 * s if s % 2 else 811 + 13 * s

    def trigger_ms(self, s: int, t: int) -> float:
        return round(t * self.rr_ms(s) / self.frames, 2)

    def uid(self, *what: object) -> str:
        return generate_uid(entropy_srcs=["cardiacseg made up", str(self.seed), *map(str, what)])


@dataclass(frozen=True, eq=False)
class SyntheticStudy:
    """A study and its truth.

    ``image`` ``[T, S, H, W]`` is what a reader should return (rescaled), ``stored`` uint16 is what the files hold,
    ``labels`` are those of the heart; ``frame_times_ms`` and ``rr_interval_ms`` are means over the slices.
    """

    recipe: Recipe
    stored: np.ndarray
    labels: np.ndarray
    datasets: list[Dataset]

    @property
    def geometry(self) -> Geometry:
        return self.recipe.geometry

    @property
    def image(self) -> np.ndarray:
        slope, intercept = self.recipe.rescale
        return self.stored if self.recipe.rescale == (1, 0) else (self.stored * slope + intercept).astype(np.float32)

    @property
    def rr_interval_ms(self) -> float:
        return float(np.mean([self.recipe.rr_ms(s) for s in range(self.recipe.slices)]))

    @property
    def frame_times_ms(self) -> list[float]:
        return [t * self.rr_interval_ms / self.recipe.frames for t in range(self.recipe.frames)]

    def at(self, s: int, t: int) -> Dataset:
        """The classic instance of slice ``s`` and phase ``t``, both counted from 0."""
        return self.datasets[s * self.recipe.frames + t]


@functools.cache
def _phantom(frames: int, slices: int, size: tuple[int, int], spacing: tuple, seed: int):
    return beating_heart(frames, slices, size, spacing, seed)


def heart(recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Stored pixels uint16 (12 bits) and labels, ``[T, S, H, W]``, apex first."""
    made = _phantom(recipe.frames, recipe.slices, recipe.size, recipe.spacing, recipe.seed)
    return made.image[:, ::-1].copy(), made.labels[:, ::-1].copy()


def patient_and_study(recipe: Recipe) -> Dataset:
    """What every instance of the study has: patient, study, equipment, frame of reference, and a private tag."""
    common = Dataset()
    common.SpecificCharacterSet = "ISO_IR 192"
    common.Modality, common.Manufacturer, common.ManufacturerModelName = "MR", "Made up", "Phantom"
    common.DeviceSerialNumber, common.SoftwareVersions = "1", "1"
    common.PatientName, common.PatientID, common.PatientSex = "Heartless^Tin^Man", "MADEUP-4711", "O"
    common.PatientBirthDate, common.PatientAge, common.InstitutionName = "19000101", "099Y", "Emerald City"
    common.PatientSize = None if recipe.height_m is None else str(recipe.height_m)
    common.PatientWeight = None if recipe.weight_kg is None else str(recipe.weight_kg)
    common.PatientPosition, common.BodyPartExamined = "HFS", "HEART"
    common.StudyInstanceUID, common.StudyID = recipe.uid("study"), "1"
    common.StudyDate = common.SeriesDate = common.AcquisitionDate = common.ContentDate = "20200102"
    common.StudyTime = common.SeriesTime = common.ContentTime = "100000"
    common.ReferringPhysicianName = common.AccessionNumber = ""
    common.FrameOfReferenceUID, common.PositionReferenceIndicator = recipe.uid("frame of reference"), ""
    block = common.private_block(0x0029, "MADE UP", create=True)
    block.add_new(0x01, "LO", "PRIVATE-SECRET")
    return common


def instance(common: Dataset, sop_class: str, sop_instance: str) -> Dataset:
    """A new instance with the attributes of ``common`` and a file header."""
    made = Dataset()
    made.update(common)
    made.SOPClassUID, made.SOPInstanceUID = sop_class, sop_instance
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = sop_class, sop_instance
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def put_pixels(made: Dataset, pixels: np.ndarray) -> None:
    """uint16 pixels of 12 bits, ``[H, W]`` or ``[N, H, W]``."""
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
    made.Rows, made.Columns = pixels.shape[-2:]
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PixelData = np.ascontiguousarray(pixels, dtype="<u2").tobytes()
    made["PixelData"].VR = "OW"


def decimal(values) -> list[str]:
    """Decimal strings of at most 16 characters."""
    return [f"{value:.11f}"[:16] for value in values]


def series(made: Dataset, recipe: Recipe, number: int, description: str) -> None:
    made.SeriesInstanceUID, made.SeriesNumber = recipe.uid("series", number), number
    made.SeriesDescription = description


def classic_frame(recipe: Recipe, common: Dataset, s: int, t: int, pixels: np.ndarray, name: str = "sax") -> Dataset:
    """One classic MR instance."""
    made = instance(common, MRImageStorage, recipe.uid(name, s, t))
    series(made, recipe, 7001 + 1000 * s if recipe.series_per_slice else 7001, "cine_retro")
    made.InstanceNumber = 1 + (t if recipe.series_per_slice else s * recipe.frames + t)
    made.AcquisitionNumber, made.AcquisitionTime = s + 1, f"10{s:02}00.{t:02}"
    made.ImageType = ["ORIGINAL", "PRIMARY", "M", "RETRO"]
    made.ScanningSequence, made.SequenceVariant, made.ScanOptions, made.MRAcquisitionType = "GR", "SK", "CG", "2D"
    made.RepetitionTime, made.EchoTime, made.EchoTrainLength, made.FlipAngle = "34", "1.5", 1, "58"
    made.TriggerTime, made.NominalInterval = str(recipe.trigger_ms(s, t)), recipe.rr_ms(s)
    made.CardiacNumberOfImages = recipe.frames
    made.SliceThickness, made.PixelSpacing = str(recipe.thickness), decimal(recipe.spacing[1:])
    made.ImagePositionPatient = decimal(recipe.geometry.slice_positions()[s])
    made.ImageOrientationPatient = decimal(recipe.direction[:, :2].T.ravel())
    if recipe.rescale != (1, 0):
        made.RescaleSlope, made.RescaleIntercept, made.RescaleType = *map(str, recipe.rescale), "US"
    put_pixels(made, pixels)
    return made


DEFAULT = Recipe()


def classic_study(recipe: Recipe = DEFAULT) -> SyntheticStudy:
    """A study of classic MR instances: ``datasets`` slice by slice, in each the phases in order."""
    stored, labels = heart(recipe)
    common = patient_and_study(recipe)
    pairs = [(s, t) for s in range(recipe.slices) for t in range(recipe.frames)]
    return SyntheticStudy(recipe, stored, labels, [classic_frame(recipe, common, s, t, stored[t, s]) for s, t in pairs])


def _decoy(recipe: Recipe, common: Dataset, number: int, description: str, turn: np.ndarray, t: int, s: int = 0):
    pixels = np.full(recipe.size, 100 + t, dtype=np.uint16)
    made = classic_frame(recipe, common, s, t, pixels, name=description)
    series(made, recipe, number, description)
    made.ImageOrientationPatient = decimal((turn @ recipe.direction)[:, :2].T.ravel())
    made.InstanceNumber = t + 1
    return made


def decoys(recipe: Recipe) -> list[Dataset]:
    """A localizer, two long axes with the same number of phases, and phase images of the short axis."""
    common = patient_and_study(recipe)
    about_x = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    made = [_decoy(recipe, common, 1, "localizer", about_x, 0)]
    made[0].ImageType, made[0].ScanOptions = ["ORIGINAL", "PRIMARY", "LOCALIZER", "M"], ""
    del made[0].TriggerTime, made[0].NominalInterval, made[0].CardiacNumberOfImages
    for number, turn in ((14001, about_x), (16001, about_x.T[[2, 0, 1]])):
        made += [_decoy(recipe, common, number, "cine_long_axis", turn, t) for t in range(recipe.frames)]
    for s in range(recipe.slices):
        phases = [_decoy(recipe, common, 20001, "flow_phase", np.eye(3), t, s) for t in range(recipe.frames)]
        for t, image in enumerate(phases):
            image.ImageType = ["ORIGINAL", "PRIMARY", "P", "RETRO"]
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = recipe.uid("phase image", s, t)
        made += phases
    return made


def write(datasets: list[Dataset], folder: Path, shuffle: int | None = None) -> list[Path]:
    """Write each as ``folder/IMnnnn``, in the order of the list or in a shuffled one; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    order = range(len(datasets)) if shuffle is None else np.random.default_rng(shuffle).permutation(len(datasets))
    paths = [folder / f"IM{place:04}" for place in range(len(datasets))]
    for path, index in zip(paths, order, strict=True):
        pydicom.dcmwrite(path, datasets[index], enforce_file_format=True)
    return paths
