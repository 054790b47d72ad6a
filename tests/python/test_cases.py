"""Which cases a folder holds, in each of the layouts."""

import os
import zipfile

import nibabel
import numpy as np
import pydicom
import pytest
from synthetic_dicom import Recipe, classic_study, write

from cardiacseg.errors import InvalidInputError
from cardiacseg.io import read_cine
from cardiacseg.io.budget import Budget, Limits
from cardiacseg.study.case_folder import read_table, write_table
from cardiacseg.study.cases import find_cases


def nifti(path, voxels=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.zeros((4, 5, 3)) if voxels is None else voxels
    image = nibabel.Nifti1Image(voxels.astype(np.int16), np.diag([-1.4, -1.5, 8, 1]))
    path.write_bytes(image.to_bytes())


def names(root):
    return [case.name for case in find_cases(root) if not case.left_out]


def left_out(root):
    return {case.name: case.left_out for case in find_cases(root) if case.left_out}


def relative(root):
    found = [case for case in find_cases(root) if not case.left_out]
    return {case.name: (case.path.relative_to(root).as_posix(), case.kind) for case in found}


def frames(root):
    found = find_cases(root)
    return {case.name: ([path.name for path in case.files], case.ed_es) for case in found if not case.left_out}


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


def test_a_number_without_a_first_channel_is_part_of_the_name(tmp_path):
    for name in ("scan_2019.nii", "A_0000.nii", "A_0001.nii"):
        nifti(tmp_path / "imagesTr" / name)
    assert names(tmp_path) == ["A", "scan_2019"]


def test_what_lies_beside_acdc_patients_is_a_case_too(tmp_path):
    nifti(tmp_path / "patient001/patient001_4d.nii.gz")
    nifti(tmp_path / "late.nii.gz")
    assert names(tmp_path) == ["late", "patient001"]


def test_links_that_lead_nowhere_have_a_row(tmp_path):
    nifti(tmp_path / "a.nii")
    for name in ("b.nii", "c/d.nii", "e", "f/IM1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to("/nowhere")
    assert names(tmp_path) == ["a", "b", "c"]
    assert left_out(tmp_path) == {
        "e": "it cannot be read",
        "f": "it holds no NIfTI and no DICOM files; 1 files or folders in it cannot be read",
    }


def test_names_are_fit_for_any_disk(tmp_path):
    long = tmp_path.joinpath(*["é" * 60] * 3)
    for number in (1, 2):
        nifti(long / f"{number}.nii")
    for name in ("P.nii", "p.nii", "SUMMARY.CSV/x.nii", os.fsdecode(b"M\xfcller.nii")):
        nifti(tmp_path / "in" / name)
    found = names(tmp_path / "in")
    assert found == ["M\N{REPLACEMENT CHARACTER}ller", "SUMMARY.CSV-2", "in_P.nii", "in_p.nii-2"]
    assert len(set(names(tmp_path / ("é" * 60)))) == 2
    assert all(len(name.encode()) < 200 for name in names(tmp_path / ("é" * 60)))


def test_names_are_the_same_in_a_table(tmp_path):
    for name in ("line\nbreak", "tab\t", "no\N{NO-BREAK SPACE}break", "'=1", "=1"):
        nifti(tmp_path / "in" / f"{name}.nii")
    found = names(tmp_path / "in")
    assert found == ["'=1", "=1", "line\\nbreak", "no\\xa0break", "tab\\t"]
    write_table(tmp_path / "summary.csv", [{"case": name, "state": "done"} for name in found])
    assert [row["case"] for row in read_table(tmp_path / "summary.csv")] == found


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
        "patient102": ("testing/patient102/patient102_frame01.nii.gz", "nifti"),
    }
    assert relative(tmp_path) == found
    assert names(tmp_path / "training") == ["patient001"]
    assert left_out(tmp_path) == {}


@pytest.mark.parametrize("ed", [1, 12])
def test_the_frames_of_an_acdc_patient_are_one_cine(tmp_path, ed):
    for name in ("patient102_frame01", "patient102_frame12", "patient102_frame01_gt", "patient102_frame12_gt"):
        nifti(tmp_path / f"training/patient102/{name}.nii.gz")
    (tmp_path / "training/patient102/Info.cfg").write_text(f"ED: {ed}\nES: {13 - ed}\nGroup: DCM\n")
    files = ["patient102_frame01.nii.gz", "patient102_frame12.nii.gz"]
    assert frames(tmp_path) == {"patient102": (files, (0, 1) if ed == 1 else (1, 0))}


@pytest.mark.parametrize(
    "info", ["", "ED: 1\nES: 1", "ED: 1\nES: 7", "ED: one\nES: two", "\xff" * 10, "ED: " + "9" * 5000]
)
def test_without_a_useful_info_the_volumes_tell_ed_and_es(tmp_path, info):
    for name in ("patient102_frame01", "patient102_frame12"):
        nifti(tmp_path / f"patient102/{name}.nii.gz")
    (tmp_path / "patient102/Info.cfg").write_text(info, encoding="latin-1")
    assert frames(tmp_path)["patient102"][1] is None


def test_pairs_of_ed_and_es(tmp_path):
    for name in (
        "one/A_sa_ES",
        "one/A_sa_ED",
        "one/A_sa_ED_gt",
        "two/sa_ED",
        "two/sa_ES",
        "two/sa",
        "b_es",
        "B_ED",
        "c_ed",
    ):
        nifti(tmp_path / f"{name}.nii.gz")
    for name in ("D_ED_0000", "D_ES_0000", "E_ED_0000"):
        nifti(tmp_path / f"set/imagesTr/{name}.nii.gz")
    assert frames(tmp_path) == {
        "one": (["A_sa_ED.nii.gz", "A_sa_ES.nii.gz"], (0, 1)),
        "two": ([], None),
        "B_ED": ([], None),
        "b_es": ([], None),
        "c_ed": ([], None),
        "D": (["D_ED_0000.nii.gz", "D_ES_0000.nii.gz"], (0, 1)),
        "E_ED": ([], None),
    }
    assert left_out(tmp_path) == {
        "one_A_sa_ED_gt": "it is a label map by its name",
        "two_sa_ED": "it is a frame of sa.nii.gz, which lies beside it",
        "two_sa_ES": "it is a frame of sa.nii.gz, which lies beside it",
    }


def test_files(tmp_path):
    for name in ("b.nii", "a.nii.gz", "a.nii", "a_gt.nii.gz", ".hidden.nii", "c.nii(1).gz", "summary.csv.nii"):
        nifti(tmp_path / name)
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "paper.docx").write_bytes(b"PK\3\4")
    assert names(tmp_path) == ["a.nii", "a.nii.gz", "b", "c", "summary.csv-2"]
    assert left_out(tmp_path) == {"a_gt": "it is a label map by its name"}


@pytest.mark.parametrize(
    "name",
    [
        "seg_sa",
        "sa_seg",
        "x_label",
        "labels",
        "x_labelmap",
        "x-mask",
        "x_gt",
        "x_ED_gt",
        "truth",
        "Seg.x",
        "x_ground_truth",
    ],
)
def test_label_maps_by_name(tmp_path, name):
    nifti(tmp_path / "p/x.nii.gz")
    nifti(tmp_path / f"p/{name}.nii.gz")
    assert names(tmp_path) == ["p"]
    assert left_out(tmp_path) == {f"p_{name}": "it is a label map by its name"}


@pytest.mark.parametrize(
    "name", ["segment1", "cine_labelled", "maskell", "Vogt_01", "la_paz_01", "laurie", "12ch_coil"]
)
def test_names_that_only_begin_alike_are_images(tmp_path, name):
    nifti(tmp_path / f"{name}.nii.gz")
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("name", ["la_2ch", "la_4ch", "4ch", "x_3CH_cine", "001_LA_ED", "lax", "4_chamber"])
def test_long_axes_by_name(tmp_path, name):
    nifti(tmp_path / "p/sa.nii.gz")
    nifti(tmp_path / f"p/{name}.nii.gz")
    assert left_out(tmp_path) == {f"p_{name}": "it is a long axis by its name"}


def test_label_maps_by_content(tmp_path):
    nifti(tmp_path / "p/sa.nii.gz", np.arange(60).reshape(4, 5, 3))
    nifti(tmp_path / "p/other.nii.gz", np.arange(60).reshape(4, 5, 3) % 4)
    assert names(tmp_path) == ["p"]
    assert left_out(tmp_path) == {"p_other": "it holds labels, not an image"}


def test_a_cohort_may_have_more_files_than_one_input(tmp_path, monkeypatch):
    """100,000 zips of one folder are as many inputs; that many files in a folder below could be one."""
    monkeypatch.setattr("cardiacseg.study.cases.Budget", lambda: Budget(Limits(files=2)))
    for number in range(3):
        nifti(tmp_path / f"{number}.nii")
        nifti(tmp_path / f"folder/{number}.nii")
    assert names(tmp_path) == ["0", "1", "2", "folder"]


def test_folders_of_files(tmp_path):
    for name in ("one/cine.nii.gz", "two/a.nii.gz", "two/b.nii.gz", "three/ses-1/anat/a.nii", "three/ses-2/a.nii"):
        nifti(tmp_path / name)
    (tmp_path / "empty/deeper").mkdir(parents=True)
    (tmp_path / "empty/deeper/readme.txt").write_text("nothing")
    steps = []
    find_cases(tmp_path, progress=lambda *step: steps.append(step))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert names(tmp_path) == ["one", "three_ses-1_anat_a", "three_ses-2_a", "two_a", "two_b"]
    assert left_out(tmp_path) == {"empty": "it holds no NIfTI and no DICOM files"}


def test_a_layout_below_is_understood(tmp_path):
    nifti(tmp_path / "raw/Dataset001/imagesTr/A_0000.nii.gz")
    nifti(tmp_path / "raw/Dataset002/imagesTs/A_0000.nii.gz")
    nifti(tmp_path / "raw/more/cine.nii.gz")
    nifti(tmp_path / "acdc/database/training/patient001/patient001_4d.nii.gz")
    assert names(tmp_path / "raw") == ["imagesTr_A_0000.nii.gz", "imagesTs_A_0000.nii.gz", "more"]
    assert names(tmp_path / "acdc") == ["patient001"]


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


def test_a_loose_dicom_file_does_not_hide_what_lies_beside_it(tmp_path, study):
    write(study[:1], tmp_path)
    nifti(tmp_path / "a.nii.gz")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as file:
        file.writestr("empty", "")
    assert names(tmp_path) == ["a", "b", tmp_path.name]


def readable(seed, **more):
    return classic_study(Recipe(frames=8, slices=3, size=(32, 32), seed=seed, **more)).datasets


def test_files_of_a_viewer_before_the_images_hide_no_patient(tmp_path):
    write(readable(1), tmp_path / "A/DICOM")
    write(readable(2), tmp_path / "B/DICOM")
    viewer = tmp_path / "B/AUTORUN/viewer"
    viewer.mkdir(parents=True)
    for number in range(60):
        (viewer / f"lib{number:03}.dll").write_bytes(b"MZ" + bytes(50))
    assert names(tmp_path) == ["A", "B"]


def test_two_studies_of_one_folder_are_two_cases(tmp_path):
    old, new, scout = (
        readable(1),
        readable(2),
        classic_study(Recipe(frames=1, slices=2, size=(32, 32), seed=3)).datasets,
    )
    for datasets, date in ((new, "20240102"), (old, "20230102"), (scout, "20240103")):
        for dataset in datasets:
            dataset.StudyDate = date
    write([*new, *old, *scout], tmp_path / "P/all", shuffle=1)
    for path in (tmp_path / "P/all").iterdir():
        path.rename(path.with_name(f"{path.name}.dcm"))
    found = {case.name: case for case in find_cases(tmp_path)}
    assert list(found) == ["P-1", "P-2", "P-3"]
    dates = {name: {pydicom.dcmread(path).StudyDate for path in case.files} for name, case in found.items()}
    assert dates == {"P-1": {"20230102"}, "P-2": {"20240102"}, "P-3": {"20240103"}}
    assert {name: case.left_out[:9] for name, case in found.items()} == {"P-1": "", "P-2": "", "P-3": "E_NO_SAX:"}
    assert read_cine(found["P-1"].source).image.shape == (8, 3, 32, 32)
    assert names(tmp_path / "P/all") == ["all-1", "all-2"]


def test_studies_in_folders_of_their_own_are_named_after_these(tmp_path):
    write(readable(1), tmp_path / "P/all/first")
    write(readable(2), tmp_path / "P/all/second")
    write(readable(3), tmp_path / "Q")
    (tmp_path / "P/DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(9))  # damaged
    assert names(tmp_path) == ["P_all_first", "P_all_second", "Q"]
    assert all(read_cine(case.source).image.shape[0] == 8 for case in find_cases(tmp_path))


def test_a_folder_beside_a_study_is_no_image_of_it(tmp_path):
    write(readable(1), tmp_path / "P/DICOM")
    nifti(tmp_path / "P/labels.nii.gz")
    nifti(tmp_path / "P/other.nii.gz")
    for name in ("P/again.zip", "export"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("a.txt", "a")
    write(readable(2), tmp_path / "Q")
    assert names(tmp_path) == ["P", "Q", "export"]
    assert left_out(tmp_path) == {
        "P_again": "it lies beside a DICOM study, which is taken",
        "P_labels": "it is a label map by its name",
        "P_other": "it lies beside a DICOM study, which is taken",
    }


def test_results_inside_are_no_cases(tmp_path):
    write(readable(1), tmp_path / "P")
    write(readable(1), tmp_path / "results/P")
    assert [case.name for case in find_cases(tmp_path, without=tmp_path / "results")] == ["P"]
    write(readable(1)[:1], tmp_path / "P/out")
    (case,) = find_cases(tmp_path / "P", without=tmp_path / "P/out")
    assert case.name == "P" and len(case.files) == 24 and not any("out" in path.parts for path in case.files)


def test_a_folder_of_label_maps_alone_has_no_cases(tmp_path):
    nifti(tmp_path / "a_gt.nii.gz")
    with pytest.raises(InvalidInputError, match=r"holds no cases.*a_gt: it is a label map by its name"):
        find_cases(tmp_path)


def test_no_cases(tmp_path):
    with pytest.raises(InvalidInputError, match="holds no cases"):
        find_cases(tmp_path)
    with pytest.raises(InvalidInputError, match="is not a folder"):
        find_cases(tmp_path / "missing")
