"""Files that hold labels or colors as if they were an image of grey values."""

import nibabel
import numpy as np
import pytest

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.nifti import read_nifti
from cardiacseg.io.not_grey import is_label_map, looks_like_labels

VOXELS = np.random.default_rng(1).integers(0, 999, (6, 5, 4, 7), dtype=np.int16)


def image_of(voxels, interval=100.0):
    image = nibabel.Nifti1Image(voxels, np.diag([-1.5, -1.25, 8.0, 1.0]))
    image.header.set_xyzt_units("mm", "msec")
    image.header["pixdim"][4] = interval
    return image


def codes(cine):
    return [note.code for note in cine.notes]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 2, 3], True),
        ([0.0, 3.0], True),
        ([0, 1], True),
        ([0, 0], False),
        ([2, 2], False),
        ([0, 255], False),
        ([0, 1, 2, 11], False),
        ([-1, 0, 1], False),
        ([0, 0.5, 1], False),
        ([0, np.nan, 1], False),
    ],
)
def test_what_looks_like_labels(values, expected):
    assert looks_like_labels([np.array(values)]) is expected
    assert looks_like_labels(np.array(values)[:, np.newaxis]) is expected


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_label_maps_are_no_images(tmp_path, dtype):
    image_of((VOXELS % 4).astype(dtype)).to_filename(tmp_path / "labels.nii.gz")
    image_of(VOXELS.astype(dtype)).to_filename(tmp_path / "image.nii.gz")
    assert is_label_map(tmp_path / "labels.nii.gz")
    assert not is_label_map(tmp_path / "image.nii.gz")
    assert not is_label_map(tmp_path / "missing.nii.gz")
    with pytest.raises(InvalidInputError, match=r"labels\.nii\.gz holds labels, not an image"):
        read_nifti(tmp_path / "labels.nii.gz")


def test_the_intent_says_labels(tmp_path):
    image = image_of(VOXELS)
    image.header.set_intent("label")
    image.to_filename(tmp_path / "in.nii")
    assert is_label_map(tmp_path / "in.nii")
    with pytest.raises(InvalidInputError, match="holds labels"):
        read_nifti(tmp_path / "in.nii")


def test_few_values_are_noted(tmp_path):
    labels = np.array([0, 200, 500, 600], np.int16)[VOXELS % 4]
    image_of(labels).to_filename(tmp_path / "in.nii")
    assert codes(read_nifti(tmp_path / "in.nii")) == ["nifti_few_values"]


GREY = np.random.default_rng(0).integers(0, 200, (20, 20, 4, 1), dtype=np.uint8)


def coloured(alpha=False):
    """A grey picture with a red line in it, as RGB or RGBA."""
    voxels = np.repeat(GREY, 4 if alpha else 3, axis=3)
    voxels[5], voxels[5, ..., 0] = 0, 255
    voxels[..., 3:] = 255
    return voxels


@pytest.mark.parametrize("voxels", [np.repeat(GREY, 3, axis=3), coloured(), coloured(alpha=True)])
def test_colours_on_the_last_axis_are_no_frames(tmp_path, voxels):
    image_of(voxels, interval=1.0).to_filename(tmp_path / "in.nii")
    with pytest.raises(InvalidInputError, match=r"in\.nii holds a color picture"):
        read_nifti(tmp_path / "in.nii")


def test_three_frames_are_a_cine(tmp_path):
    noise = np.random.default_rng(2).integers(-2, 3, (20, 20, 4, 3))
    frames = (GREY.astype(int) // 2 + 20 + noise).astype(np.uint8)
    image_of(frames, interval=1.0).to_filename(tmp_path / "in.nii")
    assert codes(read_nifti(tmp_path / "in.nii")) == ["nifti_frame_interval", "nifti_no_colours"]
    image_of(np.repeat(GREY, 3, axis=3), interval=300.0).to_filename(tmp_path / "timed.nii")
    assert codes(read_nifti(tmp_path / "timed.nii")) == []
