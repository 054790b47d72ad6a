"""Quality flags: a synthetic heart raises none, one perturbation raises the right one at the right place."""

import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from synthetic_heart import ES, IMAGE, LABELS, PHASES, RR, SIZE, SLICES, SPACING, TIMES

from cardiacseg.acquisition import Timing
from cardiacseg.io.cine import Cine, Note, SegmentedCine
from cardiacseg.io.geometry import Geometry
from cardiacseg.measurements import measure
from cardiacseg.quality import find_flags, quality_document
from cardiacseg.quality.checks import CHECKS
from cardiacseg.quality.shape import _beyond_the_largest, _enclosed, _open_percent
from cardiacseg.segmenter import Report, Result

ROOT = Path(__file__).parents[2]


def ran(presence=0.99, quality=0.92, agreement=0.97):
    """What a run of the model gives beside the labels."""
    found = [
        np.full(shape, value, np.float32) for shape, value in (((PHASES, SLICES, 3), presence), ((PHASES,), quality))
    ]
    report = Report("", "", "", "", "", "", {})
    return Result(LABELS, *found[:1], np.full((PHASES, 3), agreement, np.float32), found[1], None, report)


def segmented(labels=LABELS, image=None, spacing=SPACING, timing=None, result=None, notes=(), **measured):
    image = IMAGE if image is None else image
    timing = Timing(TIMES, RR, "drawn") if timing is None else timing
    geometry = Geometry((0.0, 0.0, 0.0), np.eye(3), spacing[::-1], image.shape[:0:-1])
    cine = Cine(Path("cine"), image, spacing, geometry, timing=timing, notes=notes)
    measurements = dataclasses.replace(measure(labels, spacing, timing=timing), **measured)
    return SegmentedCine(cine, labels, result, measurements)


def flags(**arguments):
    return {flag.code: flag for flag in find_flags(segmented(**arguments))}


def states(**arguments):
    return {check["code"]: check for check in quality_document(segmented(**arguments))["checks"]}


def test_a_good_heart_raises_nothing_and_everything_is_checked():
    assert flags(result=ran()) == {}
    assert {check["state"] for check in states(result=ran()).values()} == {"passed"}


def edited(change):
    labels = LABELS.copy()
    change(labels)
    return labels


def cleared(plane, label):
    plane[plane == label] = 0


def flickering(labels, label):
    for frame in (2, 4):
        cleared(labels[frame, 5], label)


@pytest.mark.parametrize(
    ("change", "code", "frame", "index"),
    [
        (lambda labels: cleared(labels[3, 4], 1), "rv_gap", 3, 4),
        (lambda labels: cleared(labels[3, 4], 2), "myo_gap", 3, 4),
        (lambda labels: cleared(labels[3, 4], 3), "lv_gap", 3, 4),
        (lambda labels: cleared(labels[3, 4:], 1), "rv_missing", 3, 4),
        (lambda labels: labels[5].fill(0), "lv_missing", 5, 0),
        (lambda labels: labels[2, 4, 2:8, 2:8].fill(1), "rv_fragments", 2, 4),
        (lambda labels: labels[2, 4, 2:8, 2:8].fill(2), "myo_fragments", 2, 4),
        (lambda labels: labels[2, 4, 2:8, 2:8].fill(3), "lv_fragments", 2, 4),
        (lambda labels: labels[2, 4, 36:44, 57:67].fill(0), "heart_holes", 2, 4),
        (lambda labels: labels[2, 4, 36:44, 62:].fill(0), "lv_not_surrounded", 2, 4),
        (lambda labels: labels[2, 4].__setitem__(..., labels[2, 9]), "lv_area_jump", 2, 4),
        (lambda labels: labels[2, 4].__setitem__(..., labels[2, 9]), "myo_area_jump", 2, 4),
        (lambda labels: labels[2, 4, 2:14, 2:102].fill(1), "rv_area_jump", 2, 4),
        (lambda labels: labels[2, 4].__setitem__(..., np.roll(labels[2, 4], 8, axis=0)), "slice_shift", 2, 4),
        (lambda labels: labels[2, 4, 0, 0:1].fill(1), "heart_at_border", 2, 4),
        (lambda labels: flickering(labels, 1), "rv_flicker", None, 5),
        (lambda labels: flickering(labels, 3), "lv_flicker", None, 5),
        (lambda labels: flickering(labels, 2), "myo_flicker", None, 5),
        (lambda labels: labels[12].__setitem__(..., labels[ES]), "lv_curve_roughness", 12, None),
        (lambda labels: labels[12].__setitem__(..., labels[ES]), "rv_curve_roughness", 12, None),
    ],
)
def test_perturbed_labels_raise_the_flag_at_the_place(change, code, frame, index):
    found = flags(labels=edited(change))[code]
    assert (found.frame, found.slice) == (frame, index)
    assert found.value > found.threshold
    if index is not None:
        assert f"slice {index + 1}" in found.text
    if frame is not None:
        assert f"phase {frame + 1}" in found.text


@pytest.mark.parametrize(
    ("arguments", "code", "threshold"),
    [
        ({"spacing": (12.5, 1.5, 1.25)}, "wide_spacing", 12),
        ({"spacing": (8.0, 2.6, 1.25)}, "pixel_size", 2.5),
        ({"spacing": (8.0, 0.4, 0.4)}, "pixel_size", 0.5),
        ({"spacing": (3.0, 1.5, 1.25)}, "lv_length_range", 50),
        ({"spacing": (20.0, 1.5, 1.25)}, "lv_length_range", 140),
        ({"spacing": (8.0, 0.75, 0.625)}, "lv_diameter_range", 45),
        ({"spacing": (8.0, 3.0, 2.5)}, "lv_diameter_range", 110),
        ({"timing": Timing(TIMES, 2100.0)}, "heart_rate_range", 30),
        ({"timing": Timing(TIMES, 290.0)}, "heart_rate_range", 200),
        ({"timing": Timing(TIMES, RR, "estimated from the last trigger time")}, "beat_estimated", 0),
        ({"timing": Timing(TIMES, 3000.0)}, "es_time", 20),
        ({"timing": Timing(tuple(2 * time for time in TIMES), RR)}, "es_time", 60),
        ({"lv_ef_percent": 4.9}, "lv_ef_range", 5),
        ({"lv_ef_percent": 85.1}, "lv_ef_range", 85),
        ({"rv_ef_percent": -3.0}, "rv_ef_range", 5),
        ({"lv_edv_ml": 29.9}, "lv_edv_range", 30),
        ({"rv_edv_ml": 500.1}, "rv_edv_range", 500),
        ({"lv_mass_g": 136.0, "lv_mass_es_g": 100.0}, "lv_mass_difference", 30),
        ({"lv_sv_ml": 100.0, "rv_sv_ml": 48.0}, "stroke_volume_difference", 70),
        ({"lv_sv_ml": 10.0, "rv_sv_ml": -10.0}, "stroke_volume_difference", 70),
        ({"lv_sv_ml": 133.0, "rv_sv_ml": 76.0}, "stroke_volumes_apart", 30),
        ({"labels": edited(lambda labels: cleared(labels[0, :2], 1))}, "lv_beyond_rv", 12),
        ({"labels": edited(lambda labels: cleared(labels[0, :2], 1))[:, ::-1]}, "lv_beyond_rv", 12),
        ({"lv_mass_g": 10.0, "lv_mass_es_g": 10.0}, "lv_mass_to_volume", 0.35),
        ({"labels": LABELS[:14], "image": IMAGE[:14], "timing": Timing(TIMES[:14], RR)}, "few_phases", 15),
        ({"labels": LABELS[:, :5], "image": IMAGE[:, :5]}, "few_slices", 6),
        ({"labels": LABELS[:, :5], "image": IMAGE[:, :5]}, "apex_cut_off", 50),
        ({"labels": LABELS[:, 2:], "image": IMAGE[:, 2:]}, "base_cut_off", 90),
        ({"labels": LABELS[:, :1:-1], "image": IMAGE[:, :1:-1]}, "base_cut_off", 90),
    ],
)
def test_measurements_and_coverage(arguments, code, threshold):
    found = flags(**arguments)[code]
    assert found.threshold == threshold
    assert threshold == 0 or f"{threshold:g}" in found.text


def test_differences_are_relative_to_the_mean():
    assert flags(lv_mass_g=140.0, lv_mass_es_g=100.0)["lv_mass_difference"].value == pytest.approx(100 * 40 / 120)
    assert "lv_mass_difference" not in flags(lv_mass_g=115.0, lv_mass_es_g=86.0)
    assert flags(lv_sv_ml=90.0, rv_sv_ml=30.0)["stroke_volume_difference"].value == pytest.approx(100)


def test_stroke_volumes_that_differ_by_less_are_passed():
    codes = {"stroke_volumes_apart", "stroke_volume_difference"}
    for left, right, raised in ((100, 75, set()), (60, 40, set()), (100, 68, {"stroke_volumes_apart"})):
        assert set(flags(lv_sv_ml=float(left), rv_sv_ml=float(right))) & codes == raised
    assert set(flags(lv_sv_ml=100.0, rv_sv_ml=40.0)) & codes == {"stroke_volume_difference"}


def test_lv_beyond_the_rv_counts_by_volume_and_only_slices_that_count():
    labels = edited(lambda labels: cleared(labels[0, :2], 1))
    flag = flags(labels=labels)["lv_beyond_rv"]
    areas = (labels[0] == 3).sum(axis=(1, 2))
    assert flag.value == pytest.approx(100 * areas[:2].sum() / areas.sum())
    assert (flag.frame, flag.slice) == (0, 0)
    assert f"(slice 1, 2), by {areas[:2].sum() * 8 * 1.5 * 1.25 / 1000:.0f} ml" in flag.text
    included = np.ones((PHASES, SLICES, 3), bool)
    included[:, :2] = False
    assert "lv_beyond_rv" not in flags(labels=labels, included=included)
    assert states(labels=np.where(LABELS == 1, 0, LABELS))["lv_beyond_rv"]["state"] == "not checked"


def test_regions_and_outlines_on_literals():
    def plane(picture):
        return np.array([[int(digit) for digit in row] for row in picture.split()], np.uint8)

    assert _beyond_the_largest(plane("11000 00100 00000 00011 11000") == 1) == 4
    assert _beyond_the_largest(plane("000 000") == 1) == 0
    # background that edges alone do not join to the outside is enclosed
    assert _enclosed(plane("00000 00200 02020 00200 00000") == 0) == 1
    assert _enclosed(plane("00000 02200 02020 02220 00000") == 0) == 1
    assert _enclosed(plane("00000 02200 02000 02220 00000") == 0) == 0
    assert _open_percent(plane("00000 02220 02320 02220 00000")) == 0
    assert _open_percent(plane("00000 02200 02310 02220 00000")) == pytest.approx(25)
    assert math.isnan(_open_percent(plane("000 020 000")))


@pytest.mark.parametrize(
    ("perturb", "code"),
    [
        (lambda image: image[3, 4].fill(np.nan), "image_not_finite"),
        (lambda image: image[3, 4].fill(7), "image_constant"),
        (lambda image: image[3, 4, :20].fill(5000), "image_saturated"),
        (lambda image: image[ES, 4].__imul__(0.2), "image_brightness"),
        (lambda image: image[ES, 4].__iadd__(np.random.default_rng(1).normal(0, 70, SIZE)), "image_noise"),
    ],
)
def test_perturbed_images(perturb, code):
    image = IMAGE.astype(np.float64)
    perturb(image)
    found = flags(image=image)
    assert set(found) == {code}
    assert (found[code].frame, found[code].slice) == (ES if code in ("image_brightness", "image_noise") else 3, 4)
    if code == "image_not_finite":
        assert states(image=image)["image_noise"]["reason"] == "the image has values that are not finite"


def test_noise_is_measured_as_a_percentage_of_the_range():
    rows = np.linspace(0, 1000, SIZE[0])[None, None, :, None]
    noise = np.random.default_rng(2).normal(0, 60, LABELS.shape)
    found = flags(image=rows + noise)["image_noise"]
    assert found.value == pytest.approx(100 * 60 / 1000, rel=0.2)


def test_the_models_own_doubts():
    result = ran()
    result.presence[ES, 9, 2], result.presence[1, 5] = 0.52, 0.5
    result.quality[2], result.agreement[3, 0] = 0.7, 0.8
    found = flags(result=result)
    assert set(found) == {"presence_uncertain", "predicted_quality", "rv_stage_agreement"}
    doubt = found["presence_uncertain"]  # phase 1 is neither ED nor ES
    assert (doubt.structure, doubt.frame, doubt.slice) == ("lv", ES, 9)
    assert doubt.value == pytest.approx(0.02, abs=1e-6)
    assert "towards the apex" in doubt.text
    assert found["predicted_quality"].frame == 2
    assert found["rv_stage_agreement"].frame == 3


def test_doubts_at_both_ends_are_two_flags():
    result = ran()
    result.presence[ES, 0] = 0.49
    result.presence[ES, 9] = 0.51
    texts = [flag.text for flag in find_flags(segmented(result=result))]
    assert len(texts) == 2
    assert "towards the base" in texts[0]
    assert "towards the apex" in texts[1]


def test_what_cannot_be_checked_is_not_passed():
    found = states(labels=LABELS[:1], image=IMAGE[:1], timing=Timing())
    unmade = {code for code, check in found.items() if check["state"] == "not checked"}
    assert {"lv_mass_difference", "stroke_volume_difference", "base_cut_off", "es_time", "heart_rate_range"} <= unmade
    assert {"lv_ef_range", "rv_edv_range", "lv_curve_roughness", "rv_flicker", "presence_uncertain"} <= unmade
    assert {"predicted_quality", "lv_stage_agreement"} <= unmade
    assert all(found[code]["reason"] for code in unmade)
    assert found["few_phases"]["state"] == "raised"
    assert found["es_time"]["reason"] == "the cine has fewer than 8 phases"
    assert states(timing=Timing())["es_time"]["state"] == "not checked"
    assert states(spacing=(13.0, 1.5, 1.25))["lv_area_jump"]["reason"] == "slices are more than 12 mm apart"


def test_a_model_of_one_stage_without_classifier_is_not_passed():
    result = ran(presence=1.0, quality=math.nan, agreement=math.nan)
    found = states(result=result)
    for code in ("presence_uncertain", "predicted_quality", "rv_stage_agreement"):
        assert found[code]["state"] == "not checked"


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (1, 2, 8, 8), (9, 1, 8, 8), (2, 3, 1, 1)])
def test_no_heart_at_all(shape):
    labels, image = np.zeros(shape, np.uint8), np.zeros(shape, np.float32)
    found = flags(labels=labels, image=image, timing=Timing())
    assert {"rv_missing", "myo_missing", "lv_missing", "image_constant", "few_slices"} <= set(found)
    found = states(labels=labels, image=image, timing=Timing())
    assert {found[code]["state"] for code in ("lv_gap", "lv_fragments", "heart_at_border")} == {"not checked"}


def test_slices_in_the_other_order_raise_nothing():
    assert flags(labels=LABELS[:, ::-1], image=IMAGE[:, ::-1]) == {}


def test_notes_of_the_reader_are_flags():
    found = find_flags(segmented(notes=(Note("N_RETAKE", "Slice 3 was taken twice; the later one counts."),)))
    assert [(flag.code, flag.text) for flag in found] == [
        ("N_RETAKE", "Slice 3 was taken twice; the later one counts.")
    ]


@pytest.mark.parametrize(
    ("codes", "check"),
    [
        (("N_LEFT_OUT",), "heart_incomplete"),
        (("N_LEFT_OUT", "N_INCOMPLETE"), "heart_incomplete"),
        (("N_NOT_A_CINE",), "not_a_cine"),
    ],
)
def test_notes_that_part_of_the_heart_or_cycle_may_be_missing(codes, check):
    notes = (Note("N_LOSSY", "Lossy."), *(Note(code, "Two slices were left out.") for code in codes))
    case = segmented(notes=notes)
    found = find_flags(case)
    assert [flag.code for flag in found] == [*codes, "N_LOSSY", check]
    assert found[-1].value == len(codes) and " and ".join(codes) in found[-1].text
    raised = [entry["code"] for entry in quality_document(case)["checks"] if entry["state"] == "raised"]
    assert raised == [check]


def test_nothing_is_changed():
    labels, image = LABELS.copy(), IMAGE.copy()
    case = segmented(labels=labels, image=image, result=ran())
    find_flags(case)
    np.testing.assert_array_equal(labels, LABELS)
    np.testing.assert_array_equal(image, IMAGE)


def test_the_document_is_json_and_says_what_it_is():
    labels = edited(lambda labels: cleared(labels[3, 4], 1))
    document = json.loads(json.dumps(quality_document(segmented(labels=labels)), allow_nan=False))
    assert [flag["code"] for flag in document["flags"]] == [
        check["code"] for check in document["checks"] if check["state"] == "raised"
    ]
    assert document["flags"][0] == {
        "code": "rv_gap",
        "text": "The RV is absent between its slices in slice 5 of phase 4.",
        "value": 1.0,
        "threshold": 0.0,
        "structure": "rv",
        "frame": 3,
        "slice": 4,
    }
    assert "Not a medical device" in document["intended_use"]


def test_every_check_has_its_own_code_and_stands_in_the_documentation():
    page = (ROOT / "docs/quality.md").read_text(encoding="utf-8")
    page = page.split("## How often")[0]
    rows = {code: row for row in page.splitlines() for code in re.findall(r"^\| `(\w+)` ", row)}
    assert len({check.code for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        numbers = check.threshold if isinstance(check.threshold, tuple) else (check.threshold,)
        assert check.code in rows, check.code
        threshold = rows[check.code].split("|")[2].strip() + " "
        assert threshold.startswith(" to ".join(f"{number:.3g}" for number in numbers) + " "), check.code
