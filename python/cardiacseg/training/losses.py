"""The losses of section 2.4, and the soft Dice term that the default preset adds to them.

Shapes: logits ``[frames, slices, 4, H, W]``, labels ``[frames, slices, H, W]`` (0 background, 1 RV, 2 MYO, 3 LV),
presence ``[frames, slices, 3]`` in the order RV, MYO, LV. A soft truth is probabilities ``[frames, slices, 4, H, W]``
instead of labels.
"""

import torch
from torch.nn import functional

from cardiacseg.models import SystemOutput
from cardiacseg.training.batches import Soft
from cardiacseg.training.config import LossWeights


def presence_of(labels: torch.Tensor) -> torch.Tensor:
    """1.0 if a structure has at least one pixel in a slice."""
    return torch.stack([(labels == label).flatten(2).any(dim=2) for label in (1, 2, 3)], dim=2).float()


def presence_gate(presence_logits: torch.Tensor) -> torch.Tensor:
    """``(sign(p - 1/2) + 1) / 2``, closed at p = 1/2: 1.0 if the classifier sees a structure. No gradient."""
    return (presence_logits.detach() > 0).float()


def segmentation_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Loss_1: cross-entropy of the four classes, the mean over all pixels; ``truth`` may be soft."""
    return functional.cross_entropy(logits.flatten(0, 1).float(), truth.flatten(0, 1))


def gated_segmentation_loss(logits: torch.Tensor, truth: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
    """Loss_2,seg: the sum over structures of each one's cross-entropy in the slices with an open gate.

    CE_i is the binary cross-entropy of the softmax probability of structure i against "is i", the mean over
    pixels; in the mean over slices those with a closed gate count as zero. ``truth`` may be soft.
    """
    soft = truth.dim() == logits.dim()
    log_probability = functional.log_softmax(logits.float(), dim=2)
    total = logits.new_zeros((), dtype=torch.float32)
    for index, label in enumerate((1, 2, 3)):
        log_yes = log_probability[:, :, label]
        others = [other for other in range(4) if other != label]
        log_no = torch.logsumexp(log_probability[:, :, others], dim=2)
        yes = truth[:, :, label] if soft else (truth == label).float()
        term = -(yes * log_yes + (1 - yes) * log_no).mean(dim=(2, 3))
        total = total + (gate[:, :, index] * term).mean()
    return total


def presence_loss(presence_logits: torch.Tensor, presence: torch.Tensor) -> torch.Tensor:
    """Loss_2,class: the sum over structures of the binary cross-entropy of presence, the mean over slices."""
    losses = functional.binary_cross_entropy_with_logits(presence_logits.float(), presence, reduction="none")
    return losses.mean(dim=(0, 1)).sum()


def soft_dice_loss(logits: torch.Tensor, labels: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
    """1 minus the mean over structures of ``2 |P.Y| / (|P| + |Y|)``, over all slices with an open gate."""
    probability = torch.softmax(logits.float(), dim=2)[:, :, 1:]
    truth = functional.one_hot(labels, 4).movedim(-1, 2)[:, :, 1:].float()
    if gate is not None:
        probability, truth = (part * gate[..., None, None] for part in (probability, truth))
    axes = (0, 1, 3, 4)
    overlap = (probability * truth).sum(dim=axes)
    size = probability.sum(dim=axes) + truth.sum(dim=axes)
    return 1 - ((2 * overlap + 1) / (size + 1)).mean()


def heart_loss(logits: torch.Tensor, heart: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy plus soft Dice of ``[frames, slices, 1, h, w]`` against the heart's pixel fractions."""
    logits = logits[:, :, 0].float()
    probability = torch.sigmoid(logits)
    dice = (2 * (probability * heart).sum() + 1) / (probability.sum() + heart.sum() + 1)
    return functional.binary_cross_entropy_with_logits(logits, heart) + 1 - dice


def detection_loss(heart_logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """:func:`heart_loss` of the detector's coarser map against the labels' heart, averaged over each of its pixels."""
    return heart_loss(heart_logits, functional.adaptive_avg_pool2d((labels > 0).float(), heart_logits.shape[-2:]))


def total_loss(
    output: SystemOutput, labels: torch.Tensor, weights: LossWeights, soft: Soft | None = None
) -> dict[str, torch.Tensor]:
    """All terms by name; their sum under ``"total"`` is what training minimizes.

    Loss_1 on Seg and, if there is a Ref, Loss_2 on it. Without a classifier all gates of Loss_2 are open. A
    single-stage system with a classifier has Loss_2 on Seg instead. With the teachers' ``soft`` labels each of these
    losses has a second term against them, weighted by ``weights.teacher``.
    """
    presence = output.presence_logits
    gate = None if presence is None else presence_gate(presence)
    if output.ref_logits is None:
        terms = _stage_terms("seg", output.seg_logits, labels, gate, weights, soft)
    else:
        switch = output.ref_logits.new_ones((*labels.shape[:2], 3)) if gate is None else gate
        terms = _stage_terms("seg", output.seg_logits, labels, None, weights, soft)
        terms |= _stage_terms("ref", output.ref_logits, labels, switch, weights, soft)
    if presence is not None:
        terms["presence"] = weights.presence * presence_loss(presence, presence_of(labels))
        if soft is not None:
            terms["presence_teacher"] = weights.teacher * weights.presence * presence_loss(presence, soft.presence)
    if output.heart_logits is not None:
        terms["heart"] = detection_loss(output.heart_logits, labels)
    return {**terms, "total": sum(terms.values())}


def _stage_terms(
    stage: str,
    logits: torch.Tensor,
    labels: torch.Tensor,
    gate: torch.Tensor | None,
    weights: LossWeights,
    soft: Soft | None,
) -> dict[str, torch.Tensor]:
    """Loss_1 without a gate, Loss_2,seg with one, against labels and teachers; soft Dice if it has a weight."""

    def loss(truth: torch.Tensor) -> torch.Tensor:
        return segmentation_loss(logits, truth) if gate is None else gated_segmentation_loss(logits, truth, gate)

    terms = {stage: loss(labels)}
    if soft is not None:
        terms[f"{stage}_teacher"] = weights.teacher * loss(soft.probability)
    if weights.dice:
        terms[f"{stage}_dice"] = weights.dice * soft_dice_loss(logits, labels, gate)
    return terms
