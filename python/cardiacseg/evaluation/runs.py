"""Running a bundle on labelled stacks."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from cardiacseg.evaluation.cases import score_case
from cardiacseg.evaluation.summary import Evaluation
from cardiacseg.io.labelled import find_labelled_frames, read_labelled_frame
from cardiacseg.segmenter import CardiacSegmenter, bundle_folder

Progress = Callable[[int, int], object]


def evaluate(
    model: str | os.PathLike[str],
    root: Path,
    patients: Iterable[str] | None = None,
    progress: Progress | None = None,
    probabilities: bool = False,
) -> Evaluation:
    """Run ``model`` (a bundle's folder or a bundled model's name) on every labelled frame under ``root``.

    ``root`` has ACDC's or nnU-Net's raw layout. With ``probabilities`` calibration is measured too. Raises
    ``FileNotFoundError`` where data are missing, ``ValueError`` where they cannot be used, and the errors of
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
    """The items; ``progress`` is told before each, and at the end, how many are done of how many."""
    for done, item in enumerate(items):
        if progress:
            progress(done, len(items))
        yield item
    if progress:
        progress(len(items), len(items))


def read_manifest(model: str | os.PathLike[str]) -> dict:
    """The manifest of a bundle's folder or of a bundled model, which :class:`CardiacSegmenter` has accepted."""
    return json.loads((bundle_folder(model) / "manifest.json").read_text(encoding="utf-8"))
