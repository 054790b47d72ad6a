"""Labelled stacks on disk, in ACDC's or nnU-Net's raw layout.

ACDC's: ``training/patientNNN/patientNNN_frameNN.nii.gz`` with ``..._gt.nii.gz`` beside it, labels as here.
nnU-Net's: ``imagesTr/CASE_0000.nii.gz`` (the first channel is read), ``labelsTr/CASE.nii.gz`` and ``dataset.json``,
whose ``labels`` name the structure of each number. A folder with ``labelsTr`` or ``dataset.json`` is nnU-Net's.
Orientation and refusals are those of :mod:`cardiacseg.io.nifti`; labels are oriented as their image.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.json_files import read_json
from cardiacseg.io.nifti import read_beside, read_nifti

# Only letters and digits, in lower case; MLV and LVM are ACDC's and M&Ms' names of the LV's myocardium, C is a cavity.
NAMES = {
    **dict.fromkeys(("background", "bg"), 0),
    **dict.fromkeys(("rv", "rvc", "rvcavity", "rightventricle", "rightventricularcavity"), 1),
    **dict.fromkeys(("myo", "myocard", "myocardium", "mlv", "lvm", "lvmyo", "lvmyocardium", "leftmyocardium"), 2),
    **dict.fromkeys(("leftventricularmyocardium", "leftventriclemyocardium"), 2),
    **dict.fromkeys(("lv", "lvc", "lvcavity", "leftventricle", "leftventricularcavity"), 3),
}
_TITLES = {1: "RV", 2: "myocardium", 3: "LV"}
_FRAME = re.compile(r"_(frame\d+|ed|es)$", re.IGNORECASE)


def label_mapping(dataset: dict, path: Path) -> dict[int, int]:
    """Label in the files -> 0 background, 1 RV, 2 MYO, 3 LV, from the ``labels`` of ``dataset.json``.

    Both of nnU-Net's forms are read: name -> integer, and integer as a string -> name. Raises ``ValueError`` for a
    name that is not in :data:`NAMES`, a structure that is missing or present twice, and for regions.
    """
    labels = dataset.get("labels") if isinstance(dataset, dict) else None
    if not isinstance(labels, dict) or not labels:
        raise InvalidInputError(f'{path}: expected "labels" with the numbers of RV, myocardium and LV')
    mapping: dict[int, int] = {}
    for number, name in (_number_and_name(key, value, path) for key, value in labels.items()):
        label = _label_of(name, path)
        if number in mapping or (label and label in mapping.values()):
            raise InvalidInputError(f'{path}: "labels" has {number} or {name} twice')
        mapping[number] = label
    missing = [title for label, title in _TITLES.items() if label not in mapping.values()]
    if missing:
        raise InvalidInputError(
            f'{path}: "labels" has no {" and no ".join(missing)}, only {", ".join(map(str, labels))}'
        )
    return mapping


def _number_and_name(key: str, value: object, path: Path) -> tuple[int, str]:
    if isinstance(value, str) and key.isdecimal():
        return int(key), value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value, key
    raise InvalidInputError(f'{path}: expected a name and a number in "labels", got {key!r}: {value!r}')


def _label_of(name: str, path: Path) -> int:
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if plain not in NAMES:
        raise InvalidInputError(f"{path}: label {name!r} is none of RV, myocardium and LV, nor a usual name of theirs")
    return NAMES[plain]


class LabelledFrame(NamedTuple):
    """One labelled frame: its name (``patient001_frame01``), its patient, its files, and label in the file -> 0..3."""

    name: str
    patient: str
    image: Path
    labels: Path
    mapping: dict[int, int]


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """``image`` float32 and ``labels`` uint8 (0..3) are ``[S, H, W]``; ``spacing`` is (slice, row, column) in mm."""

    image: np.ndarray
    labels: np.ndarray
    spacing: tuple[float, float, float]


def list_patients(root: Path) -> list[str]:
    """Every patient with a labelled frame under ``root``, in order; raises as :func:`find_labelled_frames`."""
    return sorted({frame.patient for frame in find_labelled_frames(root)})


def find_labelled_frames(root: Path, patients: Iterable[str] | None = None) -> list[LabelledFrame]:
    """Every labelled frame under ``root``, of ``patients`` or of all patients, in order of name.

    The patient of an nnU-Net case is its name without ``_frameNN``, ``_ED`` or ``_ES`` at the end. Raises
    ``FileNotFoundError`` if a patient has no labelled frame, an image is missing, or nothing is found, and
    ``ValueError`` if ``dataset.json`` cannot be used.
    """
    root = Path(root)
    chosen = None if patients is None else sorted(set(patients))
    if chosen == []:
        raise InvalidInputError(f"expected at least one patient of {root}, got an empty list")
    if (root / "labelsTr").is_dir() or (root / "dataset.json").is_file():
        return _of_patients(_nnunet_frames(root), chosen, root)
    return _acdc_frames(root, chosen)


def _of_patients(frames: list[LabelledFrame], chosen: list[str] | None, root: Path) -> list[LabelledFrame]:
    there = {frame.patient for frame in frames}
    for name in chosen or []:
        if name not in there:
            raise FileNotFoundError(f"{root} has no labelled frame of patient {name}")
    return [frame for frame in frames if chosen is None or frame.patient in chosen]


def _acdc_frames(root: Path, chosen: list[str] | None) -> list[LabelledFrame]:
    base = root / "training" if (root / "training").is_dir() else root
    names = chosen or sorted(path.name for path in base.glob("patient*") if path.is_dir())
    frames = []
    for name in names:
        labelled = sorted((base / name).glob("*_gt.nii*"))
        if not labelled:
            raise FileNotFoundError(f"{base / name} has no *_gt.nii or *_gt.nii.gz file; expected ACDC's folder layout")
        for path in labelled:
            image = path.with_name(path.name.replace("_gt.nii", ".nii"))
            frames.append(_frame(path.name.split("_gt.nii")[0], name, image, path, {n: n for n in range(4)}))
    if not frames:
        raise FileNotFoundError(f"no patient folders under {base}; expected ACDC's or nnU-Net's folder layout")
    return frames


def _nnunet_frames(root: Path) -> list[LabelledFrame]:
    dataset = _read_json(root / "dataset.json")
    mapping = label_mapping(dataset, root / "dataset.json")
    ending = dataset.get("file_ending", ".nii.gz")
    frames = []
    for path in sorted((root / "labelsTr").glob(f"*{ending}")):
        case = path.name.removesuffix(ending)
        image = root / "imagesTr" / f"{case}_0000{ending}"
        frames.append(_frame(case, _FRAME.sub("", case), image, path, mapping))
    if not frames:
        raise FileNotFoundError(f"{root / 'labelsTr'} has no *{ending} file; expected nnU-Net's raw layout")
    return frames


def _frame(name: str, patient: str, image: Path, labels: Path, mapping: dict[int, int]) -> LabelledFrame:
    if not image.is_file():
        raise FileNotFoundError(f"{labels} has labels but its image {image.name} is missing")
    return LabelledFrame(name, patient, image, labels, mapping)


def read_labelled_frame(frame: LabelledFrame) -> LabelledImage:
    """Read image and labels. Raises ``ValueError`` if they do not fit or a label has no meaning."""
    image = read_nifti(frame.image)
    pixels, truth = image.image, read_beside(frame.labels, image)
    if len(pixels) != 1:
        raise InvalidInputError(f"{frame.image}: expected one frame, got {len(pixels)}")
    known = np.array(sorted({0, *frame.mapping}))
    unknown = np.setdiff1d(truth, known)
    if len(unknown):
        raise InvalidInputError(f"{frame.labels}: expected labels {known.tolist()}, got {unknown[:3].tolist()}")
    ours = np.zeros(truth.shape[1:], dtype=np.uint8)
    for theirs, label in frame.mapping.items():
        ours[truth[0] == theirs] = label
    return LabelledImage(np.ascontiguousarray(pixels[0], dtype=np.float32), ours, image.spacing)


def read_split(root: Path, part: str, splits: Path | None = None) -> list[str] | None:
    """Patients of ``part`` ("train" or "val") in ``splits`` (default ``root/splits.json``); ``None`` for "all".

    Raises ``FileNotFoundError`` without the file and ``ValueError`` if it does not list the part's patients.
    """
    if part == "all":
        return None
    path = Path(splits) if splits is not None else Path(root) / "splits.json"
    lists = _read_json(path)
    patients = lists.get(part) if isinstance(lists, dict) else None
    if not isinstance(patients, list) or not patients or not all(isinstance(name, str) for name in patients):
        raise InvalidInputError(f'{path}: expected a list of patients under "{part}", got none')
    return patients


def _read_json(path: Path):
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    return read_json(path)
