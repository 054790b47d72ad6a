"""Section 2.4's losses against values computed by hand."""

import math

import pytest
import torch

from cardiacseg.models.seg_ref import SegRefOutput
from cardiacseg.training.config import LossWeights
from cardiacseg.training.losses import (
    gated_segmentation_loss,
    presence_gate,
    presence_loss,
    presence_of,
    segmentation_loss,
    soft_dice_loss,
    total_loss,
)

# one frame, one slice, 1 x 2 pixels: an RV pixel with probabilities .1 .6 .2 .1, a background pixel with .7 .1 .1 .1
PROBABILITIES = torch.tensor([[0.1, 0.7], [0.6, 0.1], [0.2, 0.1], [0.1, 0.1]]).reshape(1, 1, 4, 1, 2)
LOGITS = PROBABILITIES.log()
LABELS = torch.tensor([1, 0]).reshape(1, 1, 1, 2)
RV = -(math.log(0.6) + math.log(0.9)) / 2
MYO = -(math.log(0.8) + math.log(0.9)) / 2
LV = -(math.log(0.9) + math.log(0.9)) / 2


def test_presence_of_counts_a_single_pixel():
    assert presence_of(LABELS).tolist() == [[[1.0, 0.0, 0.0]]]


def test_segmentation_loss_is_the_mean_cross_entropy():
    assert float(segmentation_loss(LOGITS, LABELS)) == pytest.approx(-(math.log(0.6) + math.log(0.7)) / 2, rel=1e-6)


@pytest.mark.parametrize(
    ("gate", "wanted"),
    [((1, 1, 1), RV + MYO + LV), ((1, 0, 0), RV), ((0, 1, 1), MYO + LV), ((0, 0, 0), 0.0)],
)
def test_each_class_is_switched_by_its_own_gate(gate, wanted):
    loss = gated_segmentation_loss(LOGITS, LABELS, torch.tensor(gate, dtype=torch.float32).reshape(1, 1, 3))
    assert float(loss) == pytest.approx(wanted, rel=1e-6)


def test_a_shut_slice_counts_as_zero_in_the_mean_over_slices():
    logits, labels = LOGITS.repeat(1, 2, 1, 1, 1), LABELS.repeat(1, 2, 1, 1)
    gate = torch.tensor([[[1.0, 0, 0], [0, 0, 0]]])
    assert float(gated_segmentation_loss(logits, labels, gate)) == pytest.approx(RV / 2, rel=1e-6)


def test_the_gate_is_shut_at_one_half_and_carries_no_gradient():
    logits = torch.tensor([[[-0.1, 0.0, 0.1]]], requires_grad=True)
    gate = presence_gate(logits)
    assert gate.tolist() == [[[0.0, 0.0, 1.0]]]
    assert not gate.requires_grad


def test_presence_loss_is_the_sum_of_three_binary_cross_entropies():
    p = torch.tensor([0.9, 0.2, 0.5])
    loss = presence_loss(torch.logit(p).reshape(1, 1, 3), LABELS)
    assert float(loss) == pytest.approx(-math.log(0.9) - math.log(0.8) - math.log(0.5), rel=1e-5)


def test_extreme_logits_give_finite_losses_and_gradients():
    logits = torch.tensor([1e4, -1e4, 0.0, -1e4]).reshape(1, 1, 4, 1, 1).expand(1, 1, 4, 1, 2).clone().requires_grad_()
    loss = gated_segmentation_loss(logits, LABELS, torch.ones(1, 1, 3)) + segmentation_loss(logits, LABELS)
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()


def test_soft_dice_by_hand():
    # RV: 2 * .6 + 1 over .7 + 1 + 1; MYO and LV: 1 over sum of probabilities + 1
    wanted = 1 - ((2 * 0.6 + 1) / (0.7 + 1 + 1) + 1 / (0.3 + 1) + 1 / (0.2 + 1)) / 3
    assert float(soft_dice_loss(LOGITS, LABELS)) == pytest.approx(wanted, rel=1e-6)
    shut = soft_dice_loss(LOGITS, LABELS, torch.zeros(1, 1, 3))
    assert float(shut) == pytest.approx(0.0, abs=1e-6)


def test_the_paper_preset_is_loss_one_plus_loss_two():
    presence = torch.tensor([[[2.0, -2.0, 2.0]]])
    output = SegRefOutput(LOGITS, LOGITS, presence)
    terms = total_loss(output, LABELS, LossWeights(presence=0.1, dice=0.0))
    wanted = segmentation_loss(LOGITS, LABELS) + RV + LV + 0.1 * presence_loss(presence, LABELS)
    assert float(terms["total"]) == pytest.approx(float(wanted), rel=1e-6)
