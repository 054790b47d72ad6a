"""Positions of voxels: every orientation, uneven and shifted slices."""

import itertools

import numpy as np
import pydicom
import pytest
from dicom_reading import read, refused
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from synthetic_dicom import Recipe, classic_study, decimal, orthonormal, write
from synthetic_enhanced import enhanced_study

from cardiacseg.io.dicom.read import read_dicom
from cardiacseg.io.geometry import directions, is_orientation

SMALL = Recipe(slices=4, size=(32, 40))
AXES = [
    np.column_stack([first, second, np.cross(first, second)])
    for first, second in itertools.permutations([sign * axis for axis in np.eye(3) for sign in (1, -1)], 2)
    if not np.any(first * second)
]


def place(study, recipe):
    """The same pixels on another grid."""
    for s, position in enumerate(recipe.geometry.slice_positions()):
        for t in range(recipe.frames):
            study.at(s, t).ImagePositionPatient = decimal(position)
            study.at(s, t).ImageOrientationPatient = decimal(recipe.direction[:, :2].T.ravel())
    return study


def where_dicom_says(position, cosines, spacing, row, column):
    """C.7.6.2.1.1: the place of a pixel in mm, from the attributes alone."""
    along_row, along_column = np.array([float(v) for v in cosines]).reshape(2, 3)
    between_rows, between_columns = (float(v) for v in spacing)
    place = np.array([float(v) for v in position])
    return place + along_row * between_columns * column + along_column * between_rows * row


def check_marked_voxel(cine, place):
    t, s, row, column = np.unravel_index(cine.image.argmax(), cine.image.shape)
    assert (t, row, column) == (5, 7, 31)
    found = cine.geometry.affine_lps() @ [column, row, s, 1]
    np.testing.assert_allclose(found[:3], place, atol=1e-6)


def mark(dataset, frame=...):
    pixels = dataset.pixel_array.copy()
    pixels[frame, 7, 31] = 4095
    dataset.PixelData = pixels.tobytes()


def test_there_are_24_axis_aligned_planes_of_48_with_their_slices_reversed():
    assert len(AXES) == 24


@pytest.mark.parametrize("index", range(24))
def test_axis_aligned(tmp_path, index):
    """A right-handed grid for each pair of axes; DICOM has no slice axis that could be reversed beside."""
    recipe = Recipe(slices=4, size=(32, 40), direction=AXES[index], series_per_slice=False)
    (dataset,) = enhanced_study(recipe, shuffle=index).datasets
    frames = dataset.PerFrameFunctionalGroupsSequence
    marked = next(n for n, f in enumerate(frames) if f.FrameContentSequence[0].DimensionIndexValues == [1, 3, 6])
    mark(dataset, marked)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    place = where_dicom_says(
        frames[marked].PlanePositionSequence[0].ImagePositionPatient,
        shared.PlaneOrientationSequence[0].ImageOrientationPatient,
        shared.PixelMeasuresSequence[0].PixelSpacing,
        7,
        31,
    )
    check_marked_voxel(read([dataset], tmp_path), place)


def rotation(a, b, c):
    """A rotation by Euler angles."""
    (ca, cb, cc), (sa, sb, sc) = np.cos([a, b, c]), np.sin([a, b, c])
    about_z = np.array([[ca, -sa, 0], [sa, ca, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, cb, -sb], [0, sb, cb]])
    return about_z @ about_x @ np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])


ANGLE = st.floats(-np.pi, np.pi)
SHARED = classic_study(SMALL)
mark(SHARED.at(2, 5))


@settings(max_examples=8, deadline=None)
@given(ANGLE, ANGLE, ANGLE, st.floats(2.0, 20.0), st.tuples(*[st.floats(-500, 500)] * 3))
def test_oblique(tmp_path_factory, a, b, c, between, origin):
    recipe = Recipe(slices=4, size=(32, 40), direction=rotation(a, b, c), spacing=(between, 2.75, 2.5), origin=origin)
    datasets, marked = place(SHARED, recipe).datasets, SHARED.at(2, 5)
    where = marked.ImagePositionPatient, marked.ImageOrientationPatient, marked.PixelSpacing
    check_marked_voxel(read(datasets, tmp_path_factory.mktemp("oblique")), where_dicom_says(*where, 7, 31))


@settings(max_examples=100, deadline=None)
@given(ANGLE, ANGLE, ANGLE)
def test_directions_are_orthonormal_and_near_what_the_file_says(a, b, c):
    cosines = tuple(float(v) for v in decimal(np.round(rotation(a, b, c), 4)[:, :2].T.ravel()))
    assert is_orientation(cosines)
    found = directions(cosines)
    np.testing.assert_allclose(found.T @ found, np.eye(3), atol=1e-12)
    assert np.linalg.det(found) == pytest.approx(1)
    np.testing.assert_allclose(found[:, :2].T.ravel(), cosines, atol=2e-4)
    np.testing.assert_allclose(orthonormal(rotation(a, b, c)), rotation(a, b, c), atol=1e-9)


@pytest.mark.parametrize(
    ("lost", "words"), [(1, "slices 1 and 2 of 4 are 23.00"), (3, "slices 3 and 4 of 4 are 23.00")]
)
def test_a_missing_slice(tmp_path, lost, words):
    study = classic_study(Recipe(slices=5, size=(32, 40)))
    write([d for s in range(5) if s != lost for d in study.datasets[8 * s : 8 * s + 8]], tmp_path)
    refused("E_NONUNIFORM_SPACING", tmp_path, words, "median is 11.50 mm")


def moved(study, s, along, mm):
    """Move slice ``s`` by some mm along one of the grid's directions."""
    for t in range(8):
        position = study.geometry.slice_positions()[s] + study.recipe.direction[:, along] * mm
        study.at(s, t).ImagePositionPatient = decimal(position)
    return study


@pytest.mark.parametrize(("mm", "fits"), [(0.2, True), (-0.2, True), (0.7, False), (-3, False)])
def test_uneven_slices(tmp_path, mm, fits):
    write(moved(classic_study(SMALL), 2, 2, mm).datasets, tmp_path)
    if fits:
        assert read_dicom(tmp_path).spacing[0] == pytest.approx(11.5)
    else:
        refused("E_NONUNIFORM_SPACING", tmp_path, "median")


@pytest.mark.parametrize(
    ("offsets", "shares"),
    [
        ((0, 10, 30, 40), (10, 15, 15, 10)),
        ((0, 10, 20, 35), (10, 10, 12.5, 15)),
        ((0, 10, 20.7, 30), (10, 10.35, 10, 9.3)),
        ((0, 9.6, 20.3, 30.2), (9.6, 10.15, 10.3, 9.9)),
    ],
    ids=["one missing", "unequal gap", "0.7 mm off", "jitter"],
)
def test_uneven_slices_on_request(tmp_path, offsets, shares):
    study = classic_study(Recipe(slices=4, size=(32, 40), spacing=(10.0, 2.75, 2.5)))
    for s, offset in enumerate(offsets):
        moved(study, s, 2, offset - 10 * s)
    write(study.datasets, tmp_path)
    refused("E_NONUNIFORM_SPACING", tmp_path, "the option uneven")
    cine = read_dicom(tmp_path, uneven=True)
    np.testing.assert_array_equal(cine.image, study.image)
    assert cine.spacing == pytest.approx((offsets[-1] / 3, 2.75, 2.5))
    np.testing.assert_allclose(cine.geometry.slice_offsets_mm, offsets, atol=1e-6)
    np.testing.assert_allclose(cine.geometry.slice_shares_mm, shares, atol=1e-6)
    positions = [frame.position for frame in cine.dicom.frames[0]]
    np.testing.assert_allclose(cine.geometry.slice_positions(), positions, atol=1e-6)
    (note,) = cine.notes
    assert note.code == "N_UNEVEN"
    assert f"the mean distance of slices, {offsets[-1] / 3:.2f} mm" in note.text


def test_even_slices_have_no_shares_of_their_own(tmp_path):
    cine = read(moved(classic_study(SMALL), 2, 2, 0.3).datasets, tmp_path, uneven=True)
    assert cine.geometry.slice_offsets_mm is cine.geometry.slice_shares_mm is None
    assert cine.notes == ()


@pytest.mark.parametrize("along", [0, 1])
def test_shifted_slices(tmp_path, along):
    """Up to 3 mm or one pixel are noted; the true positions are kept."""
    study = moved(classic_study(SMALL), 3, along, -2.9)
    cine = read(study.datasets, tmp_path / "little")
    (note,) = cine.notes
    assert note.code == "N_SHIFTED_SLICE"
    assert note.text.startswith("slice 4 lies 2.90 mm beside the others")
    true = [float(value) for value in study.at(3, 0).ImagePositionPatient]
    np.testing.assert_allclose(cine.dicom.frames[0][3].position, true)
    write(moved(classic_study(SMALL), 3, along, 3.2).datasets, tmp_path / "much")
    refused("E_SHIFTED_SLICE", tmp_path / "much", "slice 4 lies 3.20 mm beside the others", "3.00 mm are allowed")


def test_a_shift_of_less_than_a_pixel_of_4_mm(tmp_path):
    recipe = Recipe(slices=4, size=(32, 40), spacing=(11.5, 4.0, 4.0))
    (note,) = read(moved(classic_study(recipe), 1, 0, 3.9).datasets, tmp_path).notes
    assert note.text.startswith("slice 2 lies 3.90 mm beside the others")


@pytest.mark.parametrize(("mm", "fits"), [(1.0, True), (1.9, True), (2.2, False)])
def test_a_stack_that_leans(tmp_path, mm, fits):
    """Ten slices whose centers drift by the same step from slice to slice, as along the axis of a heart."""
    study = classic_study(Recipe(slices=10, size=(32, 40)))
    for s in range(10):
        moved(study, s, 1, mm * s)
    write(study.datasets, tmp_path)
    if not fits:
        refused("E_SHIFTED_SLICE", tmp_path, "mm beside the others")
        return
    cine = read_dicom(tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    assert [note.code for note in cine.notes] == ["N_SHIFTED_SLICE"]
    assert f"leans by {np.degrees(np.arctan(mm / 11.5)):.1f} degrees" in cine.notes[0].text


def test_the_distance_of_slices_never_comes_from_a_tag(tmp_path):
    study = classic_study(SMALL)
    for dataset in study.datasets:
        dataset.SliceThickness, dataset.SpacingBetweenSlices = "6", "8"
    cine = read(study.datasets, tmp_path)
    assert cine.spacing[0] == pytest.approx(11.5)
    assert [note.code for note in cine.notes] == ["N_SPACING_TAG"]


@pytest.mark.parametrize(("tags", "expected"), [({"SpacingBetweenSlices": "8"}, 8), ({}, 6)])
def test_one_slice(tmp_path, tags, expected):
    study = classic_study(SMALL)
    for dataset in study.datasets[:8]:
        for name, value in tags.items():
            setattr(dataset, name, value)
    cine = read(study.datasets[:8], tmp_path, series="7001")
    assert cine.spacing == (expected, 2.75, 2.5)
    assert [note.code for note in cine.notes] == ["N_ONE_SLICE"]


def test_one_slice_without_any_thickness(tmp_path):
    study = classic_study(SMALL)
    for dataset in study.datasets[:8]:
        dataset.SliceThickness = None
    write(study.datasets[:8], tmp_path)
    refused("E_NO_GEOMETRY", tmp_path, series="7001")


def test_enhanced_geometry_from_each_frame_or_shared(tmp_path):
    study = enhanced_study(SMALL)
    for dataset in study.datasets:
        shared = dataset.SharedFunctionalGroupsSequence[0]
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            frame.PlaneOrientationSequence = shared.PlaneOrientationSequence
            frame.PixelMeasuresSequence = shared.PixelMeasuresSequence
        del shared.PlaneOrientationSequence, shared.PixelMeasuresSequence
    cine = read(study.datasets, tmp_path)
    np.testing.assert_allclose(cine.geometry.affine_lps(), study.geometry.affine_lps(), atol=1e-8)


def written(dataset, name, text, kind):
    """An attribute as a file has it, whatever pydicom thinks of it."""
    content = text.encode() + b" " * (len(text) % 2)
    tag = pydicom.tag.Tag(name)
    dataset[tag] = RawDataElement(tag, kind, len(content), content, 0, False, True)


@pytest.mark.parametrize(
    ("change", "kind", "codes"),
    [(str, "UT", []), (str, "LO", []), (lambda text: text.replace(".", ","), "DS", ["N_DECIMAL_COMMA"])],
)
def test_numbers_in_other_types_and_with_commas(tmp_path, change, kind, codes):
    study = classic_study(Recipe(slices=4))
    for dataset in study.datasets:
        for name in (
            "PixelSpacing",
            "ImagePositionPatient",
            "ImageOrientationPatient",
            "TriggerTime",
            "SliceThickness",
        ):
            written(dataset, name, change("\\".join(map(str, np.atleast_1d(dataset[name].value)))), kind)
    cine = read(study.datasets, tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)
    np.testing.assert_allclose(cine.geometry.affine_lps(), study.geometry.affine_lps(), atol=1e-8)
    assert cine.timing.frame_times_ms == pytest.approx(study.frame_times_ms, abs=0.01)
    assert [note.code for note in cine.notes] == codes
