"""Labels from a file back onto a cine's grid, whatever order of axes a program has stored them in."""

import itertools

import nibabel
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.geometry import Geometry
from cardiacseg.io.label_file import read_labels

ORIENTATIONS = [
    np.column_stack([axes, signs])
    for axes in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def oblique_geometry():
    """A grid of (x, y, z) 5 x 4 x 3 voxels, turned about two axes."""
    a, b = 0.7, -0.4
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return Geometry((-31.5, 12.25, 80.0), about_z @ about_x, (1.25, 1.5, 8.0), (5, 4, 3))


GEOMETRY = oblique_geometry()
LABELS = np.random.default_rng(3).integers(0, 4, (2, 3, 4, 5), dtype=np.uint8)


def save(path, orientation, labels=LABELS, geometry=GEOMETRY):
    stored = apply_orientation(labels.T, orientation)
    affine = geometry.affine_ras() @ inv_ornt_aff(orientation, labels.T.shape[:3])
    nibabel.save(nibabel.Nifti1Image(stored, affine), path)
    return path


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_every_order_and_direction_of_axes(tmp_path, orientation):
    path = save(tmp_path / "labels.nii.gz", orientation)
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
    path = save(tmp_path / "labels.nii.gz", ORIENTATIONS[0])
    with pytest.raises(InvalidInputError, match=words):
        read_labels(path, geometry, frames)


@pytest.mark.parametrize("wrong", [4, 0.5])
def test_other_values_are_refused(tmp_path, wrong):
    values = LABELS.astype(np.float32)
    values[1, 2, 3, 4] = wrong
    path = save(tmp_path / "labels.nii.gz", ORIENTATIONS[0], values)
    with pytest.raises(InvalidInputError, match="wanted labels 0 to 3"):
        read_labels(path, GEOMETRY, frames=2)
