"""Labelled stacks on disk, in ACDC's or nnU-Net's raw layout.

ACDC's: ``training/patientNNN/patientNNN_frameNN.nii.gz`` with ``..._gt.nii.gz`` beside it, labels as here.
nnU-Net's: ``imagesTr/CASE_0000.nii.gz`` (the first channel is read), ``labelsTr/CASE.nii.gz`` and ``dataset.json``,
whose ``labels`` say which number is which structure. A folder with ``labelsTr`` or ``dataset.json`` is nnU-Net's.
How an image is turned and what is refused is as in :mod:`cardiacseg.io.nifti`; labels are turned as their image.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.checked_json import read_json
from cardiacseg.io.nifti import read_beside, read_nifti
from cardiacseg.io.structure_names import label_mapping

_FRAME = re.compile(r"_(frame\d+|ed|es)$", re.IGNORECASE)


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
    """Every labelled frame under ``root``, of ``patients`` or of all, in order of name.

    The patient of an nnU-Net case is its name without ``_frameNN``, ``_ED`` or ``_ES`` at the end. Raises
    ``FileNotFoundError`` where a patient has no labelled frame, an image is missing, or nothing is found, and
    ``ValueError`` where ``dataset.json`` cannot be used.
    """
    root = Path(root)
    wanted = None if patients is None else sorted(set(patients))
    if wanted == []:
        raise InvalidInputError(f"wanted at least one patient of {root}, got an empty list")
    if (root / "labelsTr").is_dir() or (root / "dataset.json").is_file():
        return _of_patients(_nnunet_frames(root), wanted, root)
    return _acdc_frames(root, wanted)


def _of_patients(frames: list[LabelledFrame], wanted: list[str] | None, root: Path) -> list[LabelledFrame]:
    there = {frame.patient for frame in frames}
    for name in wanted or []:
        if name not in there:
            raise FileNotFoundError(f"{root} has no labelled frame of patient {name}")
    return [frame for frame in frames if wanted is None or frame.patient in wanted]


def _acdc_frames(root: Path, wanted: list[str] | None) -> list[LabelledFrame]:
    base = root / "training" if (root / "training").is_dir() else root
    names = wanted or sorted(path.name for path in base.glob("patient*") if path.is_dir())
    frames = []
    for name in names:
        labelled = sorted((base / name).glob("*_gt.nii*"))
        if not labelled:
            raise FileNotFoundError(f"{base / name} has no *_gt.nii or *_gt.nii.gz file; wanted ACDC's folder layout")
        for path in labelled:
            image = path.with_name(path.name.replace("_gt.nii", ".nii"))
            frames.append(_frame(path.name.split("_gt.nii")[0], name, image, path, {n: n for n in range(4)}))
    if not frames:
        raise FileNotFoundError(f"no patient folders under {base}; wanted ACDC's or nnU-Net's folder layout")
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
        raise FileNotFoundError(f"{root / 'labelsTr'} has no *{ending} file; wanted nnU-Net's raw layout")
    return frames


def _frame(name: str, patient: str, image: Path, labels: Path, mapping: dict[int, int]) -> LabelledFrame:
    if not image.is_file():
        raise FileNotFoundError(f"{labels} has labels but its image {image.name} is missing")
    return LabelledFrame(name, patient, image, labels, mapping)


def read_labelled_frame(frame: LabelledFrame) -> LabelledImage:
    """Read image and labels. Raises ``ValueError`` where they do not fit or a label has no meaning."""
    image = read_nifti(frame.image)
    pixels, truth = image.image, read_beside(frame.labels, image)
    if len(pixels) != 1:
        raise InvalidInputError(f"{frame.image}: wanted one frame, got {len(pixels)}")
    known = np.array(sorted({0, *frame.mapping}))
    unknown = np.setdiff1d(truth, known)
    if len(unknown):
        raise InvalidInputError(f"{frame.labels}: wanted labels {known.tolist()}, got {unknown[:3].tolist()}")
    ours = np.zeros(truth.shape[1:], dtype=np.uint8)
    for theirs, label in frame.mapping.items():
        ours[truth[0] == theirs] = label
    return LabelledImage(np.ascontiguousarray(pixels[0], dtype=np.float32), ours, image.spacing)


def read_split(root: Path, part: str, splits: Path | None = None) -> list[str] | None:
    """Patients of ``part`` ("train" or "val") in ``splits`` (default ``root/splits.json``); ``None`` for "all".

    Raises ``FileNotFoundError`` without the file and ``ValueError`` where it does not list the part's patients.
    """
    if part == "all":
        return None
    path = Path(splits) if splits is not None else Path(root) / "splits.json"
    lists = _read_json(path)
    patients = lists.get(part) if isinstance(lists, dict) else None
    if not isinstance(patients, list) or not patients or not all(isinstance(name, str) for name in patients):
        raise InvalidInputError(f'{path}: wanted a list of patients under "{part}", found none')
    return patients


def _read_json(path: Path):
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    return read_json(path)
