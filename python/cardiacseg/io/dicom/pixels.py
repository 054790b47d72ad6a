"""Decoding the pixels of the frames that were chosen, and of no others."""

import math
from collections import defaultdict

import numpy as np
from pydicom.dataset import Dataset

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.decoding import Job, decode
from cardiacseg.io.dicom.errors import E_DAMAGED, N_LOSSY, N_MONOCHROME1, N_PADDING
from cardiacseg.io.dicom.files import File
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.grey_values import has_padding, is_inverted, is_lossy, modality_values, stored_values
from cardiacseg.io.dicom.headers import parse_whole
from cardiacseg.io.dicom.slices import Slices

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def read_pixels(slices: Slices) -> tuple[np.ndarray, dict[str, Dataset], tuple[Note, ...]]:
    """Image ``[T, S, H, W]``, instances without pixels by SOP instance UID, and notes.

    The image has the files' integer type where the modality transform is the identity for every frame, else it is
    float32. Raises ``DicomError`` for what cannot be decoded.
    """
    first, phases = slices[0][0], len(slices[0])
    shape = (phases, len(slices), first.rows, first.columns)
    first.file.budget.take("pixels", math.prod(shape), first.file.name)
    by_file = {file: (parse_whole(file), frames) for file, frames in _by_file(slices).items()}
    decoded = decode([Job(f.name, dataset, _indices(frames)) for f, (dataset, frames) in by_file.items()])
    instances, pictures, noted = {}, {}, set()
    for (file, (dataset, frames)), stored in zip(by_file.items(), decoded, strict=True):
        for frame, picture in zip(frames, stored, strict=True):
            pictures[frame.sop_instance_uid, frame.number] = _picture(file, dataset, frame, picture)
        noted |= {code for code, holds in _WORTH_A_NOTE.items() if holds(dataset)}
        for name in _PIXELS:
            if name in dataset:
                delattr(dataset, name)
        instances[frames[0].sop_instance_uid] = dataset
    return _assemble(slices, pictures), instances, tuple(Note(code, _TEXTS[code]) for code in sorted(noted))


def _indices(frames: list[Frame]) -> list[int]:
    return [(frame.number or 1) - 1 for frame in frames]


_WORTH_A_NOTE = {N_MONOCHROME1: is_inverted, N_PADDING: has_padding, N_LOSSY: is_lossy}
_TEXTS = {
    N_MONOCHROME1: "PhotometricInterpretation is MONOCHROME1; grey values were inverted",
    N_PADDING: "pixels with PixelPaddingValue were set to the smallest grey value of their image",
    N_LOSSY: "images went through lossy compression, which changed their grey values",
}


def _by_file(slices: Slices) -> dict[File, list[Frame]]:
    """Each file once, and of it each chosen frame once, in the order of the frames' numbers."""
    wanted: dict[File, set[Frame]] = defaultdict(set)
    for frames in slices:
        for frame in frames:
            wanted[frame.file].add(frame)
    return {file: sorted(frames, key=Frame.order) for file, frames in wanted.items()}


def _picture(file: File, dataset: Dataset, frame: Frame, decoded: np.ndarray) -> np.ndarray:
    if decoded.shape != (frame.rows, frame.columns) or decoded.dtype.kind not in "iu":
        wanted = f"{frame.rows} x {frame.columns} integers"
        raise DicomError(E_DAMAGED, f"{file.name} decodes to {decoded.shape} of {decoded.dtype}; wanted {wanted}")
    try:
        return modality_values(dataset, frame.number, stored_values(dataset, decoded))
    # Attributes of a wrong kind or length make pydicom raise almost anything.
    except Exception as error:
        raise DicomError(E_DAMAGED, f"{file.name} has malformed attributes of its grey values") from error


def _assemble(slices: Slices, pictures: dict[tuple[str, int | None], np.ndarray]) -> np.ndarray:
    kinds = {picture.dtype for picture in pictures.values()}
    image = np.empty(
        (len(slices[0]), len(slices), slices[0][0].rows, slices[0][0].columns),
        dtype=kinds.pop() if len(kinds) == 1 else np.float32,
    )
    for s, frames in enumerate(slices):
        for t, frame in enumerate(frames):
            image[t, s] = pictures[frame.sop_instance_uid, frame.number]
    return image
