"""Which cases a folder holds: ACDC's or nnU-Net's layout, NIfTI files, or one DICOM study in each folder or zip."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.file_kind import kind_of

_NIFTI = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)
_CHANNEL = re.compile(r"_(\d{4})$")
_ACDC = re.compile(r"patient\d+$")
# Files of a folder that are looked into before it counts as one without DICOM.
_LOOKED_INTO = 50


@dataclass(frozen=True)
class Case:
    """``name`` is unique among the cases and fit for a folder's; ``path`` is a file or, for DICOM, also a folder."""

    name: str
    path: Path
    kind: Literal["nifti", "dicom"]
    left_out: str = ""


def find_cases(root: str | Path) -> list[Case]:
    """Every case under ``root``, in order of name.

    - nnU-Net's raw layout: ``imagesTr``, ``imagesTs`` with ``CASE_0000.nii.gz``, of which the first channel is taken.
    - ACDC's: ``patientNNN/patientNNN_4d.nii.gz``, and where that is missing each ``patientNNN_frameNN.nii.gz``; also
      below ``training`` and ``testing``.
    - Else each NIfTI file and each zip in ``root``, and each folder in it that holds DICOM files, at any depth, or
      NIfTI files. A ``root`` whose folders all belong to one DICOM study is one case.

    Files of ACDC's labels (``_gt``) and hidden ones are left out. Raises ``InvalidInputError`` if nothing is found.
    """
    root = Path(root)
    if not root.is_dir():
        raise InvalidInputError(f"{root} is not a folder; wanted a folder of cases")
    found = _nnunet(root) or _acdc(root) or _plain(root)
    if not found:
        raise InvalidInputError(
            f"{root} holds no cases; wanted nnU-Net's or ACDC's layout, NIfTI files, or a DICOM study in each folder"
        )
    return sorted(_with_unique_names(found), key=lambda case: case.name)


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _nifti_files(folder: Path) -> list[Path]:
    files = (path for path in _entries(folder) if _NIFTI.search(path.name) and path.is_file())
    return [path for path in files if not _stem(path).endswith("_gt")]


def _stem(path: Path) -> str:
    return _NIFTI.sub("", path.name)


def _nnunet(root: Path) -> list[Case]:
    folders = [root / name for name in ("imagesTr", "imagesTs") if (root / name).is_dir()]
    if root.name in ("imagesTr", "imagesTs"):
        folders.append(root)
    return [case for folder in folders for case in _first_channels(_nifti_files(folder))]


def _first_channels(files: Iterable[Path]) -> Iterator[Case]:
    for path in files:
        channel = _CHANNEL.search(_stem(path))
        if channel is None or channel[1] == "0000":
            yield Case(_CHANNEL.sub("", _stem(path)), path, "nifti")


def _acdc(root: Path) -> list[Case]:
    bases = [root, *(root / name for name in ("training", "testing") if (root / name).is_dir())]
    patients = [path for base in bases for path in _entries(base) if _ACDC.match(path.name) and path.is_dir()]
    return [case for patient in patients for case in _of_patient(patient)]


def _of_patient(folder: Path) -> list[Case]:
    files = _nifti_files(folder)
    whole = [Case(folder.name, path, "nifti") for path in files if _stem(path) == f"{folder.name}_4d"]
    return whole or [Case(_stem(path), path, "nifti") for path in files if "_frame" in path.name]


def _plain(root: Path) -> list[Case]:
    entries = _entries(root)
    studies = [path for path in entries if path.is_dir() and _first_dicom(path) is not None]
    if _are_one_study(studies) or any(_holds_dicom(path) for path in entries if path.is_file()):
        return [Case(root.resolve().name or "study", root, "dicom")]
    return [case for path in entries for case in _of_entry(path, path in studies)]


def _of_entry(path: Path, is_study: bool) -> list[Case]:
    if path.is_dir():
        files = [] if is_study else _nifti_files(path)
        several = [Case(f"{path.name}_{_stem(file)}", file, "nifti") for file in files]
        return [Case(path.name, path, "dicom")] if is_study else _named_alone(several, path.name)
    if _NIFTI.search(path.name):
        return [] if _stem(path).endswith("_gt") else [Case(_stem(path), path, "nifti")]
    return [Case(path.stem, path, "dicom")] if path.suffix.lower() == ".zip" else []


def _named_alone(cases: list[Case], name: str) -> list[Case]:
    """A folder's only file is called as the folder."""
    return [replace(cases[0], name=name)] if len(cases) == 1 else cases


def _files_below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(place, name) for name in sorted(names))


def _first_dicom(folder: Path) -> Path | None:
    return next((path for path in islice(_files_below(folder), _LOOKED_INTO) if _holds_dicom(path)), None)


def _holds_dicom(path: Path) -> bool:
    try:
        return kind_of(path) == "dicom"
    except InvalidInputError:
        return False


def _are_one_study(folders: list[Path]) -> bool:
    """Whether there are several folders and all hold parts of one study, as scanners' exports have one for a series."""
    if len(folders) < 2:
        return False
    first = _study_of(folders[0])
    return all(_study_of(folder) == first for folder in folders[1:])


def _study_of(folder: Path) -> object:
    """What tells one study from another; the folder itself where its file cannot be read."""
    try:
        from cardiacseg.io.dicom.study_of import study_of

        return study_of(_first_dicom(folder))
    except Exception:  # a damaged file, which fails as a case of its own
        return folder


def _with_unique_names(cases: list[Case]) -> list[Case]:
    """Where two cases have one name (``a.nii`` and ``a.nii.gz``) both get the whole name of their file."""
    taken = Counter(case.name for case in cases)
    unique = [replace(case, name=case.path.name) if taken[case.name] > 1 else case for case in cases]
    again = Counter(case.name for case in unique)
    return [
        replace(case, name=f"{case.path.parent.name}_{case.name}") if again[case.name] > 1 else case for case in unique
    ]
