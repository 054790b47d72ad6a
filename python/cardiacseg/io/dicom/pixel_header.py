"""What a header says of its pixels, completed where it says nothing or what cannot be."""

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_color_lut
from pydicom.uid import UID

from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import N_PIXEL_ATTRIBUTE
from cardiacseg.io.dicom.values import text, value, whole

# Which element holds the pixels, and how many bits one has if the header does not say.
PIXELS = {"PixelData": 0, "FloatPixelData": 32, "DoubleFloatPixelData": 64}
_COPIED = [
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "NumberOfFrames",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    *PIXELS,
]
PALETTE = "PALETTE COLOR"
_LOOKUP = [
    [f"{channel}PaletteColorLookupTable{part}" for channel in ("Red", "Green", "Blue")]
    for part in ("Descriptor", "Data")
]
PALETTE_TAGS = [name for part in _LOOKUP for name in part]


def pixel_header(dataset: Dataset) -> tuple[Dataset, set[Note]]:
    """The instance with nothing in it but its pixels and what describes them, and a note for each repair."""
    made = Dataset()
    for name in _COPIED:
        if value(dataset, name) is not None:
            made[name] = dataset[name]
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(dataset.file_meta.TransferSyntaxUID)
    wanted = {**_kind(made), **_bits(made)}
    repaired = {name: right for name, right in wanted.items() if value(made, name) != right}
    for name, right in repaired.items():
        setattr(made, name, right)
    made.NumberOfFrames = max(1, whole(dataset, "NumberOfFrames") or 1)
    return made, {
        Note(N_PIXEL_ATTRIBUTE, f"{name} is absent or cannot be right; {right} was taken")
        for name, right in repaired.items()
    }


def _kind(made: Dataset) -> dict[str, object]:
    """Samples and their meaning; colours of one sample are grey values under a wrong name, unless from a palette."""
    samples, kind = whole(made, "SamplesPerPixel") or 1, text(made, "PhotometricInterpretation")
    is_right = kind in ("MONOCHROME1", "MONOCHROME2", PALETTE) or (kind and samples > 1)
    return {"SamplesPerPixel": samples, "PhotometricInterpretation": kind if is_right else "MONOCHROME2"}


def _bits(made: Dataset) -> dict[str, int]:
    element = next((name for name in PIXELS if name in made), "PixelData")
    if PIXELS[element]:
        return {"BitsAllocated": PIXELS[element]}
    allocated = whole(made, "BitsAllocated") or _bits_there_are(made)
    stored = whole(made, "BitsStored")
    if stored is None or not 0 < stored <= allocated:
        stored = allocated
    high = whole(made, "HighBit")
    if high is None or not stored - 1 <= high < allocated:
        high = stored - 1
    signed = 1 if whole(made, "PixelRepresentation") == 1 else 0
    return {"BitsAllocated": allocated, "BitsStored": stored, "HighBit": high, "PixelRepresentation": signed}


def _bits_there_are(made: Dataset) -> int:
    """Bits of a pixel by the length of uncompressed pixel data; 16 where that tells nothing."""
    count = (whole(made, "Rows") or 0) * (whole(made, "Columns") or 0) * (whole(made, "NumberOfFrames") or 1)
    there = len(value(made, "PixelData") or b"")
    return next((8 * size for size in (1, 2, 4) if there in (size * count, size * count + 1)), 16)


def is_palette(dataset: Dataset) -> bool:
    """Whether pixels are indices into a palette of colours."""
    return text(dataset, "PhotometricInterpretation") == PALETTE


def has_grey_palette(dataset: Dataset) -> bool:
    """Whether the palette has as much of one colour as of the others everywhere."""
    descriptors, data = ([value(dataset, name) for name in part] for part in _LOOKUP)
    same = all(part == descriptors[0] for part in descriptors) and data[0] == data[1] == data[2]
    return same and bool(descriptors[0]) and bool(data[0])


def through_palette(dataset: Dataset, indices: np.ndarray) -> np.ndarray:
    """Grey values of a grey palette."""
    return apply_color_lut(indices, dataset)[..., 0]
