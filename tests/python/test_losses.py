"""Section 2.4's losses against values computed by hand."""

import math

import pytest
import torch

from cardiacseg.models import SystemOutput, create_model, list_models
from cardiacseg.training.config import LossWeights
from cardiacseg.training.losses import (
    detection_loss,
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
    ("gate", "expected"),
    [((1, 1, 1), RV + MYO + LV), ((1, 0, 0), RV), ((0, 1, 1), MYO + LV), ((0, 0, 0), 0.0)],
)
def test_each_class_is_switched_by_its_own_gate(gate, expected):
    loss = gated_segmentation_loss(LOGITS, LABELS, torch.tensor(gate, dtype=torch.float32).reshape(1, 1, 3))
    assert float(loss) == pytest.approx(expected, rel=1e-6)


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
    loss = presence_loss(torch.logit(p).reshape(1, 1, 3), presence_of(LABELS))
    assert float(loss) == pytest.approx(-math.log(0.9) - math.log(0.8) - math.log(0.5), rel=1e-5)


def test_extreme_logits_give_finite_losses_and_gradients():
    logits = torch.tensor([1e4, -1e4, 0.0, -1e4]).reshape(1, 1, 4, 1, 1).expand(1, 1, 4, 1, 2).clone().requires_grad_()
    loss = gated_segmentation_loss(logits, LABELS, torch.ones(1, 1, 3)) + segmentation_loss(logits, LABELS)
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()


def test_soft_dice_by_hand():
    # RV: 2 * .6 + 1 over .7 + 1 + 1; MYO and LV: 1 over sum of probabilities + 1
    expected = 1 - ((2 * 0.6 + 1) / (0.7 + 1 + 1) + 1 / (0.3 + 1) + 1 / (0.2 + 1)) / 3
    assert float(soft_dice_loss(LOGITS, LABELS)) == pytest.approx(expected, rel=1e-6)
    shut = soft_dice_loss(LOGITS, LABELS, torch.zeros(1, 1, 3))
    assert float(shut) == pytest.approx(0.0, abs=1e-6)


# By hand, to six digits. -ln .6 = .510826, -ln .7 = .356675, -ln .8 = .223144, -ln .9 = .105361.
# Loss_1: (.510826 + .356675) / 2 = .433750. CE of RV, MYO, LV: (.510826 + .105361) / 2 = .308093,
# (.223144 + .105361) / 2 = .164252, .105361; all three: .577706; RV and LV, whose gates are open: .413454.
# Presence logits 2, -2, 2 against 1, 0, 0: 2 ln(1 + e^-2) + ln(1 + e^2) = 2 * .126928 + 2.126928 = 2.380784.
# Soft Dice, all open: 1 - (2.2 / 2.7 + 1 / 1.3 + 1 / 1.2) / 3 = .194207; MYO shut: 1 - (.814815 + 1 + .833333) / 3
# = .117284.
PRESENCE = torch.tensor([[[2.0, -2.0, 2.0]]])
SEG, SEG_MT = SystemOutput(LOGITS), SystemOutput(LOGITS, presence_logits=PRESENCE)
SEG_REF, SEG_REF_MT = SystemOutput(torch.zeros_like(LOGITS), LOGITS), SystemOutput(LOGITS, LOGITS, PRESENCE)


@pytest.mark.parametrize(
    ("output", "weights", "expected"),
    [
        (SEG, LossWeights(presence=0.1, dice=0.0), 0.433750),
        (SEG, LossWeights(presence=0.1, dice=1.0), 0.433750 + 0.194207),
        # the gated loss of Seg's own logits, and lambda times the class loss
        (SEG_MT, LossWeights(presence=0.1, dice=0.0), 0.413454 + 0.238078),
        (SEG_MT, LossWeights(presence=0.3, dice=0.5), 0.413454 + 0.714235 + 0.058642),
        # Seg says 1/4 everywhere: Loss_1 is ln 4 = 1.386294; its Dice 1 - (1.5 / 2.5 + 1 / 1.5 + 1 / 1.5) / 3 = .355556
        (SEG_REF, LossWeights(presence=0.1, dice=0.0), 1.386294 + 0.577706),
        (SEG_REF, LossWeights(presence=0.1, dice=1.0), 1.386294 + 0.577706 + 0.355556 + 0.194207),
        (SEG_REF_MT, LossWeights(presence=0.1, dice=0.0), 0.433750 + 0.413454 + 0.238078),
        (SEG_REF_MT, LossWeights(presence=0.1, dice=1.0), 0.433750 + 0.413454 + 0.238078 + 0.194207 + 0.117284),
    ],
)
def test_the_loss_of_each_kind_of_system(output, weights, expected):
    assert float(total_loss(output, LABELS, weights)["total"]) == pytest.approx(expected, abs=3e-6)


def test_the_detector_learns_the_share_of_the_heart_in_its_pixels():
    # 4 of the left 16 pixels are heart. Left p = .5 against .25: ln 2 = .693147; right p = .25 against 0:
    # -ln .75 = .287682; mean .490415. Dice: 1 - (2 * .5 * .25 + 1) / (.5 + .25 + .25 + 1) = .375.
    labels = torch.zeros(1, 1, 4, 8, dtype=torch.long)
    labels[0, 0, 0, :4] = torch.tensor([1, 2, 3, 1])
    heart = torch.tensor([0.0, -math.log(3)]).reshape(1, 1, 1, 1, 2)
    assert float(detection_loss(heart, labels)) == pytest.approx(0.865415, abs=2e-6)
    # Seg says 1/4 everywhere: ln 4
    output = SystemOutput(torch.zeros(1, 1, 4, 4, 8), heart_logits=heart)
    terms = total_loss(output, labels, LossWeights(dice=0.0))
    assert float(terms["total"]) == pytest.approx(1.386294 + 0.865415, abs=3e-6)


@pytest.mark.parametrize("name", list_models())
def test_every_parameter_of_every_system_gets_a_gradient(name):
    """Several processes wait for each other's gradients, so none may be missing, shut gates or not."""
    if name == "nnunet_2d":
        pytest.importorskip("dynamic_network_architectures", reason="nnU-Net's network is not installed")
    model = create_model(name)
    if model.ref is not None and model.ref.classifier is not None:
        torch.nn.init.constant_(model.ref.classifier.mlp[-1].bias, -9.0)
    output = model(torch.rand(1, 2, 1, 64, 64))
    total_loss(output, torch.randint(4, (1, 2, 64, 64)), LossWeights())["total"].backward()
    missing = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert all(name.startswith("locate.") for name in missing)
