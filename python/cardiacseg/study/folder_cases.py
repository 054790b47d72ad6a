"""Which cases a folder or a file holds, whatever its layout: looked for in all files below it, as reading does."""

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.budget import Budget
from cardiacseg.io.file_kind import kind_of
from cardiacseg.study.case import Case
from cardiacseg.study.nifti_cases import is_nifti, nifti_cases, stem

# Whether a folder is passed over.
Without = Callable[[Path], bool]


@dataclass
class Found:
    """Files at or below ``path``, by what they are; ``problem`` says why it could not be looked through.

    With ``deep`` they are all files of one folder among the cases, but those in a folder that is ``passed_over``; else
    those that lie beside such folders. ``unreadable`` are links that lead nowhere and folders that may not be read.
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
            from cardiacseg.io.dicom.study_of import files_by_study
        except ModuleNotFoundError:
            return {}
        return files_by_study(self.dicom)

    @property
    def name(self) -> str:
        """The folder's."""
        return self.path.resolve().name or "study"

    def cases(self) -> list[Case]:
        """One of each study, of each cine in NIfTI files and of each archive, and what is left out, with the reason."""
        if self.problem:
            return [Case(self.name, self.path, "dicom")]  # which fails for the same reason
        found = nifti_cases(self.nifti, self._name_of)
        found += [Case(self._name_of(path), path, "dicom") for path in self.archives]
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
        """The folder's name and all that leads from there to the file."""
        end = stem(file) if is_nifti(file) else file.stem
        return "_".join([*([self.name] if self.deep else []), *file.parent.relative_to(self.path).parts, end])

    def _dicom_cases(self) -> list[Case]:
        """A study each, where the files are of several and reading does not take them for one."""
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
        """A case for each study, named after its own folder, or with a number where studies share one."""
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
    """Why reading takes no cine out of DICOM files; empty if it does."""
    from cardiacseg.io.dicom.read import list_groups

    try:
        return list_groups(source).problem or ""
    except InvalidInputError as error:
        return str(error)


def look_into(path: Path, without: Without, deep: bool = True) -> Found:
    """All files in the folder ``path`` but hidden ones, with ``deep`` also in the folders below."""
    found, budget = Found(path, deep), Budget()
    try:
        # Links to folders are not followed: they may lead in circles.
        for place, folders, names in os.walk(path, onerror=lambda error: found.unreadable.append(Path(error.filename))):
            shown = sorted(name for name in folders if not name.startswith("."))
            folders[:] = [name for name in shown if deep and not without(Path(place, name))]
            found.passed_over |= deep and len(folders) < len(shown)
            for name in sorted(names):
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
    except OSError:  # a link that leads nowhere; reading an image will say so
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
    elif kind == "tar" or (kind == "zip" and file.suffix.lower() in ("", ".zip")):  # not a document of an office
        found.archives.append(file)
