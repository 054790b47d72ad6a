"""However a NIfTI file stores its axes, the array is the scanner's picture and labels go back to the file's voxels."""

from itertools import permutations, product

import nibabel
import numpy as np
import pytest

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.cine import Cine
from cardiacseg.io.geometry import Geometry, picture_orientation
from cardiacseg.io.nifti import read_labels, read_nifti, write_labels

LPS = np.diag([-1.0, -1.0, 1.0])
LEFT, BACK, HEAD = np.eye(3)
SIZE, SPACING = (6, 5, 4), (1.4, 1.75, 8.0)
WAYS = list(product(permutations(range(3)), product((False, True), repeat=3)))
# Image Orientation (Patient) of a real short-axis cine, rounded as files have it.
SHORT_AXIS = (0.792, 0.0, 0.61), (0.378, 0.786, -0.49)


def rotation(about_x, about_y, about_z):
    """A rotation matrix from angles in degrees."""
    whole = np.eye(3)
    for axis, angle in enumerate(np.radians((about_x, about_y, about_z))):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[[first, second], [first, second]] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        whole = turn @ whole
    return whole


def short_axis_directions():
    """Unit vectors of columns, rows and slices (LPS), as columns of a matrix."""
    columns, rows = (np.array(vector) / np.linalg.norm(vector) for vector in SHORT_AXIS)
    rows -= columns * (rows @ columns)
    rows /= np.linalg.norm(rows)
    return np.column_stack([columns, rows, np.cross(columns, rows)])


def picture(directions, frames=1):
    """An image of whole numbers, each other, and its grid."""
    geometry = Geometry((-31.5, 12.25, 7.0), np.asarray(directions, float), SPACING, SIZE)
    return np.arange(frames * np.prod(SIZE), dtype=np.int16).reshape(frames, *SIZE[::-1]), geometry


def store(path, image, geometry, order, flips, codes=(1, 1)):
    """Write a picture with its axes in another order and direction, by an affine that says so."""
    voxels, affine = image.T, geometry.affine_ras()
    for axis in np.flatnonzero(flips):
        voxels = np.flip(voxels, axis)
        affine[:3, 3] += affine[:3, axis] * (SIZE[axis] - 1)
        affine[:3, axis] *= -1
    voxels = voxels.transpose(*order, 3)
    affine = affine[:, [*order, 3]]
    file = nibabel.Nifti1Image(voxels if voxels.shape[3] > 1 else voxels[..., 0], affine)
    file.set_sform(affine, code=codes[0])
    file.set_qform(affine, code=codes[1])
    file.header.set_xyzt_units("mm", "msec")
    nibabel.save(file, path)
    return nibabel.load(path)


def obliques():
    """Frames of directions that are pictures as scanners show them: straight ones and turned ones."""
    yield "transverse", np.eye(3)
    yield "coronal", np.column_stack([LEFT, -HEAD, np.cross(LEFT, -HEAD)])
    yield "sagittal", np.column_stack([BACK, -HEAD, np.cross(BACK, -HEAD)])
    yield "short axis", short_axis_directions()
    yield "short axis, head up", short_axis_directions() @ rotation(0, 0, 50)
    yield "oblique", rotation(25, -30, 15)


@pytest.mark.parametrize(("name", "directions"), list(obliques()), ids=[name for name, _ in obliques()])
def test_all_48_ways_of_storing_give_one_picture(tmp_path, name, directions):
    image, geometry = picture(directions, frames=2)
    labels = (image % 4).astype(np.uint8)
    for order, flips in WAYS:
        file = store(tmp_path / "in.nii", image, geometry, order, flips)
        cine = read_nifti(tmp_path / "in.nii")
        np.testing.assert_array_equal(cine.image, image, err_msg=f"{order} {flips}")
        np.testing.assert_allclose(cine.geometry.affine_lps(), geometry.affine_lps(), atol=1e-4)
        assert cine.geometry.size == SIZE
        assert cine.spacing == pytest.approx(SPACING[::-1])
        write_labels(tmp_path / "labels.nii", labels, cine)
        written = nibabel.load(tmp_path / "labels.nii")
        np.testing.assert_array_equal(np.asarray(written.dataobj), np.asarray(file.dataobj) % 4)
        np.testing.assert_array_equal(written.affine, file.affine)
        np.testing.assert_array_equal(read_labels(tmp_path / "labels.nii", cine.geometry, 2), labels)


def test_a_given_spacing_keeps_the_picture_in_all_48_ways_of_storing(tmp_path):
    image, geometry = picture(short_axis_directions(), frames=2)
    labels = (image % 4).astype(np.uint8)
    for order, flips in WAYS:
        file = store(tmp_path / "in.nii", image, geometry, order, flips)
        cine = read_nifti(tmp_path / "in.nii", spacing=(10.0, 1.5, 1.3))
        np.testing.assert_array_equal(cine.image, image, err_msg=f"{order} {flips}")
        np.testing.assert_allclose(cine.geometry.direction, geometry.direction, atol=1e-6)
        assert cine.spacing == pytest.approx((10.0, 1.5, 1.3))
        write_labels(tmp_path / "labels.nii", labels, cine)
        written = nibabel.load(tmp_path / "labels.nii")
        np.testing.assert_array_equal(np.asarray(written.dataobj), np.asarray(file.dataobj) % 4)
        np.testing.assert_array_equal(written.affine, file.affine)
        found = read_labels(tmp_path / "labels.nii", cine.geometry, 2, spacing_given=True)
        np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (2, 1)])
def test_sform_and_qform(tmp_path, codes):
    image, geometry = picture(short_axis_directions())
    store(tmp_path / "in.nii", image, geometry, (2, 0, 1), (True, False, True), codes)
    np.testing.assert_array_equal(read_nifti(tmp_path / "in.nii").image, image)


def test_rows_from_the_bottom_up_are_put_right(tmp_path):
    """As dcm2niix stores them: the first row of the file is the lowest of the picture."""
    image, geometry = picture(short_axis_directions())
    file = store(tmp_path / "in.nii", image, geometry, (0, 1, 2), (False, True, False))
    assert np.linalg.det(file.affine[:3, :3]) < 0
    cine = read_nifti(tmp_path / "in.nii")
    np.testing.assert_array_equal(cine.image[0, 0, ::-1], np.asarray(file.dataobj)[:, :, 0].T)
    np.testing.assert_array_equal(cine.image, image)


@pytest.mark.parametrize("seed", range(20))
def test_random_planes_are_never_mirrored_and_every_voxel_keeps_its_place(tmp_path, seed):
    random = np.random.default_rng(seed)
    image, geometry = picture(rotation(*random.uniform(-180, 180, 3)))
    order, flips = WAYS[random.integers(48)]
    file = store(tmp_path / "in.nii", image, geometry, order, flips)
    cine = read_nifti(tmp_path / "in.nii")
    assert cine.geometry.normal @ (-1, 1, 1) > 0
    assert cine.geometry.normal @ cine.geometry.direction[:, 2] == pytest.approx(1)
    voxel = tuple(random.integers(size) for size in file.shape)
    place = LPS @ (file.affine @ (*voxel, 1))[:3]
    column, row, index = np.rint(np.linalg.inv(cine.geometry.affine_lps()) @ (*place, 1))[:3].astype(int)
    assert cine.image[0, index, row, column] == np.asarray(file.dataobj)[voxel]


def test_the_standard_pictures():
    """Axes of a file in RAS mm (x, y, z), told by hand -> its axes that are columns, rows and slices, and flips."""
    right, front = -LEFT, -BACK
    stored = {
        # as dcm2niix stores a transverse stack: x to the left, y to the front, z to the head
        (tuple(1.5 * LEFT), tuple(1.5 * front), tuple(8 * HEAD)): ((0, 1, 2), (False, True, False)),
        # slices first and from the head down, rows second, columns from left to right
        (tuple(-8 * HEAD), tuple(1.5 * BACK), tuple(1.5 * right)): ((2, 1, 0), (True, False, True)),
        # a coronal stack whose slices go to the front, rows to the head
        (tuple(1.5 * LEFT), tuple(8 * front), tuple(1.5 * HEAD)): ((0, 2, 1), (False, True, True)),
        # a sagittal stack whose slices go to the left
        (tuple(8 * LEFT), tuple(1.5 * front), tuple(1.5 * HEAD)): ((1, 2, 0), (True, True, True)),
    }
    for axes, (wanted_axes, wanted_flips) in stored.items():
        affine = np.eye(4)
        affine[:3, :3] = LPS @ np.column_stack(axes)
        found = picture_orientation(affine)
        assert (found.axes, found.flips) == (wanted_axes, wanted_flips), axes


@pytest.mark.parametrize(
    ("sizes", "slices"),
    [
        ((1.5, 1.5, 8.0), 2),
        ((8.0, 1.5, 1.5), 0),
        ((1.5, 8.0, 1.5), 1),
        ((1.4, 1.4, 1.4), 2),
        ((1.6, 1.4, 1.4), 2),
        ((1.8, 1.4, 1.4), 0),
        ((1.4, 1.4, 1.0), 2),
        ((8.0, 3.0, 1.0), 0),
    ],
)
def test_slices_lie_along_the_longest_side(sizes, slices):
    assert picture_orientation(np.diag([-sizes[0], -sizes[1], sizes[2], 1])).axes[2] == slices


def plain_file(path, affine, code, sizes=(1.4, 1.5, 8.0)):
    """A file with these pixel sizes, whose sform, if ``code`` is not 0, may say something else."""
    file = nibabel.Nifti1Image(np.arange(60, dtype=np.int16).reshape(4, 5, 3), affine if code else None)
    file.header.set_zooms(sizes)
    file.header["sform_code"], file.header["qform_code"] = code, 0
    nibabel.save(file, path)


@pytest.mark.parametrize(("affine", "code"), [(np.eye(4), 0), (np.eye(4), 2), (np.diag([-1.0, -1, 1, 1]), 2)])
def test_a_file_that_lost_its_orientation_is_taken_as_stored(tmp_path, affine, code):
    plain_file(tmp_path / "in.nii", affine, code)
    cine = read_nifti(tmp_path / "in.nii")
    np.testing.assert_array_equal(cine.image[0], np.arange(60).reshape(4, 5, 3).T)
    assert cine.spacing == pytest.approx((8.0, 1.5, 1.4))
    assert [note.code for note in cine.notes] == ["nifti_no_orientation"]
    np.testing.assert_array_equal(cine.geometry.direction, np.eye(3))
    labels = (cine.image % 4).astype(np.uint8)
    write_labels(tmp_path / "labels.nii", labels, cine)
    np.testing.assert_array_equal(np.asarray(nibabel.load(tmp_path / "labels.nii").dataobj), labels[0].T)
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.nii", cine.geometry, 1), labels)


def test_without_orientation_slices_must_be_third(tmp_path):
    plain_file(tmp_path / "in.nii", np.eye(4), 0, sizes=(8.0, 1.4, 1.4))
    with pytest.raises(InvalidInputError, match=r"in\.nii has no orientation .* third axis must be the slice axis"):
        read_nifti(tmp_path / "in.nii")


def test_pixel_sizes_that_contradict_the_affine_are_refused(tmp_path):
    plain_file(tmp_path / "in.nii", np.diag([-1.6, -1.5, 8.0, 1]), 1)
    with pytest.raises(InvalidInputError, match=r"1\.6, 1\.5, 8 mm by its affine and of 1\.4, 1\.5, 8 mm"):
        read_nifti(tmp_path / "in.nii")


@pytest.mark.parametrize(
    ("degrees", "notes"),
    [(0.2, []), (1.5, ["nifti_sheared"]), (4.0, ["nifti_sheared"]), (6.0, ["nifti_sheared"]), (7.0, None)],
)
@pytest.mark.parametrize("axis", [0, 1])
def test_sheared_axes(tmp_path, degrees, notes, axis):
    affine = np.diag([-1.4, -1.5, 8.0, 1])
    angle = np.radians(degrees)
    affine[:3, 2] = 0, 0, 8 * np.cos(angle)
    affine[axis, 2] = 8 * np.sin(angle)
    file = nibabel.Nifti1Image(np.zeros((4, 5, 3), np.int16), affine)
    file.set_sform(affine, code=1)
    nibabel.save(file, tmp_path / "in.nii")
    if notes is None:
        with pytest.raises(InvalidInputError, match=r"in\.nii has axes 7\.0 degrees from right angles"):
            read_nifti(tmp_path / "in.nii")
        return
    cine = read_nifti(tmp_path / "in.nii")
    assert [note.code for note in cine.notes] == notes
    np.testing.assert_allclose(cine.geometry.affine_ras(), affine, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 3])
def test_labels_of_a_dicom_cine(tmp_path, frames):
    """Such a cine has no NIfTI file to follow: the labels' grid is its geometry."""
    from cardiacseg.acquisition import Timing

    image, geometry = picture(short_axis_directions() @ rotation(0, 0, 180), frames)
    times = tuple(12.0 + 31.25 * frame for frame in range(frames))
    cine = Cine(tmp_path, image, SPACING[::-1], geometry, timing=Timing(times))
    labels = (image % 4).astype(np.uint8)
    write_labels(tmp_path / "labels.nii.gz", labels, cine)
    written = nibabel.load(tmp_path / "labels.nii.gz")
    np.testing.assert_allclose(written.affine, geometry.affine_ras(), atol=1e-5)
    np.testing.assert_allclose(written.get_qform(), written.get_sform(), atol=1e-4)
    assert (int(written.header["sform_code"]), int(written.header["qform_code"])) == (1, 1)
    assert written.header.get_xyzt_units() == ("mm", "msec")
    np.testing.assert_array_equal(np.asarray(written.dataobj).reshape(*SIZE, frames), labels.T)
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.nii.gz", geometry, frames), labels)
    if frames > 1:
        assert written.header["pixdim"][4] == 31.25
        assert written.header["toffset"] == 12.0
