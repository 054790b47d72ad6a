"""What the HTML report says, in a real browser: numbers, texts, and cines of every kind."""

from dataclasses import replace

import numpy as np
import pytest
from segmented_discs import FLAGS, discs, segmented

from cardiacseg.io.report import write_page

pytest.importorskip("cardiacseg._core", reason="the compiled core is not built")


def test_table_holds_the_measurements(page, page_case):
    m = page_case.measurements
    cells = dict(
        page.run(
            "return [...document.querySelectorAll('#measurements td[data-key]')]"
            ".map((cell) => [cell.dataset.key, cell.innerText])"
        )
    )
    assert float(cells["lv_edv_ml"]) == pytest.approx(m.lv_edv_ml, abs=0.5)
    for key in (
        "lv_edv_ml",
        "lv_esv_ml",
        "lv_sv_ml",
        "rv_edv_ml",
        "rv_esv_ml",
        "rv_sv_ml",
        "lv_mass_g",
        "lv_mass_es_g",
    ):
        assert cells.pop(key) == f"{getattr(m, key):.0f}"
    for key in ("lv_ef_percent", "rv_ef_percent", "lv_co_l_min", "rv_co_l_min"):
        assert cells.pop(key) == f"{getattr(m, key):.1f}"
    indices = {key: text for key, text in cells.items() if key.endswith("_m2")}
    assert set(indices) == set(m.indexed)
    for key, text in indices.items():
        assert float(text) == pytest.approx(m.indexed[key], abs=0.51)


def test_bullseye_shows_one_quantity_at_a_time(page, page_case):
    shown = (
        "return [...document.querySelectorAll('#wall figure')]"
        ".filter((figure) => figure.checkVisibility()).map((figure) => figure.className)"
    )
    assert page.run(shown) == ["ed"]
    page.click("#wall input[value=thickening]")
    assert page.run(shown) == ["thickening"]
    values = page.run("return [...document.querySelectorAll('#wall .ed .value')].map((v) => v.textContent)")
    assert values == [f"{value:.1f}" for value in page_case.measurements.wall.ed_mm if np.isfinite(value)]


def test_slices_that_do_not_count_are_shown_as_such_and_lead_to_their_picture(chromium, page_case, tmp_path):
    m = page_case.measurements
    included = m.included.copy()
    included[:, 1, 2] = False
    write_page(tmp_path / "a.html", replace(page_case, measurements=replace(m, included=included)))
    page = chromium.open(tmp_path / "a.html")
    rows = page.run(
        "return [...document.querySelectorAll('#slices tbody tr')]"
        ".map((row) => [...row.children].map((cell) => cell.innerText))"
    )
    areas = m.areas_mm2[[m.ed_frame, m.es_frame]] / 100
    for index, cells in enumerate(rows):
        expected = [f"{areas[phase, index, structure]:.1f}" for structure in range(3) for phase in range(2)]
        if index == 1:
            expected[4:] = [f"{text} excluded" for text in expected[4:]]
        assert cells == [str(index + 1), *expected]
    page.click("#slices tbody tr:nth-child(4) button")
    assert page.run("return state.slice") == 3
    assert page.run("return document.querySelector('tr.here').rowIndex") == 4


def test_own_phases_of_the_right_ventricle_have_their_marks(chromium, page_case, tmp_path):
    m = replace(page_case.measurements, rv_es_frame=3)
    write_page(tmp_path / "a.html", replace(page_case, measurements=m))
    page = chromium.open(tmp_path / "a.html")
    names = page.run("return [...document.querySelectorAll('#jumps button')].map((button) => button.textContent)")
    assert names == ["LV ED", "LV ES", "RV ED", "RV ES"]
    page.click("#jumps button:nth-child(4)")
    assert page.text("#named") == "RV ES"
    assert page.run("return state.phase") == 3


def test_text_stays_text(chromium, page_case, tmp_path):
    evil = (
        "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">&amp; $policy ü"
    )
    flag = replace(FLAGS[0], text=evil, code=evil)
    write_page(tmp_path / "evil.html", replace(page_case, title=evil, flags=(flag,)))
    page = chromium.open(tmp_path / "evil.html")
    assert page.driver.title == page.text("h1") == evil
    assert page.text("#flags .text") == evil
    assert page.run("return document.querySelectorAll('script').length") == 2
    assert page.run("return document.querySelectorAll('img').length") == 0
    assert chromium.complaints() == []


def test_nothing_from_outside_can_be_loaded_or_sent(chromium, page_file):
    page = chromium.open(page_file)
    page.run_later(
        "new Promise((done) => { addEventListener('securitypolicyviolation', (event) => {"
        "window.refused = event.blockedURI; done(); });"
        "fetch('http://127.0.0.1:9/x').catch(() => 0); })"
    )
    assert page.run("return refused") == "http://127.0.0.1:9/x"
    page.run(
        "const script = document.createElement('script');"
        "script.textContent = 'window.ran = 1'; document.body.append(script)"
    )
    assert page.run("return window.ran") is None
    chromium.complaints()  # the two refusals


IMAGE, LABELS = discs()
ODD = {
    "one phase": (IMAGE[:1], LABELS[:1]),
    "one slice": (IMAGE[:, :1], LABELS[:, :1]),
    "one stack of one slice": (IMAGE[:1, :1], LABELS[:1, :1]),
    "no labels": (IMAGE, np.zeros_like(LABELS)),
    "no labels in one phase": (IMAGE[:1], np.zeros_like(LABELS[:1])),
    "not numbers": (np.full(IMAGE.shape, np.nan, np.float32), LABELS),
    "some not numbers": (np.where(IMAGE == 90, np.nan, IMAGE).astype(np.float32), LABELS),
    "infinite": (np.where(IMAGE == 250, np.inf, IMAGE).astype(np.float64), LABELS),
    "all the same": (np.full_like(IMAGE, 7), LABELS),
    "labels up to the border": (IMAGE, np.full_like(LABELS, 3)),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_cines(chromium, tmp_path, name):
    image, labels = ODD[name]
    path = tmp_path / "odd.html"
    write_page(path, segmented(image, labels, flags=(), result=name != "no labels"))
    page = chromium.open(path)
    assert int(page.run("return document.getElementById('phase').max")) == len(labels)
    assert "No flag was raised" in page.text("#flags")
    page.driver.find_element("id", "canvas").send_keys(" m ")
    assert "NaN" not in page.run("return document.body.innerText")
    assert page.run("return document.querySelectorAll('[d*=NaN], [points*=NaN], [x1*=NaN], [cx*=NaN]').length") == 0
    assert chromium.complaints() == []
    assert list(tmp_path.iterdir()) == [path]
