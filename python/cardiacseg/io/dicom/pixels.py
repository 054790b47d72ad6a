"""Decoding the pixels of the frames that were chosen, and of no others."""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from pydicom.dataset import Dataset

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.decoding import Job, decode
from cardiacseg.io.dicom.errors import (
    E_DAMAGED,
    N_DECIMAL_COMMA,
    N_LOSSY,
    N_MONOCHROME1,
    N_PADDING,
    N_PALETTE,
    N_PIXEL_ATTRIBUTE,
)
from cardiacseg.io.dicom.files import File
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.grey_values import inverted, is_inverted, is_lossy, modality_values, rescale, without_padding
from cardiacseg.io.dicom.headers import parse_whole
from cardiacseg.io.dicom.pixel_header import PIXELS, has_grey_palette, is_palette, pixel_header, through_palette
from cardiacseg.io.dicom.slices import Slices
from cardiacseg.io.dicom.stored_bits import Field, StoredBits
from cardiacseg.io.dicom.values import has_decimal_comma

_LOSSY = Note(N_LOSSY, "images went through lossy compression, which changed their grey values")
_MONOCHROME1 = Note(N_MONOCHROME1, "PhotometricInterpretation is MONOCHROME1; grey values were inverted")
_PADDING = Note(N_PADDING, "pixels with PixelPaddingValue were set to the smallest grey value of their image")
_PALETTE = Note(N_PALETTE, "PhotometricInterpretation is PALETTE COLOR; the grey values of the palette were taken")
_NO_SLOPE = Note(N_PIXEL_ATTRIBUTE, "RescaleSlope and RescaleIntercept are 0; no rescaling was taken")
_COMMA = Note(N_DECIMAL_COMMA, "numbers are written with a decimal comma, which was read as a decimal point")
# Those of text, which a comma may be in.
_NUMBERS = [
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SliceThickness",
    "SpacingBetweenSlices",
    "TriggerTime",
    "RescaleSlope",
    "RescaleIntercept",
]


@dataclass(eq=False)
class _Part:
    """A file of which frames were chosen. ``layout`` is set where pixels come as they are stored, else ``None``."""

    file: File
    frames: list[Frame]
    dataset: Dataset
    header: Dataset
    layout: Field | None
    kinds: str
    decoded: list[np.ndarray] = field(default_factory=list)


def read_pixels(slices: Slices) -> tuple[np.ndarray, dict[str, Dataset], tuple[Note, ...]]:
    """Image ``[T, S, H, W]``, instances without pixels by SOP instance UID (the last of several with one), and notes.

    The image has the files' type where the modality transform is the identity for every frame, else it is float32.
    Raises ``DicomError`` for what cannot be decoded.
    """
    first, phases = slices[0][0], len(slices[0])
    shape = (phases, len(slices), first.rows, first.columns)
    first.file.budget.take("pixels", math.prod(shape), first.file.name)
    notes: set[Note] = set()
    parts: list[_Part] = []
    frames = decode(_jobs(slices, parts, notes))
    for part, decoded in zip(parts, frames, strict=True):
        part.decoded = decoded
    return _image(slices, shape, parts, notes), {p.frames[0].sop_instance_uid: p.dataset for p in parts}, _sorted(notes)


def _jobs(slices: Slices, parts: list[_Part], notes: set[Note]) -> Iterator[Job]:
    """Parse one file after the other, so that the undecoded pixels of all are never in memory at once."""
    for file, frames in _by_file(slices).items():
        dataset = parse_whole(file)
        header, repaired = pixel_header(dataset)
        job = Job(file.name, header, [(frame.number or 1) - 1 for frame in frames])
        layout = Field.of(header, dataset) if job.holds_words else None
        kinds = "iu" if "PixelData" in header else "f"
        for name in PIXELS:
            dataset.pop(name, None)
        notes |= {_COMMA for name in _NUMBERS if has_decimal_comma(dataset, name)}
        parts.append(_Part(file, frames, dataset, header, layout, kinds))
        notes |= repaired
        yield job


def _by_file(slices: Slices) -> dict[File, list[Frame]]:
    """Each file once, in the order in which they are best read, and of it each chosen frame once, by its number."""
    wanted: dict[File, set[Frame]] = defaultdict(set)
    for frames in slices:
        for frame in frames:
            wanted[frame.file].add(frame)
    files = sorted(wanted, key=lambda file: file.place)
    return {file: sorted(wanted[file], key=Frame.order) for file in files}


def _stored_bits(parts: list[_Part]) -> dict[Field, StoredBits]:
    by_layout: dict[Field, list[np.ndarray]] = defaultdict(list)
    for part in parts:
        if part.layout is not None:
            by_layout[part.layout] += part.decoded
    return {layout: StoredBits(layout, words) for layout, words in by_layout.items()}


def _image(slices: Slices, shape: tuple[int, ...], parts: list[_Part], notes: set[Note]) -> np.ndarray:
    """Each frame in its places; a file's decoded frames are forgotten as they are put there."""
    places = defaultdict(list)
    for s, frames in enumerate(slices):
        for t, frame in enumerate(frames):
            places[frame.file, frame.number].append((t, s))
    bits = _stored_bits(parts)
    notes.update(*(stored.notes() for stored in bits.values()))
    image = None
    for part in parts:
        for frame, decoded in zip(part.frames, part.decoded, strict=True):
            values = _picture(part, frame, decoded, bits.get(part.layout), notes)
            if image is None:
                image = np.empty(shape, values.dtype)
            elif values.dtype != image.dtype:
                image = image.astype(np.float32, copy=False)
            for place in places[frame.file, frame.number]:
                image[place] = values
        part.decoded.clear()
    return image


def _picture(part: _Part, frame: Frame, decoded: np.ndarray, bits: StoredBits | None, notes: set[Note]) -> np.ndarray:
    name = part.file.name
    if decoded.shape != (frame.rows, frame.columns) or decoded.dtype.kind not in part.kinds:
        wanted = f"{frame.rows} x {frame.columns} grey values"
        raise DicomError(E_DAMAGED, f"{name} decodes to {decoded.shape} of {decoded.dtype}; expected {wanted}")
    try:
        return _grey_values(part, frame.number, decoded, bits, notes)
    except DicomError:
        raise
    # Attributes of a wrong kind or length make pydicom raise almost anything.
    except Exception as error:
        raise DicomError(E_DAMAGED, f"{name} has malformed attributes of its grey values") from error


def _grey_values(
    part: _Part, number: int | None, decoded: np.ndarray, bits: StoredBits | None, notes: set[Note]
) -> np.ndarray:
    header, dataset = part.header, part.dataset
    stored = decoded if bits is None else bits.values(decoded)
    values = without_padding(dataset, stored)
    if values is not stored:
        notes.add(_PADDING)
    if is_lossy(dataset):
        notes.add(_LOSSY)
    if is_palette(header):
        if not has_grey_palette(dataset):
            raise DicomError(E_DAMAGED, f"{part.file.name} has a palette of colours; expected grey values")
        notes.add(_PALETTE)
        return through_palette(dataset, values)
    if is_inverted(header):
        notes.add(_MONOCHROME1)
        values = inverted(values, bits or Field.of(header, dataset))
    if rescale(dataset, number) == (0, 0):
        notes.add(_NO_SLOPE)
    return modality_values(dataset, number, values)


def _sorted(notes: set[Note]) -> tuple[Note, ...]:
    return tuple(sorted(notes, key=lambda note: (note.code, note.text)))
