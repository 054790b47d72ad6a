"""The list of slices that a person edits: what is written, what is read back, and what is refused."""

import numpy as np
import pytest

pytest.importorskip("cardiacseg._core", reason="the compiled core is not built")

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.slice_list import read_slice_list, write_slice_list
from cardiacseg.measurements import measure

SPACING = (10.0, 2.0, 5.0)  # 10 mm2 a pixel
HEADS = "slice,phase,rv,myo,lv\n"


def cine(frames=3, slices=4):
    """Labels whose LV shrinks from frame to frame; slice 2 has no RV."""
    labels = np.zeros((frames, slices, 6, 10), dtype=np.uint8)
    labels[:, :, 0, :4], labels[:, 1, 0] = 1, 0
    labels[:, :, 1] = 2
    for frame in range(frames):
        labels[frame, :, 2:4, frame:] = 3
    return labels


def written(folder, text):
    path = folder / "slices.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_list_shows_marks_and_areas(tmp_path):
    write_slice_list(tmp_path / "slices.csv", measure(cine(), SPACING))
    remark, heads, *rows = (tmp_path / "slices.csv").read_text().splitlines()
    assert remark.startswith("#") and "from 1" in remark
    assert heads == "slice,phase,rv,myo,lv,rv_ed_mm2,myo_ed_mm2,lv_ed_mm2,rv_es_mm2,myo_es_mm2,lv_es_mm2"
    assert rows[0] == "1,all,1,1,1,40.0,100.0,200.0,40.0,100.0,160.0"
    assert rows[1] == "2,all,1,1,1,0.0,100.0,200.0,0.0,100.0,160.0"
    assert len(rows) == 4


def test_one_frame_has_no_es_columns(tmp_path):
    write_slice_list(tmp_path / "slices.csv", measure(cine(1), SPACING))
    assert (tmp_path / "slices.csv").read_text().splitlines()[1].endswith("lv_ed_mm2")
    assert read_slice_list(tmp_path / "slices.csv", 1, 4).all()


@pytest.mark.parametrize("seed", range(3))
def test_any_choice_survives_the_file(tmp_path, seed):
    chosen = np.random.default_rng(seed).random((3, 4, 3)) < 0.7
    chosen[:, 0] = chosen[0, 0]
    write_slice_list(tmp_path / "slices.csv", measure(cine(), SPACING, included=chosen))
    np.testing.assert_array_equal(read_slice_list(tmp_path / "slices.csv", 3, 4), chosen)


def test_an_edited_list_changes_volumes_and_mass(tmp_path):
    path = tmp_path / "slices.csv"
    write_slice_list(path, measure(cine(), SPACING))
    path.write_text(path.read_text().replace("\n1,all,1,1,1", "\n1,all,1,0,0"))
    found = measure(cine(), SPACING, included=read_slice_list(path, 3, 4))
    assert found.lv_edv_ml == pytest.approx(3 * 2)
    assert found.lv_mass_g == pytest.approx(3 * 1.05)
    assert found.rv_edv_ml == pytest.approx(3 * 0.4)


def test_a_phase_overrules_all_phases_wherever_it_stands(tmp_path):
    rows = ["1,2,0,0,0", "1,all,1,1,1", "2,all,0,1,1", "2,3,1,0,1"]
    found = read_slice_list(written(tmp_path, HEADS + "\n".join(rows)), 3, 2)
    np.testing.assert_array_equal(found[:, 0], [[1, 1, 1], [0, 0, 0], [1, 1, 1]])
    np.testing.assert_array_equal(found[:, 1], [[0, 1, 1], [0, 1, 1], [1, 0, 1]])


@pytest.mark.parametrize(
    "text",
    [
        "slice,rv,myo,lv\n1,1,0,1\n",
        "\ufeff# a remark;;;\n\nSlice;LV;MYO;RV;note\n1;1;0;1;wall, cut off\n;;;;\n",
        '"# a remark, in quotes",,,\r\nphase\tslice\trv\tmyo\tlv\r\nAll\t1\t1\t0\t1\r\n',
    ],
)
def test_what_spreadsheets_make_of_it_is_read(tmp_path, text):
    np.testing.assert_array_equal(
        read_slice_list(written(tmp_path, text), 2, 1), np.tile([True, False, True], (2, 1, 1))
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADS + "1,all,1,1,x", r"slices.csv, line 2, column lv: expected 1 or 0, got 'x'"),
        ("# r\n" + HEADS + "1,all,1,1,1\n3,all,1,1,1", r"line 4, column slice: expected 1 to 2, got '3'"),
        (HEADS + "1,all,1,1,1\n0,all,1,1,1", r"line 3, column slice: expected 1 to 2, got '0'"),
        (HEADS + "1,4,1,1,1", r"line 2, column phase: expected 1 to 3 or \"all\", got '4'"),
        (HEADS + "1,,1,1,1", r"line 2, column phase: .* got nothing"),
        (HEADS + "1,all,1,1", r"line 2, column lv: expected 1 or 0, got nothing"),
        (HEADS + "1,all,1,1,1\n1,all,1,1,0", r"line 3: slice 1 of all phases is named twice"),
        (HEADS + "1,2,1,1,1\n1,2,1,1,0", r"line 3: slice 1 of phase 2 is named twice"),
        (HEADS + "1,all,1,1,1\n2,1,1,1,0\n2,3,1,1,0", r"got none for slice 2 in phase 2"),
        ("slice,phase,rv,lv\n1,all,1,1", r"line 1: expected the columns .* got none named myo"),
        ("", r"slices.csv: expected a line with the columns"),
        ("slice" * 40000, r"line 1: expected a slice list .* field larger"),
    ],
)
def test_a_wrong_list_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(InvalidInputError, match=message):
        read_slice_list(written(tmp_path, text), 3, 2)


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "slices.csv").write_bytes(b"\x89PNG\xff\x00")
    with pytest.raises(InvalidInputError, match="UTF-8"):
        read_slice_list(tmp_path / "slices.csv", 3, 2)
    with pytest.raises(InvalidInputError, match="is not a file"):
        read_slice_list(tmp_path / "none.csv", 3, 2)
