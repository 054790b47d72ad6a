"""Temporal presence: a classifier whose values the images set, against all sequences of states; its evaluation."""

import itertools
import json
import sys
from itertools import islice

import nibabel
import numpy as np
import onnx_bundle
import pytest
from conftest import run_command
from onnx_bundle import SIDE, ref, seg, write_bundle
from scipy import special

import cardiacseg
from cardiacseg.cli.arguments import study_options
from cardiacseg.cli.parser import build_parser
from cardiacseg.evaluation import temporal

SPACING = (8.0, 1.5, 1.5)  # the networks' own, and the image is one crop, so that no grid is changed
FRAMES = 8
# Mean intensity of each slice in each frame, which decides its presence: the second slice flickers in one frame, and
# from the third one RV and LV are gone in systole.
BRIGHTNESS = np.repeat([[0.6], [0.6], [0.7]], FRAMES, axis=1)
BRIGHTNESS[1, 5] = 0.38
BRIGHTNESS[2, 2:5] = 0.1

pytestmark = pytest.mark.filterwarnings("ignore:W_QUALITY")  # such networks do not agree


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("temporal") / "bundle"
    return write_bundle(folder, seg_presence=True, ref=True, quality={"intercept": 0.1, "slope": 0.7})


@pytest.fixture(scope="module")
def segmenter(bundle):
    return cardiacseg.CardiacSegmenter(bundle)


@pytest.fixture(scope="module")
def image():
    """``[8, 3, 32, 32]`` from 0 to 1 in each frame, another pattern in each."""
    image = np.random.default_rng(5).uniform(-0.3, 0.3, (FRAMES, 3, SIDE, SIDE))
    image[:, 0, 0, :2] = 0
    image = np.clip(image - image.mean(axis=(2, 3), keepdims=True) + BRIGHTNESS.T[..., None, None], 0, 1)
    image[:, 0, 0, 0], image[:, 0, 0, 1] = 0, 1
    return image.astype(np.float32)


def over_the_cycle(presence):
    """Posterior of ``[T, S, 3]`` from the weights of all 2^T sequences of states; MYO and LV must differ everywhere."""
    assert ((presence[..., 1] > 0.5) != (presence[..., 2] > 0.5)).all()
    states = np.array(list(itertools.product((0, 1), repeat=FRAMES)))
    switches = (states != np.roll(states, 1, axis=1)).sum(axis=1)
    change = 0.7 / FRAMES
    prior = change**switches * (1 - change) ** (FRAMES - switches)
    said = np.clip(presence.reshape(FRAMES, -1), 1 / 51, 50 / 51)
    weights = prior[:, None] * np.where(states[..., None], said, 1 - said).prod(axis=1)
    return (states.T @ weights / weights.sum(axis=0)).reshape(presence.shape)


def labels_of(image, presence):
    shares = special.softmax(ref(seg(image)[0])[0], axis=2)
    shares[:, :, 1:] *= (presence > 0.5)[..., None, None]
    return shares.argmax(axis=2)


def assert_same(found, expected):
    for name in ("labels", "presence", "agreement", "quality", "probabilities"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


def frames_one_by_one(segmenter, image):
    runs = [segmenter.run(frame, spacing=SPACING, probabilities=True) for frame in image]
    parts = {
        name: np.stack([getattr(run, name)[0] for run in runs])
        for name in ("presence", "agreement", "quality", "probabilities")
    }
    return cardiacseg.Result(labels=np.stack([run.labels for run in runs]), report=runs[0].report, **parts)


def test_off_gives_the_frames_one_by_one(segmenter, image):
    found = segmenter.run(image, spacing=SPACING, probabilities=True, temporal="off")
    assert_same(found, frames_one_by_one(segmenter, image))
    assert (found.report.temporal, found.report.presence_changes) == (False, 0)
    np.testing.assert_allclose(found.presence, seg(image)[1], atol=1e-5)


def test_presence_is_decided_over_the_cycle(segmenter, image):
    """The flickering frame is repaired, the base still leaves, and labels follow."""
    own = segmenter.run(image, spacing=SPACING, probabilities=True, temporal="off")
    found = segmenter.run(image, spacing=SPACING, probabilities=True)
    expected = over_the_cycle(own.presence)
    np.testing.assert_allclose(found.presence, expected, atol=1e-6)
    np.testing.assert_array_equal(found.labels, labels_of(image, expected))
    assert (own.presence[5, 1] > 0.5).tolist() == [False, True, False]
    assert (found.presence[:, 1] > 0.5).tolist() == [[True, False, True]] * FRAMES
    assert (found.presence[:, 2, 0] > 0.5).tolist() == [True, True, False, False, False, True, True, True]
    assert found.report.temporal
    changes = (found.presence > 0.5) != (own.presence > 0.5)
    assert found.report.presence_changes == changes.sum()
    others = ~changes.any(axis=(1, 2))
    assert others.sum() > FRAMES / 2
    for name in ("labels", "agreement", "quality", "probabilities"):
        np.testing.assert_array_equal(getattr(found, name)[others], getattr(own, name)[others], err_msg=name)
    assert (found.labels[5, 1] != own.labels[5, 1]).any()
    assert found.quality[5] != own.quality[5]
    assert (found.probabilities.sum(axis=2) == pytest.approx(1, abs=1e-5)) and (found.probabilities[5, 1, 2] == 0).all()


def test_the_beat_may_start_anywhere(segmenter, image):
    expected = segmenter.run(image, spacing=SPACING)
    for shift in (3, 6):
        found = segmenter.run(np.roll(image, shift, axis=0), spacing=SPACING)
        np.testing.assert_array_equal(found.labels, np.roll(expected.labels, shift, axis=0))
        np.testing.assert_allclose(found.presence, np.roll(expected.presence, shift, axis=0), atol=1e-6)


def test_frames_of_which_no_outputs_are_kept_go_through_the_networks_again(segmenter, image):
    """300 slices of 24 frames: their outputs take 236 MB, of which 160 MiB are kept."""
    cycles = np.concatenate([image] * 3)
    few, many = (segmenter.run(np.tile(cycles, (1, times, 1, 1)), spacing=SPACING) for times in (1, 100))
    np.testing.assert_array_equal(many.labels, np.tile(few.labels, (1, 100, 1, 1)))
    assert many.report.presence_changes == 100 * few.report.presence_changes
    own = segmenter.run(cycles, spacing=SPACING, temporal="off")
    assert (few.labels[-3] != own.labels[-3]).any() and (few.labels[5] != own.labels[5]).any()


def test_fewer_than_six_frames_are_left_alone(segmenter, image):
    few = image[3:]
    found = segmenter.run(few, spacing=SPACING, probabilities=True)
    assert_same(found, frames_one_by_one(segmenter, few))
    assert not found.report.temporal
    assert segmenter.run(image[2:], spacing=SPACING).report.temporal


def test_a_model_without_a_classifier_is_left_alone(tmp_path, image):
    segmenter = cardiacseg.CardiacSegmenter(write_bundle(tmp_path / "bundle", ref=True))
    found = segmenter.run(image, spacing=SPACING, probabilities=True)
    assert_same(found, frames_one_by_one(segmenter, image))
    assert not found.report.temporal


def test_progress_stays_while_frames_are_labelled_again(segmenter, image):
    runs = [segmenter.run(image, spacing=SPACING, temporal=way) for way in ("off", "auto")]
    off, auto = (run.presence > 0.5 for run in runs)
    again = int((off != auto).any(axis=(1, 2)).sum())
    told = []
    segmenter.run(image, spacing=SPACING, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, FRAMES) for done in [*range(FRAMES), *[FRAMES - 1] * again, FRAMES]]
    told = []
    segmenter.run(image, spacing=SPACING, temporal="off", progress=lambda done, total: told.append(done))
    assert told == list(range(FRAMES + 1))


def test_a_run_can_be_cancelled_while_frames_are_labelled_again(segmenter, image):
    told = []

    def until_the_second_seven(done, total):
        told.append(done)
        return told.count(7) < 2

    with pytest.raises(cardiacseg.CancelledError, match="after 7 of 8 frames"):
        segmenter.run(image, spacing=SPACING, progress=until_the_second_seven)


def test_another_word_is_refused_before_any_computation(segmenter, image):
    told = []
    with pytest.raises(cardiacseg.InvalidInputError, match='temporal: expected "auto" or "off", got "on"'):
        segmenter.run(image, spacing=SPACING, temporal="on", progress=lambda *counts: told.append(counts))
    assert told == []


def test_the_command_line_says_what_changed(tmp_path, bundle, segmenter, image):
    changed = segmenter.run(image, spacing=SPACING).report.presence_changes
    nibabel.save(nibabel.Nifti1Image(image.T, np.diag([1.5, 1.5, 8, 1])), tmp_path / "cine.nii")
    for way, applied, changes in (("auto", True, changed), ("off", False, 0)):
        words = ("segment", tmp_path / "cine.nii", "-o", tmp_path / way, "--model", bundle, "--temporal", way)
        run_command(sys.executable, "-m", "cardiacseg.cli", *words, "--no-report")
        assert json.loads((tmp_path / way / "report.json").read_text())["temporal"] == {
            "applied": applied,
            "presence_changes": changes,
        }
    auto, off = (nibabel.load(tmp_path / way / "labels.nii.gz").get_fdata() for way in ("auto", "off"))
    assert 5 in np.flatnonzero((auto != off).any(axis=(0, 1, 2)))


@pytest.mark.parametrize("words", [("segment", "in", "-o", "out"), ("batch", "in", "-o", "out"), ("receive",)])
def test_every_command_that_segments_has_the_option(words):
    parser = build_parser()
    assert study_options(parser.parse_args(words)).temporal == "auto"
    assert study_options(parser.parse_args((*words, "--temporal", "off"))).temporal == "off"
    with pytest.raises(SystemExit):
        parser.parse_args((*words, "--temporal", "on"))


WIDE_SPACING = (10.0, 1.0, 1.0)


def cine_of(*areas):
    """Labels ``[T, 1, 8, 8]``: a row of RV and of myocardium, and so many pixels of LV."""
    labels = np.zeros((len(areas), 1, 8, 8), np.uint8)
    labels[:, 0, 0], labels[:, 0, 1] = 1, 2
    for frame, area in zip(labels, areas, strict=True):
        frame[0, 2:].reshape(-1)[:area] = 3
    return labels


def test_a_run_is_compared_with_the_truth():
    truth = cine_of(40, 30, 20, 30)
    cine = temporal.LabelledCine("as it is", truth, truth, WIDE_SPACING)
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
