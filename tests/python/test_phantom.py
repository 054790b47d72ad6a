"""The synthetic heart: its truth must be exact, its numbers those of a healthy adult."""

import numpy as np
import pytest

from cardiacseg.errors import InvalidInputError
from cardiacseg.phantom import beating_heart, contraction
from cardiacseg.phantom.heart import ANGLES, Contours, HeartShape, areas_mm2

SPACING = (8.0, 1.4, 1.5)


@pytest.fixture(scope="module")
def phantom():
    return beating_heart(frames=5, slices=10, seed=3)


def label_volumes_ml(labels, spacing):
    counts = np.stack([(labels == label).sum(axis=(1, 2, 3)) for label in (1, 2, 3)], axis=1)
    return counts * np.prod(spacing) / 1000


def test_shapes_and_types(phantom):
    assert phantom.image.shape == phantom.labels.shape == (5, 10, 208, 224)
    assert phantom.image.dtype == np.uint16
    assert phantom.labels.dtype == np.uint8
    assert set(np.unique(phantom.labels)) == {0, 1, 2, 3}
    assert phantom.volumes_ml.shape == (5, 3)
    assert phantom.spacing == SPACING


@pytest.mark.parametrize(
    ("seed", "spacing", "size"),
    [(0, SPACING, (208, 224)), (4, (8.0, 1.2, 2.0), (240, 160)), (11, (5.0, 1.9, 1.3), (160, 256))],
)
def test_labels_have_the_analytic_volumes(seed, spacing, size):
    made = beating_heart(frames=3, slices=12, size=size, spacing=spacing, seed=seed)
    np.testing.assert_allclose(label_volumes_ml(made.labels, spacing), made.volumes_ml, rtol=0.02)


@pytest.mark.parametrize("seed", range(6))
def test_volumes_are_those_of_a_healthy_adult(seed):
    heart = HeartShape.draw(np.random.default_rng(seed))
    step = 0.25
    positions = np.arange(-20, 130, step)
    rv, myo, lv = (areas_mm2(heart.contours(positions, np.array([0.0, 1.0]))).sum(axis=1) * step / 1000).T
    assert 100 < lv[0] < 200
    assert 0.52 < 1 - lv[1] / lv[0] < 0.64
    assert 100 < rv[0] < 210
    assert 0.45 < 1 - rv[1] / rv[0] < 0.65
    assert 75 < myo[0] * 1.05 < 165
    assert myo[1] == pytest.approx(myo[0], rel=0.02), "muscle does not shrink"
    assert lv[0] == pytest.approx(heart.lv_edv_ml, rel=0.01)
    assert rv[0] == pytest.approx(heart.rv_edv_ml, rel=0.02)


def test_area_of_concentric_circles():
    ring = np.ones((1, 1, ANGLES))
    areas = areas_mm2(Contours(endo=10 * ring, epi=20 * ring, rv_inner=20 * ring, rv_outer=30 * ring))[0, 0]
    np.testing.assert_allclose(areas, np.pi * np.array([500, 300, 100]))


def test_base_moves_towards_the_apex(phantom):
    shows_lv = (phantom.labels == 3).any(axis=(2, 3))
    systole = phantom.volumes_ml[:, 2].argmin()
    assert shows_lv[0, 0]
    assert not shows_lv[systole, 0], "the basal slice shows the atria at end-systole"


def test_right_ventricle_ends_before_the_apex(phantom):
    last = [np.flatnonzero((phantom.labels[0] == label).any(axis=(1, 2)))[-1] for label in (1, 2)]
    assert last[0] < last[1]


def test_cavity_lies_within_the_myocardium(phantom):
    cavity = phantom.labels == 3
    for axis, step in ((2, 1), (2, -1), (3, 1), (3, -1)):
        neighbor = np.roll(phantom.labels, step, axis=axis)
        assert set(np.unique(neighbor[cavity])) <= {2, 3}


def test_blood_is_brighter_than_muscle_and_lung_is_dark(phantom):
    rv, myo, lv = (phantom.image[phantom.labels == label].mean() for label in (1, 2, 3))
    assert rv > 1.7 * myo
    assert lv > 1.7 * myo
    assert np.percentile(phantom.image, 10) < 0.15 * lv


def test_seed_decides(phantom):
    again = beating_heart(frames=5, slices=10, seed=3)
    other = beating_heart(frames=1, slices=10, seed=4)
    np.testing.assert_array_equal(again.image, phantom.image)
    np.testing.assert_array_equal(again.labels, phantom.labels)
    assert np.abs(other.volumes_ml[0] - phantom.volumes_ml[0]).max() > 1


def test_one_frame_is_the_first_of_many(phantom):
    alone = beating_heart(frames=1, slices=10, seed=3)
    np.testing.assert_array_equal(alone.labels[0], phantom.labels[0])
    np.testing.assert_allclose(alone.volumes_ml[0], phantom.volumes_ml[0])


def test_spare_slices_lie_beyond_both_ends():
    made = beating_heart(frames=1, slices=16, size=(128, 128), spacing=(8.0, 2.5, 2.5), seed=1)
    labelled = made.labels[0].any(axis=(1, 2))
    assert not labelled[0]
    assert not labelled[-1]
    assert 9 <= labelled.sum() <= 13


def test_contraction_begins_at_diastole_and_peaks_once():
    contractions = contraction(25)
    assert contractions[0] == 0
    assert contractions.argmax() == 9
    assert contractions[9] == 1
    assert np.all(np.diff(contractions[:10]) > 0)
    assert np.all(np.diff(contractions[9:]) < 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"frames": 0},
        {"slices": 0},
        {"size": (16, 200)},
        {"size": (200,)},
        {"spacing": (8.0, 0.0, 1.5)},
        {"spacing": (8.0, 1.5)},
        {"spacing": (8.0, float("nan"), 1.5)},
    ],
)
def test_unusable_sizes_are_refused(wrong):
    with pytest.raises(InvalidInputError, match="expected"):
        beating_heart(**wrong)
