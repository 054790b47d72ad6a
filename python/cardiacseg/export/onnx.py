"""ONNX graphs of the networks: standard operators, float32, opset 20, every axis but the channels dynamic."""

from pathlib import Path

import torch
from torch import nn

from cardiacseg.models.seg_ref import SegRef

OPSET = 20
DYNAMIC_AXES = ("frames", "slices", "height", "width")


class LocateGraph(nn.Module):
    """``image [F, S, 1, h, w]`` to the heart's probability ``[F, S, 1, h, w]``."""

    inputs, outputs, channels = ("image",), ("heart",), 1

    def __init__(self, model: SegRef):
        super().__init__()
        self.network = model.locate

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.network(image))


class SegGraph(nn.Module):
    """``image [F, S, 1, h, w]`` to ``logits [F, S, 4, h, w]``."""

    inputs, outputs, channels = ("image",), ("logits",), 1

    def __init__(self, model: SegRef):
        super().__init__()
        self.network = model.seg

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.network(image)


class RefGraph(nn.Module):
    """``seg_logits [F, S, 4, h, w]`` to ``logits`` of the same shape and ``presence [F, S, 3]``, probabilities.

    The softmax that makes Ref's input, the probability maps, is inside, and so is the classifier's sigmoid.
    """

    inputs, outputs, channels = ("seg_logits",), ("logits", "presence"), 4

    def __init__(self, model: SegRef):
        super().__init__()
        self.network = model.ref

    def forward(self, seg_logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits, presence_logits = self.network(torch.softmax(seg_logits, dim=2))
        return logits, torch.sigmoid(presence_logits)


GRAPHS = {"locate": LocateGraph, "seg": SegGraph, "ref": RefGraph}


def example_input(graph: nn.Module, slices: int, size: tuple[int, int], frames: int = 1, seed: int = 0) -> torch.Tensor:
    """A reproducible input of the graph's kind: an image in 0..1, or logits."""
    generator = torch.Generator().manual_seed(seed)
    shape = (frames, slices, graph.channels, *size)
    if graph.channels == 1:
        return torch.rand(shape, generator=generator)
    return 4 * torch.randn(shape, generator=generator)


def export_graph(graph: nn.Module, path: Path) -> None:
    """Write ``graph`` to ``path`` and check it. Raises ``RuntimeError`` if an axis did not stay dynamic."""
    import onnx

    frames, slices = torch.export.Dim("frames", max=4096), torch.export.Dim("slices", max=4096)
    # the networks halve the size level by level, so that a size is a multiple of the deepest level's stride
    stride = graph.network.config.stride
    height = stride * torch.export.Dim("height_in_strides", max=1024)
    width = stride * torch.export.Dim("width_in_strides", max=1024)
    program = torch.onnx.export(
        graph.eval(),
        (example_input(graph, 3, (3 * stride, 4 * stride), frames=2),),
        dynamo=True,
        opset_version=OPSET,
        optimize=True,
        verbose=False,
        input_names=list(graph.inputs),
        output_names=list(graph.outputs),
        dynamic_shapes=({0: frames, 1: slices, 3: height, 4: width},),
    )
    proto = _without_metadata(program.model_proto)
    onnx.checker.check_model(proto, full_check=True)
    _check_dynamic(proto.graph, path)
    onnx.save(proto, str(path))


def _without_metadata(proto):
    """Drop the exporter's notes: they hold stack traces with paths of the machine that exported."""
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


def _check_dynamic(graph, path: Path) -> None:
    for value in (*graph.input, *graph.output):
        axes = value.type.tensor_type.shape.dim
        wanted = [0, 1] if len(axes) == 3 else [0, 1, 3, 4]
        fixed = [axis for axis in wanted if not axes[axis].dim_param]
        if fixed:
            raise RuntimeError(f"{path.name}: axes {fixed} of {value.name!r} should be dynamic but were exported fixed")
