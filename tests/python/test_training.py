"""Training on a few tiny labelled stacks: data, augmentation, exact resume, checkpoints, the command."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from cardiacseg.training.augment import random_linear_map, sample_plane
from cardiacseg.training.checkpoint import load_checkpoint, load_model
from cardiacseg.training.config import Augmentation, Preprocessing, TrainingConfig
from cardiacseg.training.data import load_stacks, prepare_stack, resample_plane
from cardiacseg.training.loop import Batches, Trainer, learning_rate, train
from cardiacseg.training.validate import crop_origin, crop_pad, heart_centre, validate

ROOT = Path(__file__).parents[2]
SMALL = Preprocessing(spacing_mm=2.0, crop_pixels=32, locate_spacing_mm=4.0)
CONFIG = TrainingConfig(
    model="seg_ref_mt_tiny",
    steps=4,
    coarse_steps=2,
    coarse_factor=0.5,
    validate_every=2,
    warmup_steps=2,
    precision="fp32",
    preprocessing=SMALL,
)


def ring(slices: int, centre: tuple[int, int] = (24, 30)) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc in a dark ring beside a bright blob, on noise: image and labels [S, 48, 56]."""
    rows, columns = np.mgrid[:48, :56]
    radius = np.hypot(rows - centre[0], columns - centre[1])
    labels = np.where(radius < 5, 3, np.where(radius < 9, 2, 0))
    labels[np.hypot(rows - centre[0], columns - centre[1] + 13) < 5] = 1
    labels = np.repeat(labels[None].astype(np.uint8), slices, axis=0)
    noise = np.random.default_rng(0).normal(0, 5, labels.shape)
    return (np.choose(labels, [60, 200, 90, 210]) + noise).astype(np.float32), labels


@pytest.fixture(scope="module")
def stacks():
    return [prepare_stack(f"case{n}", *ring(n, (20 + n, 30)), (2.0, 2.0), SMALL) for n in (3, 4, 5)]


@pytest.fixture
def acdc(tmp_path):
    for number in (1, 2, 3):
        folder = tmp_path / "training" / f"patient{number:03d}"
        folder.mkdir(parents=True)
        for suffix, array in zip(("", "_gt"), ring(3), strict=True):
            file = nibabel.Nifti1Image(array.T, np.diag([1.5, 2.0, 8.0, 1.0]))
            nibabel.save(file, folder / f"patient{number:03d}_frame01{suffix}.nii.gz")
    (tmp_path / "splits.json").write_text(json.dumps({"train": ["patient001", "patient002"], "val": ["patient003"]}))
    return tmp_path


def test_loading_reads_the_layout_and_resamples_to_the_model_spacing(acdc):
    (stack,) = load_stacks(acdc, ["patient001"], SMALL)
    assert stack.name == "patient001_frame01"
    # rows have 2.0 mm, columns 1.5 mm: 48 rows stay 48, 56 columns become 42
    assert stack.image.shape == stack.labels.shape == (3, 48, 42)
    assert stack.coarse_image.shape == (3, 24, 21)
    row, column = stack.heart_centre()
    assert row == pytest.approx(24, abs=1) and column == pytest.approx((30 - 4.5) * 0.75, abs=1.5)


def test_loading_says_what_is_missing(acdc, tmp_path):
    with pytest.raises(FileNotFoundError, match="patient009"):
        load_stacks(acdc, ["patient009"], SMALL)
    (acdc / "training/patient001/patient001_frame01.nii.gz").unlink()
    with pytest.raises(FileNotFoundError, match="its image"):
        load_stacks(acdc, None, SMALL)
    with pytest.raises(FileNotFoundError, match="no patient folders"):
        load_stacks(tmp_path / "training" / "patient001", None, SMALL)


def test_resampling_keeps_a_constant_and_halves_a_ramp():
    ramp = torch.arange(8.0).expand(1, 8, 8).contiguous()
    halved = resample_plane(ramp, (1.0, 0.5))
    assert halved.shape == (1, 8, 4)
    torch.testing.assert_close(halved[0, 0, 1:3], torch.tensor([2.5, 4.5]))
    torch.testing.assert_close(resample_plane(torch.full((1, 5, 7), 3.0), (0.37, 1.9)), torch.full((1, 2, 13), 3.0))


def test_sample_plane_identity_and_shift():
    plane = torch.rand(2, 1, 9, 9)
    eye, middle = torch.eye(2), torch.tensor([4.0, 4.0])
    torch.testing.assert_close(sample_plane(plane, middle, eye, 9, 1.0), plane, atol=1e-5, rtol=0)
    moved = sample_plane(plane, middle + torch.tensor([1.0, 0.0]), eye, 9, 1.0)
    torch.testing.assert_close(moved[..., :8], plane[..., 1:], atol=1e-5, rtol=0)
    assert moved[..., 8].abs().max() < 1e-5


def test_linear_maps_cover_turns_flips_and_the_range_of_scales():
    generator = torch.Generator().manual_seed(1)
    settings = Augmentation()
    maps = torch.stack([random_linear_map(settings, generator) for _ in range(300)])
    determinants = torch.linalg.det(maps)
    zoom = determinants.abs().sqrt()
    assert 1 / settings.scale[1] - 1e-3 <= zoom.min() < 0.85 and 1.2 < zoom.max() <= 1 / settings.scale[0] + 1e-3
    assert 0.1 < (determinants < 0).float().mean() < 0.4
    torch.testing.assert_close(maps @ maps.transpose(1, 2), (zoom**2)[:, None, None] * torch.eye(2).expand(300, 2, 2))


def test_batches_are_a_function_of_the_step(stacks):
    batches = Batches(stacks, CONFIG)
    first, again, other = batches[1], batches[1], batches[2]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert first.image.shape[-2:] == (16, 16) and other.image.shape[-2:] == (32, 32)
    assert first.image.min() >= 0 and first.image.max() <= 1
    assert set(first.labels.unique().tolist()) <= {0, 1, 2, 3} and (first.labels > 0).any()
    different = Batches(stacks, replace(CONFIG, seed=1))[1]
    assert not torch.equal(first.image[0, 0], different.image[0, 0])


def test_learning_rate_warms_up_and_falls():
    rates = [learning_rate(replace(CONFIG, steps=100, warmup_steps=10), step) for step in range(100)]
    assert rates[9] == max(rates) == pytest.approx(CONFIG.learning_rate)
    assert rates[0] == pytest.approx(CONFIG.learning_rate / 10) and rates[-1] < 0.02 * CONFIG.learning_rate


def test_a_resumed_run_has_the_weights_of_an_uninterrupted_one(stacks, tmp_path):
    device = torch.device("cpu")
    whole = train(CONFIG, stacks, stacks[:1], tmp_path / "whole", device)
    train(CONFIG, stacks, stacks[:1], tmp_path / "parts", device, stop_at=2)
    resumed = train(CONFIG, stacks, stacks[:1], tmp_path / "parts", device)
    assert resumed.step == whole.step == CONFIG.steps
    for (name, ours), theirs in zip(whole.model.state_dict().items(), resumed.model.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name
    assert all(torch.equal(whole.average.tensors[name], tensor) for name, tensor in resumed.average.tensors.items())


def test_resuming_with_another_configuration_is_refused(stacks, tmp_path):
    train(CONFIG, stacks, [], tmp_path, torch.device("cpu"), stop_at=1)
    with pytest.raises(ValueError, match="another configuration"):
        train(replace(CONFIG, learning_rate=1.0), stacks, [], tmp_path, torch.device("cpu"))


def test_training_learns(stacks):
    config = replace(CONFIG, steps=40, coarse_steps=0, warmup_steps=5, average_decay=0.9, learning_rate=5e-3)
    trainer = Trainer(config, torch.device("cpu"))
    batches = Batches(stacks, config)
    losses = [trainer.train_step(batches[step])["total"] for step in range(config.steps)]
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])
    scores = validate(trainer.averaged_model(), stacks, SMALL, torch.device("cpu"))
    assert set(scores) == {"dice_rv", "dice_myo", "dice_lv", "dice_mean", "presence_accuracy"}


def test_checkpoints_say_what_is_wrong_with_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        load_checkpoint(tmp_path / "absent.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="not a readable"):
        load_checkpoint(damaged)


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


def test_heart_centre_is_the_centroid_of_the_heaviest_window():
    heart = np.zeros((2, 40, 50), np.float32)
    heart[:, 10:15, 20:25] = 0.9
    heart[0, 35, 45] = 0.9  # a stray pixel far away
    heart[1] += 0.3  # below the threshold
    assert heart_centre(heart, 12) == (12.0, 22.0)
    assert heart_centre(np.zeros((1, 10, 20), np.float32), 12) == (4.5, 9.5)


def test_crop_origin_puts_the_centre_in_the_middle():
    # coarse pixel 12 of 4 mm has its centre at 50 mm, pixel edge 25 at 2 mm, so the crop starts 16 pixels before
    assert crop_origin((12.0, 12.5), SMALL) == (9, 10)


def test_the_command_trains_resumes_and_refuses_without_the_core(acdc, tmp_path):
    command = [
        sys.executable,
        ROOT / "tools/train.py",
        acdc,
        "-o",
        tmp_path / "run",
        "--model",
        "seg_ref_mt_tiny",
        "--steps",
        "2",
        "--coarse-steps",
        "1",
        "--validate-every",
        "1",
        "--precision",
        "fp32",
    ]
    # the package from the source tree, which holds no compiled core
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["step"] == 2 and "train:" in done.stderr
    again = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert again.returncode == 0 and "resuming at step 2" in again.stderr
    model = load_model(load_checkpoint(tmp_path / "run/best.safetensors"))
    assert not model.training
    refused = subprocess.run(
        [*command[:2], tmp_path / "nothing", *command[3:]], env=environment, capture_output=True, text=True
    )
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
