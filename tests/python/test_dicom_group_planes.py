"""Slices that are kept out of their stack by a tilt, a matrix, a pixel spacing, or no geometry at all."""

import numpy as np
import pytest
from dicom_reading import other_stack, read, refused
from made_up_dicom import Recipe, classic_study, decimal, write
from made_up_enhanced import enhanced_study, item

from cardiacseg.io.budget import Budget, Limits
from cardiacseg.io.dicom.orientation import plane_in_words
from cardiacseg.io.dicom.read import list_groups

SMALL = Recipe(slices=4, size=(32, 40))


def tilted(study, s, degrees):
    """Turn slice ``s`` about its rows' direction."""
    angle = np.radians(degrees)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    for t in range(8):
        direction = study.recipe.direction @ turn
        study.at(s, t).ImageOrientationPatient = decimal(direction[:, :2].T.ravel())


@pytest.mark.parametrize("s", [1, 3])
def test_a_tilted_slice(tmp_path, s):
    study = classic_study(SMALL)
    tilted(study, s, 3)
    write(study.datasets, tmp_path)
    refused("E_NONPARALLEL", tmp_path, f"slice {s + 1} of the stack", "3.0 degrees")


def test_all_slices_tilted(tmp_path):
    study = classic_study(SMALL)
    for s in range(4):
        tilted(study, s, 2 * s)
    write(study.datasets, tmp_path)
    refused("E_NONPARALLEL", tmp_path)


def test_a_tilted_scout_in_a_plane_that_is_there_already(tmp_path):
    study = classic_study(SMALL)
    scout = other_stack(SMALL)
    tilted(scout, 2, 5)
    cine = read(study.datasets + scout.datasets[16:24], tmp_path)
    np.testing.assert_array_equal(cine.image, study.image)


@pytest.mark.parametrize(("s", "words"), [(0, ("slice 1",)), (2, ("slice 3", "24 x 40 pixels", "32 x 40"))])
def test_a_slice_with_another_matrix(tmp_path, s, words):
    study = classic_study(SMALL)
    for t in range(8):
        dataset = study.at(s, t)
        dataset.PixelData, dataset.Rows = dataset.pixel_array[:24].tobytes(), 24
    write(study.datasets, tmp_path)
    refused("E_MATRIX_MISMATCH", tmp_path, *words)


def test_a_slice_with_another_pixel_spacing(tmp_path):
    study = classic_study(SMALL)
    for t in range(8):
        study.at(3, t).PixelSpacing = ["2.75", "2.4"]
    write(study.datasets, tmp_path)
    refused("E_MATRIX_MISMATCH", tmp_path, "slice 4", "2.75 x 2.4 mm")


@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("ImagePositionPatient", slice(0, 1)),
        ("ImageOrientationPatient", slice(24, 32)),
        ("PixelSpacing", slice(None)),
    ],
)
def test_no_geometry(tmp_path, name, which):
    datasets = classic_study(SMALL).datasets
    for dataset in datasets[which]:
        del dataset[name]
    write(datasets, tmp_path)
    refused("E_NO_GEOMETRY", tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PixelSpacing", ["0", "1"]),
        ("PixelSpacing", "1"),
        ("ImageOrientationPatient", ["1", "0", "0", "1", "0", "0"]),
        ("ImageOrientationPatient", ["1e300"] * 6),
        ("ImagePositionPatient", ["1", "2"]),
    ],
)
def test_absurd_geometry(tmp_path, name, value):
    datasets = classic_study(SMALL).datasets
    for dataset in datasets:
        setattr(dataset, name, value)
    write(datasets, tmp_path)
    refused("E_NO_GEOMETRY", tmp_path)


@pytest.mark.parametrize(
    ("cosines", "words"),
    [
        ((1, 0, 0, 0, 1, 0), "axial"),
        ((1, 0, 0, 0, 0, -1), "coronal"),
        ((0, 1, 0, 0, 0, -1), "sagittal"),
        ((0.792067, 0, 0.610434, 0.377686, 0.785613, -0.490067), "oblique, like a short axis"),
        ((0.9954, 0, 0.0958, 0.0788, -0.5693, -0.8183), "oblique, unlike a short axis"),
    ],
)
def test_planes_in_words(cosines, words):
    assert plane_in_words(cosines) == words


def test_groups_are_limited(tmp_path):
    """Each pair of planes is compared no more than once, and a file whose every frame has its own is refused."""
    (dataset,) = enhanced_study(Recipe(slices=3, size=(32, 40), series_per_slice=False)).datasets
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        angle = 0.03 * number
        cosines = [np.cos(angle), np.sin(angle), 0, 0, 0, 1]
        frame.PlaneOrientationSequence = item(ImageOrientationPatient=decimal(cosines))
    write([dataset], tmp_path)
    assert len(list_groups(tmp_path).groups) == 24
    few = Budget(Limits(groups=23), dicom=True)
    refused("E_TOO_LARGE", tmp_path, "at most 23 groups of images, got 24 at IM0000", budget=few)
