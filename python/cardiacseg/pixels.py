"""Images of any number type as one that the core reads."""

import numpy as np
import numpy.typing as npt

from cardiacseg.errors import InvalidInputError

_NATIVE = {np.dtype(name) for name in ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8")}


def as_pixels(image: npt.ArrayLike) -> np.ndarray:
    """The image as an array of a type that the core reads; one of those in native order is not copied.

    Raises ``InvalidInputError`` for what is no array of real numbers.
    """
    try:
        pixels = np.asarray(image)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(f"image must be an array of numbers, got {type(image).__name__}: {error}") from error
    if pixels.dtype in _NATIVE:
        # what a file's reader calls little-endian may be this machine's own order under another name
        return pixels.view(pixels.dtype.newbyteorder("="))
    if pixels.dtype == np.bool_:
        return pixels.view(np.uint8)
    if pixels.dtype == np.float16:
        return pixels.astype(np.float32)
    if pixels.dtype.kind not in "iuf":
        raise InvalidInputError(f"image must have a real number type, got {pixels.dtype}")
    narrow = pixels.dtype.newbyteorder("=")
    return pixels.astype(narrow if narrow in _NATIVE else np.float64)
