"""Distillation: soft labels of a stack, their place in a batch, and their part of the loss."""

from dataclasses import replace

import pytest
import torch
from tiny_training import CONFIG, SMALL, ring_stacks
from torch.nn import functional

from cardiacseg.models import create_model
from cardiacseg.training.batches import Batches, Soft
from cardiacseg.training.config import LossWeights
from cardiacseg.training.data import LabelledStack, SoftLabels
from cardiacseg.training.inference import TURNS, add_soft_labels, make_teacher, soft_labels
from cardiacseg.training.loop import train
from cardiacseg.training.losses import presence_of, total_loss
from cardiacseg.training.trainer import Trainer

CPU = torch.device("cpu")


def tiny(seed, name="seg_ref_mt_tiny"):
    torch.manual_seed(seed)
    return create_model(name).eval()


def square_stack():
    """Noise with labels in the middle, so that the crop of 32 pixels is the whole image."""
    labels = torch.zeros(3, 32, 32, dtype=torch.uint8)
    labels[:, 10:22, 12:20] = 2
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    return LabelledStack("square", image, labels, torch.zeros(3, 16, 16), torch.zeros(3, 16, 16))


def test_the_eight_turns_are_different_and_lead_back():
    image = torch.arange(9).reshape(1, 3, 3)
    turned = [turn(image) for turn, _ in TURNS]
    assert len({tuple(view.flatten().tolist()) for view in turned}) == 8
    assert all(torch.equal(back(view), image) for view, (_, back) in zip(turned, TURNS, strict=True))


def test_a_turned_stack_gets_turned_soft_labels():
    stack, model = square_stack(), tiny(0)
    torch.nn.init.constant_(model.ref.classifier.mlp[-1].bias, 9.0)
    torch.nn.init.normal_(model.ref.head.weight)
    found = soft_labels([model], stack, 32, CPU)
    assert found.origin == (0, 0) and found.probability.shape == (3, 3, 32, 32)
    with torch.no_grad():
        plain = torch.softmax(model(stack.image[None, :, None]).logits[0], dim=1)[:, 1:].movedim(1, 0)
    assert (found.probability - plain).abs().max() > 0.02
    for turn, _ in TURNS:
        other = soft_labels([model], replace(stack, image=turn(stack.image), labels=turn(stack.labels)), 32, CPU)
        torch.testing.assert_close(other.probability, turn(found.probability), atol=2e-3, rtol=0)
        torch.testing.assert_close(other.presence, found.presence, atol=1e-4, rtol=0)


def test_teachers_are_averaged_and_each_one_is_gated():
    stack, open_gate, shut = square_stack(), tiny(0), tiny(1)
    torch.nn.init.constant_(open_gate.ref.classifier.mlp[-1].bias, 9.0)
    torch.nn.init.constant_(shut.ref.classifier.mlp[-1].bias, -9.0)
    alone, both = soft_labels([open_gate], stack, 32, CPU), soft_labels([open_gate, shut], stack, 32, CPU)
    assert not soft_labels([shut], stack, 32, CPU).probability.any() and alone.probability.max() > 0.1
    torch.testing.assert_close(both.probability, alone.probability / 2, atol=1e-3, rtol=0)
    assert (alone.presence > 0.9).all() and (both.presence - 0.5).abs().max() < 0.05
    # Seg alone has no classifier: a structure is present in slices that have its label
    assert set(soft_labels([tiny(2, "after_unet")], stack, 32, CPU).presence.flatten().tolist()) <= {0.0, 1.0}


def test_soft_labels_move_with_the_labels():
    def with_truth(stack):
        inside = stack.labels[:, 4:44, 6:50]
        soft = torch.stack([inside == label for label in (1, 2, 3)]).half()
        presence = torch.arange(stack.slices)[:, None] + torch.tensor([0.0, 0.25, 0.5])
        return replace(stack, soft=SoftLabels(soft, presence, (4, 6)))

    settings = replace(CONFIG.augmentation, slice_drop_probability=1.0)
    batches = Batches([with_truth(stack) for stack in ring_stacks((5, 6))], replace(CONFIG, augmentation=settings))
    for step in range(8):
        sample = batches[step]
        assert torch.equal(sample.soft.probability.argmax(dim=2), sample.labels)
        torch.testing.assert_close(sample.soft.probability.sum(dim=2), torch.ones(sample.labels.shape))
        rows = sample.soft.presence
        assert (rows[:, 1:, 0] > rows[:, :-1, 0]).all() and (rows[:, :, 2] - rows[:, :, 0] == 0.5).all()


@pytest.mark.parametrize("name", ["seg_ref_mt_tiny", "after_unet_mt", "seg_ref"])
def test_teachers_that_say_the_labels_double_their_losses(name):
    labels = torch.randint(4, (1, 2, 32, 32), generator=torch.Generator().manual_seed(0))
    soft = Soft(functional.one_hot(labels, 4).movedim(-1, 2).float(), presence_of(labels))
    with torch.no_grad():
        output = tiny(0, name)(torch.rand(1, 2, 1, 32, 32))
    alone = total_loss(output, labels, LossWeights())
    taught = total_loss(output, labels, LossWeights(teacher=0.5), soft)
    pairs = [term for term in ("seg", "ref", "presence") if term in alone]
    assert taught.keys() == alone.keys() | {f"{term}_teacher" for term in pairs}
    for term in pairs:
        assert float(taught[f"{term}_teacher"]) == pytest.approx(0.5 * float(alone[term]), rel=1e-5)
    added = sum(0.5 * float(alone[term]) for term in pairs)
    assert float(taught["total"]) == pytest.approx(float(alone["total"]) + added, rel=1e-5)


def test_a_student_comes_closer_to_its_teacher(tmp_path):
    stacks = ring_stacks()
    model = tiny(3)
    torch.nn.init.constant_(model.ref.classifier.mlp[-1].bias, 9.0)
    teacher = make_teacher("seg_ref_mt_tiny", SMALL, model.state_dict(), "0" * 64, SMALL)
    config = replace(CONFIG, steps=8, coarse_steps=0, learning_rate=3e-3, warmup_steps=0, cooldown_steps=0)
    batch = Batches(add_soft_labels(stacks, [teacher], CPU), config)[100]

    def distance(trainer):
        return Trainer.train_step(trainer, batch, 0.0)["seg_teacher"]

    before = distance(Trainer(replace(config, average_decay=0.0), CPU))
    trained = train(config, stacks, [], tmp_path, CPU, teachers=[teacher])
    assert distance(trained) < 0.97 * before
    assert trained.config.teachers == ("0" * 64,)
    with pytest.raises(ValueError, match=r"teachers: expected \(\), got \('0+',\)"):
        train(config, stacks, [], tmp_path, CPU)


def test_a_teacher_of_another_preprocessing_is_refused():
    other = replace(SMALL, spacing_mm=1.0)
    with pytest.raises(ValueError, match=r"expected Preprocessing\(spacing_mm=2.0.* got Preprocessing\(spacing_mm=1.0"):
        make_teacher("seg_ref_mt_tiny", other, tiny(0).state_dict(), "", SMALL)
