"""Images as the core reads them: host arrays of any number type, and arrays in a GPU's memory with their stream.

GPU arrays are described by ``__cuda_array_interface__`` or DLPack.
"""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiacseg import _core
from cardiacseg.errors import InvalidInputError

_NATIVE = {np.dtype(name) for name in ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8")}

# Attributes that identify an object of another library, and what to pass instead.
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
    """Refuse objects that NumPy would convert to something else than the caller means."""
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
    known = set(dir(image))  # dir() does not evaluate properties
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


_CUDA = 2  # kDLCUDA of DLPack
_DEFAULT_STREAM = 1  # number of CUDA's default stream in both protocols


@dataclass(frozen=True, eq=False)
class DeviceArray:
    """An array in device memory; ``strides`` are in bytes, and it is ready on ``stream``. ``owner`` keeps it alive."""

    address: int
    dtype: np.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    stream: int
    owner: Any


def as_device_array(image: Any, stream: Any = None) -> DeviceArray | None:
    """``image`` as a :class:`DeviceArray` if it lies in device memory, else ``None``.

    ``stream`` is the stream on which the image becomes ready, by default the one that the image's protocol names.
    """
    given = stream_handle(stream)
    kind, index = _dlpack_device(image)
    if kind == _CUDA:
        ready_on = _DEFAULT_STREAM if given is None else given
        try:
            capsule = image.__dlpack__(stream=ready_on)
        except Exception as error:  # any error of another library
            raise InvalidInputError(
                f"image must be an array of numbers, got {type(image).__name__} on GPU {index}: "
                f"{error}{advice_for(image)}"
            ) from error
        return DeviceArray(*_core.read_dlpack(capsule), stream=ready_on, owner=(image, capsule))
    if hasattr(image, "__cuda_array_interface__"):
        return _from_interface(image, given)
    return None


def _dlpack_device(image: Any) -> tuple[int | None, int]:
    """Device type and number by DLPack; ``(None, 0)`` if there is none, as for a tensor on PyTorch's "meta" device."""
    try:
        kind, index = image.__dlpack_device__() if hasattr(image, "__dlpack__") else (None, 0)
    except Exception:  # any error of another library; as_pixels reports it
        return None, 0
    return kind, index


def stream_handle(stream: Any) -> int | None:
    """The number of a CUDA stream: an int, or an object of cuda-python, CuPy or PyTorch."""
    if stream is None or isinstance(stream, (int, np.integer)):
        return None if stream is None else int(stream)
    protocol = getattr(stream, "__cuda_stream__", None)
    if protocol is not None:
        return int((protocol() if callable(protocol) else protocol)[1])
    for name in ("ptr", "cuda_stream"):
        if hasattr(stream, name):
            return int(getattr(stream, name))
    raise InvalidInputError(
        f"stream must be a CUDA stream as a number or an object with __cuda_stream__, ptr or cuda_stream, "
        f"got {type(stream).__name__}"
    )


def _from_interface(image: Any, stream: int | None) -> DeviceArray:
    facts = image.__cuda_array_interface__
    try:
        dtype, shape = np.dtype(facts["typestr"]), tuple(map(int, facts["shape"]))
        address, strides = int(facts["data"][0]), facts.get("strides")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InvalidInputError(f"image has a __cuda_array_interface__ that cannot be read: {error!r}") from error
    if strides is None:
        strides = [dtype.itemsize * int(np.prod(shape[axis + 1 :], dtype=np.int64)) for axis in range(len(shape))]
    if stream is None:
        stream = facts.get("stream") or 0
    return DeviceArray(address, dtype, shape, tuple(map(int, strides)), int(stream), image)
