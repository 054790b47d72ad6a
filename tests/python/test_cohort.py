"""Tables and the review page of a batch: real results of a batch, Parquet read by pyarrow, a real browser."""

import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from batch_work import run_batch
from PIL import Image

from cardiacseg.cohort import read_summary, write_review, write_tables
from cardiacseg.cohort.reference import UK_BIOBANK, Z_SCORE_COLUMNS, Person, read_persons, read_ranges, z_scores
from cardiacseg.cohort.review import outlier_scores
from cardiacseg.errors import InvalidInputError, OutputError
from cardiacseg.io.json_files import read_record
from cardiacseg.io.nifti import new_cine, write_image
from cardiacseg.phantom import beating_heart
from cardiacseg.study.case_folder import COLUMNS, write_table
from cardiacseg.study.case_run import CaseSegmenter
from cardiacseg.study.cases import find_cases
from cardiacseg.study.columns import CASE_COLUMNS, FRAME_COLUMNS, SEGMENT_COLUMNS
from cardiacseg.study.segment import ResultOptions, StudyOptions


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """The results of two cases, and of a third that failed."""
    import cardiacseg

    folder = tmp_path_factory.mktemp("cohort")
    (folder / "in").mkdir()
    for seed, name in enumerate(("first", "=second")):
        heart = beating_heart(3, 4, (96, 96), (10.0, 1.8, 1.8), seed=seed)
        write_image(folder / f"in/{name}.nii.gz", new_cine(heart.image, heart.spacing, 40.0))
    (folder / "in/broken.nii").write_bytes(b"no image")
    options = StudyOptions(results=ResultOptions(report=False))
    run_batch(
        find_cases(folder / "in"),
        folder / "out",
        CaseSegmenter(cardiacseg.CardiacSegmenter(), options, "default"),
    )
    return folder / "out"


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_summary_reads_back(batch):
    cases = read_summary(batch)
    assert [(case["case"], case["state"]) for case in cases] == [
        ("=second", "done"),
        ("broken", "failed"),
        ("first", "done"),
    ]
    measured = json.loads((batch / "first/measurements.json").read_text())
    assert cases[2]["lv_edv_ml"] == pytest.approx(measured["lv_edv_ml"], abs=1e-4)
    assert cases[2]["ed_frame"] == measured["ed_frame"] + 1
    report = json.loads((batch / "first/report.json").read_text())
    assert cases[2]["model_sha256"] == cases[1]["model_sha256"] == report["model"]["manifest_sha256"]
    assert cases[1]["error_code"] == "InvalidInputError"


def test_tables_of_frames_and_segments(batch):
    made = write_tables(batch)
    assert {path.name for path in made} == {"frames.csv", "segments.csv", "datapackage.json"}
    frames = rows(batch / "frames.csv")
    assert list(frames[0]) == [column.name for column in FRAME_COLUMNS]
    assert [(row["case"], row["frame"]) for row in frames[::3]] == [("'=second", "1"), ("first", "1")]
    measured = json.loads((batch / "first/measurements.json").read_text())
    assert [float(row["lv_ml"]) for row in frames[3:]] == measured["lv_ml"]
    assert [row["is_ed"] for row in frames[3:]].index("true") == measured["ed_frame"]
    assert [float(row["time_ms"]) for row in frames[3:]] == [0.0, 40.0, 80.0]
    segments = rows(batch / "segments.csv")
    assert list(segments[0]) == [column.name for column in SEGMENT_COLUMNS]
    walls = [json.loads((batch / name / "measurements.json").read_text())["wall"] for name in ("=second", "first")]
    assert len(segments) == 16 * sum(wall is not None for wall in walls) > 0


def test_the_data_package_describes_what_is_there(batch):
    write_tables(batch)
    package = json.loads((batch / "datapackage.json").read_text())
    assert [resource["name"] for resource in package["resources"]] == ["summary", "frames", "segments"]
    for resource in package["resources"]:
        names = [field["name"] for field in resource["schema"]["fields"]]
        with open(batch / resource["path"], encoding="utf-8") as file:
            assert file.readline().strip().split(",") == names
        assert set(resource["schema"]["primaryKey"]) <= set(names)


def test_the_documents_list_each_column():
    page = (Path(__file__).parents[2] / "docs/tables.md").read_text(encoding="utf-8")
    for columns in (CASE_COLUMNS, FRAME_COLUMNS, SEGMENT_COLUMNS, Z_SCORE_COLUMNS):
        rows = [f"| `{one.name}` | {one.kind} | {one.unit} | {one.meaning} |" for one in columns]
        assert "\n".join(rows) in page


def test_parquet_holds_the_same_with_types_and_units(batch):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_tables(batch, parquet=True)
    for name, columns in (("summary", CASE_COLUMNS), ("frames", FRAME_COLUMNS), ("segments", SEGMENT_COLUMNS)):
        table = parquet.read_table(batch / f"{name}.parquet")
        assert table.column_names == [column.name for column in columns]
        assert table.num_rows == len(rows(batch / f"{name}.csv"))
        for column in columns:
            assert table.schema.field(column.name).metadata[b"unit"].decode() == column.unit
    summary = parquet.read_table(batch / "summary.parquet").to_pylist()
    assert [row["lv_edv_ml"] for row in summary] == [row.get("lv_edv_ml") for row in read_summary(batch)]
    assert summary[0]["case"] == "=second", "Parquet needs no mark in front of a formula"


def test_results_are_read_once_for_all_tables(batch, monkeypatch):
    read = []
    monkeypatch.setattr("cardiacseg.cohort.tables.read_record", lambda path: read.append(path) or read_record(path))
    write_tables(batch)
    assert len(read) == len(set(read)) == 4, "two files of each of the two cases that are done"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a file that is always full")
def test_a_full_disk_is_said_and_old_tables_stay(batch, monkeypatch):
    write_tables(batch)
    before = (batch / "frames.csv").read_bytes()
    full = partial(open, "/dev/full", "w")
    monkeypatch.setattr("cardiacseg.cohort.tables.open", lambda *_, **__: full(), raising=False)
    with pytest.raises(OutputError, match=r"cannot write the tables into .*: No space left on device"):
        write_tables(batch)
    assert (batch / "frames.csv").read_bytes() == before


def test_damaged_results_are_refused_and_old_tables_stay(batch):
    write_tables(batch)
    before = (batch / "frames.csv").read_bytes()
    path = batch / "first/measurements.json"
    kept = path.read_text()
    try:
        path.write_text(kept.replace('"lv_ml": [', '"lv_ml": ["x", '))
        with pytest.raises(InvalidInputError, match=r"expected a list of 3 values under lv_ml"):
            write_tables(batch)
    finally:
        path.write_text(kept)
    assert (batch / "frames.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "does not exist; expected the folder of results of a batch"),
        ("name\nx\n", "expected the columns of this version, got others; run the batch again"),
        (f"{','.join(COLUMNS)}\na{',' * len(COLUMNS)}x\n", "expected the columns of this version, got others"),
        (f"{','.join(COLUMNS)}\n../../a,done\n", r"expected the name of a folder under case, got '../../a'"),
        (b"\xff\xfe", r"is not a readable table of a batch \(UnicodeDecodeError\)"),
    ],
)
def test_a_folder_that_no_batch_wrote_is_refused(tmp_path, text, sentence):
    if text is not None:
        (tmp_path / "summary.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidInputError, match=sentence):
        write_tables(tmp_path)


def test_outliers_by_hand():
    values = [100.0, 102.0, 98.0, 101.0, 99.0, 103.0, 97.0, 130.0]  # median 100.5, MAD 2
    cases = [{"lv_edv_ml": value, "predicted_quality": 0.9 + index / 100} for index, value in enumerate(values)]
    scores = outlier_scores(cases)
    assert scores[7] == (pytest.approx((130 - 100.5) / (1.4826 * 2)), "lv_edv_ml")
    quality = np.median([case["predicted_quality"] for case in cases]) - 0.9
    assert scores[0] == (pytest.approx(quality / (1.4826 * 0.02)), "predicted_quality"), "low quality counts"
    assert outlier_scores(cases[:7]) == [(0.0, "")] * 7, "too few cases to know a distribution"
    assert outlier_scores([{"lv_edv_ml": 5.0}] * 9) == [(0.0, "")] * 9


def test_the_page_shows_each_case(batch, chromium):
    page = write_review(batch)
    driver = chromium.driver
    driver.get(page.as_uri())
    texts = chromium.run("return [...document.querySelectorAll('tbody tr')].map((row) => row.cells[1].textContent)")
    assert texts[0] == "broken" and set(texts) == {"broken", "first", "=second"}
    assert chromium.run("return document.querySelector('tbody img').getAttribute('src')").startswith("review/")
    assert chromium.run("return document.querySelectorAll('figure').length") == 8
    assert chromium.complaints() == []
    with Image.open(batch / "review/first.jpg") as image:
        assert max(image.size) <= 540 and image.size[0] > 2 * image.size[1], "the slices without curves and table"


def test_two_thousand_cases_sort_and_filter(tmp_path, chromium):
    cases = [
        {
            "case": f"case{index:04}",
            "state": "done",
            "lv_edv_ml": 100 + (index * 37) % 101,
            "flag_count": index % 2,
            "flags": "lv_ef_range" if index % 2 else "",
        }
        for index in range(2000)
    ]
    cases[5]["lv_edv_ml"] = 900.0
    write_table(tmp_path / "summary.csv", cases)
    chromium.driver.get(write_review(tmp_path).as_uri())
    first = "return document.querySelector('tbody tr').cells[1].textContent"
    assert chromium.run("return document.querySelectorAll('tbody tr').length") == 2000
    assert chromium.run(first) == "case0005", "the outlier comes first"
    chromium.click("th:nth-child(2) button")
    assert chromium.run(first) == "case0000"
    chromium.click("th:nth-child(2) button")
    assert chromium.run(first) == "case1999"
    chromium.click("#flagged")
    assert chromium.text("#count") == "1000 shown"


def test_the_page_is_limited_and_says_so(tmp_path):
    write_table(tmp_path / "summary.csv", [{"case": f"c{index}", "state": "done"} for index in range(12)])
    text = write_review(tmp_path, most=5).read_text(encoding="utf-8")
    assert text.count("<tr") == 6 and "the first 5 are listed below" in text


def test_a_page_of_somebody_else_stays(tmp_path):
    write_table(tmp_path / "summary.csv", [{"case": "a", "state": "done"}])
    (tmp_path / "review.html").write_text("<html>mine</html>")
    with pytest.raises(InvalidInputError, match="was not written by cardiacseg review; move it away"):
        write_review(tmp_path)
    assert (tmp_path / "review.html").read_text() == "<html>mine</html>"


def test_names_are_text_on_the_page(tmp_path):
    write_table(tmp_path / "summary.csv", [{"case": "a", "state": "failed", "error": "<script>alert(1)</script>"}])
    text = write_review(tmp_path).read_text(encoding="utf-8")
    assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text


def test_z_scores_by_hand(tmp_path):
    cases = [
        {"case": "a", "lv_ef_percent": 48.0, "lv_mass_g_m2": 60.2},
        {"case": "b", "lv_ef_percent": 47.0},
        {"case": "young", "lv_ef_percent": 30.0},
        {"case": "nobody", "lv_ef_percent": 30.0},
    ]
    persons = {"a": Person("M", 45.0), "b": Person("F", 74.9), "young": Person("M", 44.9)}
    found = [(row["case"], row["measure"], row["z"], row["flagged"]) for row in z_scores(cases, persons)]
    assert found == [
        ("a", "lv_ef_percent", -2.0, False),
        ("a", "lv_mass_g_m2", 0.8, False),
        ("b", "lv_ef_percent", -2.8, True),
    ]
    write_table(tmp_path / "summary.csv", [{"state": "left out", **case} for case in cases])
    made = write_tables(tmp_path, persons=persons)
    assert tmp_path / "z_scores.csv" in made
    assert [(row["case"], row["flagged"]) for row in rows(tmp_path / "z_scores.csv")] == [
        ("a", "false"),
        ("a", "false"),
        ("b", "true"),
    ]
    package = json.loads((tmp_path / "datapackage.json").read_text())
    assert package["resources"][-1]["schema"]["primaryKey"] == ["case", "measure"]


def test_persons_and_ranges_are_read(tmp_path):
    (tmp_path / "persons.csv").write_text("path,id,sex,age_years\nx,a,F,61.5\ny,b,,\n")
    assert read_persons(tmp_path / "persons.csv") == {"a": Person("F", 61.5)}
    (tmp_path / "ranges.csv").write_text("measure,sex,age_from,age_to,mean,sd,source\nlv_edv_ml,F,20,29,140,20,mine\n")
    (one,) = read_ranges(tmp_path / "ranges.csv")
    assert (one.measure, one.mean, one.holds(Person("F", 29.9)), one.holds(Person("F", 30))) == (
        "lv_edv_ml",
        140,
        True,
        False,
    )
    assert all(range.source for range in UK_BIOBANK)


@pytest.mark.parametrize(
    ("read", "text", "sentence"),
    [
        (read_persons, "id,sex\na,F\n", "expected a column named age_years, got 'id, sex'"),
        (read_persons, "id,sex,age_years\na,F,50\na,F,51\n", "line 3: expected an id that no other row has, got 'a'"),
        (read_persons, "id;sex;age_years\n;F;50\n", "line 2: expected an id that no other row has, got ''"),
        (read_persons, "id,sex,age_years\na,x,50\n", "line 2: expected F or M under sex, got 'x'"),
        (
            read_persons,
            "id,sex,age_years\na,F,old\n",
            "line 2: expected a number from 0 to 130 under age_years, got 'old'",
        ),
        (
            read_ranges,
            "measure,sex,age_from,age_to,mean,sd,source\nsize,F,20,29,140,20,mine\n",
            "line 2: expected a measure of summary.csv, got 'size'",
        ),
        (
            read_ranges,
            "measure,sex,age_from,age_to,mean,sd,source\nlv_edv_ml,F,20,29,140,0,mine\n",
            "line 2: expected a number from 1e-06 to 1e[+]06 under sd, got '0'",
        ),
        (
            read_ranges,
            "measure,sex,age_from,age_to,mean,sd,source\nlv_edv_ml,F,20,29,140,20,\n",
            "line 2: expected the source of the range",
        ),
    ],
)
def test_wrong_persons_and_ranges_are_refused(tmp_path, read, text, sentence):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(InvalidInputError, match=sentence):
        read(tmp_path / "table.csv")
