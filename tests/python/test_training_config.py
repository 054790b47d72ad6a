"""Presets, the learning rate's schedule, and which runs may be resumed."""

import json
from dataclasses import replace

import pytest
import torch

from cardiacseg.models import create_model
from cardiacseg.training.config import TrainingConfig, differences
from cardiacseg.training.presets import PRESETS, default, paper
from cardiacseg.training.schedule import cooldown_start, learning_rate, obstacles
from cardiacseg.training.trainer import autocast_type, check_run

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json_and_fit_the_model(name):
    config = PRESETS[name]()
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    check_run(config, CPU)


def test_the_paper_preset_is_section_3_1():
    config = paper().for_stacks(140)
    assert config.steps == 200 * 140 / 2 and config.epochs is None
    assert {learning_rate(config, step) for step in (0, 1, 5000, config.steps - 1)} == {1e-4}
    # AdamW without decay is Adam
    assert config.weight_decay == 0 and config.loss.presence == 0.1 and config.loss.dice == 0
    assert config.preprocessing.spacing_mm == 1.3


def test_an_epoch_sees_each_stack_once_on_average():
    assert TrainingConfig(epochs=3, stacks_per_step=4).for_stacks(10).steps == 8
    assert default().for_stacks(10) == default()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"stacks_per_step": 0}, "stacks_per_step must be at least 1"),
        ({"epochs": 0.0}, "epochs must be positive"),
    ],
)
def test_impossible_lengths_are_refused(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        TrainingConfig(**values)


def test_a_run_that_cannot_work_is_refused_before_data_are_read():
    with pytest.raises(ValueError, match="multiple of seg_ref_mt's stride 16, got 120"):
        check_run(replace(default(), preprocessing=replace(default().preprocessing, crop_pixels=120)), CPU)
    with pytest.raises(ValueError, match="unknown model"):
        check_run(replace(default(), model="unet"), CPU)
    with pytest.raises(ValueError, match="precision must be auto"):
        check_run(replace(default(), precision="fp8"), CPU)


def test_unknown_and_missing_fields_of_a_configuration():
    values = default().to_dict()
    with pytest.raises(ValueError, match=r"not a training configuration.*colour"):
        TrainingConfig.from_dict({**values, "colour": 1})
    del values["initial_weights"]
    assert TrainingConfig.from_dict(values) == default()


def test_learning_rate_rises_stays_and_falls_to_zero():
    config = TrainingConfig(steps=100, warmup_steps=10, cooldown_steps=20, learning_rate=1.0)
    rates = [learning_rate(config, step) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert set(rates[10:81]) == {1.0}
    # update 81 has 19 of 20 steps left
    assert rates[81:] == pytest.approx([step / 20 for step in range(19, -1, -1)])


def test_a_longer_run_is_the_same_up_to_the_cooldown():
    short, long = TrainingConfig(steps=100, cooldown_steps=20), TrainingConfig(steps=150, cooldown_steps=20)
    rates = [[learning_rate(config, step) for step in range(100)] for config in (short, long)]
    start = cooldown_start(short)
    assert start == 80 and rates[0][: start + 1] == rates[1][: start + 1] and rates[0][start + 1] < rates[1][start + 1]
    assert obstacles(80, short, long) == obstacles(80, long, short) == ""
    assert obstacles(81, short, long) == "steps 100 in the file and 150 wanted"
    assert obstacles(81, long, long) == ""


def test_obstacles_name_only_what_differs():
    saved = default()
    wanted = replace(saved, seed=3, steps=9000, loss=replace(saved.loss, presence=0.5))
    assert (
        obstacles(0, saved, wanted) == "seed 0 in the file and 3 wanted, loss.presence 0.3 in the file and 0.5 wanted"
    )
    assert differences(saved, wanted) == {"steps": (6000, 9000), "seed": (0, 3), "loss.presence": (0.3, 0.5)}


def test_precision_is_what_was_asked_for():
    asked = [autocast_type(name, CPU) for name in ("fp32", "bf16", "fp16")]
    assert asked == [None, torch.bfloat16, torch.float16]
    assert autocast_type("auto", CPU) in (None, torch.bfloat16)


def test_the_default_crop_fits_every_system():
    for name in ("sk_unet", "det_seg", "seg_ref", "seg_ref_mt"):
        assert default().preprocessing.crop_pixels % create_model(name).seg.stride == 0
