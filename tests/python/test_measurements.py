"""Measurements of label maps whose volumes follow from counting voxels."""

import json

import numpy as np
import pytest

pytest.importorskip("cardiacseg._core", reason="the compiled core is not built")

from cardiacseg.errors import InvalidInputError
from cardiacseg.measurements import measure
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
