"""What a NIfTI header says of its axes: sizes in units that cannot be right, two answers, none, the caller's; times."""

import struct

import nibabel
import numpy as np
import pytest

from cardiacseg.acquisition import UNKNOWN_TIMING
from cardiacseg.errors import InvalidInputError
from cardiacseg.io import read_cine
from cardiacseg.io.nifti import read_labels, read_nifti, write_labels

SIZES = (1.5, 1.25, 8.0)
VOXELS = np.random.default_rng(1).integers(0, 999, (6, 5, 4), dtype=np.int16)
SPACING_OPTION = "--spacing SLICE ROW COLUMN"
FRAMES = 25
AFFINE = np.diag([-1.4, -1.5, 8.0, 1.0])


def write(path, affine, code=1, unit="mm", sizes=None, voxels=VOXELS):
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_sform(affine, code)
    image.set_qform(affine, 0)
    image.header.set_xyzt_units(unit, "msec")
    content = bytearray(image.to_bytes())
    if sizes is not None:
        struct.pack_into("<3f", content, 80, *sizes)
    path.write_bytes(content)
    return path


def diagonal(sizes=SIZES, factor=1.0):
    return np.diag([-sizes[0] * factor, -sizes[1] * factor, sizes[2] * factor, 1])


def notes(cine):
    return {note.code: note.text for note in cine.notes}


def labels_come_back(path, cine, **options):
    """Labels of the cine on the file's own axes and affine, and read again onto the cine's grid."""
    labels = (cine.image % 4).astype(np.uint8)
    beside = path.with_name("labels.nii.gz")
    write_labels(beside, labels, cine)
    written, source = nibabel.load(beside), nibabel.load(path)
    np.testing.assert_array_equal(np.asarray(written.dataobj), np.asarray(source.dataobj) % 4)
    np.testing.assert_array_equal(written.affine, source.affine)
    assert written.header.get_xyzt_units() == source.header.get_xyzt_units()
    np.testing.assert_array_equal(read_labels(beside, cine.geometry, len(cine.image), **options), labels)


@pytest.mark.parametrize(
    ("unit", "factor", "codes"),
    [
        ("mm", 1, set()),
        ("unknown", 1, set()),
        ("micron", 1000, set()),
        ("meter", 0.001, set()),
        ("micron", 1, {"nifti_size_unit"}),
        ("meter", 1, {"nifti_size_unit"}),
        ("mm", 1000, {"nifti_size_unit"}),
        ("mm", 0.001, {"nifti_size_unit"}),
        ("unknown", 0.001, {"nifti_size_unit"}),
    ],
)
@pytest.mark.parametrize("code", [0, 1])
def test_units_of_size(tmp_path, unit, factor, codes, code):
    scaled = np.multiply(SIZES, factor)
    path = write(tmp_path / "in.nii", diagonal(factor=factor), code, unit, scaled)
    cine = read_nifti(path)
    assert cine.spacing == pytest.approx(SIZES[::-1])
    assert set(notes(cine)) - {"nifti_no_orientation"} == codes
    labels_come_back(path, cine)


@pytest.mark.parametrize("sizes", [(1.5, 1.25, 75.0), (25.0, 25.0, 30.0), (0.01, 0.01, 0.08), (0.01, 0.01, 20.0)])
def test_sizes_of_no_heart_in_any_unit(tmp_path, sizes):
    with pytest.raises(InvalidInputError, match=r"in\.nii has voxels of .* which in no unit") as caught:
        read_nifti(write(tmp_path / "in.nii", diagonal(sizes)))
    assert SPACING_OPTION in str(caught.value)


def test_a_small_animals_heart_is_read(tmp_path):
    cine = read_nifti(write(tmp_path / "in.nii", diagonal((0.1, 0.1, 1.0))))
    assert cine.spacing == pytest.approx((1.0, 0.1, 0.1)) and not cine.notes


@pytest.mark.parametrize(
    ("apart", "noted"), [(0.0005, False), (0.0015, True), (0.01, True), (-0.01, True), (0.02, True)]
)
def test_affine_and_pixel_sizes_a_little_apart(tmp_path, apart, noted):
    sizes = (SIZES[0], SIZES[1], SIZES[2] / (1 + apart))
    path = write(tmp_path / "in.nii", diagonal(), sizes=sizes)
    cine = read_nifti(path)
    assert cine.spacing == pytest.approx(SIZES[::-1])  # the affine's
    assert list(notes(cine)) == ["nifti_two_sizes"] * noted
    if noted:
        volumes = f"the affine's were used. Volumes differ by {100 * abs(apart):.1f} %."
        assert notes(cine)["nifti_two_sizes"].endswith(volumes)
    labels_come_back(path, cine)


def test_affine_and_pixel_sizes_far_apart(tmp_path):
    path = write(tmp_path / "in.nii", diagonal(), sizes=(1.5, 1.25, 8.0 / 1.025))
    with pytest.raises(InvalidInputError, match=r"1\.5, 1\.25, 8 mm by its affine and of 1\.5, 1\.25, 7\.80488 mm"):
        read_nifti(path)
    assert read_nifti(path, spacing=(8, 1.25, 1.5)).spacing == pytest.approx((8, 1.25, 1.5))


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("signs", [(1, 1), (-1, -1)])
def test_sizes_that_were_never_set_are_missing(tmp_path, code, signs):
    path = write(tmp_path / "in.nii", np.diag([*signs, 1, 1]), code)
    with pytest.raises(InvalidInputError, match=r"in\.nii does not say how large its voxels are") as caught:
        read_nifti(path)
    assert SPACING_OPTION in str(caught.value)
    cine = read_cine(path, spacing=(8.0, 1.25, 1.5))
    assert cine.spacing == pytest.approx((8.0, 1.25, 1.5))
    assert "nifti_spacing_given" in notes(cine)
    labels_come_back(path, cine, spacing_given=True)


def test_a_volume_of_cubes_of_1_mm_is_read(tmp_path):
    cube = np.random.default_rng(0).integers(0, 999, (6, 5, 60), dtype=np.int16)
    assert read_nifti(write(tmp_path / "in.nii", np.eye(4), voxels=cube)).spacing == (1, 1, 1)


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("wrong", [0.0, np.nan, np.inf])
def test_sizes_that_are_no_numbers_can_be_given(tmp_path, wrong, code):
    path = write(tmp_path / "in.nii", diagonal(), code, sizes=(1.5, wrong, 8.0))
    with pytest.raises(InvalidInputError, match="has pixel sizes") as caught:
        read_nifti(path)
    assert SPACING_OPTION in str(caught.value)
    cine = read_nifti(path, spacing=(9.0, 1.25, 1.5))
    assert cine.spacing == pytest.approx((9.0, 1.25, 1.5))
    labels = (cine.image % 4).astype(np.uint8)
    write_labels(tmp_path / "labels.nii", labels, cine)
    np.testing.assert_array_equal(np.asarray(nibabel.load(tmp_path / "labels.nii").dataobj), VOXELS % 4)
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.nii", cine.geometry, 1, spacing_given=True), labels)


def test_a_given_spacing_goes_before_the_files_along_its_own_axes(tmp_path):
    """Slices first, rows turned over: which axis is which, the affine says; how large it is, the caller."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[0, 1], affine[1, 2], affine[3, 3] = 8.0, -1.5, 1.25, 1
    voxels = VOXELS.transpose(2, 0, 1)
    path = write(tmp_path / "in.nii", affine, voxels=voxels)
    cine = read_nifti(path, spacing=(10.0, 1.3, 1.4))
    as_stored = read_nifti(path)
    np.testing.assert_array_equal(cine.image, as_stored.image)
    np.testing.assert_allclose(cine.geometry.direction, as_stored.geometry.direction, atol=1e-6)
    assert cine.spacing == pytest.approx((10.0, 1.3, 1.4))
    text = "The spacing was given: slices 10, rows 1.3, columns 1.4 mm; by the file 8, 1.25, 1.5."
    assert notes(cine) == {"nifti_spacing_given": text}
    labels_come_back(path, cine, spacing_given=True)
    with pytest.raises(InvalidInputError, match="not those of the image"):
        read_labels(tmp_path / "labels.nii.gz", cine.geometry, 1)


@pytest.mark.parametrize(
    "spacing", [(1.5, 1.25, 8.0), (8.0, 1.25), (8.0, 0.0, 1.5), (np.nan, 1.0, 1.0), (8000.0, 1250.0, 1500.0)]
)
def test_a_given_spacing_of_another_order_or_unit_is_refused(tmp_path, spacing):
    with pytest.raises(InvalidInputError, match=r"expected a spacing \(slice, row, column\) in mm"):
        read_nifti(write(tmp_path / "in.nii", np.eye(4)), spacing=spacing)


@pytest.mark.parametrize("place", [1e7, 1e30, np.inf, np.nan])
def test_where_the_image_lies_does_not_matter(tmp_path, place):
    affine = diagonal()
    affine[0, 3] = place
    path = write(tmp_path / "in.nii", affine)
    cine = read_nifti(path)
    np.testing.assert_array_equal(cine.image[0], read_nifti(write(tmp_path / "near.nii", diagonal())).image[0])
    assert list(notes(cine)) == ["nifti_far_away"]
    assert np.isfinite(cine.geometry.affine_lps()).all()
    labels_come_back(path, cine)


def test_two_orientations_are_noted(tmp_path):
    image = nibabel.Nifti1Image(VOXELS, diagonal())
    image.set_qform(np.diag([1.5, 1.25, 8.0, 1.0]), 1)
    image.set_sform(diagonal(), 1)
    image.to_filename(tmp_path / "in.nii")
    cine = read_nifti(tmp_path / "in.nii")
    assert list(notes(cine)) == ["nifti_two_orientations"]
    np.testing.assert_array_equal(cine.image[0], VOXELS.T)


def test_dicom_has_a_spacing_of_its_own(tmp_path):
    (tmp_path / "IM0001").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(InvalidInputError, match="only for NIfTI files"):
        read_cine(tmp_path / "IM0001", spacing=(8.0, 1.25, 1.5))


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
    assert "whole cardiac cycle" in cine.timing.rr_source
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
