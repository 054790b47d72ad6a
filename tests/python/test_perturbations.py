"""Perturbations of stacks and labelled cines by values worked out by hand, and what runs and flags make of them."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from synthetic_heart import IMAGE, LABELS, RR, SPACING, TIMES, synthetic_image, synthetic_labels

from cardiacseg.acquisition import Timing
from cardiacseg.evaluation.flags import (
    FlagTrial,
    flagged,
    good_summary,
    good_table,
    labelled_cases,
    perturbed_summary,
    perturbed_table,
    phantom_cases,
    run_flag_trials,
    run_predicted,
)
from cardiacseg.evaluation.image_perturbations import PERTURBATIONS, bias_field, gamma, missing_slice, spacing_error
from cardiacseg.evaluation.label_perturbations import OF_A_WHOLE_CINE, OF_ANY_CINE, Case, Perturbation
from cardiacseg.evaluation.runs import AS_IT_IS, Trial, quality_summary, robustness_summary
from cardiacseg.io.labelled import LabelledImage, find_labelled_frames
from cardiacseg.segmenter import CardiacSegmenter

ACDC = Path(__file__).parents[3] / "shared" / "acdc"


def stack(slices=5):
    """Grey values 0..1 in a slope along rows, labels that differ in each slice; unequal spacing."""
    image = np.broadcast_to(np.linspace(0, 1, 101, dtype=np.float32)[:, None], (slices, 101, 60)).copy()
    labels = np.zeros(image.shape, np.uint8)
    for index in range(slices):
        labels[index, 40 + index : 60, 20:30] = 1 + index % 3
    return LabelledImage(image, labels, (8.0, 1.5, 1.25))


def perturb(name, whole=None, seed=0):
    return PERTURBATIONS[name](whole or stack(), np.random.default_rng(seed))


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_perturbations_are_repeatable_keep_the_original_and_stay_whole(name):
    whole, same = stack(), stack()
    first, second = (perturb(name, whole, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(whole.image, same.image)
    assert first.image.shape == first.labels.shape and first.image.dtype == np.float32
    assert np.isfinite(first.image).all()
    parts = [np.array_equal(getattr(first, part), getattr(same, part)) for part in ("image", "labels", "spacing")]
    assert not all(parts)


def test_gamma_bends_the_range_and_keeps_its_ends():
    bent = gamma(stack(), None, power=2.0)
    # the 1st and 99th percentiles of 0, 0.01, ..., 1 are 0.01 and 0.99
    assert bent.image[0, [0, 1, 50, 99, 100], 0] == pytest.approx([0.01, 0.01, 0.01 + 0.98 * 0.25, 0.99, 0.99])


def test_bias_field_is_a_factor_from_a_half_to_two():
    flat = LabelledImage(np.full((2, 61, 61), 100, np.float32), np.zeros((2, 61, 61), np.uint8), (8.0, 1.0, 1.0))
    for seed in range(4):
        field = bias_field(flat, np.random.default_rng(seed)).image / 100
        assert field[0, 30, 30] == pytest.approx(1)
        np.testing.assert_allclose(field[0] * field[0, ::-1, ::-1], 1, rtol=1e-5)
        assert 2 <= field.max() <= 2 ** math.sqrt(2) + 1e-4


def test_noise_is_seven_percent_where_there_is_signal():
    flat = stack()
    flat.image[:, 50:] = 100.0
    flat.image[:, :50] = 0.0
    noisy = perturb("noise", flat).image
    assert noisy[:, 50:].std() == pytest.approx(7, rel=0.05)
    # without signal it is Rayleigh's, whose mean is sigma * sqrt(pi / 2)
    assert noisy[:, :50].mean() == pytest.approx(7 * math.sqrt(math.pi / 2), rel=0.05)


def test_blur_is_two_millimetres_in_both_directions():
    dot = LabelledImage(np.zeros((1, 41, 41), np.float32), np.zeros((1, 41, 41), np.uint8), (8.0, 1.0, 0.5))
    dot.image[0, 20, 20] = 1
    soft = perturb("blur", dot).image[0]
    for axis, step in ((0, 1.0), (1, 0.5)):
        profile, place = soft.sum(axis=1 - axis), (np.arange(41) - 20) * step
        assert math.sqrt((profile * place**2).sum() / profile.sum()) == pytest.approx(2, rel=0.03)


def test_geometry():
    whole = stack()
    wrong = spacing_error(whole, None, factor=0.8)
    assert wrong.spacing == pytest.approx((8.0, 1.2, 1.0)) and wrong.image is whole.image
    turned = perturb("rotation by 90 degrees")
    assert turned.spacing == (8.0, 1.25, 1.5) and turned.image.shape == (5, 60, 101)
    # np.rot90 turns the last column to the first row
    np.testing.assert_array_equal(turned.labels[:, 0], whole.labels[:, :, -1])
    np.testing.assert_array_equal(turned.labels[2, 59 - 25], whole.labels[2, :, 25])
    np.testing.assert_array_equal(perturb("reversed slices").labels, whole.labels[::-1])
    half = perturb("every second slice")
    assert half.spacing == (16.0, 1.5, 1.25)
    np.testing.assert_array_equal(half.labels, whole.labels[[0, 2, 4]])


@pytest.mark.parametrize(("slices", "left"), [(1, 1), (2, 2), (3, 2), (9, 8)])
def test_the_missing_slice_is_an_inner_one(slices, left):
    for seed in range(5):
        short = missing_slice(stack(slices), np.random.default_rng(seed))
        assert short.labels.shape[0] == left
        np.testing.assert_array_equal(short.labels[[0, -1]], stack(slices).labels[[0, -1]])


trial = partial(Trial, quality=math.nan)


def test_robustness_summary_is_means_and_losses():
    trials = [
        trial("a_1", "a", AS_IT_IS, {"rv": 0.9, "myo": 0.9, "lv": 0.9}, 0.9),
        trial("b_1", "b", AS_IT_IS, {"rv": 0.7, "myo": 0.8, "lv": 1.0}, 0.8),
        trial("a_1", "a", "noise", {"rv": 0.3, "myo": 0.6, "lv": 0.6}, 0.5),
    ]
    found = robustness_summary(trials)
    assert found[AS_IT_IS] == pytest.approx({"rv": 0.8, "myo": 0.85, "lv": 0.95, "mean": 2.6 / 3, "loss": 0})
    assert found["noise"] == pytest.approx({"rv": 0.3, "myo": 0.6, "lv": 0.6, "mean": 0.5, "loss": 2.6 / 3 - 0.5})


def test_quality_summary_takes_the_plain_stacks_and_all():
    trials = [
        trial(f"{patient}_1", patient, perturbation, dict.fromkeys(("rv", "myo", "lv"), 0.5 * agreement), agreement)
        for patient, agreements in {"a": (0.9, 0.5), "b": (0.8, 0.7), "c": (0.6, 0.3)}.items()
        for perturbation, agreement in zip((AS_IT_IS, "noise"), agreements, strict=True)
    ]
    found = quality_summary(trials)
    assert (found[AS_IT_IS]["stacks"], found["with spoilings"]["stacks"]) == (3, 6)
    assert found["with spoilings"]["pearson"] == pytest.approx(1)
    assert found["with spoilings"]["mean_absolute_error"] == pytest.approx(0, abs=1e-12)
    single_stage = [trial("a_1", "a", AS_IT_IS, {"rv": 1.0, "myo": 1.0, "lv": 1.0}, math.nan)]
    assert quality_summary(single_stage) == {AS_IT_IS: None, "with spoilings": None}


def test_summaries_count_fractions():
    trials = [
        FlagTrial("a", "as it is", frozenset({"x"})),
        FlagTrial("b", "as it is", frozenset()),
        FlagTrial("a", "cut", frozenset({"x", "y"})),
        FlagTrial("b", "cut", frozenset({"y", "z"})),
    ]
    good = good_summary(trials)
    assert good == {"cases": 2, "flags_per_case": 0.5, "raised": {"x": 0.5}}
    found = perturbed_summary(trials, {"cut": Perturbation(lambda case, random: case, ("x",))})
    assert found["cut"] == {"expected": ["x"], "raised": 0.5, "raised_as_it_is": 0.5, "new": {"y": 1.0, "z": 0.5}}
    assert "| `x`" in good_table({"experts": good})
    assert "`y` 100.0 %, `z` 50.0 %" in perturbed_table(found)


def test_perturbations_leave_their_case_as_it_is_and_raise_what_they_should():
    case = Case(IMAGE, LABELS, SPACING, Timing(TIMES, RR, "drawn"))
    perturbations = OF_ANY_CINE | OF_A_WHOLE_CINE
    found = perturbed_summary(run_flag_trials([("drawn", case)], perturbations), perturbations)
    np.testing.assert_array_equal(case.labels, synthetic_labels())
    np.testing.assert_array_equal(case.image, synthetic_image(LABELS))
    missed = {title for title, row in found.items() if row["expected"] and not row["raised"]}
    assert missed == set()
    assert found["reversed slices"]["new"] == {}


def test_a_run_of_the_model_is_flagged():
    [(name, case)] = phantom_cases(1, frames=1)
    [trial] = run_predicted([(name, case)], CardiacSegmenter())
    assert trial == FlagTrial(name, "as it is", frozenset({"few_phases"}))


def test_a_synthetic_cardiac_cycle():
    [(name, case)] = phantom_cases(1, frames=15)
    assert flagged(case) == frozenset()
    found = perturbed_summary(run_flag_trials([(name, case)], OF_A_WHOLE_CINE), OF_A_WHOLE_CINE)
    assert all(row["raised"] for row in found.values())


@pytest.mark.skipif(not ACDC.is_dir(), reason="ACDC is not beside the checkout")
def test_experts_labels_raise_little_and_perturbed_ones_the_right_flag():
    frames = find_labelled_frames(ACDC, ["patient003", "patient045"])
    expected = ("a slice without labels", "RV and LV exchanged in a slice", "shuffled slices", "reversed slices")
    perturbations = {title: OF_ANY_CINE[title] for title in expected}
    trials = run_flag_trials(labelled_cases(frames), perturbations)
    for trial in trials:
        if trial.perturbation in ("as it is", "reversed slices"):
            # the LV of patient045 has 31 of its 193 ml in a slice at the base in which the experts see no RV
            assert trial.codes - {"few_phases"} == ({"lv_beyond_rv"} if trial.name == "patient045" else set())
    found = perturbed_summary(trials, perturbations)
    assert [found[title]["raised"] for title in expected[:3]] == [1, 1, 1]
