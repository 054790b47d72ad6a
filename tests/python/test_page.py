"""The HTML report in a real browser: it plays, scrolls, jumps and fits."""

import numpy as np
import pytest
from segmented_discs import DIGEST, FLAGS, SPACING

from cardiacseg.io.report.preview import COLORS

pytest.importorskip("cardiacseg._core", reason="the compiled core is not built")


def phase(page):
    return int(page.run("return document.getElementById('phase').value"))


def shown_slice(page):
    return int(page.run("return document.getElementById('slice').value"))


def press(page, key):
    from selenium.webdriver.common.by import By

    page.driver.find_element(By.ID, "canvas").send_keys(key)


def near(picture, color, tolerance=40):
    expected = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
    return np.abs(picture.astype(int) - expected).max(axis=-1) <= tolerance


def bounds(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([rows[0], rows[-1], columns[0], columns[-1]])


def test_it_opens_at_end_diastole_with_the_use_and_the_model(page, page_case):
    assert phase(page) == page_case.measurements.ed_frame + 1
    assert page.text("h1") == page.driver.title == "Two discs"
    assert "Research use only. Not a medical device" in page.text("header")
    assert DIGEST in page.text("#model") and "cardiacseg 1.2.3" in page.text("#model")
    assert page.text("#named") == "ED"


def test_it_plays_every_phase_again_and_again_and_pauses(page):
    page.run("window.seen = []; const before = show; show = () => { before(); seen.push(state.phase); };")
    page.click("#play")
    assert page.text("#play") == "Pause"
    all_seen_twice = "[0, 1, 2, 3, 4].every((phase) => seen.filter((one) => one === phase).length > 1)"
    page.run_later(
        f"new Promise((done) => {{ const wait = () => {all_seen_twice} ? done() : setTimeout(wait, 20); wait(); }})"
    )
    page.click("#play")
    assert page.text("#play") == "Play"
    stopped = phase(page)
    page.run_later("new Promise((done) => setTimeout(done, 150))")
    assert phase(page) == stopped


def test_speed_and_phases_over_time(page):
    page.run(
        "const speed = document.getElementById('speed');speed.value = '0.5'; speed.dispatchEvent(new Event('change'))"
    )
    assert page.run("return data.interval_ms / state.speed") == pytest.approx(80)
    # one call with a clock of its own: 3 steps of 80 ms have passed, so the third phase is shown
    page.run("state.playing = true; shownAt = 1000; advance(1000 + 3 * 80 + 1); state.playing = false;")
    assert phase(page) == 4


def test_keys(page):
    from selenium.webdriver.common.keys import Keys

    start = shown_slice(page)
    press(page, Keys.ARROW_RIGHT)
    assert phase(page) == 2
    press(page, Keys.ARROW_LEFT)
    press(page, Keys.ARROW_LEFT)
    assert phase(page) == 5, "before the first phase comes the last"
    press(page, Keys.ARROW_DOWN)
    assert shown_slice(page) == start + 1
    for _ in range(9):
        press(page, Keys.ARROW_UP)
    assert shown_slice(page) == 1, "before the first slice comes none"
    press(page, Keys.END)
    assert page.text("#named") == "ES"
    press(page, Keys.HOME)
    assert page.text("#named") == "ED"
    press(page, " ")
    assert page.text("#play") == "Pause"
    press(page, " ")
    assert page.text("#play") == "Play"


def test_wheel_scrolls_through_the_slices_and_elsewhere_the_page(page):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
    from selenium.webdriver.common.by import By

    def wheel(selector, distance):
        origin = ScrollOrigin.from_element(page.driver.find_element(By.CSS_SELECTOR, selector))
        ActionChains(page.driver).scroll_from_origin(origin, 0, distance).perform()

    start = shown_slice(page)
    wheel("#canvas", 120)
    assert (shown_slice(page), page.run("return scrollY")) == (start + 1, 0)
    wheel("#canvas", -120)
    assert shown_slice(page) == start
    wheel("#measurements", 120)
    page.run_later("new Promise((done) => setTimeout(done, 200))")
    assert shown_slice(page) == start
    assert page.run("return scrollY") > 0


@pytest.mark.parametrize("structure", ["RV", "MYO", "LV"])
def test_each_contour_can_be_switched_off(page, structure):
    before = near(page.canvas(), COLORS[structure]).sum()
    page.click(f".contour[value={structure}]")
    after = near(page.canvas(), COLORS[structure]).sum()
    assert before > 150
    assert after < before / 10
    page.click(f".contour[value={structure}]")
    assert near(page.canvas(), COLORS[structure]).sum() == before


@pytest.mark.parametrize("field", [False, True])
def test_picture_and_contours_lie_on_each_other_in_true_proportion(page, page_case, field):
    """The LV's cavity is the brightest thing there is, and round although its pixels are not square."""
    if field:
        page.click("#field")
    with_contours = page.canvas()
    press(page, "c")
    bright = bounds(page.canvas().min(axis=-1) > 235)
    contour = bounds(near(with_contours, COLORS["LV"]))
    scale = page.run("return placed({ x: 0, y: 0, width: canvas.clientWidth, height: canvas.clientHeight }).scale")
    pixel = SPACING[1] * scale
    assert np.abs(contour - bright).max() < pixel
    assert np.abs((contour - bright).reshape(2, 2).mean(axis=1)).max() < pixel / 4, "around one center"
    high, wide = contour[1] - contour[0], contour[3] - contour[2]
    assert abs(high - wide) < pixel, "a circle"
    cavity = page_case.labels[page_case.measurements.ed_frame, shown_slice(page) - 1] == 3
    assert wide / scale == pytest.approx(cavity.any(axis=0).sum() * SPACING[2], abs=3)


def test_all_slices_beside_each_other_and_back_to_the_one_clicked(page):
    one = page.canvas()
    page.click("input[value=all]")
    everything = page.canvas()
    assert (one != everything).any()
    cells = page.run("return cells(canvas.clientWidth, canvas.clientHeight)")
    assert len(cells) == 4
    for cell in cells:
        part = everything[int(cell["y"]) :, int(cell["x"]) :][: int(cell["height"]), : int(cell["width"])]
        assert near(part, COLORS["LV"]).sum() > 60
    last = cells[3]
    page.run(
        "canvas.dispatchEvent(new MouseEvent('click', { clientX: canvas.getBoundingClientRect().left + arguments[0],"
        "clientY: canvas.getBoundingClientRect().top + arguments[1] }))",
        *(last["x"] + last["width"] / 2, last["y"] + last["height"] / 2),
    )
    assert shown_slice(page) == 4
    assert page.run("return document.querySelector('input[value=one]').checked")


def test_a_flag_goes_to_its_place(page):
    page.click("input[value=all]")
    page.click("#play")
    page.click("#flags button.go")
    assert (phase(page), shown_slice(page)) == (FLAGS[0].frame + 1, FLAGS[0].slice + 1)
    assert page.text("#play") == "Play"
    items = page.run("return [...document.querySelectorAll('#flags li')].map((item) => item.innerText)")
    assert len(items) == len(FLAGS)
    for flag, item in zip(FLAGS, items, strict=True):
        assert flag.text in item and flag.code in item
    assert "slice 4, phase 3" in items[0] and "slice" not in items[1]


def test_the_curve_goes_to_the_phase_that_was_clicked_and_follows_it(page):
    for expected in (4, 2):
        page.run(
            "const dot = document.querySelectorAll('#curves circle.LV')[arguments[0] - 1];"
            "const box = dot.getBoundingClientRect();"
            "document.querySelector('#curves svg').dispatchEvent(new MouseEvent('click',"
            "{ clientX: box.left + box.width / 2 + 3, clientY: 5 }))",
            expected,
        )
        assert phase(page) == expected
        cursor, dot = (
            page.run(f"return document.querySelectorAll('#curves {name}')[arguments[0]].getAttribute('{x}')", at)
            for name, x, at in ((".cursor", "x1", 0), ("circle.LV", "cx", expected - 1))
        )
        assert float(cursor) == pytest.approx(float(dot), abs=0.01)


@pytest.mark.parametrize("width", [390, 820, 1500])
def test_no_width_needs_sideways_scrolling(page, page_file, width):
    page.open(page_file, width=width)
    assert page.run("return document.documentElement.scrollWidth") <= width
    cut = (
        "return [...document.querySelectorAll('.card, button, .slider, table')].filter((part) =>"
        "part.checkVisibility() && part.getBoundingClientRect().right > innerWidth + 0.5)"
        ".map((part) => part.outerHTML.slice(0, 80))"
    )
    assert page.run(cut) == []


def test_dark_and_light(page, page_file):
    ground = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    assert min(page.run(ground)) > 200
    assert max(page.open(page_file, dark=True).run(ground)) < 60


def test_every_control_has_a_name(page):
    unnamed = (
        "return [...document.querySelectorAll('button, input, select, canvas, svg[role]')].filter((part) =>"
        "!(part.getAttribute('aria-label') || part.textContent || part.labels?.[0]?.innerText).trim())"
        ".map((part) => part.outerHTML)"
    )
    assert page.run(unnamed) == []
