"""NIfTI cines and label maps, in any orientation. Needs nibabel.

Arrays are ``[T, S, row, column]`` in the scanner's own picture of the plane, however a file stores its axes:
:mod:`cardiacseg.io.orientation` says what that is. Labels go back to the file's own axes, voxel by voxel.
"""

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.atomic import write_bytes
from cardiacseg.io.cine import Cine, Note
from cardiacseg.io.geometry import Geometry
from cardiacseg.io.nifti_affine import affine_of
from cardiacseg.io.nifti_file import open_nifti, read_voxels
from cardiacseg.io.nifti_time import even_timing, timing_of
from cardiacseg.io.orientation import Orientation, picture_orientation

if TYPE_CHECKING:
    import nibabel


def read_nifti(path: str | Path) -> Cine:
    """Read a 3-D file as one frame or a 4-D file as a cine.

    ``image`` is in the file's type, or float32 where the file scales its values. Raises ``InvalidInputError`` with one
    sentence that names the file if it is missing, damaged, not NIfTI, or not a short-axis image of real numbers.
    """
    path = Path(path)
    source = open_nifti(path)
    orientation, geometry, notes = _grid(path, source)
    return _cine(path, orientation.to_array(read_voxels(path, source)), geometry, source, notes)


def read_beside(path: str | Path, cine: Cine) -> np.ndarray:
    """Values ``[T, S, H, W]`` of a file that has the axes of ``cine``'s, voxel by voxel, whatever its affine says.

    Data sets' label maps often lack their image's orientation. Raises ``InvalidInputError`` as :func:`read_nifti`, and
    where the axes' lengths differ.
    """
    path = Path(path)
    source = open_nifti(path)
    if _four(source.shape) != _four(cine.nifti.shape):
        raise InvalidInputError(f"{path}: wanted the axes of {cine.path.name}, {cine.nifti.shape}, got {source.shape}")
    return _grid(cine.path, cine.nifti)[0].to_array(read_voxels(path, source))


def _four(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if len(shape) == 4 else (*shape, 1)


def _grid(path: Path, source: "nibabel.Nifti1Image") -> tuple[Orientation, Geometry, list[Note]]:
    affine, notes = affine_of(path, source)
    try:
        orientation = picture_orientation(affine)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error
    size = tuple(int(source.shape[axis]) for axis in orientation.axes)
    return orientation, Geometry.from_affine_ras(orientation.affine(affine, source.shape), size), notes


def _cine(path: Path, image: np.ndarray, geometry: Geometry, source: "nibabel.Nifti1Image", notes: list[Note]) -> Cine:
    timing, time_notes = timing_of(source)
    found = (*notes, *time_notes)
    return Cine(path, image, geometry.array_spacing, geometry, timing=timing, notes=found, nifti=source)


def new_cine(image: np.ndarray, spacing: tuple[float, float, float], frame_interval_ms: float) -> Cine:
    """A cine ``[T, S, H, W]`` of no file: spacing in mm, the first pixel at the origin, axes to L, P, S."""
    between, row, column = spacing
    geometry = Geometry((0.0, 0.0, 0.0), np.eye(3), (column, row, between), image.shape[:0:-1])
    timing, notes = even_timing(frame_interval_ms, len(image))
    return Cine(Path("cine.nii.gz"), image, spacing, geometry, timing, notes=tuple(notes))


def _on_grid(array: np.ndarray, geometry: Geometry, interval_ms: float, start_ms: float = 0) -> "nibabel.Nifti1Image":
    """``[T, S, H, W]`` as an image on ``geometry``, of three axes where T is 1; qform and sform say "scanner"."""
    import nibabel

    voxels = array.T if len(array) > 1 else array[0].T
    image = nibabel.Nifti1Image(voxels, geometry.affine_ras())
    image.header.set_zooms((*geometry.spacing, interval_ms)[: voxels.ndim])
    image.set_sform(image.affine, code=1)
    image.set_qform(image.affine, code=1)
    image.header.set_xyzt_units("mm", "msec")
    image.header["toffset"] = start_ms
    return image


def write_image(path: str | Path, cine: Cine) -> None:
    """Write a cine as ``.nii`` or ``.nii.gz``, atomically: as its file has it, or on its grid if it came from DICOM."""
    _write(Path(path), cine.nifti or _on_grid(cine.image, cine.geometry, *_interval_and_start_ms(cine)))


def write_labels(path: str | Path, labels: np.ndarray, cine: Cine) -> None:
    """Write labels ``[T, S, H, W]`` or ``[S, H, W]`` of ``cine`` as uint8, atomically.

    For a cine from NIfTI the voxels go back to the file's own axes; shape, affine, qform and sform with their codes,
    pixel sizes and frame interval are the file's. Texts and header extensions, which may name the patient, are left
    out. For one from DICOM the axes are column, row, slice and phase, in mm and ms. Raises ``InvalidInputError`` for
    labels that do not fit the cine or a name that does not end in ``.nii`` or ``.nii.gz``.
    """
    array = np.asarray(labels)
    if array.size != cine.image.size or array.shape[-3:] != cine.image.shape[1:] or array.ndim not in (3, 4):
        raise InvalidInputError(f"{path}: labels of shape {array.shape} do not fit an image of {cine.image.shape}")
    array = array.astype(np.uint8).reshape(cine.image.shape)
    if cine.nifti is None:
        image = _on_grid(array, cine.geometry, *_interval_and_start_ms(cine))
    else:
        image = _like_file(array, cine.path, cine.nifti)
    image.header.set_intent("label", name="cardiacseg")
    _write(Path(path), image)


def _interval_and_start_ms(cine: Cine) -> tuple[float, float]:
    """Mean time between frames and that of the first; 0 where they are not known."""
    times = cine.timing.frame_times_ms
    if not times or len(times) < 2:
        return 0.0, 0.0
    return (times[-1] - times[0]) / (len(times) - 1), times[0]


def _like_file(array: np.ndarray, path: Path, source: "nibabel.Nifti1Image") -> "nibabel.Nifti1Image":
    header = source.header.copy()
    header.extensions.clear()
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    header["cal_min"], header["cal_max"] = 0, 0
    for text in ("aux_file", "descrip", *({"db_name", "data_type"} & set(header.keys()))):
        header[text] = b""
    voxels = _grid(path, source)[0].to_file(array).reshape(source.shape)
    return type(source)(voxels, source.affine, header)


def _write(path: Path, image: "nibabel.Nifti1Image") -> None:
    content = image.to_bytes()
    if path.name.endswith(".nii.gz"):
        content = gzip.compress(content, compresslevel=1, mtime=0)
    elif path.suffix != ".nii":
        raise InvalidInputError(f"{path}: wanted a file name that ends in .nii or .nii.gz")
    write_bytes(path, content)
