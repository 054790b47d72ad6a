"""Runs on spoiled stacks: how far Dice falls, and whether the predicted quality notices."""

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cardiacseg.evaluation.quality import quality_validation
from cardiacseg.evaluation.robustness import SPOILINGS, Spoiling
from cardiacseg.evaluation.runs import Progress, with_progress
from cardiacseg.io.labelled import LabelledFrame, read_labelled_frame
from cardiacseg.metrics import dice_by_structure
from cardiacseg.segmenter import CardiacSegmenter

AS_IT_IS = "as it is"


@dataclass(frozen=True)
class Trial:
    """One run: the patient, the spoiling, volume Dice by structure, mean agreement of the stages, predicted quality."""

    name: str
    patient: str
    spoiling: str
    dice: dict[str, float]
    agreement: float
    quality: float

    @property
    def mean_dice(self) -> float:
        """Mean over the structures."""
        return float(np.mean(list(self.dice.values())))


def run_trials(
    segmenter: CardiacSegmenter,
    frames: Sequence[LabelledFrame],
    spoilings: Mapping[str, Spoiling] = SPOILINGS,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Trial]:
    """Run on every frame as it is and under each spoiling.

    What is random follows from ``seed``, the frame's name and the spoiling alone, so a selection of frames or
    spoilings gives the same trials as all of them.
    """
    trials = []
    for frame in with_progress(frames, progress):
        stack = read_labelled_frame(frame)
        for spoiling, spoil in {AS_IT_IS: None, **spoilings}.items():
            random = np.random.default_rng([seed, zlib.crc32(f"{frame.name} {spoiling}".encode())])
            spoiled = spoil(stack, random) if spoil else stack
            result = segmenter.run(spoiled.image, spacing=spoiled.spacing)
            scores = dice_by_structure(result.labels, spoiled.labels)
            agreement, quality = float(result.agreement[0].mean()), float(result.quality[0])
            trials.append(Trial(frame.name, frame.patient, spoiling, scores, agreement, quality))
    return trials


def robustness_summary(trials: list[Trial]) -> dict[str, dict[str, float]]:
    """Mean Dice by structure and over all under each spoiling, and ``loss``, the mean's fall from the stacks as is."""
    table: dict[str, dict[str, float]] = {}
    for spoiling in dict.fromkeys(trial.spoiling for trial in trials):
        rows = [trial.dice for trial in trials if trial.spoiling == spoiling]
        means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        table[spoiling] = {**means, "mean": float(np.mean(list(means.values())))}
    whole = table.get(AS_IT_IS, {}).get("mean", math.nan)
    return {spoiling: {**row, "loss": whole - row["mean"]} for spoiling, row in table.items()}


def quality_summary(trials: list[Trial]) -> dict[str, dict[str, float] | None]:
    """:func:`quality_validation` over the stacks as they are, and over those and the spoiled ones together."""
    parts = {AS_IT_IS: [trial for trial in trials if trial.spoiling == AS_IT_IS], "with spoilings": trials}
    return {
        part: quality_validation(
            np.array([trial.agreement for trial in rows]),
            np.array([trial.mean_dice for trial in rows]),
            [trial.patient for trial in rows],
        )
        for part, rows in parts.items()
    }
