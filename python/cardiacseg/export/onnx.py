"""ONNX graphs of the networks: standard operators, float32, opset 20; all axes except the channels are dynamic.

Weights keep their names and values: batch norm is not folded into convolutions and linear layers are not transposed,
so that :mod:`cardiacseg.export.bundle` can read them back. The runtimes do both when they load a graph. The parity
gate compares each exported graph with its network, in probability, in ONNX Runtime, on real shapes.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import nn

from cardiacseg.models import SegmentationSystem

OPSET = 20
# The parity gate of an export: the largest difference in probability, and the shapes that are compared.
TOLERANCE = 1e-3
SLICES = (1, 2, 10, 18)
SIZES = ((144, 144), (96, 128))


class LocateGraph(nn.Module):
    """``image [F, S, 1, h, w]`` to the heart's probability ``[F, S, 1, h, w]``."""

    inputs, outputs, channels = ("image",), ("heart",), 1

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.network(image))


class SegGraph(nn.Module):
    """``image [F, S, 1, h, w]`` to ``logits [F, S, 4, h, w]`` and, with a classifier, ``presence [F, S, 3]``.

    Presence is in probabilities: the classifier's sigmoid is inside.
    """

    inputs, channels = ("image",), 1

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        self.outputs = ("logits", "presence") if network.config.presence_classes else ("logits",)

    def forward(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        output = self.network(image)
        return (output[0], torch.sigmoid(output[1])) if isinstance(output, tuple) else output


class RefGraph(SegGraph):
    """``seg_logits [F, S, 4, h, w]`` to outputs like Seg's; the softmax that computes the probability maps is
    inside."""

    inputs, channels = ("seg_logits",), 4

    def forward(self, seg_logits: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        return super().forward(torch.softmax(seg_logits, dim=2))


def stage_graphs(model: SegmentationSystem) -> dict[str, nn.Module]:
    """The graphs of the stages that ``model`` has, in order of running, by their names in a bundle."""
    graphs = {"locate": LocateGraph(model.locate), "seg": SegGraph(model.seg)}
    return graphs if model.ref is None else {**graphs, "ref": RefGraph(model.ref)}


def example_input(graph: nn.Module, slices: int, size: tuple[int, int], frames: int = 1, seed: int = 0) -> torch.Tensor:
    """A reproducible input of the graph's kind: an image in 0..1, or logits."""
    generator = torch.Generator().manual_seed(seed)
    shape = (frames, slices, graph.channels, *size)
    if graph.channels == 1:
        return torch.rand(shape, generator=generator)
    return 4 * torch.randn(shape, generator=generator)


def export_graph(graph: nn.Module, path: Path, size: tuple[int, int] | None = None) -> None:
    """Write ``graph`` to ``path`` and check it. If ``size`` is given, height and width are fixed.

    Raises ``RuntimeError`` if another axis did not stay dynamic.
    """
    import onnx

    axes = {0: torch.export.Dim("frames", max=4096), 1: torch.export.Dim("slices", max=4096)}
    if size is None:
        # the networks halve the size level by level, so a size must be a multiple of the deepest level's stride
        stride = graph.network.stride
        axes[3] = stride * torch.export.Dim("height_in_strides", max=1024)
        axes[4] = stride * torch.export.Dim("width_in_strides", max=1024)
    program = torch.onnx.export(
        graph.eval(),
        (example_input(graph, 3, size or (3 * stride, 4 * stride), frames=2),),
        dynamo=True,
        opset_version=OPSET,
        optimize=False,
        verbose=False,
        input_names=list(graph.inputs),
        output_names=list(graph.outputs),
        dynamic_shapes=(axes,),
    )
    _simplify(program)
    proto = _without_metadata(program.model_proto)
    onnx.checker.check_model(proto, full_check=True)
    _check_dynamic(proto.graph, list(axes), path)
    onnx.save(proto, str(path))


def _simplify(program: torch.onnx.ONNXProgram) -> None:
    """Fold constants except weights: during folding the weights are inputs of the graph, which are not folded."""
    # it would name each weight that it does not fold
    logging.getLogger("onnx_ir.passes.common.initializer_deduplication").setLevel(logging.ERROR)
    inputs = program.model.graph.inputs
    count = len(inputs)
    inputs.extend(program.model.graph.initializers.values())
    program.optimize()
    del inputs[count:]


def _without_metadata(proto):
    """Remove the exporter's metadata: it holds stack traces with paths of the machine that exported."""
    del proto.metadata_props[:]
    for part in (
        proto.graph,
        *proto.graph.node,
        *proto.graph.initializer,
        *proto.graph.value_info,
        *proto.graph.input,
        *proto.graph.output,
    ):
        del part.metadata_props[:]
        part.doc_string = ""
    return proto


def _check_dynamic(graph, dynamic: list[int], path: Path) -> None:
    for value in (*graph.input, *graph.output):
        axes = value.type.tensor_type.shape.dim
        expected = [axis for axis in dynamic if axis < len(axes)]  # presence has no rows and columns
        fixed = [axis for axis in expected if not axes[axis].dim_param]
        if fixed:
            raise RuntimeError(f"{path.name}: axes {fixed} of {value.name!r} should be dynamic but were exported fixed")


class ParityError(RuntimeError):
    """An exported graph differs from its network by more than the tolerance."""


def smooth_image(slices: int, size: tuple[int, int], seed: int) -> torch.Tensor:
    """Blobs in 0..1, ``[1, slices, 1, H, W]``: as smooth as an image, unlike white noise."""
    coarse = torch.rand(slices, 1, size[0] // 8, size[1] // 8, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)[None]


def probabilities(stage: str, outputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """A graph's outputs as probabilities: logits go through the softmax, the other outputs are probabilities
    already."""
    return [torch.softmax(outputs[0], dim=2), *outputs[1:]] if stage != "locate" else list(outputs)


def shapes(stride: int) -> list[tuple[int, tuple[int, int]]]:
    """Every slice count with every size, the sizes cut to multiples of ``stride``."""
    sizes = [(height // stride * stride, width // stride * stride) for height, width in SIZES]
    return [(slices, size) for slices in SLICES for size in sizes]


@torch.no_grad()
def graph_difference(stage: str, graph: nn.Module, path: Path, inputs: Iterable[torch.Tensor]) -> float:
    """Largest difference in probability over ``inputs`` between ``graph`` and its file; infinite if one is NaN."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = 0.0
    for given in inputs:
        expected = graph(given)
        expected = expected if isinstance(expected, tuple) else (expected,)
        found = [torch.from_numpy(part) for part in session.run(None, {graph.inputs[0]: given.numpy()})]
        for ours, theirs in zip(probabilities(stage, found), probabilities(stage, expected), strict=True):
            difference = float((ours - theirs).abs().max())
            worst = max(worst, difference if difference == difference else float("inf"))
    return worst


@torch.no_grad()
def stage_difference(stage: str, model: SegmentationSystem, path: Path) -> float:
    """Largest difference in probability between ``model``'s stage and the graph at ``path`` over all shapes."""
    graph = stage_graphs(model)[stage].eval()
    images = (smooth_image(slices, size, seed=slices) for slices, size in shapes(graph.network.stride))
    return graph_difference(stage, graph, path, (model.seg(image) if stage == "ref" else image for image in images))


def require_parity(stage: str, difference: float) -> None:
    """Raises :class:`ParityError` if a graph differs from its network by more than :data:`TOLERANCE`."""
    if not difference <= TOLERANCE:
        raise ParityError(
            f"{stage}.onnx differs from the PyTorch network by {difference:.2e} in probability; "
            f"expected at most {TOLERANCE:.0e}"
        )


def check_parity(model: SegmentationSystem, folder: Path, stages: Sequence[str] | None = None) -> dict[str, float]:
    """Compare each stage (all that ``model`` has, or ``stages``) with ``folder/STAGE.onnx``; returns the differences.

    Raises :class:`ParityError`.
    """
    differences = {}
    for stage in stages or stage_graphs(model):
        differences[stage] = stage_difference(stage, model, folder / f"{stage}.onnx")
        require_parity(stage, differences[stage])
    return differences
