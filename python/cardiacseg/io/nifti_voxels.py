"""A NIfTI file's voxels, read part by part."""

import math
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.nifti_bytes import one_line, read_unless_ended
from cardiacseg.io.nifti_file import NiftiFile, bytes_of_voxels
from cardiacseg.io.quiet import NIBABEL, quiet

_PART = 1 << 20  # bytes


def read_voxels(file: NiftiFile) -> np.ndarray:
    """Values (x, y, z, t), as :func:`fill` gives them."""
    values = np.empty(file.shape, file.dtype, order="F")
    fill(values, file)
    return values


def fill(values: np.ndarray, file: NiftiFile) -> None:
    """Put the file's values into the view ``values`` (x, y, z, t), of :attr:`NiftiFile.dtype`, part by part.

    Beside ``values`` no more than a few parts are held; memory that is not filled is not used, whatever the header
    promises. Raises as :func:`values_in_parts`.
    """
    for index, part in values_in_parts(file):
        values[index] = part


def values_in_parts(file: NiftiFile) -> Iterator[tuple[tuple[slice | int, ...], np.ndarray]]:
    """Index and values of parts of (x, y, z, t), in the order of the file.

    Raises ``InvalidInputError`` if the data are damaged or cut short, or if behind the last voxel there are frames
    that the header does not count, and after the seconds of :mod:`cardiacseg.io.budget`.
    """
    dtype = file.header.get_data_dtype()
    try:
        with quiet(NIBABEL), file.voxels.open() as stream:
            stream.read(file.offset)
            for index, shape in _parts(file.shape, dtype.itemsize):
                file.voxels.budget.check_time(file.name)
                yield index, _scaled(_part(stream, dtype, shape), file)
            hidden = _hidden_frames(file) if _goes_on(stream, file) else 1
    except (InvalidInputError, GeneratorExit):
        raise
    except Exception as error:  # zlib, bz2 and gzip each have their own
        raise InvalidInputError(f"{file.name}: the image data are damaged or cut short ({one_line(error)})") from error
    if hidden > 1:
        raise InvalidInputError(
            f"{file.name}: dim[0] counts {len(file.axes)} axes, but the lengths of further axes and the voxels say "
            f"that the file holds {hidden} such images; expected dim[0] to count all axes"
        )


def _hidden_frames(file: NiftiFile) -> int:
    """How many times more voxels there are by lengths that the header has behind those of its axes."""
    return math.prod(max(1, int(length)) for length in file.header["dim"][len(file.axes) + 1 :])


def _goes_on(stream: BinaryIO, file: NiftiFile) -> bool:
    """Whether as many voxels follow again. At the end of a compressed stream its checksum is compared, and raises."""
    left = bytes_of_voxels(file) if _hidden_frames(file) > 1 else 1
    while left > 0 and (part := read_unless_ended(stream, min(left, _PART))):
        left -= len(part)
    return left == 0


def _parts(shape: tuple[int, ...], itemsize: int) -> Iterator[tuple[tuple[slice | int, ...], tuple[int, ...]]]:
    """Index and shape of parts of about ``_PART`` bytes, or of a row if that is longer, in the order of the file."""
    axis = 3
    while axis > 0 and math.prod(shape[:axis]) * itemsize > _PART:
        axis -= 1
    steps = max(1, _PART // (math.prod(shape[:axis]) * itemsize))
    for outer in np.ndindex(*shape[:axis:-1]):
        for start in range(0, shape[axis], steps):
            stop = min(shape[axis], start + steps)
            yield (*[slice(None)] * axis, slice(start, stop), *outer[::-1]), (*shape[:axis], stop - start)


def _part(stream: BinaryIO, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    content = memoryview(bytearray(math.prod(shape) * dtype.itemsize))
    have = 0
    while have < len(content):
        came = stream.readinto(content[have:])
        if not came:
            raise EOFError("the file ends before its last voxel")
        have += came
    return np.frombuffer(content, dtype).reshape(shape, order="F")


def _scaled(stored: np.ndarray, file: NiftiFile) -> np.ndarray:
    if file.scaling is None:
        return stored
    slope, inter = file.scaling
    with np.errstate(over="ignore", invalid="ignore"):
        return (stored.astype(np.float64) * slope + inter).astype(np.float32)
