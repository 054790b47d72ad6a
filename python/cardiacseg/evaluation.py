"""Accuracy of a bundle on labelled stacks, through the runtime and on the images' own grids."""

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cardiacseg.io.acdc import find_labelled_frames
from cardiacseg.metrics import LEVELS, STRUCTURES, dice_by_level, dice_by_structure, presence_of, presence_rates
from cardiacseg.segmenter import CardiacSegmenter


@dataclass(frozen=True)
class CaseScore:
    """One stack: volume Dice by structure, Dice by slice level and structure, and who is where in its slices."""

    name: str
    dice: dict[str, float]
    dice_by_level: dict[str, dict[str, float]]
    present: np.ndarray
    expected: np.ndarray


@dataclass(frozen=True)
class Evaluation:
    """Scores of all stacks."""

    cases: tuple[CaseScore, ...]

    def summary(self) -> dict:
        """Means over stacks, JSON-ready: Dice of whole stacks and by level, presence accuracy and error rates."""
        by_level = {
            level: [case.dice_by_level[level] for case in self.cases if level in case.dice_by_level] for level in LEVELS
        }
        scores = {"volume": [case.dice for case in self.cases], **by_level}
        present = np.concatenate([case.present for case in self.cases])
        expected = np.concatenate([case.expected for case in self.cases])
        return {
            "patients": len({case.name.split("_")[0] for case in self.cases}),
            "stacks": len(self.cases),
            "dice": {part: _mean(rows) for part, rows in scores.items() if rows},
            "presence_accuracy": float((present == expected).mean()),
            "presence": {
                name: {rate: None if math.isnan(value) else round(value, 4) for rate, value in rates.items()}
                for name, rates in presence_rates(present, expected).items()
            },
        }


def _mean(rows: list[dict[str, float]]) -> dict[str, float]:
    means = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in STRUCTURES}
    return {**means, "mean": round(float(np.mean(list(means.values()))), 4)}


def evaluate(
    model: str | os.PathLike[str],
    root: Path,
    patients: Iterable[str] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """Run ``model`` (a bundle's folder or a bundled model's name) on every labelled frame under ``root``.

    ``root`` has ACDC's layout; slices are base first. Raises ``FileNotFoundError`` where data are missing and the
    errors of :class:`CardiacSegmenter`.
    """
    from cardiacseg.io.nifti import read_nifti

    frames = find_labelled_frames(root, patients)
    segmenter = CardiacSegmenter(model)
    cases = []
    for done, frame in enumerate(frames):
        if progress:
            progress(done, len(frames))
        image, truth = read_nifti(frame.image), read_nifti(frame.labels).image[0]
        result = segmenter.run(image.image[0], spacing=image.spacing)
        cases.append(
            CaseScore(
                frame.name,
                dice_by_structure(result.labels, truth),
                dice_by_level(result.labels, truth),
                presence_of(result.labels),
                presence_of(truth),
            )
        )
    return Evaluation(tuple(cases))
