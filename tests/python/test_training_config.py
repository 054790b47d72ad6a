"""Presets, the learning rate's schedule, and which runs may be resumed."""

import json
from dataclasses import replace

import pytest
import torch

from cardiacseg.models import create_model
from cardiacseg.training.config import PRESETS, TrainingConfig, default, differences, paper
from cardiacseg.training.schedule import ClockSchedule, cooldown_start, learning_rate, resume_obstacles
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
        ({"minutes": float("nan")}, "minutes must be positive, got nan"),
        ({"minutes": 1.0, "epochs": 2.0}, "expected epochs or minutes, got both"),
        ({"cooldown_fraction": 1.5}, "cooldown_fraction must lie between 0 and 1, got 1.5"),
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
    with pytest.raises(ValueError, match=r"not a training configuration.*color"):
        TrainingConfig.from_dict({**values, "color": 1})
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
    assert resume_obstacles(80, short, long) == resume_obstacles(80, long, short) == ""
    assert resume_obstacles(81, short, long) == "steps: expected 150, got 100"
    assert resume_obstacles(81, long, long) == ""


def test_obstacles_name_only_what_differs():
    saved = default()
    expected = replace(saved, seed=3, steps=9000, loss=replace(saved.loss, presence=0.5))
    assert resume_obstacles(0, saved, expected) == "seed: expected 3, got 0, loss.presence: expected 0.5, got 0.3"
    assert differences(saved, expected) == {"steps": (6000, 9000), "seed": (0, 3), "loss.presence": (0.3, 0.5)}


def test_precision_is_what_was_asked_for():
    asked = [autocast_type(name, CPU) for name in ("fp32", "bf16", "fp16")]
    assert asked == [None, torch.bfloat16, torch.float16]
    assert autocast_type("auto", CPU) in (None, torch.bfloat16)


def test_the_default_crop_fits_every_system():
    for name in ("sk_unet", "det_seg", "seg_ref", "seg_ref_mt"):
        assert default().preprocessing.crop_pixels % create_model(name).seg.stride == 0


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def run_by_clock(config, loading=30.0, step_took=2.0, validation_took=6.0, used=0.0):
    """The rates, the seconds at which each was taken, those of the validations, and of the cooldown's start."""
    clock, rates, validations, cooling = Clock(), [], [], []
    clock.now = loading
    schedule, step = ClockSchedule(config, 0.0, used, clock), 0
    finished = schedule.finished(step)
    while not finished:
        rates.append((schedule.used, schedule.rate(step)))
        clock.now += step_took
        step += 1
        finished = schedule.finished(step)
        if schedule.cooling:
            cooling.append(schedule.used)
        if finished or schedule.validation_due(step):
            validations.append(schedule.used)
            clock.now += validation_took
            schedule.validated()
    return rates, validations, cooling, schedule.used


def test_a_run_by_the_clock_warms_up_cools_down_and_ends_in_time():
    config = TrainingConfig(minutes=10, learning_rate=1.0, warmup_steps=4, cooldown_fraction=0.4)
    rates, validations, cooling, end = run_by_clock(config)
    assert [rate for _, rate in rates[:5]] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert all(rate == 1.0 for at, rate in rates[4:] if at <= 360) and all(rate < 1.0 for at, rate in rates if at > 362)
    # the updates end 7.5 s, 1.25 validations, before the end
    for at, rate in rates:
        if at > 362:
            assert rate == pytest.approx((592.5 - at) / (592.5 - 360), abs=0.04)
    assert rates[-1][1] < 0.02 and rates[-1][0] > 585 and 595 < end <= 600
    assert len(cooling) == 1 and 360 < cooling[0] <= 362 + 6
    assert 7 <= len(validations) <= 9 and validations[-1] > 585


def test_a_short_slot_has_a_short_warm_up_and_dear_looks_are_few():
    config = TrainingConfig(minutes=10, learning_rate=1.0, warmup_steps=1000, cooldown_fraction=0.0)
    rates, validations, cooling, end = run_by_clock(config, validation_took=60.0)
    assert rates[5][1] == pytest.approx(10 / 18) and all(rate == 1.0 for at, rate in rates if at > 30 + 18)
    assert len(validations) == 2 and not cooling and end <= 600
    assert run_by_clock(config, loading=601.0)[0] == []


def test_an_interrupted_run_goes_on_with_the_minutes_that_were_left():
    config = TrainingConfig(minutes=10, learning_rate=1.0, warmup_steps=0)
    rates, _, cooling, end = run_by_clock(config, loading=20.0, used=400.0)
    assert (
        rates[0][0] == 420.0 and rates[0][1] == pytest.approx((600 - 420) / (600 - 360)) and not cooling and end <= 600
    )
    rates, _, cooling, end = run_by_clock(config, loading=20.0, used=300.0)
    assert rates[0] == (320.0, 1.0) and len(cooling) == 1 and end <= 600


def test_minutes_may_change_up_to_the_cooldown():
    short, long = TrainingConfig(minutes=10), TrainingConfig(minutes=20)
    assert resume_obstacles(7, short, long, 360.0) == resume_obstacles(7, long, short, 360.0) == ""
    assert resume_obstacles(7, short, long, 361.0) == "minutes: expected 20, got 10"
    assert resume_obstacles(0, TrainingConfig(), long) == "minutes: expected 20, got None"
