"""Which cases a folder holds, in each of the layouts."""

import zipfile

import nibabel
import numpy as np
import pytest
from made_up_dicom import Recipe, classic_study, write

from cardiacseg.errors import InvalidInputError
from cardiacseg.study.cases import find_cases


def nifti(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 3), np.int16), np.diag([-1.4, -1.5, 8, 1])), path)


def names(root):
    return [case.name for case in find_cases(root)]


def relative(root):
    return {case.name: (case.path.relative_to(root).as_posix(), case.kind) for case in find_cases(root)}


@pytest.fixture(scope="module")
def study():
    return classic_study(Recipe(frames=2, slices=2, size=(32, 32))).datasets


def test_nnunet(tmp_path):
    for name in ("A_0000.nii.gz", "A_0001.nii.gz", "B_ED_0000.nii.gz", "._A_0000.nii.gz"):
        nifti(tmp_path / "imagesTr" / name)
    nifti(tmp_path / "imagesTs/C_0000.nii")
    nifti(tmp_path / "labelsTr/A.nii.gz")
    (tmp_path / "dataset.json").write_text("{}")
    assert relative(tmp_path) == {
        "A": ("imagesTr/A_0000.nii.gz", "nifti"),
        "B_ED": ("imagesTr/B_ED_0000.nii.gz", "nifti"),
        "C": ("imagesTs/C_0000.nii", "nifti"),
    }
    assert names(tmp_path / "imagesTs") == ["C"]


def test_a_case_of_both_parts_of_nnunet_has_two_names(tmp_path):
    nifti(tmp_path / "imagesTr/A_0000.nii.gz")
    nifti(tmp_path / "imagesTs/A_0000.nii.gz")
    assert names(tmp_path) == ["imagesTr_A_0000.nii.gz", "imagesTs_A_0000.nii.gz"]


def test_acdc(tmp_path):
    for name in ("patient001_4d", "patient001_frame01", "patient001_frame01_gt"):
        nifti(tmp_path / f"training/patient001/{name}.nii.gz")
    for name in ("patient102_frame01", "patient102_frame12", "patient102_frame12_gt"):
        nifti(tmp_path / f"testing/patient102/{name}.nii.gz")
    found = {
        "patient001": ("training/patient001/patient001_4d.nii.gz", "nifti"),
        "patient102_frame01": ("testing/patient102/patient102_frame01.nii.gz", "nifti"),
        "patient102_frame12": ("testing/patient102/patient102_frame12.nii.gz", "nifti"),
    }
    assert relative(tmp_path) == found
    assert names(tmp_path / "training") == ["patient001"]


def test_files(tmp_path):
    for name in ("b.nii", "a.nii.gz", "a.nii", "a_gt.nii.gz", ".hidden.nii"):
        nifti(tmp_path / name)
    (tmp_path / "notes.txt").write_text("nothing")
    assert names(tmp_path) == ["a.nii", "a.nii.gz", "b"]


def test_folders_of_files(tmp_path):
    for name in ("one/cine.nii.gz", "two/a.nii.gz", "two/b.nii.gz"):
        nifti(tmp_path / name)
    (tmp_path / "empty").mkdir()
    assert names(tmp_path) == ["one", "two_a", "two_b"]


def test_dicom_studies(tmp_path, study):
    write(study, tmp_path / "first/scan/series")
    other = classic_study(Recipe(frames=2, slices=2, size=(32, 32), seed=1))
    write(other.datasets, tmp_path / "second")
    with zipfile.ZipFile(tmp_path / "third.zip", "w") as file:
        file.writestr("empty", "")
    nifti(tmp_path / "fourth.nii.gz")
    assert relative(tmp_path) == {
        "first": ("first", "dicom"),
        "fourth": ("fourth.nii.gz", "nifti"),
        "second": ("second", "dicom"),
        "third": ("third.zip", "dicom"),
    }


def test_the_folders_of_one_study_are_one_case(tmp_path, study):
    write(study, tmp_path / "study/all")
    for index, file in enumerate(sorted(path for path in (tmp_path / "study/all").rglob("*") if path.is_file())):
        series = tmp_path / f"study/series{index % 3}"
        series.mkdir(exist_ok=True)
        file.rename(series / f"{index}.dcm")
    assert relative(tmp_path / "study") == {"study": (".", "dicom")}
    write(study, tmp_path / "flat")
    assert relative(tmp_path / "flat") == {"flat": (".", "dicom")}


def test_no_cases(tmp_path):
    with pytest.raises(InvalidInputError, match="holds no cases"):
        find_cases(tmp_path)
    with pytest.raises(InvalidInputError, match="is not a folder"):
        find_cases(tmp_path / "missing")
