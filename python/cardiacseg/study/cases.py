"""Which cases a folder holds: ACDC's or nnU-Net's layout, NIfTI files, or one DICOM study in each folder or zip."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from itertools import chain, count
from pathlib import Path

from cardiacseg.errors import InvalidInputError
from cardiacseg.study.case import Case
from cardiacseg.study.folder_cases import Without, look_into
from cardiacseg.study.nifti_cases import first_channels, is_nifti, nifti_cases, stem

__all__ = ["Case", "find_cases"]

_IMAGES, _PARTS = ("imagesTr", "imagesTs"), ("training", "testing")
_ACDC = re.compile(r"patient\d+$")
# What ACDC has beside each cine: its labels, and of a cine with all frames ED and ES once more.
_ACDC_BESIDE = re.compile(r"_(gt|frame\d+)$")
_REASONS_SAID = 3
_LONGEST_NAME = 150  # bytes; a file system has 255 for a name


def find_cases(root: str | Path, without: Path | None = None) -> list[Case]:
    """Every case under ``root``, in order of name, also what is left out: :attr:`Case.left_out` says why.

    - nnU-Net's raw layout: ``imagesTr``, ``imagesTs`` with ``CASE_0000.nii.gz``; of several channels the first.
    - ACDC's: ``patientNNN/patientNNN_4d.nii.gz``, and if that is missing all ``patientNNN_frameNN.nii.gz`` as one cine;
      also below ``training`` and ``testing``.
    - Else each NIfTI file and each zip in ``root``, and each folder in it with what lies there at any depth: one case
      for each DICOM study, for each cine in NIfTI files (``_ED`` and ``_ES``, or frames, are one), and for each zip. A
      ``root`` whose folders all belong to one DICOM study is one case. A folder may also have one of these layouts.

    Label maps and long axes are left out; so is a folder that holds no images. Hidden files, the folder ``without``,
    and what ACDC's and nnU-Net's layouts have beside their images, are no cases. Raises ``InvalidInputError`` if there
    is no case but such that are left out.
    """
    root = Path(root)
    if not root.is_dir():
        raise InvalidInputError(f"{root} is not a folder; wanted a folder of cases")
    outside = partial(_is_same, without.resolve()) if without else lambda _: False
    found = _in_layout(root, outside) or _plain(root, outside)
    if all(case.left_out for case in found):
        some = "; ".join(f"{case.name}: {case.left_out}" for case in found[:_REASONS_SAID])
        raise InvalidInputError(
            f"{root} holds no cases; wanted nnU-Net's or ACDC's layout, NIfTI files, or a DICOM study in each folder"
            + (f" (left out: {some})" if some else "")
        )
    return sorted(_with_unique_names(found), key=lambda case: case.name)


def _is_same(other: Path, path: Path) -> bool:
    return path.resolve() == other


def _entries(folder: Path, without: Without) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and not without(path))


def _in_layout(root: Path, without: Without) -> list[Case]:
    """The cases of a folder in nnU-Net's or ACDC's layout; none if it has another one."""
    images = [root / name for name in _IMAGES if (root / name).is_dir()] + [root] * (root.name in _IMAGES)
    if images:
        return [case for folder in images for case in _first_channels(folder, without)]
    bases = [root, *(root / name for name in _PARTS if (root / name).is_dir())]
    folders = [path for base in bases for path in _entries(base, without) if path.is_dir() and path not in bases]
    if not any(_ACDC.match(path.name) for path in folders):
        return []
    cases = [case for base in bases for case in look_into(base, without, deep=False).cases()]
    cases += [case for folder in folders for case in look_into(folder, without).cases()]
    return [case for case in cases if not (case.left_out and _ACDC_BESIDE.search(stem(case.path)))]


def _first_channels(folder: Path, without: Without) -> list[Case]:
    files = [path for path in _entries(folder, without) if path.is_file() and is_nifti(path)]
    return nifti_cases(first_channels(files), stem, by_name=False)


def _plain(root: Path, without: Without) -> list[Case]:
    entries = _entries(root, without)
    layouts = {path: cases for path in entries if path.is_dir() and (cases := _in_layout(path, without))}
    below = [look_into(path, without) for path in entries if path.is_dir() and path not in layouts]
    loose = look_into(root, without, deep=False)
    studies = set(loose.studies).union(*(found.studies for found in below))
    parts = bool(loose.dicom) + sum(bool(found.dicom) for found in below)
    if (loose.dicom and len(studies) < 2) or (parts > 1 and len(studies) == 1):
        return look_into(root, without).cases()
    return [
        *loose.cases(),
        *(case for cases in layouts.values() for case in cases),
        *(case for found in below for case in found.cases()),
    ]


def _with_unique_names(cases: Iterable[Case]) -> list[Case]:
    """Where cases have one name (``a.nii`` and ``a.nii.gz``) each gets the whole name of its file, its folder's too.

    ``summary.csv`` is the table's.
    """
    cases = [replace(case, name=_as_folder(case.name)) for case in cases]
    for longer in (lambda case: case.path.name, lambda case: f"{case.path.parent.name}_{case.name}"):
        taken = Counter(_folded(case.name) for case in cases)
        cases = [
            replace(case, name=_as_folder(longer(case))) if taken[_folded(case.name)] > 1 else case for case in cases
        ]
    taken = {"summary.csv"}
    unique = []
    for case in cases:
        names = chain([case.name], (f"{case.name}-{number}" for number in count(2)))
        name = next(name for name in names if _folded(name) not in taken)
        taken.add(_folded(name))
        unique.append(replace(case, name=name))
    return unique


def _as_folder(name: str) -> str:
    """A name that a folder may have: in UTF-8, and not too long."""
    name = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[:_LONGEST_NAME].decode('utf-8', 'ignore')}-{digest}"


def _folded(name: str) -> str:
    """Equal for names that are one on a disk that does not tell capitals and composed letters apart."""
    return unicodedata.normalize("NFC", name).casefold()
