"""Bundles whose network sees windows of a slice, as nnU-Net's do, against the same in NumPy and SciPy."""

import json

import numpy as np
import onnx_bundle
import pytest
from conftest import SPACING
from scipy import ndimage, special

import cardiacseg


def zoomed(planes, shape, order):
    """``[N, H, W]`` to ``[N, *shape]``."""
    factors = np.array(shape) / planes.shape[1:]
    return np.stack([ndimage.zoom(plane, factors, order=order, mode="nearest", grid_mode=True) for plane in planes])


def starts(pixels, window):
    count = int(np.ceil((pixels - window) / (window / 2))) + 1
    step = (pixels - window) / max(count - 1, 1)
    return [int(np.round(step * index)) for index in range(count)]


def gaussian(window):
    impulse = np.zeros(window)
    impulse[tuple(size // 2 for size in window)] = 1
    return ndimage.gaussian_filter(impulse, [size / 8 for size in window], mode="constant")


def inferred(plane, window):
    """Logits ``[4, H, W]`` of a slice on the network's grid."""
    missing = [max(0, size - pixels) for size, pixels in zip(window, plane.shape, strict=True)]
    padded = np.pad(plane, [(pixels // 2, pixels - pixels // 2) for pixels in missing])
    sums, weights = np.zeros((4, *padded.shape)), np.zeros(padded.shape)
    for row in starts(padded.shape[0], window[0]):
        for column in starts(padded.shape[1], window[1]):
            place = np.s_[row : row + window[0], column : column + window[1]]
            sums[(slice(None), *place)] += gaussian(window) * onnx_bundle.window_seg(padded[place])
            weights[place] += gaussian(window)
    top, left = (pixels // 2 for pixels in missing)
    return (sums / weights)[:, top : top + plane.shape[0], left : left + plane.shape[1]]


def reference(stack, spacing, rules):
    """Labels ``[S, H, W]`` and probabilities ``[S, 4, H, W]``."""
    box = tuple(slice(found.min(), found.max() + 1) for found in np.nonzero(stack))
    values = stack[box].astype(np.float64)
    counts = np.ones(values.shape, bool)
    if rules["normalization"] == "z_score_nonzero":
        counts = ndimage.binary_fill_holes(values != 0)
    values[counts] = (values[counts] - values[counts].mean()) / values[counts].std()
    shape = [
        round(size * mm / target)
        for size, mm, target in zip(values.shape[1:], spacing[1:], rules["spacing_mm"], strict=True)
    ]
    fine = zoomed(values, shape, rules["image_order"])
    each = max(max(spacing) / min(spacing), spacing[0] / min(rules["spacing_mm"])) > 3
    axes = (1, 2) if each else None
    fine = fine.clip(values.min(axis=axes, keepdims=True), values.max(axis=axes, keepdims=True))
    logits = np.stack([inferred(plane, rules["window_pixels"]) for plane in fine])
    coarse = np.stack([zoomed(planes, values.shape[1:], rules["logits_order"]) for planes in logits])
    labels, probabilities = np.zeros(stack.shape, np.uint8), np.zeros((len(stack), 4, *stack.shape[1:]))
    probabilities[:, 0] = 1
    labels[box] = coarse.argmax(axis=1)
    probabilities[box[0], :, box[1], box[2]] = special.softmax(coarse, axis=1)
    return labels, probabilities


@pytest.fixture
def bordered(cine):
    """The cine with zeros at its rim, more in the first frame, and a hole of zeros."""
    image = cine + 20
    image[:, :, :3], image[:, :, :, 105:] = 0, 0
    image[0, 1], image[0, :, 70:] = 0, 0
    image[1, :, 20:30, 20:30] = 0
    return image


@pytest.mark.parametrize(
    ("spacing", "rules"),
    [
        ((8.0, 1.5, 1.25), {}),  # two windows across, one down
        ((8.0, 1.5, 1.25), {"normalization": "z_score_nonzero", "window_pixels": [32, 48]}),
        ((3.0, 1.2, 1.25), {"window_pixels": [96, 128]}),  # nearly cubes; the window is larger than the image
        ((8.0, 1.6, 1.5), {"image_order": 1, "logits_order": 3}),  # no resampling
    ],
)
def test_labels_are_the_reference(bordered, tmp_path, spacing, rules):
    bundle = onnx_bundle.write_window_bundle(tmp_path / "windows", **rules)
    read = json.loads((bundle / "manifest.json").read_text())["preprocessing"]
    result = cardiacseg.CardiacSegmenter(bundle, device="cpu").run(bordered, spacing=spacing, probabilities=True)
    for frame, stack in enumerate(bordered):
        labels, probabilities = reference(stack, spacing, read)
        np.testing.assert_allclose(result.probabilities[frame], probabilities, atol=2e-4)
        top = np.sort(probabilities, axis=1)
        clear = top[:, -1] - top[:, -2] > 1e-3
        assert np.array_equal(result.labels[frame][clear], labels[clear])
        shown = np.stack([(result.labels[frame] == label).any(axis=(1, 2)) for label in (1, 2, 3)], axis=1)
        assert np.array_equal(result.presence[frame], shown.astype(np.float32))
    assert len(np.unique(result.labels)) == 4


def test_nothing_is_said_that_the_model_does_not_know(bordered, tmp_path):
    bundle = onnx_bundle.write_window_bundle(tmp_path / "windows")
    result = cardiacseg.CardiacSegmenter(bundle, device="cpu").run(np.repeat(bordered, 2, axis=0), spacing=SPACING)
    assert np.isnan(result.quality).all() and np.isnan(result.agreement).all()
    assert not result.report.temporal
    assert not [warning for warning in result.warnings if warning.code == "W_QUALITY"]
    assert list(result.report.stages) == ["check", "preprocess", "seg", "fusion"]


def test_types_strides_and_threads_do_not_matter(bordered, tmp_path):
    bundle = onnx_bundle.write_window_bundle(tmp_path / "windows")
    wanted = cardiacseg.CardiacSegmenter(bundle, device="cpu", threads=1).run(bordered, spacing=SPACING)
    segmenter = cardiacseg.CardiacSegmenter(bundle, device="cpu")
    backwards = np.ascontiguousarray(bordered.astype(np.int16)[..., ::-1])[..., ::-1]
    assert segmenter.run(backwards, spacing=SPACING) == wanted
    assert np.array_equal(segmenter.run(bordered[1], spacing=SPACING).labels, wanted.labels[1])


def test_a_run_can_be_stopped_between_frames(bordered, tmp_path):
    segmenter = cardiacseg.CardiacSegmenter(onnx_bundle.write_window_bundle(tmp_path / "windows"), device="cpu")
    calls = []
    with pytest.raises(cardiacseg.CancelledError, match="after 1 of 3 frames"):
        segmenter.run(bordered, spacing=SPACING, progress=lambda done, total: calls.append(done) or done < 1)
    assert calls == [0, 1]


def test_a_classifier_has_no_place_in_windows(tmp_path):
    bundle = onnx_bundle.write_window_bundle(tmp_path / "windows")
    rules = json.loads((bundle / "manifest.json").read_text())["preprocessing"]
    onnx_bundle.write_seg(bundle / "seg.onnx", presence=True)
    onnx_bundle.write_manifest(bundle, format_version=2, preprocessing=rules)
    with pytest.raises(cardiacseg.BundleError, match="expected the outputs logits, got logits, presence"):
        cardiacseg.CardiacSegmenter(bundle, device="cpu")
