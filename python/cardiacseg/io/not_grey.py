"""NIfTI files whose values are not grey values: label maps and colors."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cardiacseg.acquisition import Timing
from cardiacseg.errors import InvalidInputError
from cardiacseg.io.cine import Note
from cardiacseg.io.nifti_file import NiftiFile, open_nifti, values_in_parts

# The largest number of a label; images have larger values, or fractions.
_LARGEST_LABEL = 10
_LABEL_INTENT = 1002
# Numbers of different values of label maps with other numbers; masks and constant images have fewer, images more.
_FEW_VALUES = range(3, 9)
# Fraction of grey pixels, among those that are not black, in a grey picture saved in color. Frames differ by noise.
_GREY_PART = 0.5


def looks_like_labels(parts: Iterable[np.ndarray]) -> bool:
    """Whether the values of an image's parts are whole numbers from 0 to at most 10, both 0 and another one among them.

    Constant images and masks of other numbers (0 and 255) do not count as labels. Reading stops at the first part that
    cannot be of labels.
    """
    zero = other = False
    for part in parts:
        if not _are_small(part):
            return False
        zero, other = zero or bool((part == 0).any()), other or bool(part.any())
    return zero and other


def _are_small(values: np.ndarray) -> bool:
    with np.errstate(invalid="ignore"):
        if not (values.min() >= 0 and values.max() <= _LARGEST_LABEL):
            return False
        return values.dtype.kind in "ui" or bool((values == np.trunc(values)).all())


def is_label_map(path: str | Path, held: bytes | None = None) -> bool:
    """Whether the NIfTI file at ``path``, or with the bytes ``held``, holds labels: by its intent, or by its values.

    It is read only until it cannot be a label map, for images a part of a frame. A file that cannot be read is not one.
    """
    try:
        file = open_nifti(path, held)
        return _has_label_intent(file) or looks_like_labels(part for _, part in values_in_parts(file))
    except InvalidInputError:
        return False


def _has_label_intent(file: NiftiFile) -> bool:
    return int(file.header["intent_code"]) == _LABEL_INTENT


def notes_on_values(file: NiftiFile, image: np.ndarray, timing: Timing) -> list[Note]:
    """Raises ``InvalidInputError`` if ``image`` ``[T, S, H, W]`` of ``file`` is a label map or a color picture.

    Three or four frames without times may be colors. They are colors if all are equal, if the fourth is constant, or if
    they hold bytes and most pixels that are not black are grey. Else a note says that they were read as frames.
    """
    if _has_label_intent(file) or looks_like_labels(piece for frame in image for piece in frame):
        raise InvalidInputError(f"{file.name} holds labels, not an image: whole numbers from 0 to {image.max():g}")
    notes = _few_values_notes(image)
    if len(image) not in (3, 4) or timing.frame_times_ms is not None:
        return notes
    if _are_colors(image):
        raise InvalidInputError(
            f"{file.name} holds a color picture, whose {len(image)} colors are its last axis; expected grey values"
        )
    text = f"The file's {len(image)} frames have no times; they were not read as the colors of one picture."
    return [*notes, Note("nifti_no_colours", text)] if image.dtype == np.uint8 else notes


def _few_values_notes(image: np.ndarray) -> list[Note]:
    values: set[float] = set()
    for piece in (piece for frame in image for piece in frame):
        values.update(np.unique(piece).tolist())
        if len(values) >= _FEW_VALUES.stop:
            return []
    text = f"The file has {len(values)} different values, as label maps have; it was read as an image."
    return [Note("nifti_few_values", text)] if len(values) in _FEW_VALUES else []


def _are_colors(image: np.ndarray) -> bool:
    if image.min() == image.max():
        return False
    same = (image[0] == image[1]) & (image[1] == image[2])
    if same.all() or (len(image) == 4 and image[3].min() == image[3].max()):
        return True
    bright = image[:3].any(axis=0)
    return image.dtype == np.uint8 and bool(same[bright].mean() > _GREY_PART)
