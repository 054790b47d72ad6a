"""Every kind of system through the runtime: one stage or two, a classifier in the first, the last, both or neither."""

import host_ops
import numpy as np
import pytest
from onnx_bundle import SIDE, ref, seg, write_bundle, write_manifest, write_seg
from scipy import special

import cardiacseg

SPACING = (8.0, 1.5, 1.5)  # the networks' own, and the image is one crop, so that no grid is changed
SYSTEMS = {
    "seg": {},
    "seg with classifier": {"seg_presence": True},
    "seg and ref": {"ref": True},
    "seg and ref with classifier": {"ref": True, "ref_presence": True},
    "seg with classifier and ref": {"seg_presence": True, "ref": True},
    "both with classifier": {"seg_presence": True, "ref": True, "ref_presence": True},
}


@pytest.fixture(scope="module")
def image():
    """Smooth blobs ``[2, 5, 32, 32]``, whose slices differ in brightness."""
    coarse = np.random.default_rng(3).random((2, 5, 9, 9))
    blobs = np.kron(coarse, np.ones((4, 4)))[..., 2:34, 2:34]
    blobs = (blobs + np.roll(blobs, 1, 2) + np.roll(blobs, 1, 3) + np.roll(blobs, 2, 3)) / 4
    return (1000 * blobs * np.linspace(0.3, 1.5, 5)[:, None, None]).astype(np.float32)


def reference_run(image, seg_presence=False, ref_presence=False, temperature=1.0, **stages):
    """Labels, probabilities, presence and agreement of a system, in NumPy."""
    low, high = image.min(axis=(1, 2, 3), keepdims=True), image.max(axis=(1, 2, 3), keepdims=True)
    seg_logits, presence = seg((image - low) / (high - low))
    logits = seg_logits
    if stages.get("ref"):
        logits, last = ref(seg_logits)
        presence = last if ref_presence else presence
    shares = special.softmax(logits / temperature, axis=2)
    if seg_presence or ref_presence:
        shares[:, :, 1:] *= (presence > 0.5)[..., None, None]
    shares /= shares.sum(axis=2, keepdims=True)
    labels = shares.argmax(axis=2)
    if not (seg_presence or ref_presence):
        presence = np.stack([(labels == k).any(axis=(2, 3)) for k in (1, 2, 3)], axis=-1)
    first = seg_logits.argmax(axis=2)
    dice = [
        [2 * ((a == k) & (b == k)).sum() / ((a == k).sum() + (b == k).sum()) for k in (1, 2, 3)]
        for a, b in zip(first, labels, strict=True)
    ]
    return labels, shares, presence, np.array(dice)


@pytest.mark.filterwarnings("ignore:W_QUALITY")  # random networks do not agree
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_is_its_networks(tmp_path, image, system):
    parts = SYSTEMS[system]
    bundle = write_bundle(tmp_path / "bundle", **parts, temperature=2.5, quality={"intercept": 0.1, "slope": 0.7})
    result = cardiacseg.CardiacSegmenter(bundle).run(image, spacing=SPACING, probabilities=True)
    labels, shares, presence, dice = reference_run(image, **parts, temperature=2.5)
    assert set(np.unique(labels)) == {0, 1, 2, 3}
    assert 0 < (presence > 0.5).mean() < 1
    np.testing.assert_allclose(result.presence, presence, atol=1e-5)
    np.testing.assert_allclose(result.probabilities, shares, atol=1e-4)
    assert (result.labels == labels).mean() > 0.999
    if "ref" in parts:
        np.testing.assert_allclose(result.agreement, dice, atol=2e-3)
        np.testing.assert_allclose(result.quality, 0.1 + 0.7 * result.agreement.mean(axis=1), rtol=1e-5)
    else:
        assert np.isnan(result.agreement).all() and np.isnan(result.quality).all()
    stages = ["check", "preprocess", "seg", "fusion"]
    assert list(result.report.stages) == ([*stages[:3], "ref", "fusion", "agreement"] if "ref" in parts else stages)


def test_what_was_not_asked_for_is_not_there(tmp_path, image):
    bundle = write_bundle(tmp_path / "bundle", ref=True, ref_presence=True)
    segmenter = cardiacseg.CardiacSegmenter(bundle)
    plain, full = (segmenter.run(image, spacing=SPACING, probabilities=asked) for asked in (False, True))
    assert plain.probabilities is None
    assert full.probabilities.shape == (2, 5, 4, SIDE, SIDE) and full.probabilities.dtype == np.float32
    assert plain.agreement.shape == (2, 3) and plain.agreement.dtype == np.float32
    assert plain.quality.shape == (2,) and plain.quality.dtype == np.float32 and np.isnan(plain.quality).all()
    for name in ("labels", "presence", "agreement"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(full, name))
    stack = segmenter.run(image[1], spacing=SPACING, probabilities=True)
    assert stack.labels.shape == (5, SIDE, SIDE)
    np.testing.assert_array_equal(stack.probabilities, full.probabilities[1:])
    np.testing.assert_array_equal(stack.agreement, full.agreement[1:])


def test_temperature_changes_no_label(tmp_path, image):
    found = {}
    for temperature in (0.4, 1, 4.0):
        bundle = write_bundle(tmp_path / str(temperature), ref=True, ref_presence=True, temperature=temperature)
        found[temperature] = cardiacseg.CardiacSegmenter(bundle).run(image, spacing=SPACING, probabilities=True)
    for cold, hot in ((0.4, 1), (1, 4.0)):
        np.testing.assert_array_equal(found[cold].labels, found[hot].labels)
        assert found[cold].probabilities.max(axis=2).mean() > found[hot].probabilities.max(axis=2).mean() + 0.05


def test_keep_largest_component_touches_labels_alone(tmp_path, image):
    plain, clean = (
        cardiacseg.CardiacSegmenter(
            write_bundle(tmp_path / str(asked), ref=True, ref_presence=True, clean_up=asked)
        ).run(image, spacing=SPACING, probabilities=True)
        for asked in (False, True)
    )
    expected = [host_ops.keep_largest_component(stack) for stack in plain.labels]
    assert sum(changed for _, changed in expected) > 50
    np.testing.assert_array_equal(clean.labels, [labels for labels, _ in expected])
    for name in ("presence", "probabilities", "agreement"):
        np.testing.assert_array_equal(getattr(clean, name), getattr(plain, name))
    assert "clean_up" in clean.report.stages and "clean_up" not in plain.report.stages


def test_outputs_that_a_stage_cannot_have_are_refused(tmp_path):
    for name, outputs in (("one", ["presence"]), ("order", ["presence", "logits"]), ("more", ["logits", "scaled"])):
        folder = tmp_path / name
        folder.mkdir()
        write_seg(folder / "seg.onnx", presence=True, outputs=outputs)
        expected = f"network seg: expected the outputs logits or logits, presence, got {', '.join(outputs)}$"
        with pytest.raises(cardiacseg.BundleError, match=expected):
            cardiacseg.CardiacSegmenter(write_manifest(folder))


def test_a_network_of_other_sizes_is_refused_when_it_runs(tmp_path, image):
    write_seg(tmp_path / "seg.onnx", labels=3)
    segmenter = cardiacseg.CardiacSegmenter(write_manifest(tmp_path))
    with pytest.raises(cardiacseg.BackendError, match="network seg on 1 x 5 x 1 x 32 x 32"):
        segmenter.run(image, spacing=SPACING)
