"""Is an exported graph the network it came from? Compared in probability, in ONNX Runtime, on real shapes."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from cardiacseg.export.onnx import stage_graphs
from cardiacseg.models import SegmentationSystem

TOLERANCE = 1e-3
SLICES = (1, 2, 10, 18)
SIZES = ((144, 144), (96, 128))


class ParityError(RuntimeError):
    """An exported graph differs from its network by more than the tolerance."""


def smooth_image(slices: int, size: tuple[int, int], seed: int) -> torch.Tensor:
    """Blobs in 0..1, ``[1, slices, 1, H, W]``: as smooth as an image, unlike white noise."""
    coarse = torch.rand(slices, 1, size[0] // 8, size[1] // 8, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)[None]


def probabilities(stage: str, outputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """A graph's outputs as probabilities: logits go through the softmax, the rest already are."""
    return [torch.softmax(outputs[0], dim=2), *outputs[1:]] if stage != "locate" else list(outputs)


def shapes(stride: int) -> list[tuple[int, tuple[int, int]]]:
    """Every slice count with every size, the sizes cut to multiples of ``stride``."""
    sizes = [(height // stride * stride, width // stride * stride) for height, width in SIZES]
    return [(slices, size) for slices in SLICES for size in sizes]


@torch.no_grad()
def stage_difference(stage: str, model: SegmentationSystem, path: Path) -> float:
    """Largest difference in probability between ``model``'s stage and the graph at ``path`` over all shapes."""
    import onnxruntime

    graph = stage_graphs(model)[stage].eval()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = 0.0
    for slices, size in shapes(graph.network.stride):
        image = smooth_image(slices, size, seed=slices)
        given = model.seg(image) if stage == "ref" else image
        wanted = graph(given)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        found = [torch.from_numpy(part) for part in session.run(None, {graph.inputs[0]: given.numpy()})]
        for ours, theirs in zip(probabilities(stage, found), probabilities(stage, wanted), strict=True):
            difference = float((ours - theirs).abs().max())
            worst = max(worst, difference if difference == difference else float("inf"))
    return worst


def check_parity(model: SegmentationSystem, folder: Path, stages: Sequence[str] | None = None) -> dict[str, float]:
    """Compare each stage (all that ``model`` has, or ``stages``) with ``folder/STAGE.onnx``; returns the differences.

    Raises :class:`ParityError`.
    """
    differences = {}
    for stage in stages or stage_graphs(model):
        differences[stage] = stage_difference(stage, model, folder / f"{stage}.onnx")
        if not differences[stage] <= TOLERANCE:
            raise ParityError(
                f"{stage}.onnx differs from the PyTorch network by {differences[stage]:.2e} in probability; "
                f"wanted at most {TOLERANCE:.0e}"
            )
    return differences
