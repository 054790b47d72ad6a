"""The time axis of NIfTI files: its unit, its start, and what to do where it cannot be right."""

import nibabel
import numpy as np
import pytest

from cardiacseg.acquisition import UNKNOWN_TIMING
from cardiacseg.io.nifti import read_nifti, write_labels

FRAMES = 25
AFFINE = np.diag([-1.4, -1.5, 8.0, 1.0])


def cine_file(path, interval, unit, start=0.0, shape=(4, 5, 3, FRAMES)):
    image = nibabel.Nifti1Image(np.zeros(shape, np.int16), AFFINE)
    image.header.set_xyzt_units("mm", unit)
    image.header["pixdim"][4] = interval
    image.header["toffset"] = start
    nibabel.save(image, path)
    return path


def codes(cine):
    return [note.code for note in cine.notes]


@pytest.mark.parametrize(("unit", "factor"), [("sec", 1e-3), ("msec", 1.0), ("usec", 1e3)])
def test_units(tmp_path, unit, factor):
    cine = read_nifti(cine_file(tmp_path / "in.nii", 32 * factor, unit, 8 * factor))
    assert cine.timing.frame_times_ms == pytest.approx([8 + 32 * frame for frame in range(FRAMES)], rel=1e-5)
    assert cine.timing.rr_interval_ms == pytest.approx(800)
    assert cine.timing.heart_rate_per_min == pytest.approx(75)
    assert "whole beat" in cine.timing.rr_source
    assert codes(cine) == []


@pytest.mark.parametrize("interval", [0.032, 32.0, 32000.0])
def test_an_unknown_unit_is_the_only_one_that_fits(tmp_path, interval):
    cine = read_nifti(cine_file(tmp_path / "in.nii", interval, "unknown"))
    assert cine.timing.frame_times_ms[1] == pytest.approx(32)
    assert codes(cine) == ["nifti_time_unit"]


@pytest.mark.parametrize(("stated", "interval"), [("sec", 32.0), ("usec", 32.0), ("msec", 0.032), ("msec", 32000.0)])
def test_a_unit_that_cannot_be_right_is_the_only_one_that_makes_a_beat(tmp_path, stated, interval):
    cine = read_nifti(cine_file(tmp_path / "in.nii", interval, stated))
    assert cine.timing.frame_times_ms[1] == pytest.approx(32)
    assert cine.timing.rr_interval_ms == pytest.approx(800)
    assert codes(cine) == ["nifti_time_unit"]


def test_a_unit_that_cannot_be_right_is_unknown_if_no_other_makes_a_beat(tmp_path):
    cine = read_nifti(cine_file(tmp_path / "in.nii", 300.0, "sec"))  # in ms 25 frames last 7.5 s
    assert cine.timing == UNKNOWN_TIMING
    assert codes(cine) == ["nifti_frame_interval"]


def test_the_interval_of_frames_on_the_fifth_axis(tmp_path):
    for place, expected in ((4, 32), (5, 40)):
        image = nibabel.load(cine_file(tmp_path / "in.nii", 1.0, "msec", shape=(4, 5, 3, 1, FRAMES)))
        image.header["pixdim"][place] = expected
        nibabel.save(image, tmp_path / "fifth.nii")
        assert read_nifti(tmp_path / "fifth.nii").timing.frame_times_ms[1] == expected


@pytest.mark.parametrize("unit", ["sec", "msec", "unknown"])
@pytest.mark.parametrize("interval", [0.0, 1.0, 3000.0, np.nan, np.inf])
def test_what_is_no_interval_of_a_cine_is_unknown(tmp_path, interval, unit):
    cine = read_nifti(cine_file(tmp_path / "in.nii", interval, unit))
    assert cine.timing == UNKNOWN_TIMING
    assert codes(cine) == ["nifti_frame_interval"]


def test_an_axis_of_frequencies_is_not_time(tmp_path):
    cine = read_nifti(cine_file(tmp_path / "in.nii", 32, "hz"))
    assert cine.timing == UNKNOWN_TIMING
    assert codes(cine) == ["nifti_frame_interval"]


@pytest.mark.parametrize("start", [-5.0, 900.0, np.nan])
def test_a_start_outside_of_the_beat_is_noted(tmp_path, start):
    cine = read_nifti(cine_file(tmp_path / "in.nii", 32, "msec", start))
    assert cine.timing.frame_times_ms[0] == 0
    assert codes(cine) == ["nifti_time_offset"]


@pytest.mark.parametrize(("frames", "interval"), [(3, 30.0), (50, 200.0)])
def test_frames_that_are_not_one_beat_have_no_heart_rate(tmp_path, frames, interval):
    cine = read_nifti(cine_file(tmp_path / "in.nii", interval, "msec", shape=(4, 5, 3, frames)))
    assert cine.timing.frame_times_ms[-1] == pytest.approx((frames - 1) * interval)
    assert cine.timing.rr_interval_ms is None and cine.timing.rr_source is None
    assert codes(cine) == ["nifti_beat"]


@pytest.mark.parametrize("shape", [(4, 5, 3), (4, 5, 3, 1)])
def test_one_frame_has_no_time(tmp_path, shape):
    path = tmp_path / "in.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.int16), AFFINE), path)
    cine = read_nifti(path)
    assert cine.timing == UNKNOWN_TIMING
    assert codes(cine) == []


def test_labels_keep_the_time_axis(tmp_path):
    cine = read_nifti(cine_file(tmp_path / "in.nii", 0.032, "sec", 0.004))
    write_labels(tmp_path / "labels.nii", np.zeros(cine.image.shape, np.uint8), cine)
    written, source = nibabel.load(tmp_path / "labels.nii").header, nibabel.load(tmp_path / "in.nii").header
    assert written.get_xyzt_units() == ("mm", "sec")
    for field in ("pixdim", "toffset"):
        np.testing.assert_array_equal(written[field], source[field])
