"""How much 16 bits change the labels, stage by stage, and how large the values are, measured without a GPU.

For fp16, ONNX Runtime computes with each result rounded; bf16 is that of OpenVINO on this CPU.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import onnx

from cardiacseg.export.engine_graph import engine_graph
from cardiacseg.export.graph_passes import FLOAT, FLOAT16, add_constant, infer_types
from cardiacseg.metrics import STRUCTURES
from cardiacseg.training.config import Preprocessing
from cardiacseg.training.data import LabelledStack
from cardiacseg.training.inference import crop_origin, crop_pad, heart_center, pad_to_multiple


def add_rounding(onnx_file: bytes) -> bytes:
    """A float32 graph that rounds the results of all nodes that are in 16 bits in ``onnx_file``.

    ONNX Runtime computes the 16-bit nodes of a graph on a CPU in 32 bits and leaves out the roundings between them, so
    its results say little about those of a GPU. Here each rounding is a pair of casts, which ONNX Runtime keeps. Sums
    inside a node are in 32 bits, as in a GPU's matrix units. The graph must have standard operators only.
    """
    model = onnx.load_model_from_string(onnx_file)
    narrow = {name for name, kind in infer_types(model).items() if kind.elem_type == FLOAT16}
    nodes = []
    for node in model.graph.node:
        nodes.append(node)
        if node.op_type == "Cast" and node.attribute[0].i == FLOAT:
            node.op_type = "Identity"
            del node.attribute[:]
        elif narrow.intersection(node.output):
            nodes.extend(_round_outputs(node, narrow))
    del model.graph.node[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    for tensor in model.graph.initializer:
        if tensor.data_type == FLOAT16:
            widened = onnx.numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(widened, tensor.name))
    return model.SerializeToString()


def _round_outputs(node: onnx.NodeProto, narrow: set[str]) -> list[onnx.NodeProto]:
    """Rename the node's narrow outputs, and return the casts that compute the old outputs from them."""
    casts = []
    for index, name in enumerate(node.output):
        if name not in narrow:
            continue
        there, back = f"{name}.rounded", name
        if node.op_type == "Cast":  # to 16 bits: it already is the first cast of the pair
            there = node.output[index] = f"{name}.rounded"
        else:
            node.output[index] = f"{name}.exact"
            casts.append(onnx.helper.make_node("Cast", [f"{name}.exact"], [there], to=FLOAT16))
        casts.append(onnx.helper.make_node("Cast", [there], [back], to=FLOAT))
    return casts


PRESENCE_THRESHOLD = 0.5  # of every bundle that is exported here
Case = tuple[dict[str, np.ndarray], list[np.ndarray]]


@dataclass
class StageAgreement:
    """Sums over stacks: voxels, differing voxels, and for each structure its voxels in both results and in common.

    Labels are gated; both results use the gate of float32. ``gap`` is the largest gap, among the differing voxels,
    between the two largest logits in float32. ``difference`` is the largest difference of probabilities: those of
    presence, or the locator's.
    """

    voxels: int = 0
    differing: int = 0
    gap: float = 0.0
    difference: float = 0.0
    counts: np.ndarray = field(default_factory=lambda: np.zeros((3, 2), int))
    worst_dice: float = 1.0

    @property
    def dice(self) -> np.ndarray:
        """Dice of RV, myocardium and LV over all stacks together."""
        return 2 * self.counts[:, 1] / np.maximum(1, self.counts[:, 0])

    def add(self, found: list[np.ndarray], expected: list[np.ndarray]) -> None:
        """Count one stack's outputs, in 16 bits and in 32."""
        probabilities = zip(found[-1:], expected[-1:], strict=True)  # of the locator its only output
        if expected[0].shape[2] > 1:
            self._add_labels(*(_gated(outputs[0][0], expected[1:]) for outputs in (found, expected)))
            probabilities = zip(found[1:], expected[1:], strict=True)
        for ours, theirs in probabilities:
            self.difference = max(self.difference, float(np.abs(ours - theirs).max()))

    def _add_labels(self, found: np.ndarray, expected: np.ndarray) -> None:
        ours, theirs = found.argmax(axis=1), expected.argmax(axis=1)
        differ = ours != theirs
        gaps = np.diff(np.sort(expected, axis=1)[:, -2:], axis=1)[:, 0]
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
    """``logits`` ``[slices, 4, rows, columns]``, -infinity for structures that are absent from a slice."""
    if not presence:
        return logits
    absent = presence[0][0] <= PRESENCE_THRESHOLD
    return np.concatenate([logits[:, :1], np.where(absent[:, :, None, None], -np.inf, logits[:, 1:])], axis=1)


def measure_agreement(
    files: dict[str, bytes],
    stacks: Iterable[LabelledStack],
    preprocessing: Preprocessing,
    size_multiple: int,
    precision: str = "fp16",
) -> dict[str, StageAgreement]:
    """Compare each stage in ``precision``, "fp16" or "bf16", with float32, on that stage's input of each stack."""
    wide = {stage: open_graph(content) for stage, content in files.items()}
    open_narrow = _open_fp16 if precision == "fp16" else OpenVinoGraph
    narrow = {stage: open_narrow(content) for stage, content in files.items()}
    found = {stage: StageAgreement() for stage in files}
    for stack in stacks:
        for stage, (inputs, expected) in stage_cases(wide, stack, preprocessing, size_multiple).items():
            found[stage].add(narrow[stage].run(None, inputs), expected)
    return found


def largest_values(
    files: dict[str, bytes], stacks: Iterable[LabelledStack], preprocessing: Preprocessing, size_multiple: int
) -> dict[str, dict[str, float]]:
    """The largest magnitude over all ``stacks`` of each operator's results, by stage and operator; and of "weights".

    The graphs are those of an engine in fp32, with batch norm folded. "squares of a token" is the largest sum in a
    layer norm, "sum over a map" the largest in a mean.
    """
    wide = {stage: open_graph(content) for stage, content in files.items()}
    graphs = {
        stage: onnx.load_from_string(engine_graph(content, precision="fp32", plugin=False).onnx)
        for stage, content in files.items()
    }
    names = {stage: _add_magnitudes(model) for stage, model in graphs.items()}
    sessions = {stage: open_graph(model.SerializeToString()) for stage, model in graphs.items()}
    found = {stage: {"weights": _largest_weight(model.graph)} for stage, model in graphs.items()}
    for stack in stacks:
        for stage, (inputs, _) in stage_cases(wide, stack, preprocessing, size_multiple).items():
            values = sessions[stage].run(list(names[stage]), inputs)
            for what, value in zip(names[stage].values(), values, strict=True):
                found[stage][what] = max(found[stage].get(what, 0.0), float(value))
    return found


def _largest_weight(graph: onnx.GraphProto) -> float:
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.data_type == FLOAT]
    return max(float(np.abs(weight).max(initial=0)) for weight in weights)


def _add_magnitudes(model: onnx.ModelProto) -> dict[str, str]:
    """Add outputs with the largest magnitude of each float32 result; returns their names, and the operator of each."""
    graph, types = model.graph, infer_types(model)
    last_axis = add_constant(graph, "largest.last_axis", np.array([-1]))
    names: dict[str, str] = {}

    def add(operator: str, inputs: list[str], what: str) -> None:
        made, name = f"{inputs[0]}.{operator}", f"{inputs[0]}.{operator}.largest"
        if name in names:
            return
        graph.node.append(onnx.helper.make_node(operator, inputs, [made]))
        graph.node.append(onnx.helper.make_node("ReduceMax", [made], [name], keepdims=0))
        graph.output.append(onnx.helper.make_tensor_value_info(name, FLOAT, []))
        names[name] = what

    for node in list(graph.node):
        if node.output[0] in types and types[node.output[0]].elem_type == FLOAT:
            add("Abs", [node.output[0]], node.op_type)
        if node.op_type == "LayerNormalization":
            add("ReduceSumSquare", [node.input[0], last_axis], "squares of a token")
        if node.op_type == "ReduceMean":
            add("ReduceL1", list(node.input), "sum over a map")
    return names


def _open_fp16(onnx_file: bytes):
    return open_graph(add_rounding(engine_graph(onnx_file, precision="fp16", plugin=False).onnx))


class OpenVinoGraph:
    """The graph in OpenVINO, compiled for bf16 and for each shape; ``run`` has the signature of ONNX Runtime's."""

    def __init__(self, onnx_file: bytes):
        import openvino

        self._core = openvino.Core()
        self._model = self._core.read_model(onnx_file, b"")
        self._options = {"INFERENCE_PRECISION_HINT": openvino.Type.bf16}
        self._compiled: dict[tuple[int, ...], object] = {}

    def run(self, names: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """All outputs, in the graph's order."""
        (image,) = inputs.values()
        if image.shape not in self._compiled:
            model = self._model.clone()
            model.reshape(list(image.shape))
            self._compiled[image.shape] = self._core.compile_model(model, "CPU", self._options)
        found = self._compiled[image.shape]([image])
        return [np.array(found[index]) for index in range(len(self._model.outputs))]


def open_graph(onnx_file: bytes):
    """The graph in ONNX Runtime, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])


def stage_cases(sessions: dict, stack: LabelledStack, preprocessing: Preprocessing, multiple: int) -> dict[str, Case]:
    """Inputs and float32 outputs of each stage for ``stack``, in the method's order of stages, on the host."""
    coarse = pad_to_multiple(stack.coarse_image.clamp(0, 1), multiple)[None, :, None].numpy()
    heart = sessions["locate"].run(None, {"image": coarse})
    rows, columns = stack.coarse_image.shape[1:]
    window = round(preprocessing.crop_pixels * preprocessing.spacing_mm / preprocessing.locate_spacing_mm)
    origin = crop_origin(heart_center(heart[0][0, :, 0, :rows, :columns], window), preprocessing)
    image = crop_pad(stack.image.clamp(0, 1), origin, preprocessing.crop_pixels)[None, :, None].numpy()
    seg = sessions["seg"].run(None, {"image": image})
    cases = {"locate": ({"image": coarse}, heart), "seg": ({"image": image}, seg)}
    if "ref" in sessions:
        cases["ref"] = {"seg_logits": seg[0]}, sessions["ref"].run(None, {"seg_logits": seg[0]})
    return cases
