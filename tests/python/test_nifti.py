"""NIfTI files in and out: grids must survive, and what is no short-axis cine must be refused by name."""

import gzip
import itertools

import nibabel
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Extension
from nibabel.orientations import apply_orientation, inv_ornt_aff

from cardiacseg.acquisition import UNKNOWN_TIMING
from cardiacseg.errors import InvalidInputError
from cardiacseg.io.geometry import Geometry
from cardiacseg.io.nifti import new_cine, read_labels, read_nifti, write_image, write_labels

COLUMN_MM, ROW_MM, SLICE_MM = 1.4, 1.75, 8.0
ORIENTATIONS = [
    np.column_stack([axes, signs])
    for axes in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def oblique_affine():
    """Voxel (x, y, z) to world (RAS) with unequal spacing, turned about two axes: stored as scanners show it."""
    first, second = np.radians(-15), np.radians(-40)
    about_z = np.array([[np.cos(first), -np.sin(first), 0], [np.sin(first), np.cos(first), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(second), -np.sin(second)], [0, np.sin(second), np.cos(second)]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ np.diag([-COLUMN_MM, -ROW_MM, SLICE_MM])
    affine[:3, 3] = 81.5, 40.25, -17.0
    return affine


def save(path, data, affine=None, kind=nibabel.Nifti1Image):
    image = kind(data, oblique_affine() if affine is None else affine)
    image.set_sform(image.affine, code=2)
    image.set_qform(image.affine, code=1)
    image.header.set_xyzt_units("mm", "msec")
    if data.ndim == 4:
        image.header.set_zooms((*image.header.get_zooms()[:3], 31.5))
    nibabel.save(image, path)
    return path


def numbered(*shape, dtype=np.int16):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def test_cine_axes_and_units(tmp_path):
    data = numbered(7, 6, 5, 4)
    cine = read_nifti(save(tmp_path / "cine.nii.gz", data))
    assert cine.image.shape == (4, 5, 6, 7)
    assert cine.image[3, 2, 1, 6] == data[6, 1, 2, 3]
    assert cine.image.dtype == np.int16
    assert cine.spacing == pytest.approx((SLICE_MM, ROW_MM, COLUMN_MM))
    assert cine.timing.frame_times_ms == pytest.approx((0, 31.5, 63, 94.5))


def test_stack_is_one_frame(tmp_path):
    data = numbered(7, 6, 5)
    cine = read_nifti(save(tmp_path / "stack.nii", data))
    assert cine.image.shape == (1, 5, 6, 7)
    assert cine.image[0, 2, 1, 6] == data[6, 1, 2]
    assert cine.timing == UNKNOWN_TIMING


def test_frame_axis_of_one(tmp_path):
    cine = read_nifti(save(tmp_path / "one.nii", numbered(7, 6, 5, 1)))
    assert cine.image.shape == (1, 5, 6, 7)


def test_scaled_values_become_float32(tmp_path):
    image = nibabel.Nifti1Image(numbered(3, 4, 2).astype(np.float64) / 10, np.diag([-1.0, -1, 8, 1]))
    image.header.set_data_dtype(np.int16)
    nibabel.save(image, tmp_path / "scaled.nii")
    assert nibabel.load(tmp_path / "scaled.nii").dataobj.slope != 1
    cine = read_nifti(tmp_path / "scaled.nii")
    assert cine.image.dtype == np.float32
    np.testing.assert_allclose(cine.image[0], (numbered(3, 4, 2) / 10).T, atol=1e-4)


def test_units_become_millimetres_and_milliseconds(tmp_path):
    image = nibabel.Nifti1Image(numbered(3, 4, 2, 2), np.diag([-0.0014, -0.0015, 0.008, 1]))
    image.header.set_zooms((0.0014, 0.0015, 0.008, 0.04))
    image.header.set_xyzt_units("meter", "sec")
    nibabel.save(image, tmp_path / "metres.nii")
    cine = read_nifti(tmp_path / "metres.nii")
    assert cine.spacing == pytest.approx((8.0, 1.5, 1.4))
    assert cine.timing.frame_times_ms == pytest.approx((0, 40))
    np.testing.assert_allclose(cine.geometry.affine_lps(), np.diag([1.4, 1.5, 8, 1]), atol=1e-6)


def test_big_endian_values_become_native(tmp_path):
    header = nibabel.Nifti1Header(endianness=">")
    image = nibabel.Nifti1Image(numbered(3, 4, 2), np.diag([-1.0, -1, 8, 1]), header)
    image.header.set_data_dtype(">i2")
    nibabel.save(image, tmp_path / "big.nii")
    cine = read_nifti(tmp_path / "big.nii")
    assert cine.image.dtype.isnative
    np.testing.assert_array_equal(cine.image[0], numbered(3, 4, 2).T)


@pytest.mark.parametrize("shape", [(7, 6, 5, 4), (7, 6, 5), (7, 6, 5, 1)])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_labels_keep_the_grid(tmp_path, shape, kind):
    source = nibabel.load(save(tmp_path / "in.nii.gz", numbered(*shape), kind=kind))
    cine = read_nifti(tmp_path / "in.nii.gz")
    labels = (np.arange(cine.image.size) % 4).astype(np.uint8).reshape(cine.image.shape)
    write_labels(tmp_path / "labels.nii.gz", labels, cine)
    written = nibabel.load(tmp_path / "labels.nii.gz")
    assert type(written) is kind
    assert written.shape == shape
    assert written.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(written.affine, source.affine)
    for form in ("get_sform", "get_qform"):
        ours, our_code = getattr(written, form)(coded=True)
        theirs, their_code = getattr(source, form)(coded=True)
        assert our_code == their_code
        np.testing.assert_array_equal(ours, theirs)
    assert written.header.get_zooms() == source.header.get_zooms()
    assert written.header.get_xyzt_units() == source.header.get_xyzt_units()
    assert written.dataobj.slope == 1
    assert written.dataobj.inter == 0
    np.testing.assert_array_equal(np.asarray(written.dataobj).reshape(*shape[:3], -1), labels.T)


def test_labels_of_a_file_without_orientation(tmp_path):
    image = nibabel.Nifti1Image(numbered(4, 5, 3), None)
    image.header.set_zooms((1.4, 1.5, 8.0))
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    nibabel.save(image, tmp_path / "plain.nii")
    cine = read_nifti(tmp_path / "plain.nii")
    write_labels(tmp_path / "labels.nii", np.zeros(cine.image.shape, np.uint8), cine)
    written = nibabel.load(tmp_path / "labels.nii")
    assert int(written.header["sform_code"]) == int(written.header["qform_code"]) == 0
    assert written.header.get_zooms() == pytest.approx((1.4, 1.5, 8.0))


def test_labels_leave_scaling_and_extensions_behind(tmp_path):
    image = nibabel.Nifti1Image(numbered(4, 5, 3), oblique_affine())
    image.header.set_slope_inter(2.5, -7)
    image.header["cal_max"] = 4000
    image.header["descrip"] = image.header["aux_file"] = b"somebody's name"
    image.header.extensions.append(Nifti1Extension("comment", b"somebody's name"))
    nibabel.save(image, tmp_path / "in.nii")
    cine = read_nifti(tmp_path / "in.nii")
    labels = np.full(cine.image.shape, 3, np.uint8)
    write_labels(tmp_path / "labels.nii", labels, cine)
    written = nibabel.load(tmp_path / "labels.nii")
    assert not written.header.extensions
    assert written.header["cal_max"] == 0
    np.testing.assert_array_equal(np.asarray(written.dataobj), labels[0].T)
    assert b"somebody" not in (tmp_path / "labels.nii").read_bytes()


def test_same_labels_give_the_same_bytes(tmp_path):
    cine = read_nifti(save(tmp_path / "in.nii", numbered(4, 5, 3)))
    for name in ("a.nii.gz", "b.nii.gz"):
        write_labels(tmp_path / name, np.ones(cine.image.shape, np.uint8), cine)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_labels_that_do_not_fit_are_refused(tmp_path):
    cine = read_nifti(save(tmp_path / "in.nii", numbered(4, 5, 3)))
    with pytest.raises(InvalidInputError, match="do not fit"):
        write_labels(tmp_path / "labels.nii", np.zeros((1, 3, 4, 5), np.uint8), cine)
    with pytest.raises(InvalidInputError, match=r"\.nii"):
        write_labels(tmp_path / "labels.png", np.zeros((1, 3, 5, 4), np.uint8), cine)
    assert [path.name for path in tmp_path.iterdir()] == ["in.nii"]


def test_new_cine_round_trip(tmp_path):
    image = numbered(3, 2, 4, 5, dtype=np.uint16)
    write_image(tmp_path / "cine.nii.gz", new_cine(image, (8.0, 1.4, 1.5), 33.0))
    cine = read_nifti(tmp_path / "cine.nii.gz")
    np.testing.assert_array_equal(cine.image, image)
    assert cine.spacing == pytest.approx((8.0, 1.4, 1.5))
    assert cine.timing.frame_times_ms == pytest.approx((0, 33, 66))
    np.testing.assert_allclose(cine.geometry.affine_lps(), np.diag([1.5, 1.4, 8, 1]), atol=1e-6)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e300])
def test_voxels_without_a_number_become_the_smallest_value(tmp_path, wrong):
    data = numbered(7, 6, 5, 4, dtype=np.float64) + 10
    data[:2] = wrong
    cine = read_nifti(save(tmp_path / "gaps.nii", data))
    data[:2] = data[2:].min()
    np.testing.assert_array_equal(cine.image, data.T)
    text = "240 of the file's 840 voxels are no finite numbers; they were read as the smallest value."
    assert {note.code: note.text for note in cine.notes}["nifti_not_finite"] == text


def test_a_file_without_a_number_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="no voxel with a finite number"):
        read_nifti(save(tmp_path / "empty.nii", np.full((7, 6, 5, 4), np.nan)))


RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (np.zeros((4, 5), np.int16), "2 axes"),
        (np.zeros((4, 5, 3, 2, 2), np.int16), "5 axes"),
        (np.zeros((4, 5, 3), RGB), "colors"),
        (np.zeros((4, 5, 3), np.complex64), "complex64"),
    ],
)
def test_images_of_another_kind_are_refused(tmp_path, data, complaint):
    nibabel.save(nibabel.Nifti1Image(data, np.diag([-1.0, -1, 8, 1])), tmp_path / "other.nii")
    with pytest.raises(InvalidInputError, match=rf"other\.nii .*{complaint}"):
        read_nifti(tmp_path / "other.nii")


def test_vectors_are_refused(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((4, 5, 3, 3), np.float32), np.diag([-1.0, -1, 8, 1]))
    image.header.set_intent("vector")
    nibabel.save(image, tmp_path / "field.nii")
    with pytest.raises(InvalidInputError, match="vectors"):
        read_nifti(tmp_path / "field.nii")


def write_with_pixdim(path, pixdim):
    """A file whose header holds these pixel sizes, which nibabel would not write by itself."""
    content = bytearray(nibabel.Nifti1Image(np.zeros((4, 5, 3), np.int16), np.diag([-1.0, -1, 8, 1])).to_bytes())
    content[80:92] = np.array(pixdim, "<f4").tobytes()
    path.write_bytes(content)


@pytest.mark.parametrize("pixdim", [(0, 1, 8), (1, 1, 0), (1, np.nan, 8), (1, np.inf, 8)])
def test_unusable_pixel_sizes_are_refused(tmp_path, pixdim):
    write_with_pixdim(tmp_path / "zero.nii", pixdim)
    with pytest.raises(InvalidInputError, match=r"zero\.nii has pixel sizes"):
        read_nifti(tmp_path / "zero.nii")


@pytest.mark.parametrize("sizes", [(8.0, 8.0, 1.4), (8.0, 1.4, 8.0), (5.0, 8.0, 1.4)])
def test_voxels_of_no_short_axis_stack_are_refused(tmp_path, sizes):
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 3), np.int16), np.diag([*sizes, 1])), tmp_path / "rods.nii")
    with pytest.raises(InvalidInputError, match=r"rods\.nii: voxels of .* cannot be those of a short-axis stack"):
        read_nifti(tmp_path / "rods.nii")


def truncated(path):
    save(path.with_name("whole.nii.gz"), np.random.default_rng(0).integers(0, 999, (32, 32, 8), dtype=np.int16))
    path.write_bytes(path.with_name("whole.nii.gz").read_bytes()[:2000])


def truncated_plain(path):
    save(path.with_name("whole.nii"), numbered(8, 8, 8))
    path.write_bytes(path.with_name("whole.nii").read_bytes()[:600])


BROKEN = {
    "missing.nii.gz": lambda path: None,
    "folder.nii.gz": lambda path: path.mkdir(),
    "truncated.nii.gz": truncated,
    "truncated.nii": truncated_plain,
    "text.nii": lambda path: path.write_text("not an image"),
    "text.nii.gz": lambda path: path.write_text("not an image"),
    "empty.nii": lambda path: path.write_bytes(b""),
    "text_inside.nii.gz": lambda path: path.write_bytes(gzip.compress(b"not an image")),
    "picture.png": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_by_name(tmp_path, name):
    BROKEN[name](tmp_path / name)
    with pytest.raises(InvalidInputError) as caught:
        read_nifti(tmp_path / name)
    message = str(caught.value)
    assert name in message
    assert "\n" not in message


def oblique_geometry():
    """A grid of (x, y, z) 5 x 4 x 3 voxels, turned about two axes."""
    a, b = 0.7, -0.4
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return Geometry((-31.5, 12.25, 80.0), about_z @ about_x, (1.25, 1.5, 8.0), (5, 4, 3))


GEOMETRY = oblique_geometry()
LABELS = np.random.default_rng(3).integers(0, 4, (2, 3, 4, 5), dtype=np.uint8)


def save_labels(path, orientation, labels=LABELS, geometry=GEOMETRY):
    stored = apply_orientation(labels.T, orientation)
    affine = geometry.affine_ras() @ inv_ornt_aff(orientation, labels.T.shape[:3])
    nibabel.save(nibabel.Nifti1Image(stored, affine), path)
    return path


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_every_order_and_direction_of_axes(tmp_path, orientation):
    path = save_labels(tmp_path / "labels.nii.gz", orientation)
    np.testing.assert_array_equal(read_labels(path, GEOMETRY, frames=2), LABELS)


def test_one_frame_of_three_axes(tmp_path):
    nibabel.save(nibabel.Nifti1Image(LABELS[0].T, GEOMETRY.affine_ras()), tmp_path / "labels.nii")
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.nii", GEOMETRY, frames=1), LABELS[:1])


def moved(millimetres):
    return Geometry(tuple(np.add(GEOMETRY.origin, millimetres)), GEOMETRY.direction, GEOMETRY.spacing, GEOMETRY.size)


@pytest.mark.parametrize(
    ("geometry", "frames", "words"),
    [
        (moved((0.5, 0, 0)), 2, "not those of the image"),
        (Geometry(GEOMETRY.origin, GEOMETRY.direction, (1.25, 1.5, 8.5), GEOMETRY.size), 2, "not those of the image"),
        (Geometry(GEOMETRY.origin, np.eye(3), GEOMETRY.spacing, GEOMETRY.size), 2, "not those of the image"),
        (Geometry(GEOMETRY.origin, GEOMETRY.direction, GEOMETRY.spacing, (5, 4, 4)), 2, "expected labels of"),
        (GEOMETRY, 3, "3 frames"),
    ],
)
def test_another_grid_is_refused(tmp_path, geometry, frames, words):
    path = save_labels(tmp_path / "labels.nii.gz", ORIENTATIONS[0])
    with pytest.raises(InvalidInputError, match=words):
        read_labels(path, geometry, frames)


@pytest.mark.parametrize("wrong", [4, 0.5])
def test_other_values_are_refused(tmp_path, wrong):
    values = LABELS.astype(np.float32)
    values[1, 2, 3, 4] = wrong
    path = save_labels(tmp_path / "labels.nii.gz", ORIENTATIONS[0], values)
    with pytest.raises(InvalidInputError, match="expected labels 0 to 3"):
        read_labels(path, GEOMETRY, frames=2)
