"""From stored words to grey values: pixel attributes, bits, padding, palette, modality transform."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_color_lut, apply_modality_lut
from pydicom.uid import UID

from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import N_BITS_STORED, N_PIXEL_ATTRIBUTE
from cardiacseg.io.dicom.headers import first_item, item_at, items, number, text, value, whole

# Element of the pixels, and bits of one pixel if the header has no number.
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
_OVERLAYS = range(0x6000, 0x6020, 2)


def pixel_header(dataset: Dataset) -> tuple[Dataset, set[Note]]:
    """The instance with only its pixels and their attributes, and a note for each repair."""
    made = Dataset()
    for name in _COPIED:
        if value(dataset, name) is not None:
            made[name] = dataset[name]
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(dataset.file_meta.TransferSyntaxUID)
    expected = {**_kind(made), **_bits(made)}
    repaired = {name: right for name, right in expected.items() if value(made, name) != right}
    for name, right in repaired.items():
        setattr(made, name, right)
    made.NumberOfFrames = max(1, whole(dataset, "NumberOfFrames") or 1)
    return made, {
        Note(N_PIXEL_ATTRIBUTE, f"{name} is absent or cannot be right; {right} was used")
        for name, right in repaired.items()
    }


def _kind(made: Dataset) -> dict[str, object]:
    """Samples and their meaning; colors of one sample are grey values with a wrong name, except a palette's."""
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
    """Bits of a pixel by the length of uncompressed pixel data; 16 if that is not conclusive."""
    count = (whole(made, "Rows") or 0) * (whole(made, "Columns") or 0) * (whole(made, "NumberOfFrames") or 1)
    there = len(value(made, "PixelData") or b"")
    return next((8 * size for size in (1, 2, 4) if there in (size * count, size * count + 1)), 16)


def is_palette(dataset: Dataset) -> bool:
    """Whether pixels are indices into a palette of colors."""
    return text(dataset, "PhotometricInterpretation") == PALETTE


def has_grey_palette(dataset: Dataset) -> bool:
    """Whether the palette has equal red, green and blue everywhere."""
    descriptors, data = ([value(dataset, name) for name in part] for part in _LOOKUP)
    same = all(part == descriptors[0] for part in descriptors) and data[0] == data[1] == data[2]
    return same and bool(descriptors[0]) and bool(data[0])


def through_palette(dataset: Dataset, indices: np.ndarray) -> np.ndarray:
    """Grey values of a grey palette."""
    return apply_color_lut(indices, dataset)[..., 0]


@dataclass(frozen=True)
class Field:
    """The bits of the pixels in words of ``allocated`` bits, by the header, and the bits of overlays."""

    allocated: int
    stored: int
    high: int
    signed: bool
    overlays: int

    @classmethod
    def of(cls, described: Dataset, dataset: Dataset) -> "Field":
        """The field of the instance ``dataset``, whose pixels ``described`` (:func:`pixel_header`) describes."""
        return cls(
            described.BitsAllocated,
            described.BitsStored,
            described.HighBit,
            described.PixelRepresentation == 1,
            _overlay_bits(dataset, described.BitsAllocated, described.HighBit),
        )

    def cut(self, words: np.ndarray) -> np.ndarray:
        """The field's bits, with their sign."""
        up = np.left_shift(words, self.allocated - 1 - self.high)
        return np.right_shift(up, self.allocated - self.stored)

    def whole(self, words: np.ndarray) -> np.ndarray:
        """All bits except those of overlays."""
        kept = np.array(((1 << self.allocated) - 1) & ~self.overlays, f"u{words.itemsize}").view(words.dtype)
        return words & kept if self.overlays else words

    def range(self) -> tuple[int, int]:
        """Smallest and largest value that the field holds."""
        return (-(1 << self.stored - 1), (1 << self.stored - 1) - 1) if self.signed else (0, (1 << self.stored) - 1)


def _overlay_bits(dataset: Dataset, allocated: int, high: int) -> int:
    """Bits outside the field that belong to retired overlays in the pixel data."""
    bits = 0
    for group in _OVERLAYS:
        position = whole(dataset, (group, 0x0102)) if (group, 0x0010) in dataset else None
        if position is not None and (group, 0x3000) not in dataset and 0 <= position < allocated:
            bits |= 1 << position
    return bits if high == allocated - 1 else bits >> (high + 1) << (high + 1)


class StoredBits:
    """Reading of the words of all files with the same field.

    ``words`` are those of all frames. If bits directly above or below the field hold data, the header is wrong and the
    whole word is the pixel; an isolated bit further up is not data and is cut.
    """

    def __init__(self, field: Field, words: Iterable[np.ndarray]):
        self._field = field
        self._whole, self._lost, most = False, False, 0
        for part in words:
            known = field.whole(part)
            used, lost = _outside(field, known)
            self._whole, self._lost = self._whole or used, self._lost or lost
            most = max(most, int(known.max()), -int(known.min()) - 1)
        self._bits = max(1, most.bit_length() + field.signed)

    def values(self, words: np.ndarray) -> np.ndarray:
        """Pixels without other bits, in the words' type."""
        field = self._field
        if self._whole:
            return field.whole(words)
        nothing_to_cut = not (field.signed or field.overlays or self._lost) and field.high == field.stored - 1
        return words if nothing_to_cut else field.cut(words)

    def range(self) -> tuple[int, int]:
        """Smallest and largest possible pixel."""
        if not self._whole:
            return self._field.range()
        top = 1 << self._bits - self._field.signed
        return (-top if self._field.signed else 0, top - 1)

    def notes(self) -> set[Note]:
        field = self._field
        said = f"BitsStored {field.stored} and HighBit {field.high}"
        if self._whole:
            text = f"{said} leave out bits that hold data; pixels were read with {self._bits} bits"
        elif self._lost and not field.overlays:
            text = f"bits beyond {said} that no overlay declares and no data reach were cut"
        else:
            return set()
        return {Note(N_BITS_STORED, text)}


def _outside(field: Field, words: np.ndarray) -> tuple[bool, bool]:
    """Whether bits next to the field hold data, and whether any bit outside of it is set."""
    if field.stored == field.allocated:
        return False, False
    below = int(np.bitwise_or.reduce(words, axis=None)) & ((1 << field.high + 1 - field.stored) - 1)
    above = np.right_shift(words, field.high) >> 1
    if field.signed:  # there may be copies of the sign
        sign = np.right_shift(words, field.high) & 1
        above = above[(above != 0) & (above != -sign)]
    used = int(np.bitwise_or.reduce(above, axis=None)) if above.size else 0
    return bool(below or used & 1), bool(used)


def is_inverted(dataset: Dataset) -> bool:
    return text(dataset, "PhotometricInterpretation") == "MONOCHROME1"


def is_lossy(dataset: Dataset) -> bool:
    return text(dataset, "LossyImageCompression") == "01"


def inverted(values: np.ndarray, bits: Field | StoredBits) -> np.ndarray:
    """``values`` inverted, so that dark becomes bright; integers stay within what the bits can hold."""
    if values.dtype.kind == "f":
        return -values
    return (sum(bits.range()) - values.astype(np.int64)).astype(values.dtype)


def without_padding(dataset: Dataset, values: np.ndarray) -> np.ndarray:
    """Padding, which may be brighter than the heart, is set to the darkest other value; without padding the same
    array."""
    name = "FloatPixelPadding" if values.dtype.kind == "f" else "PixelPadding"
    first, last = number(dataset, f"{name}Value"), number(dataset, f"{name}RangeLimit")
    if first is None or (first == 0 and values.dtype.kind == "u" and not is_inverted(dataset)):
        return values  # 0 is the darkest value
    ends = [_as_pixel(end, values.dtype) for end in (first, first if last is None else last)]
    padded = (values >= min(ends)) & (values <= max(ends))
    if padded.all() or not padded.any():
        return values
    others = values[~padded]
    return np.where(padded, others.max() if is_inverted(dataset) else others.min(), values)


def _as_pixel(end: float, kind: np.dtype) -> float:
    """The end of the padding range in the pixels' type; some files write it unsigned for signed pixels, or vice
    versa."""
    if kind.kind == "f":
        return end
    wrap, signed = 1 << 8 * kind.itemsize, kind.kind == "i"
    return end - wrap if signed and end >= wrap // 2 else end + wrap if not signed and end < 0 else end


def modality_values(dataset: Dataset, frame_number: int | None, values: np.ndarray) -> np.ndarray:
    """Values after the modality transform, float32, or unchanged integers if it is the identity."""
    if values.dtype.kind == "f":
        values = values.astype(np.float32)
        if not np.isfinite(values).all():
            raise ValueError("pixels are not finite")
    if frame_number is None and items(dataset, "ModalityLUTSequence"):
        return apply_modality_lut(values, dataset).astype(np.float32)
    slope, intercept = rescale(dataset, frame_number)
    if slope == 0 and intercept == 0:  # some programs write this for "no transform"
        slope = 1.0
    if (slope, intercept) == (1, 0):
        return values
    with np.errstate(over="ignore"):
        rescaled = (values * slope + intercept).astype(np.float32)
    if slope == 0 or not np.isfinite(rescaled).all():
        raise ValueError("the modality transform leaves no grey values")
    return rescaled


def rescale(dataset: Dataset, frame_number: int | None) -> tuple[float, float]:
    """Slope and intercept of a frame: its own, or those of all frames, or of the instance."""
    places = [dataset]
    if frame_number is not None:
        own = item_at(dataset, "PerFrameFunctionalGroupsSequence", frame_number - 1)
        groups = [group for group in (own, first_item(dataset, "SharedFunctionalGroupsSequence")) if group is not None]
        places = [part for group in groups if (part := first_item(group, "PixelValueTransformationSequence"))] + places
    slope, intercept = number(places[0], "RescaleSlope"), number(places[0], "RescaleIntercept")
    return 1.0 if slope is None else slope, 0.0 if intercept is None else intercept
