"""A NIfTI file's header and voxels, checked. Files may be damaged or made to do harm. Needs nibabel."""

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.quiet import NIBABEL, quiet

if TYPE_CHECKING:
    import nibabel

# Of voxels in one file: twice a cine of 50 frames of 20 slices of 512 x 512 pixels of 64 bits.
LARGEST_BYTES = 4 << 30
# No picture of more than so many bytes is compressed by such a factor.
_SUSPECT_BYTES, _SUSPECT_FACTOR = 256 << 20, 500
_BLOCK = 1 << 20
_LARGEST_HEAD = 4 << 20  # of header and extensions
_COMPRESSED = {".gz", ".bz2", ".zst"}
# Matrix, symmetric matrix, displacement vector, vector, quaternion; RGB and RGBA vectors.
_VECTOR_INTENTS = {1004, 1005, 1006, 1007, 1010, 2003, 2004}


def open_nifti(path: str | Path) -> "nibabel.Nifti1Image":
    """The file's header, checked; its voxels are read by :func:`read_voxels`.

    Raises ``InvalidInputError`` with one sentence that names the file if it is missing, not NIfTI, damaged, of more
    than :data:`LARGEST_BYTES`, or not an image (x, y, z) or (x, y, z, t) of real numbers.
    """
    path = Path(path)
    source = _load(path)
    _check_kind(path, source)
    _check_size(path, source)
    return source


def _load(path: Path) -> "nibabel.Nifti1Image":
    import nibabel

    if path.is_dir():
        raise InvalidInputError(f"{path} is a folder; wanted a NIfTI file (.nii or .nii.gz)")
    if not path.is_file():
        raise InvalidInputError(f"{path} does not exist; wanted a NIfTI file (.nii or .nii.gz)")
    try:
        with quiet(NIBABEL):  # nibabel prints what is odd about a header before it refuses or mends it
            _check_head(path)
            source = nibabel.load(path)
    except Exception as error:  # what nibabel raises on a damaged header is of many types
        raise InvalidInputError(f"{path} is not a readable NIfTI file ({_one_line(error)})") from error
    if not isinstance(source, nibabel.Nifti1Image):
        raise InvalidInputError(f"{path} is {type(source).__name__}; wanted a NIfTI file (.nii or .nii.gz)")
    return source


def _check_head(path: Path) -> None:
    """Parse header and extensions once out of the file's first bytes: nibabel would read on as far as they say."""
    from nibabel import Nifti1Header, Nifti2Header
    from nibabel.openers import Opener

    with Opener(path) as file:
        head = file.read(_LARGEST_HEAD)
    second = head[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c")  # 540, the size of a NIfTI-2 header
    (Nifti2Header if second else Nifti1Header).from_fileobj(io.BytesIO(head))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _check_kind(path: Path, source: "nibabel.Nifti1Image") -> None:
    shape, dtype = source.shape, source.get_data_dtype()
    intent = int(source.header["intent_code"])
    try:
        source.header.get_xyzt_units()
    except KeyError as error:
        raise InvalidInputError(f"{path} has a damaged header: unit code {error} has no meaning") from error
    if len(shape) not in (3, 4):
        raise InvalidInputError(f"{path} has {len(shape)} axes of lengths {shape}; wanted (x, y, z) or (x, y, z, t)")
    if min(shape) < 1:
        raise InvalidInputError(f"{path} is empty: its axes have lengths {shape}")
    if intent in _VECTOR_INTENTS:
        raise InvalidInputError(f"{path} holds vectors (intent code {intent}); wanted one number for each pixel")
    if dtype.kind not in "uif":
        kind = "colours" if dtype.fields else f"numbers of type {dtype}"
        raise InvalidInputError(f"{path} holds {kind}; wanted real grey values")


def _bytes_of_voxels(source: "nibabel.Nifti1Image") -> int:
    return math.prod(map(int, source.shape)) * source.get_data_dtype().itemsize


def _check_size(path: Path, source: "nibabel.Nifti1Image") -> None:
    promised, length = _bytes_of_voxels(source), path.stat().st_size
    if promised > LARGEST_BYTES:
        raise InvalidInputError(f"{path} promises {promised} bytes of voxels; wanted at most {LARGEST_BYTES}")
    if path.suffix.lower() in _COMPRESSED:
        if promised > max(_SUSPECT_BYTES, _SUSPECT_FACTOR * length):
            raise InvalidInputError(
                f"{path} promises {promised} bytes of voxels in {length} bytes; no image is so small"
            )
    elif length < source.dataobj.offset + promised:
        raise InvalidInputError(f"{path}: the image data are cut short; {promised} bytes of voxels do not fit in it")


def read_voxels(path: str | Path, source: "nibabel.Nifti1Image") -> np.ndarray:
    """Values (x, y, z) or (x, y, z, t) in the file's type, native, or float32 where the file scales its values.

    Never holds more than the file really has, whatever its header promises. Raises ``InvalidInputError`` where the
    data are damaged or cut short.
    """
    from nibabel.volumeutils import apply_read_scaling

    try:
        stored = np.frombuffer(_content(source), source.get_data_dtype()).reshape(source.shape, order="F")
        values = apply_read_scaling(stored, source.dataobj.slope, source.dataobj.inter)
    except Exception as error:  # zlib, bz2 and gzip each have their own
        raise InvalidInputError(f"{path}: the image data are damaged or cut short ({_one_line(error)})") from error
    scaled = values.dtype.kind == "f" and stored.dtype.kind != "f"
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32 if scaled else values.dtype.newbyteorder("="), copy=False)


def _content(source: "nibabel.Nifti1Image") -> bytearray:
    """The voxels' bytes, read block by block: memory is taken as they come, not as the header says."""
    wanted, content = _bytes_of_voxels(source), bytearray()
    with source.file_map["image"].get_prepare_fileobj("rb") as file:
        file.seek(source.dataobj.offset)
        while len(content) < wanted and (block := file.read(min(_BLOCK, wanted - len(content)))):
            content += block
    if len(content) < wanted:
        raise EOFError(f"found {len(content)} of {wanted} bytes")
    return content
