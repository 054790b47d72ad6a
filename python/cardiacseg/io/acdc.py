"""ACDC's folder layout: ``training/patientNNN/patientNNN_frameNN.nii.gz`` with ``..._gt.nii.gz`` beside it."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class LabelledFrame(NamedTuple):
    """One labelled frame: its name (``patient001_frame01``) and the paths of image and labels."""

    name: str
    image: Path
    labels: Path


def find_labelled_frames(root: Path, patients: Iterable[str] | None = None) -> list[LabelledFrame]:
    """Every labelled frame under ``root/training`` or ``root`` itself, of ``patients`` or of all, in order of name.

    Raises ``FileNotFoundError`` where a patient has no labelled frame, an image is missing, or nothing is found.
    """
    base = root / "training" if (root / "training").is_dir() else root
    names = sorted(patients) if patients is not None else sorted(p.name for p in base.glob("patient*") if p.is_dir())
    frames = []
    for name in names:
        labelled = sorted((base / name).glob("*_gt.nii*"))
        if not labelled:
            raise FileNotFoundError(f"{base / name} has no *_gt.nii or *_gt.nii.gz file; wanted ACDC's folder layout")
        for path in labelled:
            image = path.with_name(path.name.replace("_gt", ""))
            if not image.is_file():
                raise FileNotFoundError(f"{path} has labels but its image {image.name} is missing")
            frames.append(LabelledFrame(path.name.split("_gt")[0], image, path))
    if not frames:
        raise FileNotFoundError(f"no patient folders under {base}; wanted ACDC's folder layout")
    return frames
