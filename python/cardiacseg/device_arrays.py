"""Images in a GPU's memory, as ``__cuda_array_interface__`` and DLPack describe them, and CUDA streams."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cardiacseg import _core
from cardiacseg.errors import InvalidInputError
from cardiacseg.pixels import advice_for

_CUDA = 2  # kDLCUDA of DLPack
_DEFAULT_STREAM = 1  # CUDA's default stream, as both protocols number it


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
