"""What the report is made of, without a browser: contours, pictures, markup, and the PDF page."""

import base64
import dataclasses
import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from segmented_discs import DIGEST, SPACING, discs, segmented

from cardiacseg.io.cine import Flag, Note
from cardiacseg.io.contours import compact, outline, polylines
from cardiacseg.io.report import write_page, write_pdf
from cardiacseg.io.report.content import SEGMENTS, Scale, number, place_in_words
from cardiacseg.io.report.images import Box, as_bytes, field_sheets, grey_window, heart_box, heart_sheets
from cardiacseg.io.report.svg import element, to_html
from cardiacseg.quality import find_flags

pytest.importorskip("cardiacseg._core", reason="the compiled core is not built")


def inside(lines, points):
    """Which points lie within an odd number of the closed lines."""
    from matplotlib.path import Path as Outline

    return sum(Outline(line).contains_points(points).astype(int) for line in lines) % 2 == 1


@pytest.mark.parametrize("seed", range(6))
def test_contours_part_every_labelled_pixel_from_every_other(seed):
    """Also single pixels, holes, diagonals and the image's border."""
    rng = np.random.default_rng(seed)
    mask = rng.random((14, 17)) < (0.15, 0.5, 0.85)[seed % 3]
    lines = polylines(mask, SPACING)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
    found = inside(lines, np.stack([x.ravel() * SPACING[2], y.ravel() * SPACING[1]], axis=1))
    assert (found.reshape(mask.shape) == mask).all()
    assert all((line[0] == line[-1]).all() for line in lines)


def test_contour_of_a_disc_is_round_and_on_its_edge():
    y, x = np.mgrid[:60, :80]
    center = np.array([40.5 * SPACING[2], 30.5 * SPACING[1]])
    mask = np.hypot((x + 0.5) * SPACING[2] - center[0], (y + 0.5) * SPACING[1] - center[1]) < 30
    (line,) = polylines(mask, SPACING)
    x, y = line.T
    area = abs(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2
    assert area == pytest.approx(mask.sum() * SPACING[1] * SPACING[2], rel=0.005)
    assert np.linalg.norm(line - center, axis=1).std() < 0.4, "pixels of 2 mm would give steps of 2 mm"


def test_contours_come_back_from_their_compact_form():
    labels = discs(1, 1)[1][0, 0]
    (line,) = polylines(outline(labels, "MYO"), SPACING)
    steps = np.array(compact(line)).reshape(-1, 2)
    again = np.cumsum(steps, axis=0) / 10
    distances = np.linalg.norm(again[:, None] - line[None], axis=-1)
    assert distances.min(axis=0).max() < 0.08
    assert distances.min(axis=1).max() < 0.08
    assert steps[1:].any(axis=1).all()
    assert polylines(np.zeros((4, 4), bool), SPACING) == []


def test_myocardiums_contour_is_its_outer_one():
    labels = discs(1, 1)[1][0, 0]
    assert (outline(labels, "MYO") == (labels >= 2)).all()
    assert (outline(labels, "RV") == (labels == 1)).all()
    assert (outline(labels, "LV") == (labels == 3)).all()


def tiles(sheets, index, frames):
    from PIL import Image

    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheets.urls[index].split(",")[1]))))
    height, width = sheets.tile_height, sheets.tile_width
    places = [divmod(frame, sheets.columns) for frame in range(frames)]
    return np.stack([sheet[row * height :, column * width :][:height, :width] for row, column in places])


def test_heart_loses_nothing_and_the_field_little():
    image, labels = discs(7, 3)
    box = heart_box(labels, SPACING)
    window = grey_window(image, box)
    heart, field = heart_sheets(image, box, SPACING, window), field_sheets(image, SPACING, window)
    expected = as_bytes(image, window)
    for index in range(3):
        part = expected[:, index, box.top : box.bottom, box.left : box.right]
        assert (tiles(heart, index, 7) == part).all()
        assert np.abs(tiles(field, index, 7).astype(int) - expected[:, index]).mean() < 4
    assert (heart.left, heart.top) == (box.left * SPACING[2], box.top * SPACING[1])
    assert (heart.width, heart.height) == ((box.right - box.left) * SPACING[2], (box.bottom - box.top) * SPACING[1])
    assert (field.left, field.top, field.width, field.height) == (0, 0, 135, 120)


def test_heart_box_holds_all_labels_and_stays_in_the_image():
    labels = np.zeros((2, 2, 50, 60), np.uint8)
    labels[0, 0, 2, 30], labels[1, 1, 20, 59] = 1, 3
    box = heart_box(labels, SPACING)
    assert 0 == box.top <= 2 and 20 < box.bottom <= 50 and box.left <= 30 and box.right == 60
    assert heart_box(np.zeros_like(labels), SPACING) == Box(0, 50, 0, 60)


def test_large_pictures_become_smaller_and_keep_their_place():
    image = np.zeros((1, 1, 300, 600), np.uint16)
    image[..., 150:, :] = 1000
    sheets = heart_sheets(image, Box(0, 300, 0, 600), SPACING, (0.0, 1000.0))
    assert (sheets.tile_height, sheets.tile_width) == (96, 192)
    assert (sheets.width, sheets.height) == (900, 600)
    tile = tiles(sheets, 0, 1)[0]
    assert (tile[:48] == 0).all() and (tile[48:] == 255).all()


def test_windowing():
    image = np.array([[-5, 0, 50, 100, 105, np.nan, np.inf, -np.inf]])
    assert as_bytes(image, (0.0, 100.0)).tolist() == [[0, 0, 128, 255, 255, 0, 255, 0]]
    assert grey_window(np.full((1, 1, 4, 4), np.nan), Box(0, 4, 0, 4)) == (0.0, 1.0)
    low, high = grey_window(np.full((1, 1, 4, 4), 7, np.int16), Box(0, 4, 0, 4))
    assert low == 7 < high


def test_markup_escapes_and_rounds():
    made = element("p", {"title": 'a"<b', "x": 1.23456, "gone": None}, "1 < 2 ", element("b", None, "&"), " tail")
    assert to_html(made) == '<p title="a&quot;<b" x="1.23">1 &lt; 2 <b>&amp;</b> tail</p>'


def test_words_for_numbers_and_places():
    assert (number(12.345, 1), number(None), number(float("nan"))) == ("12.3", "\N{EN DASH}", "\N{EN DASH}")
    assert place_in_words(6, 2) == "slice 3, phase 7"
    assert (place_in_words(None, 0), place_in_words(0, None), place_in_words(None, None)) == ("slice 1", "phase 1", "")


def test_segments_lie_where_the_standard_has_them():
    assert [segment.number for segment in SEGMENTS] == list(range(1, 17))
    names = {segment.number: segment.name for segment in SEGMENTS}
    assert names[2] == "basal anteroseptal" and names[11] == "mid inferolateral" and names[14] == "apical septal"
    places = {segment.number: segment.middle for segment in SEGMENTS}
    assert places[1] == pytest.approx((0, 0.85)), "anterior is on top"
    assert places[2][0] < 0 < places[2][1] and places[3][0] < 0 > places[3][1], "the septum is on the left"
    assert places[14] == pytest.approx((-0.26, 0)) and places[16] == pytest.approx((0.26, 0))
    assert sum(segment.end - segment.start for segment in SEGMENTS) == 3 * 360


def luminance(color):
    """WCAG's relative luminance."""
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot((0.2126, 0.7152, 0.0722), linear))


def test_text_on_a_colour_can_be_read():
    scale = Scale("ed", "Thickness", "mm", np.zeros(16), 0, 16)
    for value in np.linspace(-1, 20, 40):
        lightness = [luminance(color) for color in (scale.color(value), scale.ink(value))]
        assert (max(lightness) + 0.05) / (min(lightness) + 0.05) > 4.5, "WCAG's contrast"


def test_page_is_the_same_each_time_and_names_no_file(tmp_path):
    case = segmented(*discs(2, 2), path=Path("/archive/Doe^Jane/19700101.nii.gz"))
    for name in "ab":
        write_page(tmp_path / f"{name}.html", case)
        write_pdf(tmp_path / f"{name}.pdf", case)
    for kind in ("html", "pdf"):
        content = (tmp_path / f"a.{kind}").read_bytes()
        assert content == (tmp_path / f"b.{kind}").read_bytes()
        assert b"Doe" not in content and b"19700101" not in content and str(tmp_path).encode() not in content
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("title", ["damaged \udcff", "心臓", "\x00\n", "", "$x$ & <y>"])
def test_any_title_can_be_written(tmp_path, title):
    case = segmented(*discs(1, 1), title=title)
    write_page(tmp_path / "a.html", case)
    write_pdf(tmp_path / "a.pdf", case)
    (tmp_path / "a.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    for write in (write_page, write_pdf):
        with pytest.raises(OSError, match="taken"):
            write(tmp_path / "taken", segmented(*discs(1, 1)))
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def pdf_text(path):
    return subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True, check=True).stdout


def pdf_picture(path, folder):
    """The only page, uint8 ``[rows, columns]`` at 60 dots an inch."""
    from PIL import Image

    subprocess.run(["pdftoppm", "-r", "60", "-gray", "-png", path, folder / "seen"], check=True)
    (picture,) = folder.glob("seen*.png")
    return np.asarray(Image.open(picture).convert("L"))


needs_poppler = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler's tools are not installed")


@needs_poppler
def test_pdf_is_one_page_that_says_the_same(tmp_path):
    case = segmented(*discs(), title="Two $discs$ of 5 % & more")
    write_pdf(tmp_path / "a.pdf", case)
    text, m = pdf_text(tmp_path / "a.pdf"), case.measurements
    assert text.count("\f") == 1
    assert "Two $discs$ of 5 % & more" in text
    assert "Research use only. Not a medical device" in text
    assert DIGEST in text and "cardiacseg 1.2.3" in text
    line = next(line for line in text.splitlines() if "End-diastolic volume" in line).split()
    assert line[2:6] == [f"{m.lv_edv_ml:.0f}", f"{m.rv_edv_ml:.0f}", "ml", f"{m.indexed['lv_edv_ml_m2']:.0f}"]
    assert "The RV is missing between slices that have it." in text


@needs_poppler
def test_notes_of_the_reader_and_a_long_title_are_in_page_and_pdf(tmp_path):
    notes = tuple(Note(code, f"{code} is said here.") for code in ("N_LOSSY", "N_UNEVEN", "N_INCOMPLETE", "N_LEFT_OUT"))
    title = "Case 4711, examined on 2024-01-02, referred by the outpatient clinic, second reading of March"
    case = segmented(*discs(), notes=notes, title=title, flags=())
    case = dataclasses.replace(case, flags=find_flags(case))
    write_page(tmp_path / "a.html", case)
    write_pdf(tmp_path / "a.pdf", case)
    page, text = (tmp_path / "a.html").read_text(), pdf_text(tmp_path / "a.pdf")
    for note in notes:
        assert note.text in page and note.text in text
    assert "may be those of a part of the heart: see N_INCOMPLETE and N_LEFT_OUT." in page
    assert text.index("N_LEFT_OUT") < text.index("N_LOSSY")
    assert title in page and title in text


CROWD = tuple(Flag(f"flag_{index}", "A long sentence about something odd. " * 6, slice=index) for index in range(30))
IMAGE, LABELS = discs()
ODD = {
    "one phase": (IMAGE[:1], LABELS[:1], ()),
    "one slice": (IMAGE[:, :1], LABELS[:, :1], ()),
    "no labels": (IMAGE, np.zeros_like(LABELS), ()),
    "not numbers": (np.full(IMAGE.shape, np.nan, np.float32), LABELS, ()),
    "many flags": (IMAGE, LABELS, CROWD),
}


@needs_poppler
@pytest.mark.parametrize("name", ODD)
def test_pdf_of_odd_cines_keeps_its_margins(tmp_path, name):
    image, labels, flags = ODD[name]
    case = segmented(image, labels, flags=flags, result=name != "no labels", title=f"{name} " * 30)
    if name == "many flags":
        conventions = {**case.measurements.conventions, "more": "word " * 200}
        case = dataclasses.replace(case, measurements=dataclasses.replace(case.measurements, conventions=conventions))
    write_pdf(tmp_path / "a.pdf", case)
    page = pdf_picture(tmp_path / "a.pdf", tmp_path)
    assert page.shape == (702, 497)
    edge = 18
    inner = np.zeros(page.shape, bool)
    inner[edge:-edge, edge:-edge] = True
    assert (page[~inner] == 255).all()
    text = pdf_text(tmp_path / "a.pdf")
    assert "Quality flags" in text and "nan" not in text.lower().replace("nano", "")
    assert ("and 26 more" in text) == (name == "many flags")
