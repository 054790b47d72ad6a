"""Conversion of images of any number type to one that the core reads."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiacseg.errors import InvalidInputError

_NATIVE = {np.dtype(name) for name in ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8")}

# Attributes by which an object of another library is known, and what to pass in its place.
_OTHER_OBJECTS = (
    (("image", "spacing"), "a cine", "its .image, with spacing=.spacing"),
    (
        ("get_fdata", "affine"),
        "an image of nibabel",
        "cardiacseg.io.read_cine(path).image, or numpy.asarray(.dataobj).T",
    ),
    (("GetSpacing", "GetDirection"), "an image of SimpleITK or ITK", "GetArrayFromImage(image)"),
    (("pixel_array", "SOPClassUID"), "a data set of pydicom", "cardiacseg.io.read_cine(folder).image"),
)


def as_pixels(image: npt.ArrayLike) -> np.ndarray:
    """The image as an array of a type that the core reads; an array of such a type in native order is not copied.

    Raises ``InvalidInputError`` if it is not an array of real numbers; the message says what to pass.
    """
    _refuse_other_objects(image)
    try:
        pixels = np.asarray(image)
    except Exception as error:  # any error of another library's conversion
        raise InvalidInputError(
            f"image must be an array of numbers, got {_type_name(image)}: {error}{advice_for(image)}"
        ) from error
    if pixels.dtype in _NATIVE:
        # a byte order that a file's reader names explicitly may be the native one
        return pixels.view(pixels.dtype.newbyteorder("="))
    if pixels.dtype == np.bool_:
        return pixels.view(np.uint8)
    if pixels.dtype == np.float16:
        return pixels.astype(np.float32)
    if pixels.dtype.kind not in "iuf":
        raise InvalidInputError(f"image must have a real number type, got {pixels.dtype}{advice_for(image)}")
    narrow = pixels.dtype.newbyteorder("=")
    return pixels.astype(narrow if narrow in _NATIVE else np.float64)


def _type_name(image: Any) -> str:
    return type(image).__name__


def _refuse_other_objects(image: Any) -> None:
    """Refuse objects that NumPy would convert to something that the caller does not mean."""
    if isinstance(image, (str, bytes, os.PathLike)):
        raise InvalidInputError(
            f"image must be an array, got a {_type_name(image)}: read the file with cardiacseg.io.read_cine and pass "
            "its .image, with spacing=.spacing"
        )
    if isinstance(image, np.ma.MaskedArray) and np.ma.is_masked(image):
        raise InvalidInputError(
            "image must be an array without a mask, got a masked array: pass image.filled(value) with the value that "
            "masked pixels are to have"
        )
    if isinstance(image, np.ndarray):
        return
    known = set(dir(image))  # which computes no property
    for attributes, name, replacement in _OTHER_OBJECTS:
        if known.issuperset(attributes):
            raise InvalidInputError(f"image must be an array, got {name} ({_type_name(image)}): pass {replacement}")


def advice_for(image: Any) -> str:
    """What to pass instead of a tensor, or of an array of a type that NumPy does not know."""
    if "bfloat16" in str(getattr(image, "dtype", "")):
        return "; pass image.float()" if hasattr(image, "float") else "; pass image.astype(numpy.float32)"
    if getattr(image, "requires_grad", False) is True:
        return "; pass image.detach()"
    if hasattr(image, "detach") and hasattr(image, "cpu"):
        return "; pass image.detach().cpu()"
    return ""
