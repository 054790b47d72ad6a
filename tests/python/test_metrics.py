"""Metrics against values worked out by hand."""

import math

import numpy as np
import pytest

from cardiacseg.errors import InvalidInputError
from cardiacseg.metrics import (
    average_symmetric_surface_distance,
    dice,
    dice_by_level,
    dice_by_structure,
    hausdorff_distance_95,
    presence_of,
    presence_rates,
    slice_levels,
)


def test_dice_of_overlapping_rows():
    truth = np.array([[1, 1, 1, 0], [3, 3, 2, 2]])
    labels = np.array([[1, 1, 0, 0], [3, 2, 2, 2]])
    assert dice(labels, truth, 1) == pytest.approx(4 / 5)
    assert dice(labels, truth, 2) == pytest.approx(4 / 5)
    assert dice(labels, truth, 3) == pytest.approx(2 / 3)
    assert dice_by_structure(labels, truth) == pytest.approx({"rv": 4 / 5, "myo": 4 / 5, "lv": 2 / 3})


def test_dice_of_absent_structures():
    nothing, something = np.zeros((2, 2)), np.ones((2, 2))
    assert dice(nothing, nothing, 1) == 1.0
    assert dice(nothing, something, 1) == 0.0


def test_different_shapes_are_refused():
    with pytest.raises(InvalidInputError, match=r"\(2, 3\).*\(2, 2\)"):
        dice(np.zeros((2, 2)), np.zeros((2, 3)), 1)


def stack_with_labels_in(slices, total):
    stack = np.zeros((total, 2, 2), dtype=np.uint8)
    stack[slices] = 1
    return stack


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        ([1, 2, 3, 4, 5, 6], ([1, 2], [3, 4], [5, 6])),
        ([0, 1, 2, 3], ([0, 1], [2], [3])),
        ([2, 4, 6], ([2, 3], [4, 5], [6])),
        ([5], ([5], [], [])),
        ([], ([], [], [])),
    ],
)
def test_slice_levels(slices, expected):
    found = slice_levels(stack_with_labels_in(slices, 8))
    assert [list(found[level]) for level in ("base", "mid", "apex")] == [list(part) for part in expected]


def test_the_base_is_the_end_with_the_larger_heart():
    truth = np.zeros((6, 4, 4), np.uint8)
    for index, pixels in enumerate([1, 2, 3, 9, 8]):
        truth[index].flat[:pixels] = 2
    expected = {"base": [3, 4], "mid": [1, 2], "apex": [0]}
    assert {level: indices.tolist() for level, indices in slice_levels(truth).items()} == expected
    turned = {level: (5 - indices[::-1]).tolist() for level, indices in slice_levels(truth[::-1]).items()}
    assert turned == expected


def test_dice_by_level_uses_the_truths_slices():
    truth = stack_with_labels_in([1, 2, 3], 5)
    labels = truth.copy()
    labels[3] = 0
    labels[2, 0] = 0
    scores = dice_by_level(labels, truth)
    assert scores["base"]["rv"] == 1.0
    assert scores["mid"]["rv"] == pytest.approx(4 / 6)
    assert scores["apex"]["rv"] == 0.0


def test_surface_distances_respect_unequal_spacing():
    truth, labels = np.zeros((3, 5, 7), dtype=np.uint8), np.zeros((3, 5, 7), dtype=np.uint8)
    truth[0, 1, 1] = 3
    labels[2, 1, 1] = 3
    assert hausdorff_distance_95(labels, truth, 3, (8.0, 1.4, 1.5)) == pytest.approx(16.0)
    labels[2, 1, 1], labels[0, 4, 1] = 0, 3
    assert hausdorff_distance_95(labels, truth, 3, (8.0, 1.4, 1.5)) == pytest.approx(3 * 1.4)
    labels[0, 4, 1], labels[0, 4, 5] = 0, 3
    assert average_symmetric_surface_distance(labels, truth, 3, (8.0, 1.4, 1.5)) == pytest.approx(
        math.hypot(3 * 1.4, 4 * 1.5)
    )


def test_surface_distance_of_a_row_and_a_longer_row():
    truth, labels = np.zeros((1, 1, 12), dtype=np.uint8), np.zeros((1, 1, 12), dtype=np.uint8)
    truth[0, 0, :4], labels[0, 0, :6] = 2, 2
    # A row one voxel thick is all surface: the two voxels too many lie 2 and 4 mm off, the other eight 0.
    assert average_symmetric_surface_distance(labels, truth, 2, (5.0, 5.0, 2.0)) == pytest.approx(6 / 10)
    # The 95th percentile of 0, 0, 0, 0, 2, 4 lies three quarters of the way from 2 to 4.
    assert hausdorff_distance_95(labels, truth, 2, (5.0, 5.0, 2.0)) == pytest.approx(3.5)


def brute_force(labels, truth, spacing):
    """Both metrics over all pairs of surface voxels, which are those with a face neighbor outside."""

    def surface(mask):
        padded = np.pad(mask, 1)
        inner = [np.roll(padded, step, axis)[1:-1, 1:-1, 1:-1] for axis in range(3) for step in (1, -1)]
        return np.argwhere(mask & ~np.logical_and.reduce(inner)) * spacing

    ours, theirs = surface(labels == 1), surface(truth == 1)
    pairs = np.sqrt(((ours[:, None] - theirs[None]) ** 2).sum(axis=2))
    there, back = pairs.min(axis=1), pairs.min(axis=0)
    hd95 = max(np.percentile(there, 95), np.percentile(back, 95))
    return hd95, (there.sum() + back.sum()) / (len(there) + len(back))


@pytest.mark.parametrize("seed", range(6))
def test_surface_distances_against_all_pairs_of_surface_voxels(seed):
    random = np.random.default_rng(seed)
    grid = np.stack(np.mgrid[:5, :14, :17]) * np.array([2.0, 1.0, 1.0])[:, None, None, None]
    labels, truth = (
        (np.linalg.norm(grid - random.uniform(3, 11, (3, 1, 1, 1)), axis=0) < random.uniform(2, 7)).astype(np.uint8)
        for _ in range(2)
    )
    labels[random.random(labels.shape) < 0.02] = 1
    spacing = tuple(random.uniform(0.5, 9, 3))
    hd95, assd = brute_force(labels, truth, spacing)
    assert hd95 > 0
    assert hausdorff_distance_95(labels, truth, 1, spacing) == pytest.approx(hd95)
    assert average_symmetric_surface_distance(labels, truth, 1, spacing) == pytest.approx(assd)


def test_inner_voxels_are_no_surface():
    truth = np.zeros((5, 5, 5), dtype=np.uint8)
    truth[1:4, 1:4, 1:4] = 1
    hollow = truth.copy()
    hollow[2, 2, 2] = 0
    # The hollow's wall adds the six face neighbors of its center, which the full cube's surface holds already.
    assert hausdorff_distance_95(hollow, truth, 1, (1.0, 1.0, 1.0)) == 0.0


def test_surface_distance_without_a_surface_is_nan():
    nothing, something = np.zeros((1, 3, 3)), np.ones((1, 3, 3))
    for first, second in ((nothing, something), (something, nothing), (nothing, nothing)):
        assert math.isnan(hausdorff_distance_95(first, second, 1, (8.0, 1.0, 1.0)))
        assert math.isnan(average_symmetric_surface_distance(first, second, 1, (8.0, 1.0, 1.0)))


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 0.0, 1.0), (1.0, math.inf, 1.0)])
def test_unusable_spacing_is_refused(spacing):
    with pytest.raises(InvalidInputError, match="spacing"):
        hausdorff_distance_95(np.ones((1, 3, 3)), np.ones((1, 3, 3)), 1, spacing)


def test_presence_of_slices():
    labels = np.zeros((2, 3, 4, 4), dtype=np.uint8)
    labels[0, 1, 2, 2], labels[1, 2, 0, 0], labels[1, 2, 3, 3] = 1, 3, 2
    found = presence_of(labels)
    assert found.shape == (2, 3, 3)
    assert found[0].tolist() == [[False] * 3, [True, False, False], [False] * 3]
    assert found[1].tolist() == [[False] * 3, [False] * 3, [False, True, True]]


def test_presence_rates():
    expected = np.array([[1, 1, 1], [1, 1, 1], [0, 1, 1], [0, 1, 0]], dtype=bool)
    present = np.array([[1, 1, 1], [0, 1, 1], [1, 1, 0], [0, 1, 0]], dtype=bool)
    rates = presence_rates(present, expected)
    assert rates["rv"] == {"accuracy": 0.5, "false_positive_rate": 0.5, "false_negative_rate": 0.5}
    assert rates["lv"]["false_negative_rate"] == pytest.approx(1 / 3)
    assert rates["lv"]["false_positive_rate"] == 0.0
    assert rates["myo"]["accuracy"] == 1.0
    assert math.isnan(rates["myo"]["false_positive_rate"]), "no slice is without myocardium"
