"""What a bundle's manifest says of its own certainty, fitted to labelled stacks."""

import os
from collections.abc import Sequence

import numpy as np

from cardiacseg.evaluation.calibration import fit_temperature, voxels_near_heart
from cardiacseg.evaluation.quality import fit_quality
from cardiacseg.evaluation.robustness import SPOILINGS
from cardiacseg.evaluation.runs import Progress, read_manifest, with_progress
from cardiacseg.evaluation.trials import run_trials
from cardiacseg.io.labelled import LabelledFrame, read_labelled_frame
from cardiacseg.segmenter import CardiacSegmenter

# A spread of Dice to fit the line to: those that spoil intensities and scale.
QUALITY_SPOILINGS = ("gamma 0.6", "gamma 1.6", "bias field", "noise", "blur", "spacing x 0.8", "spacing x 1.25")


def calibrate(
    model: str | os.PathLike[str], frames: Sequence[LabelledFrame], progress: Progress | None = None
) -> dict[str, object]:
    """``temperature`` and ``quality`` for the manifest of ``model``, a bundle's folder or a bundled model's name.

    The temperature is the one that goes into the manifest: what is found multiplies the bundle's present one. It
    minimises the mean negative log likelihood within 10 mm of the heart. ``quality`` is ``{"intercept", "slope"}`` of
    the line from the stages' mean agreement to mean volume Dice, over the stacks as they are and under
    :data:`QUALITY_SPOILINGS`; ``None`` for a single-stage model. Raises as :func:`evaluate`.
    """
    segmenter = CardiacSegmenter(model, precision="fp32")
    manifest = read_manifest(model)
    temperature = manifest.get("temperature", 1.0) * fit_temperature(*_voxels(segmenter, frames, progress))
    spoilings = {name: SPOILINGS[name] for name in QUALITY_SPOILINGS} if "ref" in manifest["networks"] else {}
    trials = run_trials(segmenter, frames, spoilings, progress=progress) if spoilings else []
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
