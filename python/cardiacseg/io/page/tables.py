"""The page's tables and lists as HTML elements."""

from collections.abc import Sequence

import numpy as np

from cardiacseg.io.cine import Note
from cardiacseg.io.page.markup import Element, element
from cardiacseg.io.page.rows import NONE, Cell, measurement_rows, spoken_place
from cardiacseg.measurements import Measurements
from cardiacseg.segmented_cine import SegmentedCine


def measurement_table(measurements: Measurements) -> Element:
    """A line for each measurement, LV and RV beside each other, and their indices where there are any."""
    rows = measurement_rows(measurements)
    indexed = any(row.lv_index or row.rv_index for row in rows)
    heads = [("", ""), ("LV", "LV swatch"), ("RV", "RV swatch"), ("", "")]
    heads += [("LV / m²", ""), ("RV / m²", "")] if indexed else []
    body = []
    for row in rows:
        cells = [_value(row.lv), _value(row.rv), element("td", {"class": "unit"}, row.unit)]
        cells += [_value(row.lv_index), _value(row.rv_index)] if indexed else []
        body.append(element("tr", None, element("th", {"scope": "row"}, row.name), *cells))
    return _table("measurements", heads, body)


def _value(cell: Cell | None) -> Element:
    return element("td") if cell is None else element("td", {"data-key": cell.key}, cell.text)


def _table(name: str, heads: Sequence[tuple[str, str]], body: Sequence[Element]) -> Element:
    """``heads`` are texts and classes; one without text is no heading."""
    head = element(
        "tr",
        None,
        *(
            element("th", {"scope": "col", "class": kind or None}, text) if text else element("td")
            for text, kind in heads
        ),
    )
    return element("table", {"class": name}, element("thead", None, head), element("tbody", None, *body))


def slice_table(measurements: Measurements) -> Element:
    """Area of each structure in each slice at ED and at ES, and whether it counts; a slice's number goes there."""
    m = measurements
    phases = [("ED", m.ed_frame), ("ES", m.es_frame)] if m.es_frame is not None else [("", m.ed_frame)]
    heads = [("Slice", "")]
    heads += [
        (f"{structure} {phase}".strip(), f"{structure} swatch")
        for structure in ("RV", "MYO", "LV")
        for phase, _ in phases
    ]
    body = []
    for index in range(m.areas_mm2.shape[1]):
        cells = [
            _area(float(m.areas_mm2[frame, index, structure]), bool(m.included[frame, index, structure]))
            for structure in range(3)
            for _, frame in phases
        ]
        place = _go_to(str(index + 1), None, index, f"Show slice {index + 1}")
        body.append(element("tr", None, element("th", {"scope": "row"}, place), *cells))
    return _table("slices", heads, body)


def _area(area_mm2: float, included: bool) -> Element:
    if area_mm2 == 0:
        return element("td", {"class": "none"}, NONE)
    text = f"{area_mm2 / 100:.1f}"
    return (
        element("td", None, text)
        if included
        else element("td", {"class": "excluded"}, element("s", None, text), " excluded")
    )


def flag_list(segmented: SegmentedCine) -> Element:
    """One item for each flag; where it concerns a place in the cine, a button goes there."""
    if not segmented.flags:
        return element(
            "p", {"class": "quiet"}, "No flag was raised. That is no proof that the contours are right: look."
        )
    return element("ul", {"class": "flags"}, *(_flag(flag) for flag in segmented.flags))


def _flag(flag) -> Element:
    item = element("li", None, element("span", {"class": "text"}, flag.text))
    place = spoken_place(flag.frame, flag.slice)
    if place:
        item.append(_go_to(place, flag.frame, flag.slice, f"Show {place}"))
    item.append(element("code", None, flag.code))
    return item


def _go_to(text: str, frame: int | None, index: int | None, spoken: str) -> Element:
    attributes = {"type": "button", "class": "go", "aria-label": spoken, "data-phase": frame, "data-slice": index}
    return element("button", attributes, text)


def facts_list(facts: Sequence[tuple[str, str]]) -> Element:
    """Names and what is said of them."""
    pairs = (element("div", None, element("dt", None, name), element("dd", None, text)) for name, text in facts)
    return element("dl", None, *pairs)


def notes_list(notes: Sequence[Note]) -> Element:
    """What was found or repaired while reading."""
    items = (
        element("li", None, element("span", {"class": "text"}, note.text), element("code", None, note.code))
        for note in notes
    )
    return element("ul", {"class": "flags notes"}, *items)


def quality_summary(quality: np.ndarray) -> Element:
    """Mean and lowest predicted quality."""
    worst = int(np.nanargmin(quality))
    text = f"The model expects a mean Dice of {np.nanmean(quality):.2f}; lowest {quality[worst]:.2f} in "
    return element(
        "p", {"class": "quiet"}, text, _go_to(f"phase {worst + 1}", worst, None, f"Show phase {worst + 1}"), "."
    )
