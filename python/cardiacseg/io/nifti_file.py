"""A NIfTI file's header and voxels, checked. Files may be damaged or made to do harm. Needs nibabel."""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.budget import Budget
from cardiacseg.io.cine import Note
from cardiacseg.io.log_suppression import NIBABEL, suppress_logs
from cardiacseg.io.nifti_bytes import Content, content_of, is_voxels_name, one_line, other_of_pair, read_unless_ended

if TYPE_CHECKING:
    import nibabel

# No picture of more than so many bytes is compressed by such a factor.
_SUSPECT_BYTES, _SUSPECT_FACTOR = 256 << 20, 500
_LARGEST_HEAD = 4 << 20  # of header and extensions
_SECOND = (b"\x1c\x02\0\0", b"\0\0\x02\x1c")  # 540, the size of a NIfTI-2 header
# Matrix, symmetric matrix, displacement vector, vector, quaternion; RGB and RGBA vectors.
_VECTOR_INTENTS = {1004, 1005, 1006, 1007, 1010, 2003, 2004}
_MOST_VALUES = 4  # of one voxel on the fifth axis, by which NIfTI means vectors: colors with their opacity
_AXES = "expected (x, y, z) or (x, y, z, t)"
_PART = 1 << 20  # bytes


@dataclass(frozen=True, eq=False)
class NiftiFile:
    """A file whose header was checked. ``name`` is for messages.

    ``axes`` are the lengths of the file's axes, ``shape`` those of (x, y, z, t), ``frames_axis`` the index of axis t.
    ``affine`` is the one that nibabel selects, in the file's unit; ``sizes`` are the pixel sizes as stored, before
    nibabel repairs them; that of x is ``sizes[1]``. ``voxels`` is the content with the voxels, from byte ``offset`` on;
    ``scaling`` is their slope and intercept, ``None`` if they are not scaled.
    """

    name: str
    header: "nibabel.Nifti1Header"
    axes: tuple[int, ...]
    shape: tuple[int, int, int, int]
    frames_axis: int
    affine: np.ndarray
    sizes: np.ndarray
    voxels: Content
    offset: int
    scaling: tuple[float, float] | None
    notes: tuple[Note, ...]

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the values: the file's, native, or float32 if the file scales them."""
        return np.dtype(np.float32) if self.scaling else self.header.get_data_dtype().newbyteorder("=")


def open_nifti(
    path: str | Path, held: bytes | None = None, name: str | None = None, budget: Budget | None = None
) -> NiftiFile:
    """The file's header, checked; its voxels are read by :mod:`cardiacseg.io.nifti_file`.

    ``held`` are the file's bytes if they come from an archive at ``path``; ``name`` is then their name in messages, and
    ``budget`` the rest of the archive's. Of a pair ``.hdr`` and ``.img`` either may be named. Raises
    ``InvalidInputError`` with one sentence that names the file if it is missing, not NIfTI, damaged, not an image
    (x, y, z) or (x, y, z, t) of real numbers, or past a limit of the budget (code ``E_TOO_LARGE``).
    """
    path = Path(path)
    shown = name or str(path)
    try:
        with suppress_logs(NIBABEL):  # nibabel logs oddities of a header before it refuses or repairs it
            file = _load(path, budget or Budget(), held, shown)
            _check_kind(file)
            _check_size(file)
            return file
    except InvalidInputError:
        raise
    except Exception as error:  # nibabel and the compressions' libraries raise many types for damaged bytes
        raise InvalidInputError(f"{shown} is not a readable NIfTI file ({one_line(error)})") from error


def _load(path: Path, budget: Budget, held: bytes | None, name: str) -> NiftiFile:
    content, other = content_of(path, budget, held, name), None if held is not None else other_of_pair(path)
    head = _head(content)
    if is_voxels_name(name) and not _is_header(head):
        if other is None:
            raise InvalidInputError(
                f"{name} holds voxels without a header; expected the file .hdr of the pair beside it"
            )
        voxels, content = content, content_of(other, budget)
        head = _head(content)
    else:
        voxels = content if other is None or is_voxels_name(name) else content_of(other, budget)
    if not _is_header(head):
        raise InvalidInputError(f"{name} is not a readable NIfTI file (no NIfTI header at its start)")
    return _parsed(name, head, content, voxels)


def _head(content: Content) -> bytes:
    head = bytearray()
    with content.open() as file:
        while len(head) < _LARGEST_HEAD and (part := read_unless_ended(file, 1 << 16)):
            head += part
    return bytes(head)


def _is_header(head: bytes) -> bool:
    return head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c", *_SECOND) or head[344:348] in (b"n+1\0", b"ni1\0")


def _parsed(name: str, head: bytes, content: Content, voxels: Content) -> NiftiFile:
    """Parse header and extensions from the first bytes only: nibabel would read as far in the file as they promise."""
    from nibabel import Nifti1Header, Nifti2Header

    kind = Nifti2Header if head[:4] in _SECOND else Nifti1Header
    if kind is Nifti1Header and head[344:348] == bytes(4):
        raise InvalidInputError(f"{name} is an Analyze file, which has no orientation in the patient; expected NIfTI")
    header = kind.from_fileobj(io.BytesIO(head))
    if voxels is content and header["magic"] == kind.pair_magic and len(head) <= kind.single_vox_offset:
        raise InvalidInputError(f"{name} is the header of a pair; expected the file .img of the pair beside it")
    axes = tuple(map(int, header.get_data_shape()))
    frames_axis, notes = _frames_axis(name, axes)
    shape = (*axes[:3], axes[frames_axis] if frames_axis < len(axes) else 1)
    offset = header.get_data_offset()
    if voxels is content and offset == 0:
        offset = kind.single_vox_offset
        text = f"The header has no offset of the voxels; they were read from directly after it, byte {offset}."
        notes = [*notes, Note("nifti_no_offset", text)]
    stored = kind(head[: kind.template_dtype.itemsize], check=False)
    sizes = stored["pixdim"].astype(np.float64)
    affine = header.get_best_affine()
    return NiftiFile(
        name, header, axes, shape, frames_axis, affine, sizes, voxels, offset, _scaling(header), tuple(notes)
    )


def _scaling(header: "nibabel.Nifti1Header") -> tuple[float, float] | None:
    slope, inter = header.get_slope_inter()
    return None if slope is None or (slope, inter) == (1, 0) else (slope, inter)


def _frames_axis(name: str, axes: tuple[int, ...]) -> tuple[int, list[Note]]:
    """The only axis beyond the third that is longer than 1; the fourth if there is none."""
    if len(axes) < 3:
        raise InvalidInputError(f"{name} has {len(axes)} axes of lengths {axes}; {_AXES}")
    if min(axes) < 1:
        raise InvalidInputError(f"{name} is empty: its axes have lengths {axes}")
    longer = [index for index, length in enumerate(axes) if index > 2 and length > 1]
    if len(longer) > 1:
        raise InvalidInputError(f"{name} has {len(axes)} axes of lengths {axes}; {_AXES}")
    if not longer or longer[0] == 3:
        return 3, []
    index = longer[0]
    if axes[index] <= _MOST_VALUES:
        raise InvalidInputError(f"{name} has {axes[index]} values for each voxel on axis {index + 1}; {_AXES}")
    text = f"The file's axes have lengths {axes}; axis {index + 1} was read as frames."
    return index, [Note("nifti_frames_axis", text)]


def _check_kind(file: NiftiFile) -> None:
    dtype, intent = file.header.get_data_dtype(), int(file.header["intent_code"])
    try:
        file.header.get_xyzt_units()
    except KeyError as error:
        raise InvalidInputError(f"{file.name} has a damaged header: unit code {error} has no meaning") from error
    if intent in _VECTOR_INTENTS:
        raise InvalidInputError(f"{file.name} holds vectors (intent code {intent}); expected one number for each pixel")
    if dtype.kind not in "uif":
        kind = "colors" if dtype.fields else f"numbers of type {dtype}"
        raise InvalidInputError(f"{file.name} holds {kind}; expected real grey values")


def _bytes_of_voxels(file: NiftiFile) -> int:
    """Number of stored bytes."""
    return math.prod(file.shape) * file.header.get_data_dtype().itemsize


def _check_size(file: NiftiFile) -> None:
    promised, length, name, budget = _bytes_of_voxels(file), file.voxels.length, file.name, file.voxels.budget
    budget.take("pixels", math.prod(file.shape), name)
    budget.take("bytes", promised, name)
    budget.check("side", max(file.shape[:3]), name)
    if not 0 <= file.offset <= _LARGEST_HEAD:
        raise InvalidInputError(
            f"{name} has voxels from byte {file.offset} on; expected them directly after the header"
        )
    if file.voxels.compressed:
        if promised > max(_SUSPECT_BYTES, _SUSPECT_FACTOR * length):
            raise InvalidInputError(
                f"{name}: expected {promised} bytes of voxels, got {length} bytes; no image compresses that much"
            )
    elif length < file.offset + promised:
        raise InvalidInputError(f"{name}: the image data are cut short; {promised} bytes of voxels do not fit in it")


def read_voxels(file: NiftiFile) -> np.ndarray:
    """Values (x, y, z, t), as :func:`fill` gives them."""
    values = np.empty(file.shape, file.dtype, order="F")
    fill(values, file)
    return values


def fill(values: np.ndarray, file: NiftiFile) -> None:
    """Put the file's values into the view ``values`` (x, y, z, t), of :attr:`NiftiFile.dtype`, part by part.

    Only a few parts are held besides ``values``; memory that is not filled is not used, whatever size the header
    promises. Raises as :func:`values_in_parts`.
    """
    for index, part in values_in_parts(file):
        values[index] = part


def values_in_parts(file: NiftiFile) -> Iterator[tuple[tuple[slice | int, ...], np.ndarray]]:
    """Index and values of parts of (x, y, z, t), in the order of the file.

    Raises ``InvalidInputError`` if the data are damaged or cut short, or if frames that the header does not
    count follow the last voxel, and after the seconds of :mod:`cardiacseg.io.budget`.
    """
    dtype = file.header.get_data_dtype()
    try:
        with suppress_logs(NIBABEL), file.voxels.open() as stream:
            stream.read(file.offset)
            for index, shape in _parts(file.shape, dtype.itemsize):
                file.voxels.budget.check_time(file.name)
                yield index, _scaled(_part(stream, dtype, shape), file)
            hidden = _hidden_frames(file) if _goes_on(stream, file) else 1
    except (InvalidInputError, GeneratorExit):
        raise
    except Exception as error:  # zlib, bz2 and gzip raise different types
        raise InvalidInputError(f"{file.name}: the image data are damaged or cut short ({one_line(error)})") from error
    if hidden > 1:
        raise InvalidInputError(
            f"{file.name}: dim[0] counts {len(file.axes)} axes, but the lengths of further axes and the voxels say "
            f"that the file holds {hidden} such images; expected dim[0] to count all axes"
        )


def _hidden_frames(file: NiftiFile) -> int:
    """Factor by which the header's lengths beyond its axes multiply the number of voxels."""
    return math.prod(max(1, int(length)) for length in file.header["dim"][len(file.axes) + 1 :])


def _goes_on(stream: BinaryIO, file: NiftiFile) -> bool:
    """Whether as many voxels follow again. The end of a compressed stream compares its checksum, which may raise."""
    left = _bytes_of_voxels(file) if _hidden_frames(file) > 1 else 1
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
