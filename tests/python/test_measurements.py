"""Measurements of label maps whose volumes follow from counting voxels."""

import json

import numpy as np
import pytest

pytest.importorskip("cardiacseg._core", reason="the compiled core is not built")

from cardiacseg.acquisition import Body, Timing
from cardiacseg.errors import InvalidInputError
from cardiacseg.io.geometry import Geometry
from cardiacseg.measurements import CHOICES, MeasurementOptions, measure
from cardiacseg.metrics import slice_levels
from cardiacseg.phantom import beating_heart

SPACING = (10.0, 2.0, 5.0)  # 0.1 ml a voxel


def cine(*frames):
    """Labels [T, 2, 10, 100] with (RV, MYO, LV) voxels counted out in each frame."""
    labels = np.zeros((len(frames), 2000), dtype=np.uint8)
    for line, counts in zip(labels, frames, strict=True):
        line[: sum(counts)] = np.repeat([1, 2, 3], counts)
    return labels.reshape(len(frames), 2, 10, 100)


def test_volumes_function_and_mass():
    found = measure(cine((600, 400, 500), (400, 380, 300), (250, 390, 200)), SPACING)
    assert (found.ed_frame, found.es_frame) == (0, 2)
    assert (found.lv_edv_ml, found.lv_esv_ml, found.lv_sv_ml) == pytest.approx((50, 20, 30))
    assert found.lv_ef_percent == pytest.approx(60)
    assert (found.rv_edv_ml, found.rv_esv_ml, found.rv_sv_ml) == pytest.approx((60, 25, 35))
    assert found.rv_ef_percent == pytest.approx(100 * 35 / 60)
    assert found.lv_mass_g == pytest.approx(42)
    np.testing.assert_allclose(found.lv_ml, [50, 30, 20])
    np.testing.assert_allclose(found.rv_ml, [60, 40, 25])
    np.testing.assert_allclose(found.myo_ml, [40, 38, 39])


def test_right_ventricle_uses_the_left_ones_frames():
    found = measure(cine((100, 10, 300), (400, 10, 500), (50, 10, 200)), SPACING)
    assert (found.ed_frame, found.es_frame) == (1, 2)
    assert found.rv_edv_ml == pytest.approx(40)


def test_one_frame_has_no_function():
    found = measure(cine((100, 200, 300))[0], SPACING)
    assert found.ed_frame == 0
    assert found.es_frame is None
    assert found.lv_ef_percent is None
    assert found.lv_edv_ml is None
    assert found.rv_sv_ml is None
    assert found.lv_mass_g == pytest.approx(21)
    np.testing.assert_allclose(found.lv_ml, [30])


def test_no_ejection_fraction_of_an_empty_ventricle():
    found = measure(cine((0, 10, 300), (0, 10, 200)), SPACING)
    assert found.rv_edv_ml == 0
    assert found.rv_ef_percent is None
    assert found.lv_ef_percent == pytest.approx(100 / 3)


def test_to_dict_survives_json():
    found = measure(cine((100, 10, 300), (50, 10, 200)), SPACING)
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["lv_edv_ml"] == pytest.approx(30)
    assert document["lv_ml"] == pytest.approx([30, 20])
    assert document["included"] == [[[True] * 3] * 2] * 2
    assert document["wall"] is None and document["lv_rates"] is None and document["indexed"] == {}


def test_to_dict_of_everything_that_exists(heart):
    document = json.loads(json.dumps(measured(heart).to_dict(), allow_nan=False))
    assert len(document["wall"]["ed_mm"]) == 16 and document["base_first"] is True
    assert document["lv_rates"]["peak_ejection_ml_s"] > 0
    alone = measure(heart.labels[0], heart.spacing).to_dict()["wall"]
    assert alone["es_mm"] == [None] * 16 and alone["ed_mm"] == document["wall"]["ed_mm"]


@pytest.fixture(scope="module")
def heart():
    return beating_heart(frames=12, slices=9, size=(128, 136), spacing=(9.0, 1.8, 2.1), seed=3)


def measured(heart, **arguments):
    """The heart with its times, of a person of 1.8 m and 80 kg (2 m2)."""
    times = tuple(heart.frame_interval_ms * frame for frame in range(len(heart.labels)))
    timing = Timing(times, heart.frame_interval_ms * len(times), "the phantom")
    return measure(heart.labels, heart.spacing, timing=timing, body=Body(1.8, 80.0), **arguments)


def test_output_and_indices(heart):
    found = measured(heart)
    rate = 60000 / (12 * heart.frame_interval_ms)
    assert (found.heart_rate_per_min, found.rr_source) == (pytest.approx(rate), "the phantom")
    assert found.lv_co_l_min == pytest.approx(found.lv_sv_ml * rate / 1000)
    assert found.bsa_m2 == pytest.approx(2)
    assert len(found.indexed) == 9
    assert found.indexed["rv_esv_ml_m2"] == pytest.approx(found.rv_esv_ml / 2)
    assert found.indexed["lv_mass_g_m2"] == pytest.approx(found.lv_mass_g / 2)
    assert found.indexed["lv_ci_l_min_m2"] == pytest.approx(found.lv_co_l_min / 2)
    assert found.lv_mass_es_g == pytest.approx(found.myo_ml[found.es_frame] * 1.05)


def test_what_is_unknown_has_no_value(heart):
    found = measure(heart.labels, heart.spacing, body=Body(1.8, None))
    assert found.heart_rate_per_min is found.rr_source is found.lv_co_l_min is found.bsa_m2 is found.lv_rates is None
    assert found.indexed == {}
    only_mass = measure(heart.labels[0], heart.spacing, body=Body(1.8, 80.0))
    assert list(only_mass.indexed) == ["lv_mass_g_m2"]
    assert only_mass.rv_es_frame is only_mass.lv_mass_es_g is None


def test_areas_and_inclusion(heart):
    included = np.ones((9, 3), dtype=bool)
    included[1, 2] = included[2, 0] = False
    found, whole = measured(heart, included=included), measured(heart)
    counts = np.stack([(heart.labels == label).sum(axis=(2, 3)) for label in (1, 2, 3)], axis=-1)
    np.testing.assert_allclose(found.areas_mm2, counts * 1.8 * 2.1)
    np.testing.assert_allclose(found.lv_ml, (found.areas_mm2[..., 2] * included[:, 2]).sum(axis=1) * 9 / 1000)
    np.testing.assert_allclose(found.rv_ml, (found.areas_mm2[..., 0] * included[:, 0]).sum(axis=1) * 9 / 1000)
    np.testing.assert_array_equal(found.myo_ml, whole.myo_ml)
    np.testing.assert_array_equal(found.included, np.broadcast_to(included, (12, 9, 3)))
    assert "left out" in found.conventions["included_slices"] and "every" in whole.conventions["included_slices"]


def test_shares_of_the_axis_stand_in_for_a_missing_slice(heart):
    kept = [0, 1, 2, 3, 5, 6, 7, 8]
    shares = Geometry((0, 0, 0), np.eye(3), (2.1, 1.8, 81 / 8), (136, 128, 8), tuple(9.0 * s for s in kept))
    whole, labels = measured(heart), heart.labels[:, kept]
    found = measure(labels, heart.spacing, slice_shares_mm=shares.slice_shares_mm)
    assert shares.slice_shares_mm == (9, 9, 9, 13.5, 13.5, 9, 9, 9)
    for name in ("lv_ml", "rv_ml", "myo_ml"):
        volumes = getattr(whole, name)
        np.testing.assert_allclose(getattr(found, name), volumes, rtol=0.03)
        assert (getattr(measure(labels, heart.spacing), name) < 0.9 * volumes).all()
    assert found.lv_mass_g == pytest.approx(whole.lv_mass_g, rel=0.02)
    assert found.lv_ef_percent == pytest.approx(whole.lv_ef_percent, abs=1)
    assert "own part of the axis" in found.conventions["volume"]
    even = measured(heart, slice_shares_mm=[9.0] * 9)
    for name in ("lv_ml", "rv_ml", "myo_ml"):
        np.testing.assert_array_equal(getattr(even, name), getattr(whole, name))


@pytest.mark.parametrize("shares", [[10.0], [10.0, 0.0], [10.0, np.nan], ["a", "b"], 10.0])
def test_shares_that_do_not_fit_are_refused(shares):
    with pytest.raises(InvalidInputError, match=r"slice.shares"):
        measure(cine((100, 10, 300)), SPACING, slice_shares_mm=shares)


def test_the_base_is_found_as_the_metrics_do(heart):
    for labels in (heart.labels, heart.labels[:, ::-1]):
        found = measure(labels, heart.spacing)
        levels = slice_levels(labels[found.ed_frame])
        assert found.base_first == (levels["base"][0] < levels["apex"][0])


# A wall between two circles of the areas' size is as thick as the difference of their radii.
def test_wall_of_the_phantom(heart):
    found = measured(heart)
    for frame, segments in ((found.ed_frame, found.wall.ed_mm), (found.es_frame, found.wall.es_mm)):
        myo, lv = found.areas_mm2[frame, :, 1], found.areas_mm2[frame, :, 2]
        seen = (myo > 0) & (lv > 300)
        expected = (np.sqrt((lv + myo)[seen] / np.pi) - np.sqrt(lv[seen] / np.pi)).mean()
        assert np.mean(segments) == pytest.approx(expected, rel=0.08)
    assert np.all((found.wall.thickening_percent > 10) & (found.wall.thickening_percent < 90))


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_wall_does_not_depend_on_how_the_plane_lies(heart, turns, mirrored):
    labels, spacing = heart.labels[[0, 4]], heart.spacing
    anterior = np.array([-1.0, 0.0])
    for _ in range(turns):  # by 90 degrees, rows to columns
        labels, anterior = np.swapaxes(labels, 2, 3)[:, :, ::-1], np.array([-anterior[1], anterior[0]])
        spacing = (spacing[0], spacing[2], spacing[1])
    if mirrored:
        labels, anterior = labels[..., ::-1], anterior * (1, -1)
    expected = measure(heart.labels[[0, 4]], heart.spacing).wall
    found = measure(labels, spacing, anterior=tuple(anterior)).wall
    np.testing.assert_allclose(found.ed_mm, expected.ed_mm, atol=0.25)
    np.testing.assert_allclose(found.es_mm, expected.es_mm, atol=0.25)


def test_rates_of_the_phantom(heart):
    found = measured(heart)
    slopes = np.diff(np.append(found.lv_ml, found.lv_ml[0])) / heart.frame_interval_ms * 1000
    assert found.lv_rates.peak_ejection_ml_s == pytest.approx(-slopes.min(), rel=0.25)
    assert found.lv_rates.peak_filling_ml_s == pytest.approx(slopes.max(), rel=0.25)
    end_systole = found.es_frame * heart.frame_interval_ms
    assert 0 < found.lv_rates.peak_ejection_time_ms < end_systole < found.lv_rates.peak_filling_time_ms


# Of the second frame's 200 voxels of blood 80 are made nearly as dark as muscle.
def test_papillary_muscles_in_the_mass():
    labels = cine((100, 10, 300), (50, 40, 200))
    image = np.where(labels == 2, 20, np.where(labels == 3, 100, 0)).astype(">i2")
    dark = np.flatnonzero((labels == 3).ravel() & (np.arange(labels.size) >= 2000))[:80]
    image.ravel()[dark] = 30
    found = measure(labels, SPACING, options=MeasurementOptions(papillary="mass"), image=image)
    assert (found.lv_esv_ml, found.lv_mass_es_g) == (pytest.approx(12), pytest.approx(12 * 1.05))
    assert "to the mass" in found.conventions["papillary_muscles"]
    assert measure(labels, SPACING, image=image).lv_esv_ml == pytest.approx(20)


def test_options_choose_frames_and_rules():
    labels = cine((600, 400, 500), (700, 380, 300), (250, 390, 350))
    found = measure(labels, SPACING, options=MeasurementOptions(ed=np.int64(1), es=2))
    assert (found.ed_frame, found.es_frame, found.lv_sv_ml) == (1, 2, pytest.approx(-5))
    assert found.conventions["ed"].startswith("frame 1 ")
    found = measure(labels, SPACING, options=MeasurementOptions(ed="first", rv_phases="own"))
    assert (found.ed_frame, found.es_frame, found.rv_ed_frame, found.rv_es_frame) == (0, 1, 1, 2)
    # All of the first frame's RV and myocardium and 100 voxels of its LV lie in the first of two slices. What lies in
    # one slice counts whole.
    found = measure(cine((500, 400, 500)), SPACING, options=MeasurementOptions(end_slices="trapezoid"))
    assert (found.lv_ml[0], found.rv_ml[0]) == pytest.approx((25, 50))


@pytest.mark.parametrize(
    "options",
    [{"ed": "last"}, {"es": "first"}, {"es": 1.5}, {"ed": True}, {"ed": None}, {"rv_phases": 1}]
    + [{name: "other"} for name in CHOICES],
)
def test_unknown_options_are_refused(options):
    with pytest.raises(InvalidInputError, match=f"measurement option {next(iter(options))}: expected"):
        MeasurementOptions(**options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"options": MeasurementOptions(es=2)}, "ES: expected a frame from 0 to 1, got 2"),
        ({"options": MeasurementOptions(papillary="mass")}, "expected the image"),
        ({"options": MeasurementOptions(papillary="mass"), "image": np.zeros((2, 2, 9, 9))}, "of the labels' shape"),
        ({"options": MeasurementOptions(papillary="mass"), "image": np.zeros((9, 9))}, "expected an image"),
        (
            {"options": MeasurementOptions(papillary="mass"), "image": np.zeros((2, 2, 10, 100), complex)},
            "image must have a real number type",
        ),
        ({"included": np.ones((3, 3), bool)}, r"expected bool \[2, 3\] or \[2, 2, 3\]"),
        ({"included": np.ones((2, 3))}, "got float64"),
        ({"timing": Timing((0.0,))}, "frame times: expected 2 values"),
        ({"timing": Timing((0.0, float("nan")))}, "ascending"),
        ({"timing": Timing(None, 0.0)}, "RR interval"),
        ({"body": Body(180.0, 80.0)}, "height: expected more than 0 and up to 3 m"),
        ({"body": Body(1.8, -1.0)}, "weight"),
        ({"anterior": (0.0, 0.0)}, "anterior"),
        ({"anterior": (0.0, 0.0, 1.0)}, "anterior: expected two numbers"),
    ],
)
def test_what_does_not_fit_the_labels_is_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        measure(cine((1, 1, 1), (1, 1, 1)), SPACING, **arguments)


@pytest.mark.parametrize("dtype", ["int64", "uint16", ">i4"])
def test_any_integer_type_and_order(dtype):
    labels = np.asfortranarray(cine((100, 10, 300), (50, 10, 200)).astype(dtype))
    assert measure(labels, SPACING).lv_ef_percent == pytest.approx(100 / 3)


def test_phantom_truth_has_its_analytic_volumes():
    phantom = beating_heart(frames=4, seed=2)
    found = measure(phantom.labels, phantom.spacing)
    np.testing.assert_allclose(np.stack([found.rv_ml, found.myo_ml, found.lv_ml], 1), phantom.volumes_ml, rtol=0.02)
    assert found.ed_frame == 0


@pytest.mark.parametrize(
    ("labels", "spacing"),
    [
        (np.full((1, 2, 3, 4), 4, dtype=np.uint8), SPACING),
        (np.full((1, 2, 3, 4), -1), SPACING),
        (np.zeros((1, 2, 3, 4)), SPACING),
        (np.zeros((3, 4), dtype=np.uint8), SPACING),
        (np.zeros((0, 2, 3, 4), dtype=np.uint8), SPACING),
        (np.zeros((1, 2, 3, 4), dtype=np.uint8), (10.0, 0.0, 1.0)),
        (np.zeros((1, 2, 3, 4), dtype=np.uint8), (10.0, float("nan"), 1.0)),
        (np.zeros((1, 2, 3, 4), dtype=np.uint8), (10.0, 1.0)),
    ],
)
def test_unusable_input_is_refused(labels, spacing):
    with pytest.raises(InvalidInputError):
        measure(labels, spacing)
