"""Evaluation: its parts against literals, then all of it on a real bundle and real files of both layouts."""

import csv
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest

from cardiacseg.evaluation import calibrate, calibration, evaluate, run_trials
from cardiacseg.evaluation.cases import case_row, extra_fragments, holes, score_case, slice_regions
from cardiacseg.evaluation.image_perturbations import PERTURBATIONS
from cardiacseg.evaluation.report import REPORT_FILES
from cardiacseg.evaluation.summary import Evaluation, bland_altman, json_ready, patient_volumes, volume_agreement
from cardiacseg.evaluation.tables import ROWS, cases_csv, comparison_table, dice_table
from cardiacseg.io.labelled import LabelledFrame, LabelledImage, find_labelled_frames, read_labelled_frame

ROOT = Path(__file__).parents[2]


def plane(picture):
    """Labels [1, H, W] from rows of digits."""
    return np.array([[int(digit) for digit in row] for row in picture.split()], np.uint8)[None]


@pytest.mark.parametrize(
    ("picture", "fragments", "found_holes"),
    [
        ("00000 02220 02320 02220 00000", [0, 0, 0], [0, 0, 0]),
        ("00000 02220 02020 02220 00000", [0, 0, 0], [1, 0, 0]),
        # a corner lets background neither in nor out, and connects what is labelled
        ("00000 00200 02020 00200 00000", [0, 0, 0], [1, 0, 0]),
        ("10001 00000 10000 00000 00011", [3, 0, 0], [0, 0, 0]),
        # background that the border cuts off is no hole
        ("02220 02020 02020 00000 00003", [0, 0, 0], [0, 0, 0]),
        # myocardium inside the LV is a hole of the LV, not of the heart; the RV likewise
        ("33333 32323 33333 11100 12100 11100", [0, 2, 0], [0, 1, 2]),
        ("000 000", [0, 0, 0], [0, 0, 0]),
        ("333 333", [0, 0, 0], [0, 0, 0]),
    ],
)
def test_fragments_and_holes(picture, fragments, found_holes):
    assert extra_fragments(plane(picture)).tolist() == [fragments]
    assert holes(plane(picture)).tolist() == [found_holes]


def test_fragments_and_holes_count_within_slices():
    labels = np.concatenate([plane("100 000 001"), plane("000 010 000"), plane("111 101 111")])
    assert extra_fragments(labels)[:, 0].tolist() == [1, 0, 0]
    assert holes(labels).tolist() == [[0, 0, 0], [0, 0, 0], [1, 1, 0]]


def test_slice_regions():
    truth = np.zeros((7, 2, 2), np.uint8)
    truth[[1, 5], 0, 0] = 1
    assert slice_regions(truth).tolist() == ["outside", "base", "base", "mid", "mid", "apex", "outside"]
    assert slice_regions(np.zeros((2, 2, 2))).tolist() == ["outside"] * 2


def test_near_heart_is_the_margin_round_the_outline_in_every_slice():
    truth = np.zeros((3, 9, 11), np.uint8)
    truth[1, 4, 5], truth[2, 4, 6] = 2, 3
    near = calibration.near_heart(truth, (10.0, 5.0, 4.0), margin_mm=8.0)
    expected = np.zeros((9, 11), bool)
    expected[4, 3:9] = True  # two columns of 4 mm to either side
    expected[[3, 5], 4:8] = True  # one row of 5 mm and at most one column, 6.4 mm
    for part in near:
        np.testing.assert_array_equal(part, expected)
    assert not calibration.near_heart(np.zeros((1, 2, 2)), (1.0, 1.0, 1.0)).any()


def test_expected_calibration_error_by_hand():
    # confidences 0.9, 0.9, 0.5, 1: in the bin of 0.9 one of two is right, 0.5 is right, 1 is wrong
    probabilities = np.array([[0.9, 0.1, 0, 0], [0.05, 0.9, 0.05, 0], [0.5, 0.3, 0.2, 0], [0, 0, 0, 1.0]])
    bins = calibration.reliability(probabilities, np.array([0, 3, 0, 1]))
    assert bins.sum(axis=0) == pytest.approx([4, 3.3, 2])
    assert bins[13] == pytest.approx([2, 1.8, 1]) and bins[7] == pytest.approx([1, 0.5, 1])
    assert bins[14] == pytest.approx([1, 1, 0])
    assert calibration.expected_calibration_error(bins) == pytest.approx((0.8 + 0.5 + 1) / 4)
    assert math.isnan(calibration.expected_calibration_error(np.zeros((15, 3))))


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_scaling_is_the_softmax_of_divided_logits_and_leaves_shut_classes_shut():
    logits = np.random.default_rng(0).normal(0, 3, (50, 4))
    np.testing.assert_allclose(calibration.scale(softmax(logits), 2.5), softmax(logits / 2.5), rtol=1e-10)
    assert calibration.scale(np.array([[0.8, 0.0, 0.2, 0.0]]), 2.0)[0] == pytest.approx([2 / 3, 0, 1 / 3, 0])


def test_likelihood_by_hand_leaves_out_what_no_temperature_can_mend():
    probabilities, truth = np.array([[0.8, 0.2, 0, 0], [0.5, 0.5, 0, 0]]), np.array([1, 2])
    assert calibration.negative_log_likelihood(probabilities, truth) == pytest.approx(-math.log(0.2))
    assert calibration.negative_log_likelihood(probabilities, truth, 2.0) == pytest.approx(-math.log(1 / 3))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.2])
def test_the_temperature_that_was_taken_out_is_found(temperature):
    random = np.random.default_rng(1)
    logits = random.normal(0, 2, (40_000, 4))
    logits[:5000, 1] = -np.inf
    truth = (softmax(logits).cumsum(axis=1) > random.random((len(logits), 1))).argmax(axis=1)
    overconfident = softmax(logits * temperature).astype(np.float32)
    assert calibration.fit_temperature(overconfident, truth) == pytest.approx(temperature, rel=0.03)
    mended = calibration.scale(overconfident, temperature)
    assert calibration.expected_calibration_error(calibration.reliability(mended, truth)) < 0.01
    assert calibration.fit_temperature(np.zeros((0, 4)), np.zeros(0, int)) == 1.0


def test_bland_altman_by_hand():
    found = bland_altman([11.0, 19, 33, math.nan], [10.0, 20, 30, 5])
    # differences 1, -1, 3: mean 1, standard deviation 2
    assert found == pytest.approx({"patients": 3, "bias": 1, "lower": 1 - 3.92, "upper": 1 + 3.92})
    assert math.isnan(bland_altman([1.0], [2.0])["upper"])
    assert math.isnan(bland_altman([], [])["bias"])


def test_ejection_fractions_follow_the_truths_ed_and_es():
    def frame(patient, ours, truth):
        ours, truth = ({"lv": lv, "rv": rv} for lv, rv in (ours, truth))
        return SimpleNamespace(patient=patient, volumes_ml=ours, true_volumes_ml=truth)

    cases = [frame("b", (50, 40), (60, 45)), frame("b", (90, 0), (120, 90)), frame("a", (1, 1), (1, 1))]
    (found,) = patient_volumes(cases)
    assert found.patient == "b"
    expected = {"lv_edv_ml": 120, "lv_esv_ml": 60, "lv_ef_percent": 50, "rv_edv_ml": 90, "rv_esv_ml": 45}
    assert found.truth == pytest.approx({**expected, "rv_ef_percent": 50})
    assert found.ours["lv_ef_percent"] == pytest.approx(100 * 40 / 90)
    assert math.isnan(found.ours["rv_ef_percent"])
    table = volume_agreement([found])
    assert table["lv_edv_ml"]["bias"] == pytest.approx(-30) and table["rv_ef_percent"]["patients"] == 0


def test_the_line_of_quality():
    line = calibration.fit_quality([0.5, 0.7, 0.9], [0.6, 0.65, 0.7])
    assert line == pytest.approx({"intercept": 0.475, "slope": 0.25})
    assert calibration.predict_quality({"intercept": 0.5, "slope": 1.0}, [-1, 0.2, 0.9]) == pytest.approx([0, 0.7, 1])
    for unknown in ([math.nan] * 3, [0.8] * 3, []):
        assert calibration.fit_quality(unknown, [0.5, 0.6, 0.7][: len(unknown)]) is None


def test_quality_is_validated_on_patients_left_out():
    agreements, dice = np.array([0.0, 0.0, 1.0, 1.0, 0.5]), np.array([0.2, 0.4, 0.8, 1.0, 0.1])
    found = calibration.quality_validation(agreements, dice, ["a", "b", "a", "b", "c"])
    # without a: 0.4, 1 and 0.1 at 0, 1, 0.5; without b: 0.2, 0.8 and 0.1; both have slope 0.6. Without c: 0.3 + 0.6 x
    predicted = np.array([0.2, 1 / 15, 0.8, 2 / 3, 0.6])
    assert found["mean_absolute_error"] == pytest.approx(np.abs(predicted - dice).mean())
    assert found["pearson"] == pytest.approx(np.corrcoef(predicted, dice)[0, 1])
    # ranks 2 1 5 4 3 against 2 3 4 5 1: 1 - 6 * (0 + 4 + 1 + 1 + 4) / (5 * 24)
    assert found["spearman"] == pytest.approx(0.5)
    assert (found["stacks"], found["patients"]) == (5, 3)
    assert calibration.quality_validation(agreements, dice, ["a"] * 5) is None


def disc(slices=4, size=48):
    """A picture with a heart: labels [S, size, size] and grey values; the last slice is empty."""
    rows, columns = np.mgrid[:size, :size]
    radius = np.hypot(rows - size / 2, columns - size / 2)
    labels = np.repeat(np.where(radius < 5, 3, np.where(radius < 9, 2, 0))[None].astype(np.uint8), slices, axis=0)
    labels[:, np.hypot(rows - size / 2, columns - size / 2 + 14) < 5] = 1
    labels[-1] = 0
    noise = np.random.default_rng(0).normal(0, 5, labels.shape)
    return LabelledImage((np.choose(labels, [60, 200, 90, 210]) + noise).astype(np.float32), labels, (8.0, 2.0, 1.5))


def result(labels, probabilities=None):
    agreed = np.array([[0.5, 0.75, 1.0]], np.float32)
    return SimpleNamespace(labels=labels, agreement=agreed, quality=np.array([0.8]), probabilities=probabilities)


def case(labels, stack, name="p_frame01"):
    sure = np.moveaxis(np.eye(4)[labels], -1, 1)[None]
    return score_case(LabelledFrame(name, name.split("_")[0], None, None, {}), stack, result(labels, sure))


def test_a_perfect_case_and_one_with_known_faults():
    stack = disc()
    perfect = case(stack.labels, stack)
    assert perfect.dice == {"rv": 1, "myo": 1, "lv": 1} == perfect.dice_by_level["apex"]
    assert perfect.hd95_mm == {"rv": 0, "myo": 0, "lv": 0} == perfect.assd_mm
    assert calibration.expected_calibration_error(perfect.reliability) == 0
    labels = stack.labels.copy()
    labels[0][labels[0] == 1] = 0  # RV missed in the basal slice
    labels[3, 2:4, 2:4] = 3  # LV where there is no heart
    labels[1, 24, 24] = 0  # a hole
    labels[2, 40, 40] = 2  # a fragment
    row = case_row(case(labels, stack))
    assert (row["slices_missed_rv"], row["slices_too_many_lv"], row["slices_missed_lv"]) == (1, 1, 0)
    assert (row["holes_heart"], row["holes_lv"], row["extra_fragments_myo"], row["slices"]) == (1, 1, 1, 4)
    voxel_ml = 8 * 2 * 1.5 / 1000
    assert row["lv_ml"] - row["lv_true_ml"] == pytest.approx(3 * voxel_ml)
    assert row["agreement_myo"] == 0.75 and row["predicted_quality"] == 0.8


def test_the_summary_counts_over_all_slices():
    stack = disc()
    faulty = stack.labels.copy()
    faulty[0][faulty[0] == 1] = 0
    faulty[3, 2:4, 2:4] = 3
    summary = Evaluation((case(stack.labels, stack), case(faulty, stack, "q_frame01"))).summary()
    assert (summary["patients"], summary["stacks"]) == (2, 2)
    assert summary["presence_accuracy"] == pytest.approx(22 / 24, abs=1e-4)
    assert summary["presence_by_region"]["base"]["rv"]["false_negative_rate"] == 0.5
    assert summary["presence_by_region"]["outside"]["lv"] == {
        "accuracy": 0.5,
        "false_positive_rate": 0.5,
        "false_negative_rate": None,
    }
    assert summary["dice"]["base"]["rv"] == 0.5 and summary["dice"]["mid"]["rv"] == 1
    assert summary["shape"]["ours"]["stacks_with_hole"] == 0
    assert summary["calibration"]["expected_calibration_error"] > 0
    json.dumps(summary, allow_nan=False)


def test_csv_has_a_row_for_each_case():
    stack = disc()
    nothing = np.zeros_like(stack.labels)
    rows = list(csv.DictReader(cases_csv([case(stack.labels, stack), case(nothing, stack)]).decode().splitlines()))
    assert [row["dice_mean"] for row in rows] == ["1.0", "0.0"]
    assert rows[1]["hd95_mm_lv"] == "" and rows[0]["hd95_mm_lv"] == "0.0"


def test_json_ready():
    assert json_ready({"a": [math.nan, 1.23456, (2, math.inf)], "b": "x"}) == {"a": [None, 1.2346, [2, None]], "b": "x"}


def test_the_papers_averages_are_those_of_its_columns():
    for row in ROWS.values():
        for values in (row.base, row.mid, row.apex):
            # the paper rounded the average of unrounded figures
            assert sum(values[:3]) / 3 == pytest.approx(values[3], abs=0.0011)


def test_the_dice_table_stands_beside_the_papers():
    dice = {"base": {"rv": 0.9, "myo": 0.8, "lv": 0.95, "mean": 0.8833}}
    table = dice_table(dice, ROWS["seg_ref_mt"])
    base = next(line for line in table.splitlines() if line.startswith("| Base"))
    assert base.split()[3::2] == ["0.900", "0.800", "0.950", "0.883", "0.920", "0.848", "0.955", "0.908"]
    assert "used other data" in table
    assert "no row for this model" in dice_table(dice, None) and "paper:" not in dice_table(dice, None)


def test_models_stand_beside_each_other_and_the_paper():
    stack = disc()
    summary = Evaluation((case(stack.labels, stack),)).summary()
    models = (("sk_unet", 0, 5_000_000), ("nnunet_2d", 1, 250_000))
    runs = [{"config": {"model": name, "seed": seed}, "parameters": size, **summary} for name, seed, size in models]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in comparison_table(runs).splitlines()]
    assert ["sk_unet, seed 0", "Apex", *["1.000"] * 4, "0.800", "0.807", "0.917", "0.842"] in lines
    assert ["nnunet_2d, seed 1", "Apex", *["1.000"] * 4, *[""] * 4] in lines
    assert ["nnunet_2d, seed 1", "0.25", "1", "100.0 %", "0.0 %", "0"] in lines


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two patients of two frames in nnU-Net's raw layout, RV and LV numbered the other way round."""
    root = tmp_path_factory.mktemp("nnunet")
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir()
    for name, size in (("a_ED", 48), ("a_ES", 48), ("b_ED", 40), ("b_ES", 40)):
        stack = disc(2 if name.endswith("ES") else 3, size)
        theirs = np.array([0, 3, 2, 1], np.uint8)[stack.labels]
        for path, array in ((f"imagesTr/{name}_0000", stack.image), (f"labelsTr/{name}", theirs)):
            nibabel.save(nibabel.Nifti1Image(array.T, np.diag([-1.5, -2.0, 8.0, 1.0])), root / f"{path}.nii.gz")
    (root / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "LV": 1, "MYO": 2, "RV": 3}}))
    (root / "splits.json").write_text(json.dumps({"val": ["a"]}))
    return root


def test_evaluate_scores_what_the_segmenter_gives(data, tiny_bundle, segmenter):
    heard = []
    found = evaluate(tiny_bundle, data, ["a"], lambda *counts: heard.append(counts), probabilities=True)
    assert heard == [(0, 2), (1, 2), (2, 2)]
    assert [scored.name for scored in found.cases] == ["a_ED", "a_ES"]
    stack = read_labelled_frame(find_labelled_frames(data)[0])
    own = segmenter.run(stack.image, spacing=stack.spacing)
    np.testing.assert_array_equal(found.cases[0].labels, own.labels)
    assert found.cases[0].agreement == pytest.approx(own.agreement[0], nan_ok=True)
    assert found.cases[0].reliability[:, 0].sum() == calibration.near_heart(stack.labels, stack.spacing).sum()
    (volumes,) = found.patients
    assert volumes.truth["lv_edv_ml"] == pytest.approx(2 * volumes.truth["lv_esv_ml"])
    plain = evaluate(tiny_bundle, data).summary()
    assert plain["stacks"] == 4 and plain["patients"] == 2 and plain["calibration"] is None


def test_trials_follow_from_seed_and_name_alone(data, segmenter):
    frames = find_labelled_frames(data)
    all_of_them = run_trials(segmenter, frames[:1])
    assert [trial.perturbation for trial in all_of_them] == ["as it is", *PERTURBATIONS]
    few = run_trials(segmenter, frames[:1], {"noise": PERTURBATIONS["noise"]})
    assert few[1].dice == next(trial.dice for trial in all_of_them if trial.perturbation == "noise")
    assert few[0].dice == all_of_them[0].dice


def test_calibrate_gives_what_the_manifest_wants(data, tiny_bundle):
    found = calibrate(tiny_bundle, find_labelled_frames(data)[::2])
    assert found.keys() == {"temperature", "quality"}
    low, high = calibration.TEMPERATURES
    assert low <= found["temperature"] <= high
    assert found["quality"] is None or all(math.isfinite(found["quality"][key]) for key in ("intercept", "slope"))
    json.dumps(found, allow_nan=False)


def test_the_tool_writes_a_report_and_never_over_another(data, tiny_bundle, tmp_path):
    output = tmp_path / "report"
    command = [sys.executable, ROOT / "tools/evaluate.py", data, "--model", tiny_bundle, "-o", output, "--quality"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    first = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert first.returncode == 0, first.stderr
    assert "| Base " in first.stdout and "Predicted against true Dice" in first.stdout
    assert "evaluation: 2 of 2 stacks" in first.stderr
    assert {path.name for path in output.iterdir()} == set(REPORT_FILES)
    for path in output.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5000
    summary = json.loads((output / "summary.json").read_text())
    assert summary["patients"] == 1 and "quality_validation" in summary
    (output / "cases.csv").write_text("mine")
    second = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert second.returncode == 2 and "already holds" in second.stderr and not second.stdout
    assert (output / "cases.csv").read_text() == "mine"
    missing = subprocess.run([*command[:2], tmp_path], capture_output=True, text=True, env=environment, check=False)
    assert missing.returncode == 2 and "splits.json does not exist" in missing.stderr
