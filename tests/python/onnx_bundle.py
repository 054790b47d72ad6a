"""Bundles of pointwise networks, made of a few ONNX operators in milliseconds, and what they must give, in NumPy."""

import hashlib
import json

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper
from scipy import special

SIDE = 32
CENTERS = np.array([0.15, 0.4, 0.6, 0.85], np.float32)
SEG_WEIGHT, SEG_BIAS = 60 * CENTERS, -30 * CENTERS**2
WINDOW_WEIGHT = np.array([-4, -1, 2, 5], np.float32)
WINDOW_BIAS, WINDOW_SHARE = np.array([0, 1, 0.5, -2], np.float32), np.array([3, -8, 2, -6], np.float32)
REF_WEIGHT, REF_BIAS = np.array([7, 5, 6, 8], np.float32), np.array([0.3, 0.8, 0, -0.5], np.float32)
SEG_PRESENCE = np.array([[9, -9, 4]], np.float32), np.array([-4, 4.5, -2], np.float32)
REF_PRESENCE = (
    np.array([[0, 0, 0], [30, 0, 5], [0, -20, 0], [-9, 0, 30]], np.float32),
    np.array([-4, 4, -6], np.float32),
)


def _graph(path, channels, nodes, constants, outputs):
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["F", "S", channels, "H", "W"])
    shapes = {"presence": ["F", "S", 3]}
    named = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes.get(name, ["F", "S", None, "H", "W"]))
        for name in outputs
    ]
    values = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, path.stem, [image], named, values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def _affine(source, target, weight, bias):
    constants = {"weight": weight.reshape(-1, 1, 1), "bias": bias.reshape(-1, 1, 1)}
    nodes = [
        helper.make_node("Mul", [source, "weight"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], [target]),
    ]
    return nodes, constants


def _presence(source, rule):
    constants = {"axes": np.array([3, 4]), "matrix": rule[0], "offset": rule[1]}
    nodes = [
        helper.make_node("ReduceMean", [source, "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "matrix"], ["product"]),
        helper.make_node("Add", ["product", "offset"], ["presence_logits"]),
        helper.make_node("Sigmoid", ["presence_logits"], ["presence"]),
    ]
    return nodes, constants


def write_seg(path, presence=False, outputs=None, labels=4):
    """Logits that are highest for intensities next to a label's center; presence from each slice's mean."""
    nodes, constants = _affine("input", "logits", SEG_WEIGHT[:labels], SEG_BIAS[:labels])
    if presence:
        more, values = _presence("input", SEG_PRESENCE)
        nodes, constants = nodes + more, constants | values
    _graph(path, 1, nodes, constants, outputs or (["logits", "presence"] if presence else ["logits"]))


def write_window_seg(path):
    """Logits as Seg's of intensities round 0, plus each label's share of the window's mean."""
    nodes, constants = _affine("input", "own", WINDOW_WEIGHT, WINDOW_BIAS)
    constants |= {"axes": np.array([2, 3, 4]), "share": WINDOW_SHARE.reshape(-1, 1, 1)}
    nodes += [
        helper.make_node("ReduceMean", ["input", "axes"], ["mean"]),
        helper.make_node("Mul", ["mean", "share"], ["shared"]),
        helper.make_node("Add", ["own", "shared"], ["logits"]),
    ]
    _graph(path, 1, nodes, constants, ["logits"])


def window_seg(window):
    """The same of one window ``[H, W]``: ``[4, H, W]``."""
    own = window * WINDOW_WEIGHT[:, None, None] + WINDOW_BIAS[:, None, None]
    return own + window.mean() * WINDOW_SHARE[:, None, None]


def write_ref(path, presence=False):
    """Each probability scaled and shifted by label; presence from the probabilities' means over a slice."""
    nodes, constants = _affine("maps", "logits", REF_WEIGHT, REF_BIAS)
    nodes.insert(0, helper.make_node("Softmax", ["input"], ["maps"], axis=2))
    if presence:
        more, values = _presence("maps", REF_PRESENCE)
        nodes, constants = nodes + more, constants | values
    _graph(path, 4, nodes, constants, ["logits", "presence"] if presence else ["logits"])


def write_locate(path):
    """A map that is high for high intensities: heart = sigmoid(12 x - 6)."""
    constants = {"weight": np.float32(12), "bias": np.float32(-6)}
    nodes = [
        helper.make_node("Mul", ["input", "weight"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["map"]),
        helper.make_node("Sigmoid", ["map"], ["heart"]),
    ]
    _graph(path, 1, nodes, constants, ["heart"])


def write_manifest(folder, **more):
    """A manifest for the networks that lie in ``folder``: crops of 32 pixels of 1.5 mm from the image's middle."""
    paths = sorted(folder.glob("*.onnx"))
    manifest = {
        "format_version": 1,
        **dict.fromkeys(("name", "version", "model", "licence", "intended_use"), "pointwise"),
        "labels": {"background": 0, "rv": 1, "myo": 2, "lv": 3},
        "preprocessing": {"spacing_mm": 1.5, "crop_pixels": SIDE, "percentiles": [0, 100]},
        "presence_threshold": 0.5,
        "networks": {path.stem: path.name for path in paths},
        "files": {
            path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
            for path in paths
        },
        **more,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def write_bundle(folder, seg_presence=False, ref=False, ref_presence=False, locate=False, **more):
    """A bundle of such networks; ``more`` are keys of its manifest."""
    folder.mkdir()
    if locate:
        write_locate(folder / "locate.onnx")
    write_seg(folder / "seg.onnx", seg_presence)
    if ref:
        write_ref(folder / "ref.onnx", ref_presence)
    return write_manifest(folder, **more)


def write_window_bundle(folder, **rules):
    """A bundle whose network sees windows; ``rules`` are keys of its preprocessing."""
    folder.mkdir()
    write_window_seg(folder / "seg.onnx")
    preprocessing = {
        "spacing_mm": [1.6, 1.5],
        "normalization": "z_score",
        "window_pixels": [64, 48],
        "image_order": 3,
        "logits_order": 1,
        **rules,
    }
    return write_manifest(folder, format_version=2, preprocessing=preprocessing)


def seg(image):
    """Logits ``[..., 4, H, W]`` and presence ``[..., 3]`` for intensities ``[..., H, W]`` from 0 to 1."""
    logits = image[..., None, :, :] * SEG_WEIGHT[:, None, None] + SEG_BIAS[:, None, None]
    return logits, special.expit(image.mean(axis=(-2, -1))[..., None] @ SEG_PRESENCE[0] + SEG_PRESENCE[1])


def ref(seg_logits):
    """Ref's logits ``[..., 4, H, W]`` and presence ``[..., 3]``."""
    maps = special.softmax(seg_logits, axis=-3)
    logits = maps * REF_WEIGHT[:, None, None] + REF_BIAS[:, None, None]
    return logits, special.expit(maps.mean(axis=(-2, -1)) @ REF_PRESENCE[0] + REF_PRESENCE[1])
