"""Lists of cases as CSV: what a row says, and what is refused before any work."""

import re
import zipfile

import nibabel
import numpy as np
import pytest

from cardiacseg.acquisition import Body
from cardiacseg.errors import InvalidInputError
from cardiacseg.study.case_folder import key_of
from cardiacseg.study.case_list import read_case_list
from cardiacseg.study.case_run import options_of
from cardiacseg.study.cases import find_cases
from cardiacseg.study.segment import StudyOptions


@pytest.fixture
def folder(tmp_path):
    """Two cines in files and folders of their own, and a folder with two."""
    voxels = np.arange(6 * 5 * 3 * 4, dtype=np.int16).reshape(6, 5, 3, 4)
    for name in ("a.nii.gz", "deep/b.nii", "two/c.nii", "two/d.nii"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-1.5, -1.5, 8, 1])), tmp_path / name)
    return tmp_path


def listed(folder, text):
    (folder / "list.csv").write_text(text, encoding="utf-8")
    return read_case_list(folder / "list.csv")


def test_rows_become_cases(folder):
    cases, unused = listed(
        folder,
        "id,path,height_m,weight_kg,heart_rate_per_min,ed_frame,es_frame,series,age\n"
        'second,a.nii.gz,1.75,"70",61,1,3,g2,54\n'
        "\n"
        ",deep,,,,,,,\n",
    )
    assert unused == ["age"]
    first, second = cases
    assert (first.name, first.path, first.body, first.ed_es) == ("deep", folder / "deep/b.nii", Body(), None)
    assert (second.name, second.path, second.kind) == ("second", folder / "a.nii.gz", "nifti")
    assert (second.body, second.heart_rate_per_min) == (Body(1.75, 70.0), 61.0)
    assert (second.ed_es, second.series) == ((0, 2), "g2")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_and_a_mark_of_byte_order(folder, separator):
    cases, _ = listed(folder, f"\ufeffpath{separator}id\na.nii.gz{separator}one, two\n")
    assert [case.name for case in cases] == ["one, two"]


def test_a_table_that_a_spreadsheet_wrote(folder):
    """Decimal commas, and empty columns at the end."""
    ((case,), unused) = listed(folder, "path;height_m;weight_kg;;\na.nii.gz;1,75;70,5;;\n;;;;\n")
    assert (case.body, unused) == (Body(1.75, 70.5), [])


def test_a_path_without_one_case_is_left_out(folder):
    cases, _ = listed(folder, f"path,id\ntwo,x\nmissing.zip,y\ndeep,z\n{'long' * 100},w\n")
    assert [(case.name, case.left_out) for case in cases[:3]] == [
        ("w", "its path does not exist"),
        ("x", "its folder holds 2 cases; expected one"),
        ("y", "its path does not exist"),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file\na.nii.gz\n", "expected a column named path, got 'file'"),
        ("path,path\na.nii.gz,b\n", "expected each column once, got 'path, path'"),
        ("path\n", "expected a row for each case, got none"),
        ("path,id\n,one\n", "line 2: expected a path"),
        ("path,height_m\na.nii.gz,175\n", "line 2: expected a number from 0.2 to 2.6 under height_m, got '175'"),
        ("path,weight_kg\na.nii.gz,nan\n", "line 2: expected a number from 0.5 to 500 under weight_kg, got 'nan'"),
        ("path,ed_frame,es_frame\na.nii.gz,0,1\n", "expected the number of a frame, from 1, under ed_frame, got '0'"),
        ("path,ed_frame\na.nii.gz,1\n", "line 2: expected both ed_frame and es_frame, or neither"),
        ("path,id\na.nii.gz,x\ndeep,x\n", "line 3: expected another id for each case, got that of"),
        ("path,id\na.nii.gz,x\ndeep,X\n", "line 3: expected another id for each case, got that of"),
        *(
            (f"path,id\na.nii.gz,{name}\n", "line 2: expected an id that can be a folder's name, got ")
            for name in ("../../x", "/tmp/x", "a\\b", "..", ".cardiacseg.lock", "a\x1bb")
        ),
        ("path,id\nb,a.nii.gz,x\n", "line 2: expected 2 cells, got 3; a text with the separator needs quotes"),
        ('path,weight_kg\na.nii.gz,"1,000"\n', "expected a number from 0.5 to 500 under weight_kg, got '1,000'"),
        ('path,id\na.nii.gz,"x\n', "line 2: it is not readable as CSV (unexpected end of data)"),
        (
            "path\nmissing\ntwo\n",
            "expected at least one case to segment, got none ('missing': its path does not exist)",
        ),
    ],
)
def test_wrong_lists_are_refused(folder, text, sentence):
    with pytest.raises(InvalidInputError, match=re.escape(sentence)):
        listed(folder, text)


def test_a_list_that_is_not_text_is_refused(folder):
    (folder / "list.csv").write_bytes(b"path\n\xff\xfe\n")
    with pytest.raises(InvalidInputError, match="expected a table as CSV, in UTF-8"):
        read_case_list(folder / "list.csv")


def test_what_a_row_says_becomes_options_and_a_part_of_the_key(folder):
    (plain,), _ = listed(folder, "path\na.nii.gz\n")
    (said,), _ = listed(folder, "path,height_m,weight_kg,ed_frame,es_frame,series\na.nii.gz,1.8,80,2,1,7\n")
    options = options_of(said, StudyOptions())
    assert (options.body, options.read.series) == (Body(1.8, 80.0), "7")
    assert (options.measurements.ed, options.measurements.es) == (1, 0)
    assert options_of(plain, StudyOptions()) == StudyOptions()
    assert key_of(plain, {}) != key_of(said, {})


def test_zips_of_uk_biobank(tmp_path):
    for name in ("1000001_20208_2_0.zip", "1000001_20209_2_0.zip", "1000001_20209_3_0.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("manifest.csv", "filename\n")
    found = {case.name: case.left_out for case in find_cases(tmp_path)}
    assert found == {
        "1000001_20208_2_0": "it is field 20208 of UK Biobank; short-axis cines are field 20209",
        "1000001_20209_2_0": "",
        "1000001_20209_3_0": "",
    }
