"""Which bits of the stored words are the pixels: those that the header names, or more, where more hold data."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import N_BITS_STORED
from cardiacseg.io.dicom.values import whole

_OVERLAYS = range(0x6000, 0x6020, 2)


@dataclass(frozen=True)
class Field:
    """Where the header says that the pixels lie in words of ``allocated`` bits, and the bits that are overlays."""

    allocated: int
    stored: int
    high: int
    signed: bool
    overlays: int

    @classmethod
    def of(cls, described: Dataset, dataset: Dataset) -> "Field":
        """Of pixels as :func:`pixel_header` describes them, in the instance ``dataset``."""
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
        """All bits but those of overlays."""
        kept = np.array(((1 << self.allocated) - 1) & ~self.overlays, f"u{words.itemsize}").view(words.dtype)
        return words & kept if self.overlays else words

    def range(self) -> tuple[int, int]:
        """Smallest and largest value that the field holds."""
        return (-(1 << self.stored - 1), (1 << self.stored - 1) - 1) if self.signed else (0, (1 << self.stored) - 1)


def _overlay_bits(dataset: Dataset, allocated: int, high: int) -> int:
    """Bits outside of the field that the retired overlays within the pixel data say are theirs."""
    bits = 0
    for group in _OVERLAYS:
        position = whole(dataset, (group, 0x0102)) if (group, 0x0010) in dataset else None
        if position is not None and (group, 0x3000) not in dataset and 0 <= position < allocated:
            bits |= 1 << position
    return bits if high == allocated - 1 else bits >> (high + 1) << (high + 1)


class StoredBits:
    """How the words of all files with one field are read.

    ``words`` are those of all frames. Where bits directly above the field, or below it, hold data, the header is wrong
    and the whole word is the pixel; a lone bit farther up is none, and is cut.
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
        """What the pixels can be."""
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
