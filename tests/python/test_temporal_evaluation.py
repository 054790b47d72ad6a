"""What presence over the beat is measured by, on literals, and one small trial through the runtime."""

from itertools import islice

import numpy as np
import onnx_bundle
import pytest

import cardiacseg
from cardiacseg.evaluation import temporal

SPACING = (10.0, 1.0, 1.0)


def cine_of(*areas):
    """Labels ``[T, 1, 8, 8]``: a row of RV and of myocardium, and so many pixels of LV."""
    labels = np.zeros((len(areas), 1, 8, 8), np.uint8)
    labels[:, 0, 0], labels[:, 0, 1] = 1, 2
    for frame, area in zip(labels, areas, strict=True):
        frame[0, 2:].reshape(-1)[:area] = 3
    return labels


def test_a_run_is_compared_with_the_truth():
    truth = cine_of(40, 30, 20, 30)
    cine = temporal.LabelledCine("as it is", truth, truth, SPACING)
    whole = temporal.score(cine, "off", truth)
    assert (whole.wrong, whole.decisions, whole.flicker, whole.dice) == (0, 12, 0, 1.0)
    assert set(whole.errors.values()) == {0.0}
    found = temporal.score(cine, "auto", cine_of(40, 0, 10, 0))
    assert (found.wrong, found.flicker) == (2, 4)
    assert found.dice == pytest.approx((12 - 2 - 1 / 3) / 12)
    assert found.errors["lv_esv_ml"] == pytest.approx(-0.2)  # 20 pixels of 10 mm3
    assert found.errors["lv_ef_percent"] == pytest.approx(50)


def test_changes_are_counted_around_the_beat():
    present = np.zeros((4, 2, 3), bool)
    present[0, 0, 0] = present[1:3, 1, 2] = True
    assert temporal.switches(present).tolist() == [[2, 0, 0], [0, 0, 2]]
    assert temporal.switches(np.ones((4, 1, 3), bool)).tolist() == [[0, 0, 0]]


def test_motion_mixes_adjacent_slices():
    image = np.arange(3, dtype=np.float32)[None, :, None, None] * np.ones((2, 1, 2, 2), np.float32)
    assert (temporal.move_through_plane(image, np.random.default_rng(0), 0) == image).all()
    moved = temporal.move_through_plane(image, np.random.default_rng(0), 1)
    np.testing.assert_allclose(moved[:, :, 0, 0], [[0.3, 1, 1.7]] * 2, rtol=1e-6)


def test_conditions_of_a_heart():
    plain, noisy, moved = islice(temporal.beating_cines(frames=6), 3)
    assert [cine.condition.split(", ")[1] for cine in (plain, noisy, moved)] == [
        "as it is",
        "noise",
        "noise and motion",
    ]
    assert (plain.labels == noisy.labels).all() and (plain.labels == moved.labels).all()
    assert np.abs(noisy.image - plain.image).mean() > 0 and not np.array_equal(noisy.image[0], noisy.image[1])


@pytest.mark.filterwarnings("ignore::cardiacseg.InputWarning")
def test_a_trial_runs_both_ways(tmp_path):
    bundle = onnx_bundle.write_bundle(tmp_path / "bundle", seg_presence=True)
    random = np.random.default_rng(0)
    image = random.random((6, 1, 32, 32)).astype(np.float32)
    image[3] /= 3  # its maximum stays the image's, so that its mean falls
    image[3, 0, 0, 0] = 1
    labels = np.zeros(image.shape, np.uint8)
    labels[:, :, 8:16], labels[:, :, 16:] = 1, 3
    cine = temporal.LabelledCine("flicker", image, labels, (8.0, 1.5, 1.5))
    scores = temporal.run_temporal_trials([cine], cardiacseg.CardiacSegmenter(bundle))
    assert [score.way for score in scores] == ["off", "auto"]
    assert scores[0].flicker > scores[1].flicker
    off, auto = temporal.temporal_summary(scores)
    assert (off["temporal"], auto["temporal"], off["cines"]) == ("off", "auto", 1)
    assert off["presence_wrong"] == scores[0].wrong / 18
    lines = temporal.temporal_table([off, auto]).splitlines()
    assert len(lines) == 4 and "`temporal`" in lines[0] and f"{auto['dice']:.4f}" in lines[3]
