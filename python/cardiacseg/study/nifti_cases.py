"""A case of a batch, and which NIfTI files are cases: not label maps and long axes; frames of a heart are one cine."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cardiacseg.acquisition import UNKNOWN_BODY, Body
from cardiacseg.errors import InvalidInputError
from cardiacseg.io.file_kind import kind_of
from cardiacseg.io.not_grey import is_label_map

_ENDING = re.compile(r"\.(nii|hdr|img)( ?\(\d+\))?(\.(gz|bz2|zst))?$", re.IGNORECASE)
_CHANNEL = re.compile(r"_(\d{4})$")
_LABELS = re.compile(
    r"(^|[_\-. ])(seg|segmentation|labels?|labelmap|masks?|gt|ground_?truth|truth)([_\-. ]|$)", re.IGNORECASE
)
_LONG_AXIS = re.compile(
    r"(^|[_\-. ])((la_?)?[234]_?ch(amber)?|lax?(?=$|[_\-. ](ed|es|cine|4d)))([_\-. ]|$)", re.IGNORECASE
)
_FRAME = re.compile(r"[_\-](frame_?(?P<number>\d+)|(?P<phase>ed|es))$", re.IGNORECASE)
_INFO_ENTRY = re.compile(r"^\s*(ED|ES)\s*:\s*(\d{1,9})\s*$", re.MULTILINE)
_LARGEST_INFO = 1 << 16  # characters


@dataclass(frozen=True)
class Case:
    """``name`` is unique and valid as a folder's name; ``path`` is a file or, for DICOM, also a folder.

    If ``files`` is not empty, only these are read: the NIfTI files of a cine with one file for each frame, or the files
    of one study in a folder of several. ``ed_es`` are the indices of ED and ES among the frames if the data set names
    them; ``body``, ``heart_rate_per_min`` and ``series`` are set if a list of cases has them. ``left_out`` says why
    this is not a case to segment, for example because it is a label map.
    """

    name: str
    path: Path
    kind: Literal["nifti", "dicom"]
    files: tuple[Path, ...] = ()
    ed_es: tuple[int, int] | None = None
    left_out: str = ""
    body: Body = UNKNOWN_BODY
    heart_rate_per_min: float | None = None
    series: str | None = None

    @property
    def source(self) -> Path | tuple[Path, ...]:
        """The file, folder or list of files to read."""
        return self.files or self.path


def is_nifti(path: Path) -> bool:
    """Whether the name is that of a NIfTI file; of a pair of header and image the header alone."""
    ending = _ENDING.search(path.name)
    if ending is None or ending[1].lower() == "img":
        return False
    try:
        return ending[1].lower() == "nii" or kind_of(path) == "nifti"
    except InvalidInputError:
        return False


def stem(path: Path) -> str:
    """The name without its ending and without the number of nnU-Net's first channel."""
    return _ENDING.sub("", path.name).removesuffix("_0000")


def first_channels(files: Sequence[Path]) -> list[Path]:
    """The files without nnU-Net's further channels: ``CASE_0001`` is one only if there is a ``CASE_0000``."""
    first = {stem(path) for path in files if stem(path) != _ENDING.sub("", path.name)}
    return [path for path in files if _CHANNEL.sub("", stem(path)) not in first or not _CHANNEL.search(stem(path))]


def nifti_cases(files: Sequence[Path], name_of: Callable[[Path], str], by_name: bool = True) -> list[Case]:
    """Each file, or the files of each cine, as a case; a file that is not a case has the reason in ``left_out``.

    Label maps are recognized by content, with ``by_name`` also by name, as long axes are.
    """
    reasons = {path: (_reason_in(stem(path)) if by_name else "") or _reason_inside(path) for path in files}
    images = [path for path in files if not reasons[path]]
    cines = {}
    for (folder, prefix), frames in _cines(images).items():
        whole = next(
            (path for path in images if path.parent == folder and stem(path) in (f"{prefix}_4d", prefix)), None
        )
        if whole is None and len(frames) > 1:
            cines[folder / prefix] = frames
        reasons |= {path: f"it is a frame of {whole.name}, which lies beside it" for path in frames if whole}
    grouped = {path for frames in cines.values() for path in frames}
    return [
        *(Case(name_of(name), frames[0], "nifti", tuple(frames), _ed_es(frames)) for name, frames in cines.items()),
        *(Case(name_of(path), path, "nifti", left_out=reasons[path]) for path in files if path not in grouped),
    ]


def _reason_in(name: str) -> str:
    """Why a file of that name is not the image of a short axis; empty if it may be one."""
    if _LABELS.search(name):
        return "it is a label map by its name"
    return "it is a long axis by its name" if _LONG_AXIS.search(name) else ""


def _reason_inside(path: Path) -> str:
    return "it holds labels, not an image" if is_label_map(path) else ""


def _cines(images: Iterable[Path]) -> dict[tuple[Path, str], list[Path]]:
    """Files of single frames, in order, by folder and the part of the name before the frame."""
    found: dict[tuple[Path, str, bool], dict[int, Path]] = {}
    for path in images:
        frame = _FRAME.search(stem(path))
        if frame is not None:
            number = int(frame["number"]) if frame["number"] else ("ed", "es").index(frame["phase"].lower())
            key = (path.parent, stem(path)[: frame.start()], frame["number"] is None)
            found.setdefault(key, {}).setdefault(number, path)
    return {key[:2]: [frames[number] for number in sorted(frames)] for key, frames in found.items()}


def _ed_es(frames: Sequence[Path]) -> tuple[int, int] | None:
    """Which frames are ED and ES: by their names, or by ACDC's ``Info.cfg`` beside them."""
    found = [_FRAME.search(stem(path)) for path in frames]
    if found[0]["phase"]:
        return 0, 1
    numbers = [int(frame["number"]) for frame in found]
    said = {name: int(number) for name, number in _INFO_ENTRY.findall(_info(frames[0].parent))}
    ed, es = said.get("ED"), said.get("ES")
    return (numbers.index(ed), numbers.index(es)) if ed in numbers and es in numbers and ed != es else None


def _info(folder: Path) -> str:
    try:
        with open(folder / "Info.cfg", encoding="utf-8", errors="replace") as file:
            return file.read(_LARGEST_INFO)
    except OSError:
        return ""
