"""The training loop on a few tiny labelled stacks: exact resume, lengthening, checkpoints, weights, events, scores."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_training import CONFIG, SMALL, ring_stacks

from cardiacseg.models import create_model
from cardiacseg.training.batches import Batches
from cardiacseg.training.checkpoint import Checkpoint, load_checkpoint, load_model
from cardiacseg.training.config import TrainingConfig
from cardiacseg.training.inference import crop_origin, crop_pad, heart_center, segment_stack, validate
from cardiacseg.training.loop import require_tensorboard, train
from cardiacseg.training.losses import presence_of
from cardiacseg.training.trainer import Trainer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def stacks():
    return ring_stacks()


def assert_same_state(ours, theirs):
    ours, theirs = (trainer.checkpoint({}).tensors for trainer in (ours, theirs))
    assert ours.keys() == theirs.keys() == {"model", "average", "optimizer", "scaler"}
    for group, tensors in ours.items():
        assert tensors.keys() == theirs[group].keys()
        assert all(torch.equal(tensor, theirs[group][name]) for name, tensor in tensors.items()), group


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_resumed_run_has_the_state_of_an_uninterrupted_one(stacks, tmp_path, precision):
    config = replace(CONFIG, precision=precision, steps=3, coarse_steps=2 if precision == "fp32" else 3)
    validation = stacks[:1] if precision == "fp32" else []
    whole = train(config, stacks, validation, tmp_path / "whole", CPU)
    train(config, stacks, validation, tmp_path / "parts", CPU, stop_at=1)
    resumed = train(config, stacks, validation, tmp_path / "parts", CPU)
    assert resumed.step == whole.step == config.steps
    assert_same_state(whole, resumed)
    assert bool(whole.scaler.state_dict()) == (precision == "fp16")


def test_the_loss_scale_falls_where_gradients_overflow_and_is_kept(stacks, tmp_path):
    config = replace(CONFIG, precision="fp16")
    trainer, other = Trainer(config, CPU), Trainer(config, CPU)
    trainer.scaler.load_state_dict({**trainer.scaler.state_dict(), "scale": 2.0**60})
    before = trainer.model.seg.head.weight.detach().clone()
    trainer.train_step(Batches(stacks, config)[0])
    assert torch.equal(trainer.model.seg.head.weight, before)
    other.restore(trainer.checkpoint({}))
    assert other.scaler.get_scale() == trainer.scaler.get_scale() == 2.0**59


def test_a_finished_run_goes_on_from_before_its_cooldown_as_if_planned_so(stacks, tmp_path):
    longer = replace(CONFIG, steps=5)
    whole = train(longer, stacks, stacks[:1], tmp_path / "whole", CPU)
    train(CONFIG, stacks, stacks[:1], tmp_path / "short", CPU)
    lines = []
    lengthened = train(longer, stacks, stacks[:1], tmp_path / "short", CPU, report=lines.append)
    assert lines[0].startswith("resuming at step 3 of 5 from") and "before_cooldown" in lines[0]
    assert_same_state(whole, lengthened)
    (tmp_path / "short/before_cooldown.safetensors").unlink()
    with pytest.raises(ValueError, match=r"at step 5 was made with another configuration: steps: expected 4, got 5$"):
        train(CONFIG, stacks, [], tmp_path / "short", CPU)


def test_resuming_with_another_configuration_is_refused(stacks, tmp_path):
    train(CONFIG, stacks, [], tmp_path, CPU, stop_at=1)
    expected = replace(CONFIG, learning_rate=1.0, augmentation=replace(CONFIG.augmentation, noise=0.5))
    with pytest.raises(
        ValueError, match=r"learning_rate: expected 1.0, got 0.0012, augmentation.noise: expected 0.5, got 0.08$"
    ):
        train(expected, stacks, [], tmp_path, CPU)


def test_a_best_checkpoint_alone_is_not_overwritten(stacks, tmp_path):
    (tmp_path / "best.safetensors").write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="would be overwritten"):
        train(CONFIG, stacks, [], tmp_path, CPU)


class InterruptedRunError(Exception):
    """What stops a run in :class:`Clock`."""


class Clock:
    """A clock that moves on by a second each time it is read, and breaks after ``last``."""

    def __init__(self, last=1000):
        self.now, self.last = 0, last

    def __call__(self):
        self.now += 1
        if self.now > self.last:
            raise InterruptedRunError
        return float(self.now)


def test_a_run_by_the_clock_is_resumed_with_what_was_left_and_lengthened(stacks, tmp_path):
    config, lines = replace(CONFIG, minutes=0.5, coarse_steps=0), []

    def go_on(minutes, **clock):
        run = replace(config, minutes=minutes)
        return train(run, stacks, stacks[:1], tmp_path, CPU, report=lines.append, clock=Clock(**clock))

    with pytest.raises(InterruptedRunError):
        go_on(0.5, last=14)
    last = load_checkpoint(tmp_path / "last.safetensors")
    assert 3 < last.seconds < 14 and not (tmp_path / "before_cooldown.safetensors").exists()
    ended = go_on(0.5)
    assert f"resuming at step {last.step}, minute 0.{round(last.seconds / 6)} of 0.5" in "".join(lines)
    plateau = load_checkpoint(tmp_path / "before_cooldown.safetensors")
    assert ended.step > plateau.step > last.step and ended.seconds >= 30 and plateau.seconds == pytest.approx(18)
    best = load_checkpoint(tmp_path / "best.safetensors").scores
    validations = [float(line.split("dice_mean ")[1].split(",")[0]) for line in lines if "dice_mean" in line]
    assert len(validations) >= 3 and best["dice_mean"] == pytest.approx(max(validations), abs=1e-4)

    assert go_on(0.5).step == ended.step
    longer = go_on(0.8)
    assert any(line.startswith(f"resuming at step {plateau.step}, minute 0.3 of 0.8 from") for line in lines)
    assert longer.seconds >= 48
    with pytest.raises(ValueError, match=r"minutes: expected None, got 0\.8"):
        train(replace(config, minutes=None), stacks, [], tmp_path, CPU)


def test_minutes_that_are_too_few_for_a_step_are_refused(stacks, tmp_path):
    with pytest.raises(ValueError, match=r"0\.05 minutes are too few: 3 s passed before the first step"):
        train(replace(CONFIG, minutes=0.05), stacks, [], tmp_path, CPU, clock=Clock(), started=0.0)
    assert not tmp_path.joinpath("last.safetensors").exists()


def test_training_learns(stacks):
    config = replace(
        CONFIG, steps=25, coarse_steps=0, warmup_steps=5, cooldown_steps=5, average_decay=0.9, learning_rate=5e-3
    )
    trainer = Trainer(config, CPU)
    batches = Batches(stacks, config)
    losses = [trainer.train_step(batches[step])["total"] for step in range(config.steps)]
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])


@pytest.mark.parametrize("name", ["det_seg", "after_unet_mt", "sk_unet_ref"])
def test_other_systems_take_a_step(stacks, name):
    trainer = Trainer(replace(CONFIG, model=name), CPU)
    before = {key: tensor.clone() for key, tensor in trainer.model.state_dict().items()}
    terms = trainer.train_step(Batches(stacks, CONFIG)[0])
    assert terms["total"] == pytest.approx(sum(value for key, value in terms.items() if key != "total"), rel=1e-5)
    assert ("heart" in terms, "presence" in terms, "ref" in terms) == (
        name == "det_seg",
        name == "after_unet_mt",
        name == "sk_unet_ref",
    )
    assert all(not torch.equal(before[key], weight) for key, weight in trainer.model.named_parameters())


def test_a_run_starts_from_given_weights(stacks, tmp_path):
    torch.manual_seed(7)
    given = create_model(CONFIG.model).state_dict()
    frozen = replace(CONFIG, learning_rate=0.0, average_decay=0.0, gradient_norm=None)
    started = train(frozen, stacks, stacks[:1], tmp_path / "run", CPU, stop_at=1, initial_weights=given)
    assert all(torch.equal(weight, given[name]) for name, weight in started.model.named_parameters())
    saved = load_model(load_checkpoint(tmp_path / "run/last.safetensors"))
    assert not saved.training
    assert all(torch.equal(weight, given[name]) for name, weight in saved.named_parameters())
    del given["seg.head.bias"]
    with pytest.raises(ValueError, match="not a seg_ref_mt_tiny's"):
        train(CONFIG, stacks, [], tmp_path / "other", CPU, initial_weights=given)


def test_a_checkpoint_holds_the_smaller_models_that_its_own_contains():
    torch.manual_seed(0)
    whole = create_model("seg_ref_mt")
    checkpoint = Checkpoint({"average": whole.state_dict()}, TrainingConfig(), 1, {})
    stack = torch.rand(1, 2, 1, 32, 32)
    with torch.no_grad():
        expected = whole.eval()(stack)
        seg, ref = (load_model(checkpoint, name)(stack) for name in ("after_unet", "seg_ref"))
    assert torch.equal(seg.logits, expected.seg_logits)
    assert torch.equal(ref.logits, expected.ref_logits)
    assert ref.presence_logits is None
    with pytest.raises(ValueError, match="seg_ref_mt does not contain a sk_unet"):
        load_model(checkpoint, "sk_unet")


def test_checkpoints_say_what_is_wrong_with_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        load_checkpoint(tmp_path / "absent.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="not a readable"):
        load_checkpoint(damaged)


def test_losses_and_scores_are_written_for_tensorboard(stacks, tmp_path):
    pytest.importorskip("tensorboard", reason="the optional package tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(CONFIG, stacks, stacks[:1], tmp_path, CPU, stop_at=3, events=True)
    train(CONFIG, stacks, stacks[:1], tmp_path, CPU, events=True)
    found = EventAccumulator(str(tmp_path)).Reload()
    assert {"loss/total", "loss/seg", "loss/ref_dice", "loss/locate", "validation/dice_mean"} <= set(
        found.Tags()["scalars"]
    )
    assert [event.step for event in found.Scalars("loss/total")] == [1, 2, 3, 4]
    assert [event.step for event in found.Scalars("validation/dice_rv")] == [3, 4]


def test_without_tensorboard_one_sentence_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install \"cardiacseg\[tensorboard\]\""):
        require_tensorboard()


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
