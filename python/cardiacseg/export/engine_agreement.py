"""How far 16 bits move the labels, measured without a GPU: each result rounded, in ONNX Runtime, stage by stage."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from cardiacseg.export.engine_graph import engine_graph
from cardiacseg.export.rounding import say_rounding
from cardiacseg.metrics import STRUCTURES
from cardiacseg.training.config import Preprocessing
from cardiacseg.training.data import LabelledStack
from cardiacseg.training.validate import crop_origin, crop_pad, heart_centre, pad_to_multiple

PRESENCE_THRESHOLD = 0.5  # of every bundle that is exported here
Case = tuple[dict[str, np.ndarray], list[np.ndarray]]


@dataclass
class StageAgreement:
    """Sums over stacks: voxels, those with another label, and per structure those here, there and in both.

    Labels are those that the gate lets through, which in both is that of float32. ``gap`` is the largest one, among the
    differing voxels, between the two largest logits in float32; ``difference`` that of probabilities: of presence, or
    the locator's.
    """

    voxels: int = 0
    differing: int = 0
    gap: float = 0.0
    difference: float = 0.0
    counts: np.ndarray = field(default_factory=lambda: np.zeros((3, 2), int))
    worst_dice: float = 1.0

    @property
    def dice(self) -> np.ndarray:
        """Of RV, myocardium and LV over all stacks together."""
        return 2 * self.counts[:, 1] / np.maximum(1, self.counts[:, 0])

    def add(self, found: list[np.ndarray], wanted: list[np.ndarray]) -> None:
        """Count one stack's outputs, in 16 bits and in 32."""
        probabilities = zip(found[-1:], wanted[-1:], strict=True)  # of the locator its only output
        if wanted[0].shape[2] > 1:
            self._add_labels(*(_gated(outputs[0][0], wanted[1:]) for outputs in (found, wanted)))
            probabilities = zip(found[1:], wanted[1:], strict=True)
        for ours, theirs in probabilities:
            self.difference = max(self.difference, float(np.abs(ours - theirs).max()))

    def _add_labels(self, found: np.ndarray, wanted: np.ndarray) -> None:
        ours, theirs = found.argmax(axis=1), wanted.argmax(axis=1)
        differ = ours != theirs
        gaps = np.diff(np.sort(wanted, axis=1)[:, -2:], axis=1)[:, 0]
        self.voxels += differ.size
        self.differing += int(differ.sum())
        self.gap = max(self.gap, float(gaps[differ].max(initial=0)))
        counts = np.array(
            [
                [np.sum(ours == label) + np.sum(theirs == label), np.sum((ours == label) & (theirs == label))]
                for label in STRUCTURES.values()
            ]
        )
        present = counts[:, 0] > 0
        self.worst_dice = min(self.worst_dice, float((2 * counts[present, 1] / counts[present, 0]).min(initial=1.0)))
        self.counts += counts


def _gated(logits: np.ndarray, presence: list[np.ndarray]) -> np.ndarray:
    """``logits`` ``[slices, 4, rows, columns]``, those of structures that are not in a slice out of the running."""
    if not presence:
        return logits
    absent = presence[0][0] <= PRESENCE_THRESHOLD
    return np.concatenate([logits[:, :1], np.where(absent[:, :, None, None], -np.inf, logits[:, 1:])], axis=1)


def measure_agreement(
    files: dict[str, bytes], stacks: Iterable[LabelledStack], preprocessing: Preprocessing, size_multiple: int
) -> dict[str, StageAgreement]:
    """Compare each stage's fp16 graph with its ONNX file, on that stage's input of each stack."""
    wide = {stage: open_graph(content) for stage, content in files.items()}
    narrow = {
        stage: open_graph(say_rounding(engine_graph(content, precision="fp16", plugin=False).onnx))
        for stage, content in files.items()
    }
    found = {stage: StageAgreement() for stage in files}
    for stack in stacks:
        for stage, (inputs, wanted) in stage_cases(wide, stack, preprocessing, size_multiple).items():
            found[stage].add(narrow[stage].run(None, inputs), wanted)
    return found


def open_graph(onnx_file: bytes):
    """The graph in ONNX Runtime, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])


def stage_cases(sessions: dict, stack: LabelledStack, preprocessing: Preprocessing, multiple: int) -> dict[str, Case]:
    """What each stage is given for ``stack``, and gives in float32: the method's order of stages, on the host."""
    coarse = pad_to_multiple(stack.coarse_image.clamp(0, 1), multiple)[None, :, None].numpy()
    heart = sessions["locate"].run(None, {"image": coarse})
    rows, columns = stack.coarse_image.shape[1:]
    window = round(preprocessing.crop_pixels * preprocessing.spacing_mm / preprocessing.locate_spacing_mm)
    origin = crop_origin(heart_centre(heart[0][0, :, 0, :rows, :columns], window), preprocessing)
    image = crop_pad(stack.image.clamp(0, 1), origin, preprocessing.crop_pixels)[None, :, None].numpy()
    seg = sessions["seg"].run(None, {"image": image})
    cases = {"locate": ({"image": coarse}, heart), "seg": ({"image": image}, seg)}
    if "ref" in sessions:
        cases["ref"] = {"seg_logits": seg[0]}, sessions["ref"].run(None, {"seg_logits": seg[0]})
    return cases
