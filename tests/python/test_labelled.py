"""Labelled data in ACDC's and nnU-Net's layouts, from real files; neither torch nor the core is needed."""

import json

import nibabel
import numpy as np
import pytest

from cardiacseg.io.labelled import find_labelled_frames, label_mapping, list_patients, read_labelled_frame, read_split

AFFINE = np.diag([-1.25, -1.5, 8.0, 1.0])


def truth(seed=0):
    """Labels [3, 5, 6] in which each of 0..3 is found."""
    return np.random.default_rng(seed).permutation(np.arange(90) % 4).reshape(3, 5, 6).astype(np.uint8)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array.T, AFFINE), path)


@pytest.fixture
def acdc(tmp_path):
    for name in ("patient001", "patient002"):
        for frame in ("frame01", "frame12"):
            save(tmp_path / f"training/{name}/{name}_{frame}.nii.gz", 100 * truth().astype(np.int16))
            save(tmp_path / f"training/{name}/{name}_{frame}_gt.nii.gz", truth())
        save(tmp_path / f"training/{name}/{name}_4d.nii.gz", np.zeros((2, 3, 5, 6), np.int16))
    (tmp_path / "splits.json").write_text(json.dumps({"train": ["patient001"], "val": ["patient002"], "other": 3}))
    return tmp_path


def nnunet(root, labels, cases=("A_ED", "A_ES", "B_frame07", "C"), theirs=(0, 1, 2, 3), ending=".nii.gz"):
    for case in cases:
        save(root / f"imagesTr/{case}_0000{ending}", 100 * truth().astype(np.int16))
        save(root / f"labelsTr/{case}{ending}", np.array(theirs, np.uint8)[truth()])
    (root / "dataset.json").write_text(json.dumps({"labels": labels, "file_ending": ending}))
    return root


def test_acdc(acdc):
    assert list_patients(acdc) == list_patients(acdc / "training") == ["patient001", "patient002"]
    frames = find_labelled_frames(acdc)
    assert [frame.name for frame in frames] == [
        f"patient00{number}_frame{frame}" for number in (1, 2) for frame in ("01", "12")
    ]
    read = read_labelled_frame(find_labelled_frames(acdc, ["patient002"])[0])
    assert read.image.dtype == np.float32 and read.labels.dtype == np.uint8
    assert read.spacing == pytest.approx((8.0, 1.5, 1.25))
    np.testing.assert_array_equal(read.labels, truth())
    np.testing.assert_array_equal(read.image, 100.0 * truth())


def test_what_acdc_lacks_is_named(acdc, tmp_path):
    with pytest.raises(FileNotFoundError, match="patient009"):
        find_labelled_frames(acdc, ["patient009"])
    (acdc / "training/patient001/patient001_frame01.nii.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"its image patient001_frame01\.nii\.gz is missing"):
        find_labelled_frames(acdc)
    with pytest.raises(FileNotFoundError, match="no patient folders"):
        find_labelled_frames(tmp_path / "training/patient002")


@pytest.mark.parametrize(
    ("labels", "theirs", "ending"),
    [
        ({"background": 0, "RV": 1, "MLV": 2, "LVC": 3}, (0, 1, 2, 3), ".nii.gz"),
        ({"background": 0, "LV": 1, "MYO": 2, "RV": 3}, (0, 3, 2, 1), ".nii.gz"),
        (
            {"0": "Background", "4": "left ventricle", "5": "left ventricular myocardium", "200": "Right_Ventricle"},
            (0, 200, 5, 4),
            ".nii",
        ),
    ],
)
def test_nnunet_labels_become_ours(tmp_path, labels, theirs, ending):
    root = nnunet(tmp_path, labels, theirs=theirs, ending=ending)
    frames = find_labelled_frames(root)
    assert [frame.name for frame in frames] == ["A_ED", "A_ES", "B_frame07", "C"]
    assert list_patients(root) == ["A", "B", "C"]
    np.testing.assert_array_equal(read_labelled_frame(frames[2]).labels, truth())
    assert [frame.name for frame in find_labelled_frames(root, ["C", "A"])] == ["A_ED", "A_ES", "C"]


def test_what_nnunet_lacks_is_named(tmp_path):
    root = nnunet(tmp_path, {"RV": 1, "MYO": 2, "LV": 3})
    with pytest.raises(FileNotFoundError, match="no labelled frame of patient D"):
        find_labelled_frames(root, ["D"])
    (root / "imagesTr/C_0000.nii.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"its image C_0000\.nii\.gz is missing"):
        find_labelled_frames(root)
    (root / "dataset.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"dataset\.json does not exist"):
        find_labelled_frames(root)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ({"RV": 1, "MYO": 2}, "has no LV, only RV, MYO"),
        ({"RV": 1, "MYO": 2, "LV": 3, "scar": 4}, "label 'scar' is none of RV, myocardium and LV"),
        ({"RV": 1, "MYO": 2, "LV": 2}, "has 2 or LV twice"),
        ({"RV": 1, "MYO": 2, "LV": 3, "LVC": 4}, "has 4 or LVC twice"),
        ({"heart": [1, 2, 3]}, "expected a name and a number"),
        (None, 'expected "labels"'),
    ],
)
def test_labels_without_a_meaning_are_refused(tmp_path, labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        label_mapping({"labels": labels}, tmp_path / "dataset.json")


def test_labels_that_do_not_fit_are_refused(acdc):
    frame = find_labelled_frames(acdc)[0]
    save(frame.labels, truth()[:2])
    with pytest.raises(ValueError, match=r"the axes of .*_frame01\.nii\.gz, \(6, 5, 3\), got axes of \(6, 5, 2\)"):
        read_labelled_frame(frame)
    save(frame.labels, truth() * 2)
    with pytest.raises(ValueError, match=r"expected labels \[0, 1, 2, 3\], got \[4, 6\]"):
        read_labelled_frame(frame)


def test_splits(acdc, tmp_path):
    assert read_split(acdc, "train") == ["patient001"]
    assert read_split(acdc, "all") is None
    (tmp_path / "mine.json").write_text('{"val": ["x"]}')
    assert read_split(acdc, "val", tmp_path / "mine.json") == ["x"]
    for part in ("test", "other"):
        with pytest.raises(ValueError, match=f'expected a list of patients under "{part}"'):
            read_split(acdc, part)
    with pytest.raises(FileNotFoundError, match=r"splits\.json does not exist"):
        read_split(acdc / "training", "val")
    (acdc / "splits.json").write_text("{")
    with pytest.raises(ValueError, match="not readable JSON"):
        read_split(acdc, "val")
