"""Labelled stacks on disk, their preprocessing for training, and the split into training and validation patients."""

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from cardiacseg.io.labelled import find_labelled_frames, list_patients, read_labelled_frame, read_split
from cardiacseg.io.output import write_bytes
from cardiacseg.training.config import Preprocessing


class SoftLabels(NamedTuple):
    """Teachers' soft labels of a stack: float16 probabilities ``[3, S, h, w]`` of RV, MYO and LV in a crop whose first
    pixel is ``origin`` (row, column) of the stack, and presence ``[S, 3]``."""

    probability: torch.Tensor
    presence: torch.Tensor
    origin: tuple[int, int]


@dataclass(frozen=True)
class LabelledStack:
    """One frame of one patient. ``image`` float32 and ``labels`` uint8 are ``[S, H, W]`` at the model's spacing.

    ``image`` is normalized but not yet clipped. ``coarse_image`` and ``coarse_heart`` are the whole field of view
    at the locator's spacing; ``coarse_heart`` is the fraction of each coarse pixel that belongs to the heart.
    ``soft`` is None without teachers.
    """

    name: str
    image: torch.Tensor
    labels: torch.Tensor
    coarse_image: torch.Tensor
    coarse_heart: torch.Tensor
    soft: SoftLabels | None = None

    @property
    def slices(self) -> int:
        """Number of slices."""
        return self.image.shape[0]

    def heart_boxes(self) -> torch.Tensor:
        """First and last row, first and last column ``[S, 4]`` of each slice's labels; (inf, -inf) if it has none."""
        boxes = []
        for axis in (2, 1):
            filled = self.labels.amax(dim=axis) > 0
            places = torch.arange(filled.shape[1], dtype=torch.float32)
            boxes += [places.where(filled, torch.inf).amin(dim=1), places.where(filled, -torch.inf).amax(dim=1)]
        return torch.stack(boxes, dim=1)

    def heart_center(self) -> tuple[float, float]:
        """Center (row, column) in pixels of the bounding box of all labels; the middle if there are none."""
        return boxes_center(self.heart_boxes(), self.labels.shape[1:])


def boxes_center(boxes: torch.Tensor, size: tuple[int, int]) -> tuple[float, float]:
    """Center (row, column) of the box around ``boxes`` of slices of ``size`` pixels; the middle if all are empty."""
    top, left = boxes[:, [0, 2]].amin(dim=0).tolist()
    bottom, right = boxes[:, [1, 3]].amax(dim=0).tolist()
    if bottom < top:
        return (size[0] - 1) / 2, (size[1] - 1) / 2
    return (top + bottom) / 2, (left + right) / 2


def resample_plane(stack: torch.Tensor, ratio: tuple[float, float]) -> torch.Tensor:
    """Resample float ``[S, H, W]`` linearly and anti-aliased; ``ratio`` is old over new spacing (row, column).

    The outer edges of the first pixels coincide, as in the runtime's ``resample``.
    """
    size = [max(1, round(length * factor)) for length, factor in zip(stack.shape[1:], ratio, strict=True)]
    padded = functional.interpolate(
        stack[:, None], scale_factor=ratio, mode="bilinear", antialias=True, recompute_scale_factor=False
    )[:, 0]
    missing = [expected - found for expected, found in zip(size, padded.shape[1:], strict=True)]
    return functional.pad(padded[None], (0, missing[1], 0, missing[0]), mode="replicate")[0]


def normalize(stack: torch.Tensor, percentiles: tuple[float, float]) -> torch.Tensor:
    """Map the two percentiles of the whole stack to 0 and 1 without clipping."""
    low, high = np.percentile(stack.numpy(), percentiles)
    return (stack - float(low)) / max(float(high - low), 1e-6)


def prepare_stack(
    name: str, image: np.ndarray, labels: np.ndarray, spacing: tuple[float, float], preprocessing: Preprocessing
) -> LabelledStack:
    """Bring an image and its labels ``[S, H, W]`` with in-plane ``spacing`` (row, column) in mm to the model's grid."""
    pixels = normalize(torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)), preprocessing.percentiles)
    truth = torch.from_numpy(np.ascontiguousarray(labels)).long()
    fine = tuple(mm / preprocessing.spacing_mm for mm in spacing)
    coarse = tuple(mm / preprocessing.locate_spacing_mm for mm in spacing)
    fractions = torch.stack([resample_plane((truth == label).float(), fine) for label in range(4)])
    return LabelledStack(
        name=name,
        image=resample_plane(pixels, fine).clamp(-0.5, 2.0),
        labels=fractions.argmax(dim=0).to(torch.uint8),
        coarse_image=resample_plane(pixels, coarse).clamp(-0.5, 2.0),
        coarse_heart=resample_plane((truth > 0).float(), coarse),
    )


def load_stacks(root: Path, patients: Iterable[str] | None, preprocessing: Preprocessing) -> list[LabelledStack]:
    """Read and prepare every labelled frame of ``patients`` (all of them if None) under ``root``."""
    stacks = []
    for frame in find_labelled_frames(root, patients):
        read = read_labelled_frame(frame)
        stacks.append(prepare_stack(frame.name, read.image, read.labels, read.spacing[1:], preprocessing))
    return stacks


def phantom_stacks(count: int, preprocessing: Preprocessing) -> list[LabelledStack]:
    """Three frames of each of ``count`` synthetic hearts that differ in anatomy, number of slices and pixel size."""
    from cardiacseg.phantom import beating_heart

    stacks = []
    for number in range(count):
        random = np.random.default_rng(number)
        pixel = float(random.uniform(1.2, 1.7))
        slices = int(random.integers(8, 13))
        # seeds from 1000 on: none of them is a demonstration's
        phantom = beating_heart(
            frames=3, slices=slices, size=(208, 232), spacing=(8.0, pixel, pixel), seed=1000 + number
        )
        for frame in range(3):
            stacks.append(
                prepare_stack(
                    f"phantom{number:03d}_frame{frame:02d}",
                    phantom.image[frame],
                    phantom.labels[frame],
                    (pixel, pixel),
                    preprocessing,
                )
            )
    return stacks


def split_patients(
    root: Path, splits: Path | None, drawn: Path, fraction: float = 0.15, seed: int = 0
) -> tuple[list[str], list[str]]:
    """Patients to train on and to validate on, from the first of these files that exists: ``splits``,
    ``root/splits.json``, ``drawn``. Without any, ``fraction`` of the patients, at least one, are drawn to validate on.

    Raises ``ValueError`` and ``FileNotFoundError`` as :func:`~cardiacseg.io.labelled.read_split` does, and
    ``ValueError`` if a patient is in both lists or there are too few to draw from.
    """
    beside = Path(root) / "splits.json"
    path = splits or next((file for file in (beside, drawn) if file.is_file()), None)
    if path is None:
        return draw_split(list_patients(root), fraction, seed)
    training, validation = read_split(root, "train", path), read_split(root, "val", path)
    both = sorted(set(training) & set(validation))
    if both:
        raise ValueError(f"{path}: expected each patient in one list, got {', '.join(both)} in both")
    return training, validation


def draw_split(patients: list[str], fraction: float, seed: int) -> tuple[list[str], list[str]]:
    """Draw ``fraction`` of ``patients``, rounded, at least one, to validate on; reproducible by ``seed``."""
    if not 0 < fraction < 1:
        raise ValueError(f"the fraction of patients to validate on must lie between 0 and 1, got {fraction}")
    if len(patients) < 2:
        raise ValueError(f"expected at least 2 patients, one to train and one to validate on, got {len(patients)}")
    count = min(max(round(fraction * len(patients)), 1), len(patients) - 1)
    validation = set(random.Random(seed).sample(sorted(patients), count))
    return sorted(set(patients) - validation), sorted(validation)


def write_split(path: Path, training: list[str], validation: list[str]) -> None:
    """Write both lists to ``path``. Raises ``FileExistsError`` if the file holds other lists."""
    if path.is_file():
        if (read_split(path.parent, "train", path), read_split(path.parent, "val", path)) != (training, validation):
            raise FileExistsError(f"{path} holds another split than this run's; give another run folder")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, (json.dumps({"train": training, "val": validation}, indent=1) + "\n").encode())
