"""Reading and writing of images, labels and reports. Libraries of file formats are imported where they are used.

    from cardiacseg.io import read_cine
    cine = read_cine("study.zip")

:func:`read_cine` takes NIfTI and DICOM, :func:`read_nifti` and :func:`read_dicom` one of them; :func:`write_labels`
writes labels of any cine as NIfTI.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.archives import nifti_inside
from cardiacseg.io.budget import Budget
from cardiacseg.io.cine import Cine, Note
from cardiacseg.io.file_kind import kind_of
from cardiacseg.io.geometry import Geometry

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Cine", "Geometry", "Note", "read_cine", "read_dicom", "read_nifti", "write_labels"]

Paths = str | Path | Sequence[str | Path]
Spacing = tuple[float, float, float]


def read_cine(
    path: Paths,
    *,
    series: str | None = None,
    nearest_phase: bool = False,
    latest_retake: bool = False,
    uneven: bool = False,
    spacing: Spacing | None = None,
) -> Cine:
    """Read a cine from a NIfTI file, or from a DICOM folder, file, list of files or DICOMDIR, or a zip or tar of them.

    The type of a file is determined by its content, not by its name. An archive may hold one NIfTI file. A list of
    NIfTI files has one frame in each, as in :func:`cardiacseg.io.nifti.read_frames`. ``spacing`` (slice, row, column),
    in mm, is for NIfTI files only and replaces the file's. The other options are those of :func:`read_dicom`; for NIfTI
    a ``series`` is refused and the others have no effect. Raises ``InvalidInputError`` with one sentence;
    ``DicomError`` is a subclass with a stable code.
    """
    first = path if isinstance(path, (str, Path)) else next(filter(_is_nifti, path[:1]), None)
    kind = None if first is None else kind_of(first)
    budget = Budget()
    inside = nifti_inside(Path(first), budget) if first is not None and kind in ("zip", "tar") else None
    if first is not None and (kind == "nifti" or inside):
        if series is not None:
            raise InvalidInputError(f"{first} is a NIfTI file, which has no series to choose from")
        if inside:
            return _read_held(Path(first), *inside, spacing, budget)
        return read_nifti(path, spacing=spacing) if isinstance(path, (str, Path)) else _read_frames(path, spacing)
    if spacing is not None:
        raise InvalidInputError(f"{path}: a spacing can be given only for NIfTI files; DICOM images have their own")
    return read_dicom(path, series=series, nearest_phase=nearest_phase, latest_retake=latest_retake, uneven=uneven)


def read_nifti(path: str | Path, *, spacing: Spacing | None = None) -> Cine:
    """As :func:`cardiacseg.io.nifti.read_nifti`."""
    from cardiacseg.io import nifti

    return nifti.read_nifti(path, spacing=spacing)


def _is_nifti(path: str | Path) -> bool:
    try:
        return kind_of(path) == "nifti"
    except InvalidInputError:  # read_dicom says what is wrong
        return False


def _read_held(path: Path, name: str, held: bytes, spacing: Spacing | None, budget: Budget) -> Cine:
    from cardiacseg.io import nifti

    return nifti.read_nifti(path, spacing=spacing, held=held, name=f"{name} in {path}", budget=budget)


def _read_frames(paths: Sequence[str | Path], spacing: Spacing | None) -> Cine:
    from cardiacseg.io import nifti

    return nifti.read_frames(paths, spacing=spacing)


def read_dicom(
    path: Paths,
    *,
    series: str | None = None,
    nearest_phase: bool = False,
    latest_retake: bool = False,
    uneven: bool = False,
) -> Cine:
    """As :func:`cardiacseg.io.dicom.read.read_dicom`. Raises ``InvalidInputError`` without the extra ``dicom``."""
    try:
        from cardiacseg.io.dicom import read
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("cardiacseg"):
            raise
        raise InvalidInputError(
            f'reading DICOM needs {error.name}, which is not installed: pip install "cardiacseg[dicom]"'
        ) from error
    return read.read_dicom(path, series=series, nearest_phase=nearest_phase, latest_retake=latest_retake, uneven=uneven)


def write_labels(path: str | Path, labels: "np.ndarray", cine: Cine) -> None:
    """As :func:`cardiacseg.io.nifti.write_labels`."""
    from cardiacseg.io import nifti

    nifti.write_labels(path, labels, cine)
