"""Which patients train and which validate."""

import json
import random
from pathlib import Path

from cardiacseg.io.labelled import list_patients, read_split
from cardiacseg.io.output import write_bytes


def split_patients(
    root: Path, splits: Path | None, made: Path, share: float = 0.15, seed: int = 0
) -> tuple[list[str], list[str]]:
    """Patients to train on and to validate on, from the first of these files that is there: ``splits``,
    ``root/splits.json``, ``made``; if none is, ``share`` of the patients, at least one, are drawn to validate.

    Raises ``ValueError`` and ``FileNotFoundError`` as :func:`~cardiacseg.io.labelled.read_split` does, and
    ``ValueError`` where a patient is in both lists or there are too few to draw from.
    """
    beside = Path(root) / "splits.json"
    path = splits or next((file for file in (beside, made) if file.is_file()), None)
    if path is None:
        return draw_split(list_patients(root), share, seed)
    training, validation = read_split(root, "train", path), read_split(root, "val", path)
    both = sorted(set(training) & set(validation))
    if both:
        raise ValueError(f"{path}: wanted patients to train or to validate on, found {', '.join(both)} in both lists")
    return training, validation


def draw_split(patients: list[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Put ``share`` of ``patients`` apart, rounded, at least one; the same for the same patients and seed."""
    if not 0 < share < 1:
        raise ValueError(f"the share of patients to validate on must lie between 0 and 1, got {share}")
    if len(patients) < 2:
        raise ValueError(f"wanted at least 2 patients, one to train and one to validate on, got {len(patients)}")
    count = min(max(round(share * len(patients)), 1), len(patients) - 1)
    validation = set(random.Random(seed).sample(sorted(patients), count))
    return sorted(set(patients) - validation), sorted(validation)


def write_split(path: Path, training: list[str], validation: list[str]) -> None:
    """Write both lists as ``path``. Raises ``FileExistsError`` where it holds other lists."""
    if path.is_file():
        if (read_split(path.parent, "train", path), read_split(path.parent, "val", path)) != (training, validation):
            raise FileExistsError(f"{path} holds another split than is wanted now; give another run folder")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, (json.dumps({"train": training, "val": validation}, indent=1) + "\n").encode())
