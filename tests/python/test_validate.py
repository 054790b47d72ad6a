"""Scores of a model in training: heart, crop, and what a system without a classifier says."""

import numpy as np
import pytest
import torch
from tiny_training import SMALL, ring_stacks

from cardiacseg.models import create_model
from cardiacseg.training.inference import crop_origin, crop_pad, heart_center, segment_stack, validate
from cardiacseg.training.losses import presence_of

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("size", "origin"), [((6, 8), (1, 2)), ((6, 8), (-3, -2)), ((6, 8), (5, 7)), ((6, 8), (9, -9))]
)
def test_crop_pad_cuts_and_fills_with_zero(size, origin):
    stack = torch.rand(2, *size) + 1
    cut = crop_pad(stack, origin, 4)
    for row in range(4):
        for column in range(4):
            y, x = row + origin[0], column + origin[1]
            inside = 0 <= y < size[0] and 0 <= x < size[1]
            assert torch.equal(cut[:, row, column], stack[:, y, x] if inside else torch.zeros(2))


def test_heart_center_is_the_centroid_of_the_heaviest_window():
    heart = np.zeros((2, 40, 50), np.float32)
    heart[:, 10:15, 20:25] = 0.9
    heart[0, 35, 45] = 0.9  # a stray pixel far away
    heart[1] += 0.3  # below the threshold
    assert heart_center(heart, 12) == (12.0, 22.0)
    assert heart_center(np.zeros((1, 10, 20), np.float32), 12) == (4.5, 9.5)


def test_crop_origin_puts_the_center_in_the_middle():
    # coarse pixel 12 of 4 mm has its center at 50 mm, pixel edge 25 at 2 mm, so the crop starts 16 pixels before
    assert crop_origin((12.0, 12.5), SMALL) == (9, 10)


@pytest.mark.parametrize("name", ["seg_ref_mt_tiny", "sk_unet"])
def test_every_kind_of_system_is_scored(name):
    (stack,) = ring_stacks((3,))
    model = create_model(name).eval()
    labels, presence = segment_stack(model, stack, SMALL, CPU)
    assert labels.shape == stack.labels.shape and presence.shape == (3, 3)
    shown = presence_of(labels[None])[0]
    # a gate shuts what the classifier does not see; without one, what is labelled is what is there
    assert torch.equal(presence, shown) if name == "sk_unet" else (shown <= (presence > 0.5)).all()
    scores = validate(model, [stack], SMALL, CPU)
    assert set(scores) == {"dice_rv", "dice_myo", "dice_lv", "dice_mean", "presence_accuracy"}
