"""Running a bundle on labelled stacks: unperturbed, under perturbations, and for calibration."""

import json
import math
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cardiacseg.evaluation.calibration import fit_quality, fit_temperature, quality_validation, voxels_near_heart
from cardiacseg.evaluation.cases import score_case
from cardiacseg.evaluation.image_perturbations import PERTURBATIONS, Perturbation
from cardiacseg.evaluation.summary import Evaluation
from cardiacseg.io.labelled import LabelledFrame, find_labelled_frames, read_labelled_frame
from cardiacseg.metrics import dice_by_structure
from cardiacseg.segmenter import CardiacSegmenter, bundle_folder

Progress = Callable[[int, int], object]
AS_IT_IS = "as it is"
# They change intensities and scale, so that Dice varies enough to fit the line.
QUALITY_PERTURBATIONS = ("gamma 0.6", "gamma 1.6", "bias field", "noise", "blur", "spacing x 0.8", "spacing x 1.25")


def evaluate(
    model: str | os.PathLike[str],
    root: Path,
    patients: Iterable[str] | None = None,
    progress: Progress | None = None,
    probabilities: bool = False,
) -> Evaluation:
    """Run ``model`` (a bundle's folder or a bundled model's name) on every labelled frame under ``root``.

    ``root`` has ACDC's or nnU-Net's raw layout. With ``probabilities`` calibration is measured too. Raises
    ``FileNotFoundError`` if data are missing, ``ValueError`` if they cannot be used, and the errors of
    :class:`CardiacSegmenter`.
    """
    frames = find_labelled_frames(root, patients)
    segmenter = CardiacSegmenter(model, precision="fp32")
    cases = []
    for frame in with_progress(frames, progress):
        stack = read_labelled_frame(frame)
        result = segmenter.run(stack.image, spacing=stack.spacing, probabilities=probabilities)
        cases.append(score_case(frame, stack, result))
    return Evaluation(tuple(cases))


def with_progress(items: Sequence, progress: Progress | None) -> Iterator:
    """The items; ``progress`` gets the number done and the total before each item and at the end."""
    for done, item in enumerate(items):
        if progress:
            progress(done, len(items))
        yield item
    if progress:
        progress(len(items), len(items))


def read_manifest(model: str | os.PathLike[str]) -> dict:
    """The manifest of a bundle's folder or of a bundled model, which :class:`CardiacSegmenter` has accepted."""
    return json.loads((bundle_folder(model) / "manifest.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Trial:
    """One run: patient, perturbation, volume Dice by structure, mean agreement of the stages, predicted quality."""

    name: str
    patient: str
    perturbation: str
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
    perturbations: Mapping[str, Perturbation] = PERTURBATIONS,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Trial]:
    """Run on every frame, unperturbed and under each perturbation.

    Random choices depend only on ``seed``, the frame's name and the perturbation, so a selection of frames or
    perturbations gives the same trials as a run of all of them.
    """
    trials = []
    for frame in with_progress(frames, progress):
        stack = read_labelled_frame(frame)
        for perturbation, perturb in {AS_IT_IS: None, **perturbations}.items():
            random = np.random.default_rng([seed, zlib.crc32(f"{frame.name} {perturbation}".encode())])
            perturbed = perturb(stack, random) if perturb else stack
            result = segmenter.run(perturbed.image, spacing=perturbed.spacing)
            scores = dice_by_structure(result.labels, perturbed.labels)
            agreement, quality = float(result.agreement[0].mean()), float(result.quality[0])
            trials.append(Trial(frame.name, frame.patient, perturbation, scores, agreement, quality))
    return trials


def robustness_summary(trials: list[Trial]) -> dict[str, dict[str, float]]:
    """Mean Dice by structure and over all under each perturbation; ``loss``: by how much the mean is lower than
    without."""
    table: dict[str, dict[str, float]] = {}
    for perturbation in dict.fromkeys(trial.perturbation for trial in trials):
        rows = [trial.dice for trial in trials if trial.perturbation == perturbation]
        means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        table[perturbation] = {**means, "mean": float(np.mean(list(means.values())))}
    whole = table.get(AS_IT_IS, {}).get("mean", math.nan)
    return {perturbation: {**row, "loss": whole - row["mean"]} for perturbation, row in table.items()}


def quality_summary(trials: list[Trial]) -> dict[str, dict[str, float] | None]:
    """:func:`quality_validation` over the unperturbed stacks, and over these and the perturbed ones together."""
    parts = {AS_IT_IS: [trial for trial in trials if trial.perturbation == AS_IT_IS], "with spoilings": trials}
    return {
        part: quality_validation(
            np.array([trial.agreement for trial in rows]),
            np.array([trial.mean_dice for trial in rows]),
            [trial.patient for trial in rows],
        )
        for part, rows in parts.items()
    }


def calibrate(
    model: str | os.PathLike[str], frames: Sequence[LabelledFrame], progress: Progress | None = None
) -> dict[str, object]:
    """``temperature`` and ``quality`` for the manifest of ``model``, a bundle's folder or a bundled model's name.

    The temperature is the one for the manifest: the fitted factor times the bundle's present temperature. It
    minimizes the mean negative log likelihood within 10 mm of the heart. ``quality`` is ``{"intercept", "slope"}`` of
    the line from the stages' mean agreement to mean volume Dice, over the stacks unperturbed and under
    :data:`QUALITY_PERTURBATIONS`; ``None`` for a single-stage model. Raises as :func:`evaluate`.
    """
    segmenter = CardiacSegmenter(model, precision="fp32")
    manifest = read_manifest(model)
    temperature = manifest.get("temperature", 1.0) * fit_temperature(*_voxels(segmenter, frames, progress))
    names = QUALITY_PERTURBATIONS if "ref" in manifest["networks"] else ()
    perturbations = {name: PERTURBATIONS[name] for name in names}
    trials = run_trials(segmenter, frames, perturbations, progress=progress) if perturbations else []
    quality = fit_quality([trial.agreement for trial in trials], [trial.mean_dice for trial in trials])
    return {"temperature": temperature, "quality": quality}


def _voxels(
    segmenter: CardiacSegmenter, frames: Sequence[LabelledFrame], progress: Progress | None
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities ``[N, 4]`` and labels ``[N]`` near the heart, of all frames."""
    found = []
    for frame in with_progress(frames, progress):
        stack = read_labelled_frame(frame)
        result = segmenter.run(stack.image, spacing=stack.spacing, probabilities=True)
        found.append(voxels_near_heart(result.probabilities[0], stack.labels, stack.spacing))
    return np.concatenate([part for part, _ in found]), np.concatenate([part for _, part in found])
