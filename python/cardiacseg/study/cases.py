"""The cases in a folder: in the layout of ACDC or nnU-Net, or found among all files below it."""

import hashlib
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain, count
from pathlib import Path

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.budget import Budget
from cardiacseg.io.file_kind import kind_of
from cardiacseg.io.output import printable
from cardiacseg.study.nifti_cases import Case, first_channels, is_nifti, nifti_cases, stem

# Whether a folder is passed over.
Without = Callable[[Path], bool]
Progress = Callable[[int, int], object]
__all__ = ["Case", "find_cases"]

_IMAGES, _PARTS = ("imagesTr", "imagesTs"), ("training", "testing")
_ACDC = re.compile(r"patient\d+$")
# UK Biobank's bulk files: participant, field, visit, index. Field 20209 is the short axis.
_BIOBANK = re.compile(r"\d+_(?P<field>202\d\d)_\d+_\d+\.zip$")
# What ACDC has beside each cine: its labels, and of a cine with all frames ED and ES once more.
_ACDC_BESIDE = re.compile(r"_(gt|frame\d+)$")
# What lies beside the cases' folders in a batch's results.
RESERVED = ("summary.csv", "frames.csv", "segments.csv", "z_scores.csv", "datapackage.json", "review", "review.html")
_REASONS_SAID = 3
_LONGEST_NAME = 150  # bytes; a file system has 255 for a name


@dataclass
class Found:
    """Files at or below ``path`` by kind; ``problem`` says why the folder could not be searched.

    With ``deep`` these are all files below the folder, except in folders that are ``passed_over``; without it, the
    files directly in the folder. ``unreadable``: broken links, and folders without permission to read.
    """

    path: Path
    deep: bool = True
    nifti: list[Path] = field(default_factory=list)
    dicom: list[Path] = field(default_factory=list)
    archives: list[Path] = field(default_factory=list)
    unreadable: list[Path] = field(default_factory=list)
    passed_over: bool = False
    problem: str = ""

    @cached_property
    def studies(self) -> dict[str, list[Path]]:
        """The DICOM files of each study, the oldest first; empty without the libraries for DICOM."""
        try:
            from cardiacseg.io.dicom.read import files_by_study
        except ModuleNotFoundError:
            return {}
        return files_by_study(self.dicom)

    @property
    def name(self) -> str:
        """The folder's."""
        return self.path.resolve().name or "study"

    def cases(self) -> list[Case]:
        """A case for each study, each cine in NIfTI files and each archive; also what is left out, with the reason."""
        if self.problem:
            return [Case(self.name, self.path, "dicom")]  # reading it gives the same reason
        found = nifti_cases(self.nifti, self._name_of)
        found += [Case(self._name_of(path), path, "dicom", left_out=_other_field(path)) for path in self.archives]
        if self.dicom and self.deep:
            reason = "it lies beside a DICOM study, which is taken"
            return self._dicom_cases() + [replace(case, left_out=case.left_out or reason) for case in found]
        if not self.deep:
            lost = [Case(self._name_of(path), path, "dicom", left_out="it cannot be read") for path in self.unreadable]
            return found + self._dicom_cases() + lost
        if not found:
            lost = f"; {len(self.unreadable)} files or folders in it cannot be read" if self.unreadable else ""
            return [Case(self.name, self.path, "dicom", left_out=f"it holds no NIfTI and no DICOM files{lost}")]
        alone = sum(not case.left_out for case in found) == 1
        return [replace(case, name=self.name) if alone and not case.left_out else case for case in found]

    def _name_of(self, file: Path) -> str:
        """The folder's name and the path from there to the file."""
        end = stem(file) if is_nifti(file) else file.stem
        return "_".join([*([self.name] if self.deep else []), *file.parent.relative_to(self.path).parts, end])

    def _dicom_cases(self) -> list[Case]:
        """A case for each study if the files belong to several studies that reading does not join; else one case."""
        listed = tuple(sorted({path for files in self.studies.values() for path in files}))
        if not self.deep and not listed:
            return []
        files = listed if self.passed_over or not self.deep else ()
        whole = Case(self.name, self.path, "dicom", files)
        problem = _problem(whole.source) if len(self.studies) > 1 else ""
        parts = self._parts() if problem else []
        readable = sum(not part.left_out for part in parts)
        is_split = readable > 1 or (readable == 1 and problem.startswith("E_MIXED_STUDY"))
        return parts if is_split else [whole]

    def _parts(self) -> list[Case]:
        """A case for each study, named after its own folder, or with a number if one folder holds several studies."""
        places = [Path(os.path.commonpath([file.parent for file in files])) for files in self.studies.values()]
        apart = len(set(places)) == len(places) and self.path not in places
        return [
            Case(
                "_".join([self.name, *place.relative_to(self.path).parts]) if apart else f"{self.name}-{number}",
                place,
                "dicom",
                tuple(files),
                left_out=_problem(files),
            )
            for number, (place, files) in enumerate(zip(places, self.studies.values(), strict=True), 1)
        ]


def _problem(source: Path | Sequence[Path]) -> str:
    """Why reading finds no cine in DICOM files; empty if it finds one."""
    from cardiacseg.io.dicom.read import list_groups

    try:
        return list_groups(source).problem or ""
    except InvalidInputError as error:
        return str(error)


def scan_folder(path: Path, without: Without, deep: bool = True) -> Found:
    """All files in the folder ``path`` except hidden ones, with ``deep`` also in the folders below.

    The limit on the files of one input holds for a folder that is searched deep, since it may be one case.
    """
    found, budget = Found(path, deep), Budget()
    try:
        # Links to folders are not followed, because they may form cycles.
        for place, folders, names in os.walk(path, onerror=lambda error: found.unreadable.append(Path(error.filename))):
            shown = sorted(name for name in folders if not name.startswith("."))
            folders[:] = [name for name in shown if deep and not without(Path(place, name))]
            found.passed_over |= deep and len(folders) < len(shown)
            for name in sorted(names):
                if deep:
                    budget.take("files", 1, path.name)
                if not name.startswith("."):
                    _sort_in(Path(place, name), found)
    except InvalidInputError as error:
        found.problem = str(error)
    return found


def _sort_in(file: Path, found: Found) -> None:
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return
    except OSError:  # a broken link; reading the image will report it
        (found.nifti if is_nifti(file) else found.unreadable).append(file)
        return
    try:
        kind = "nifti" if is_nifti(file) else kind_of(file)
    except InvalidInputError:
        return
    if kind == "nifti" and is_nifti(file):
        found.nifti.append(file)
    elif kind == "dicom":
        found.dicom.append(file)
    elif kind == "tar" or (kind == "zip" and file.suffix.lower() in ("", ".zip")):  # not an office document
        found.archives.append(file)


def find_cases(
    root: str | Path, without: Path | None = None, progress: Progress = lambda _done, _total: None
) -> list[Case]:
    """Every case under ``root``, in order of name, including what is left out: :attr:`Case.left_out` says why.

    - nnU-Net's raw layout: ``imagesTr``, ``imagesTs`` with ``CASE_0000.nii.gz``; of several channels the first.
    - ACDC's: ``patientNNN/patientNNN_4d.nii.gz``, and if that is missing all ``patientNNN_frameNN.nii.gz`` as one cine;
      also below ``training`` and ``testing``.
    - Else each NIfTI file and each zip in ``root``, and each folder in it with what lies there at any depth: one case
      for each DICOM study, for each cine in NIfTI files (``_ED`` and ``_ES``, or frames, are one), and for each zip. A
      ``root`` with folders alone that all belong to one DICOM study is one case. A folder may also have one of these
      layouts.

    Label maps, long axes and folders without images are left out. Hidden files, the folder ``without``, and files
    beside the images in the layouts of ACDC and nnU-Net are ignored. ``progress`` is called with the number of folders
    that were searched and of all. Raises ``InvalidInputError`` if there is no case to segment.
    """
    root = Path(root)
    if not root.is_dir():
        raise InvalidInputError(f"{root} is not a folder; expected a folder of cases")
    outside = partial(_is_same, without.resolve()) if without else lambda _: False
    found = _in_layout(root, outside) or _plain(root, outside, progress)
    if all(case.left_out for case in found):
        some = "; ".join(f"{case.name}: {case.left_out}" for case in found[:_REASONS_SAID])
        raise InvalidInputError(
            f"{root} holds no cases; expected nnU-Net's or ACDC's layout, NIfTI files, or a DICOM study in each folder"
            + (f" (left out: {some})" if some else "")
        )
    return sorted(with_unique_names(found), key=lambda case: case.name)


def _is_same(other: Path, path: Path) -> bool:
    return path.resolve() == other


def _entries(folder: Path, without: Without) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and not without(path))


def _in_layout(root: Path, without: Without) -> list[Case]:
    """The cases of a folder in the layout of nnU-Net or ACDC; none if it has another layout."""
    images = [root / name for name in _IMAGES if (root / name).is_dir()] + [root] * (root.name in _IMAGES)
    if images:
        return [case for folder in images for case in _first_channels(folder, without)]
    bases = [root, *(root / name for name in _PARTS if (root / name).is_dir())]
    folders = [path for base in bases for path in _entries(base, without) if path.is_dir() and path not in bases]
    if not any(_ACDC.match(path.name) for path in folders):
        return []
    cases = [case for base in bases for case in scan_folder(base, without, deep=False).cases()]
    cases += [case for folder in folders for case in scan_folder(folder, without).cases()]
    return [case for case in cases if not (case.left_out and _ACDC_BESIDE.search(stem(case.path)))]


def _first_channels(folder: Path, without: Without) -> list[Case]:
    files = [path for path in _entries(folder, without) if path.is_file() and is_nifti(path)]
    return nifti_cases(first_channels(files), stem, by_name=False)


def _plain(root: Path, without: Without, progress: Progress) -> list[Case]:
    entries = _entries(root, without)
    layouts = {path: cases for path in entries if path.is_dir() and (cases := _in_layout(path, without))}
    loose = scan_folder(root, without, deep=False)
    studies, below = set(loose.studies), []
    folders = [path for path in entries if path.is_dir() and path not in layouts]
    for number, path in enumerate(folders, 1):
        below.append(scan_folder(path, without))
        studies.update(below[-1].studies)
        progress(number, len(folders))
    parts = bool(loose.dicom) + sum(bool(found.dicom) for found in below)
    has_files = loose.archives or loose.nifti or layouts  # each a case, so that ``root`` is not one study
    if not has_files and ((loose.dicom and len(studies) < 2) or (parts > 1 and len(studies) == 1)):
        return scan_folder(root, without).cases()
    return [
        *loose.cases(),
        *(case for cases in layouts.values() for case in cases),
        *(case for found in below for case in found.cases()),
    ]


def with_unique_names(cases: Iterable[Case]) -> list[Case]:
    """Cases of the same name (``a.nii``, ``a.nii.gz``) get the file's whole name, if needed with the folder's name.

    The names of a batch's own tables and pages are reserved.
    """
    cases = [replace(case, name=_as_folder(case.name)) for case in cases]
    for longer in (lambda case: case.path.name, lambda case: f"{case.path.parent.name}_{case.name}"):
        taken = Counter(folded(case.name) for case in cases)
        cases = [
            replace(case, name=_as_folder(longer(case))) if taken[folded(case.name)] > 1 else case for case in cases
        ]
    taken = set(RESERVED)
    unique = []
    for case in cases:
        names = chain([case.name], (f"{case.name}-{number}" for number in count(2)))
        name = next(name for name in names if folded(name) not in taken)
        taken.add(folded(name))
        unique.append(replace(case, name=name))
    return unique


def _other_field(archive: Path) -> str:
    """Why a zip of UK Biobank's heart images is not a short-axis cine, by its name; else an empty text."""
    found = _BIOBANK.match(archive.name)
    if found is None or found["field"] == "20209":
        return ""
    return f"it is field {found['field']} of UK Biobank; short-axis cines are field 20209"


def _as_folder(name: str) -> str:
    """A valid name of a folder: in UTF-8, not too long, and printable, so that it is the same in a table."""
    name = printable(name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[:_LONGEST_NAME].decode('utf-8', 'ignore')}-{digest}"


def folded(name: str) -> str:
    """Equal for names that a file system may not distinguish: by case, or by composed letters."""
    return unicodedata.normalize("NFC", name).casefold()
