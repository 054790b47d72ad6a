"""How a NIfTI file's voxels lie in the patient, as far as that can be believed. Needs nibabel."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.cine import Note

if TYPE_CHECKING:
    import nibabel

_MM_PER_UNIT = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
# How far affine and pixel sizes may differ, as a part of the size, and axes from right angles, as sine of the angle.
_SIZE_TOLERANCE, _NOTED_SHEAR, _LARGEST_SHEAR = 1e-3, math.sin(math.radians(0.5)), math.sin(math.radians(3))
_FAR_MM = 1e6
_NO_ORIENTATION = Note(
    "nifti_no_orientation",
    "The file does not say how its axes lie in the patient; they were taken as columns, rows and slices of a picture.",
)


def affine_of(path: str | Path, source: "nibabel.Nifti1Image") -> tuple[np.ndarray, list[Note]]:
    """From voxel to mm (RAS), ``[4, 4]``, and notes.

    sform goes before qform. A file without either is taken as a transverse stack seen from the feet with slices along
    its third axis; so is one whose sform is the unit matrix although its pixel sizes are not 1, as programs write
    that lost the orientation. Raises ``InvalidInputError`` where pixel sizes are no positive numbers or differ from
    the affine's by more than 0.1 %, or where axes are more than 3 degrees from right angles.
    """
    affine, steps = _in_mm(path, source)
    if not _has_orientation(source, affine, steps):
        if max(steps[:2]) > 2 * min(steps[:2]) and steps[2] <= min(steps[:2]):
            raise InvalidInputError(
                f"{path} has no orientation and pixel sizes (x, y, z) of {_numbers(steps)} mm; the third axis must be "
                "the slice axis"
            )
        return np.diag([-steps[0], -steps[1], steps[2], 1.0]), [_NO_ORIENTATION]
    return affine, _shear_notes(path, affine, steps)


def _in_mm(path: str | Path, source: "nibabel.Nifti1Image") -> tuple[np.ndarray, np.ndarray]:
    """The affine that nibabel picks, and the pixel sizes, both in mm."""
    scale = _MM_PER_UNIT[source.header.get_xyzt_units()[0]]
    # nibabel turns a size of zero into 1 without an error, so the header is read once more as it is.
    with source.file_map["image"].get_prepare_fileobj("rb") as file:
        header = type(source).header_class
        stored = header(file.read(header.template_dtype.itemsize), check=False)["pixdim"]
    with np.errstate(all="ignore"):
        steps = np.abs(stored[1:4].astype(np.float64)) * scale
        affine = np.diag([scale, scale, scale, 1.0]) @ source.affine
    if not ((steps > 0) & (steps < _FAR_MM)).all():
        raise InvalidInputError(f"{path} has pixel sizes (x, y, z) of {_numbers(steps)} mm; wanted positive numbers")
    if not (np.abs(affine) < _FAR_MM).all():
        raise InvalidInputError(f"{path} has an affine with values that are no distances in mm")
    return affine, steps


def _numbers(values: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _has_orientation(source: "nibabel.Nifti1Image", affine: np.ndarray, steps: np.ndarray) -> bool:
    coded = int(source.header["sform_code"]) > 0 or int(source.header["qform_code"]) > 0
    return coded and (np.allclose(steps, 1) or not np.array_equal(np.abs(affine[:3, :3]), np.eye(3)))


def _shear_notes(path: str | Path, affine: np.ndarray, steps: np.ndarray) -> list[Note]:
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.allclose(lengths, steps, rtol=_SIZE_TOLERANCE, atol=0):
        raise InvalidInputError(
            f"{path} has voxels of {_numbers(lengths)} mm by its affine and of {_numbers(steps)} mm by its pixel "
            "sizes; wanted one answer, as volumes depend on it"
        )
    directions = affine[:3, :3] / lengths
    shear = float(np.abs(directions.T @ directions - np.eye(3)).max())
    angle = math.degrees(math.asin(min(shear, 1)))
    if shear > _LARGEST_SHEAR:
        raise InvalidInputError(f"{path} has axes {angle:.1f} degrees from right angles; wanted at most 3")
    text = f"The file's axes are {angle:.1f} degrees from right angles; distances were taken along them."
    return [Note("nifti_sheared", text)] if shear > _NOTED_SHEAR else []
