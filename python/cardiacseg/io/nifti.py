"""NIfTI cines and label maps.

A file's axes are (x, y, z) or (x, y, z, t); the third must be the slice axis, as scanners' converters write it. Arrays
are ``[T, S, row, column]``, which is (t, z, y, x). Needs nibabel.
"""

import gzip
import math
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.atomic import write_bytes

if TYPE_CHECKING:
    import nibabel

_MM_PER_UNIT = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
_MS_PER_UNIT = {"sec": 1000.0, "msec": 1.0, "usec": 0.001}
# Matrix, symmetric matrix, displacement vector, vector, quaternion; RGB and RGBA vectors.
_VECTOR_INTENTS = {1004, 1005, 1006, 1007, 1010, 2003, 2004}


@dataclass(frozen=True, eq=False)
class NiftiCine:
    """A short-axis cine and the grid it lies on.

    ``image`` is ``[T, S, H, W]`` in the file's type, or float32 where the file scales its values; ``spacing`` is
    (slice, row, column) in mm; ``frame_interval_ms`` is ``None`` where the file does not say. ``source`` keeps header
    and affine for :func:`write_labels`.
    """

    path: Path
    image: np.ndarray
    spacing: tuple[float, float, float]
    frame_interval_ms: float | None
    source: "nibabel.Nifti1Image" = field(repr=False)


def read_nifti(path: str | Path) -> NiftiCine:
    """Read a 3-D file as one frame or a 4-D file as a cine.

    Raises ``InvalidInputError`` with one sentence that names the file if it is missing, damaged, not NIfTI, or not a
    short-axis image of real numbers.
    """
    path = Path(path)
    source = _open(path)
    _check_kind(path, source)
    spacing = _spacing(path, source)
    try:
        pixels = np.asanyarray(source.dataobj)
    except (OSError, EOFError, ValueError, OverflowError, MemoryError, zlib.error) as error:
        raise InvalidInputError(f"{path}: the image data are damaged or cut short ({_one_line(error)})") from error
    scaled = pixels.dtype.kind == "f" and source.get_data_dtype().kind != "f"
    pixels = pixels.astype(np.float32 if scaled else pixels.dtype.newbyteorder("="), copy=not pixels.dtype.isnative)
    pixels = pixels.view(pixels.dtype.newbyteorder("="))
    image = pixels.T if pixels.ndim == 4 else pixels.T[np.newaxis]
    return NiftiCine(path, image, spacing, _frame_interval_ms(source), source)


def _open(path: Path) -> "nibabel.Nifti1Image":
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    if path.is_dir():
        raise InvalidInputError(f"{path} is a folder; wanted a NIfTI file (.nii or .nii.gz)")
    if not path.is_file():
        raise InvalidInputError(f"{path} does not exist; wanted a NIfTI file (.nii or .nii.gz)")
    try:
        source = nibabel.load(path)
    except (ImageFileError, HeaderDataError, OSError, EOFError, KeyError, ValueError, zlib.error) as error:
        raise InvalidInputError(f"{path} is not a readable NIfTI file ({_one_line(error)})") from error
    if not isinstance(source, nibabel.Nifti1Image):
        raise InvalidInputError(f"{path} is {type(source).__name__}; wanted a NIfTI file (.nii or .nii.gz)")
    return source


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
    if 0 in shape:
        raise InvalidInputError(f"{path} is empty: its axes have lengths {shape}")
    if intent in _VECTOR_INTENTS:
        raise InvalidInputError(f"{path} holds vectors (intent code {intent}); wanted one number for each pixel")
    if dtype.kind not in "uif":
        kind = "colours" if dtype.fields else f"numbers of type {dtype}"
        raise InvalidInputError(f"{path} holds {kind}; wanted real grey values")


def _spacing(path: Path, source: "nibabel.Nifti1Image") -> tuple[float, float, float]:
    unit = source.header.get_xyzt_units()[0]
    # nibabel turns a size of zero into 1 without an error, so the header is read once more as it is.
    with source.file_map["image"].get_prepare_fileobj("rb") as file:
        stored = type(source).header_class.from_fileobj(file, check=False)["pixdim"]
    steps = [abs(float(step)) * _MM_PER_UNIT[unit] for step in stored[1:4]]
    if not all(math.isfinite(step) and step > 0 for step in steps):
        raise InvalidInputError(f"{path} has pixel sizes (x, y, z) of {tuple(steps)} mm; wanted three positive numbers")
    column, row, between = steps
    if max(row, column) > 2 * min(row, column) and between <= min(row, column):
        raise InvalidInputError(
            f"{path} has pixel sizes (x, y, z) of {tuple(steps)} mm; the third axis must be the slice axis"
        )
    return between, row, column


def _frame_interval_ms(source: "nibabel.Nifti1Image") -> float | None:
    unit = source.header.get_xyzt_units()[1]
    if len(source.shape) < 4 or unit not in _MS_PER_UNIT:
        return None
    interval = float(source.header.get_zooms()[3]) * _MS_PER_UNIT[unit]
    return interval if math.isfinite(interval) and interval > 0 else None


def new_cine(image: np.ndarray, spacing: tuple[float, float, float], frame_interval_ms: float) -> NiftiCine:
    """A cine ``[T, S, H, W]`` with a grid of its own: spacing in mm, the first pixel at the origin, axes to L, P, S."""
    import nibabel

    between, row, column = spacing
    source = nibabel.Nifti1Image(image.T, np.diag([-column, -row, between, 1.0]))
    source.header.set_xyzt_units("mm", "msec")
    source.header.set_zooms((column, row, between, frame_interval_ms))
    source.set_sform(source.affine, code=1)
    source.set_qform(source.affine, code=1)
    return NiftiCine(Path("cine.nii.gz"), image, spacing, frame_interval_ms, source)


def write_image(path: str | Path, cine: NiftiCine) -> None:
    """Write a cine of :func:`new_cine` as ``.nii`` or ``.nii.gz``, atomically."""
    _write(Path(path), cine.source)


def write_labels(path: str | Path, labels: np.ndarray, like: NiftiCine) -> None:
    """Write labels ``[T, S, H, W]`` or ``[S, H, W]`` as uint8 on the grid of ``like``, atomically.

    Shape, affine, qform and sform with their codes, pixel sizes and frame interval are those of the file that ``like``
    came from; header extensions, which may name the patient, are left out. Raises ``InvalidInputError`` for labels
    that do not fit ``like`` or a name that does not end in ``.nii`` or ``.nii.gz``.
    """
    array = np.asarray(labels)
    if array.size != like.image.size or array.shape[-3:] != like.image.shape[1:] or array.ndim not in (3, 4):
        raise InvalidInputError(f"{path}: labels of shape {array.shape} do not fit {like.path} {like.image.shape}")
    header = like.source.header.copy()
    header.extensions.clear()
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    header.set_intent("label", name="cardiacseg")
    header["cal_min"], header["cal_max"], header["aux_file"] = 0, 0, b""
    on_file = array.astype(np.uint8).T.reshape(like.source.shape)
    _write(Path(path), type(like.source)(on_file, like.source.affine, header))


def _write(path: Path, image: "nibabel.Nifti1Image") -> None:
    content = image.to_bytes()
    if path.name.endswith(".nii.gz"):
        content = gzip.compress(content, compresslevel=1, mtime=0)
    elif path.suffix != ".nii":
        raise InvalidInputError(f"{path}: wanted a file name that ends in .nii or .nii.gz")
    write_bytes(path, content)
