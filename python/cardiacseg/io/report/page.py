"""The report as one self-contained HTML file: no network, no font, no other script."""

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np

from cardiacseg.io.cine import Note, SegmentedCine
from cardiacseg.io.contours import cine_contours
from cardiacseg.io.output import write_bytes
from cardiacseg.io.report.content import (
    NONE,
    Cell,
    acquisition_facts,
    convention_facts,
    counts_phrase,
    measurement_rows,
    model_facts,
    model_phrase,
    phase_names,
    place_in_words,
    time_axis,
    wall_scales,
)
from cardiacseg.io.report.images import field_sheets, grey_window, heart_box, heart_sheets, sheets_document
from cardiacseg.io.report.preview import COLORS
from cardiacseg.io.report.svg import Chart, Element, bullseye_svg, chart_svg, element, phase_places, to_html
from cardiacseg.measurements import Measurements

_MS_PER_CYCLE = 1000.0  # of the movie, if the RR interval is not known


def write_page(path: str | Path, segmented: SegmentedCine) -> None:
    """Write the report as one HTML file, atomically. Needs matplotlib.

    The movie shows the part of the image around the labels with all its pixels (at most 192 per side), and the whole
    field of view smaller. Grey values are windowed once for the whole cine.
    """
    style, script = _part("page.css"), "\n".join(_part(name) for name in ("viewer.js", "controls.js"))
    page = Template(_part("page.html")).substitute(
        policy=_policy(style, script),
        style=style,
        script=script,
        data=_json(_movie(segmented)),
        title=html.escape(segmented.title or "Short-axis cine"),
        subtitle=html.escape(f"{counts_phrase(segmented)}; {model_phrase(segmented)}"),
        generator="cardiacseg",
        **{name: to_html(*parts) for name, parts in _sections(segmented).items()},
    )
    write_bytes(Path(path), page.encode("utf-8", "replace"))


def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Only this page's own style and script, and pictures inside it; nothing else is loaded or sent."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    rules = ("default-src 'none'", "img-src data:", "style-src 'sha256-{}'", "script-src 'sha256-{}'")
    return "; ".join((*rules, "base-uri 'none'", "form-action 'none'")).format(*hashes)


def _json(document: dict) -> str:
    """JSON that cannot end the script element that contains it."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _movie(segmented: SegmentedCine) -> dict:
    """All data for the page's script."""
    cine, labels, m = segmented.cine, segmented.labels, segmented.measurements
    box = heart_box(labels, cine.spacing)
    window = grey_window(cine.image, box)
    frames, slices = labels.shape[:2]
    axis = time_axis(segmented)
    largest = labels.any(axis=0).sum(axis=(1, 2))
    return {
        "phases": frames,
        "slices": slices,
        "first_phase": m.ed_frame,
        "first_slice": int(np.median(np.flatnonzero(largest))) if largest.any() else slices // 2,
        "interval_ms": (cine.timing.rr_interval_ms or _MS_PER_CYCLE) / frames,
        "times": None if axis.label == "phase" else axis.at.round(1).tolist(),
        "names": phase_names(m),
        "places": phase_places(axis),
        "colors": COLORS,
        "heart": sheets_document(heart_sheets(cine.image, box, cine.spacing, window)),
        "field": sheets_document(field_sheets(cine.image, cine.spacing, window)),
        "contours": cine_contours(labels, cine.spacing),
    }


def _sections(segmented: SegmentedCine) -> dict[str, list[Element]]:
    """The page's parts by their names in its template; one without content is empty."""
    m = segmented.measurements
    return {
        "flags": [_flag_list(segmented)],
        "slices": [_slice_table(m)],
        "measurements": [_measurement_table(m)],
        "curves": [_volume_chart(segmented)],
        "wall": _wall(segmented),
        "quality": _quality(segmented),
        "acquisition": [_facts_list(acquisition_facts(segmented))],
        "conventions": [_facts_list(convention_facts(m))],
        "notes": _notes(segmented),
        "model": [_facts_list(model_facts(segmented))],
    }


def _volume_chart(segmented: SegmentedCine) -> Element:
    m = segmented.measurements
    highest = 1.1 * max(float(m.lv_ml.max()), float(m.rv_ml.max()), 1.0)
    chart = Chart(
        {"LV": m.lv_ml, "RV": m.rv_ml}, "ml", highest, 250, "Volumes of LV and RV in ml over the cardiac cycle"
    )
    return chart_svg(chart, time_axis(segmented), phase_names(m))


def _quality(segmented: SegmentedCine) -> list[Element]:
    """Predicted quality by phase, if the model gives one."""
    if segmented.result is None or not np.isfinite(segmented.result.quality).any():
        return []
    quality = segmented.result.quality
    chart = Chart({"Dice": quality}, "mean Dice", 1.0, 140, "Predicted quality of the labels over the cardiac cycle")
    parts = [quality_summary(quality), chart_svg(chart, time_axis(segmented), ())]
    return [_card("quality", "Predicted quality", *parts)]


def _wall(segmented: SegmentedCine) -> list[Element]:
    """Bullseyes, one of which is shown at a time."""
    wall = segmented.measurements.wall
    if wall is None:
        return []
    scales = wall_scales(wall)
    choice = element("fieldset", {"class": "buttons"}, element("legend", {"class": "hidden"}, "Bullseye"))
    for index, scale in enumerate(scales):
        radio = {"type": "radio", "name": "wall", "value": scale.key, "checked": "" if index == 0 else None}
        choice.append(element("label", None, element("input", radio), element("span", None, scale.title)))
    figures = (
        element("figure", {"class": scale.key}, bullseye_svg(scale), element("figcaption", None, scale.caption))
        for scale in scales
    )
    return [_card("wall", "Wall, AHA 16 segments", choice, *figures)]


def _notes(segmented: SegmentedCine) -> list[Element]:
    """Notes of the reader that are not flags."""
    said = {(flag.code, flag.text) for flag in segmented.flags}
    notes = [note for note in segmented.cine.notes if (note.code, note.text) not in said]
    return [_card("notes", "Notes of the reader", _notes_list(notes))] if notes else []


def _card(name: str, title: str, *parts: Element) -> Element:
    kind = {"wall": "card wall", "notes": "card last"}.get(name, "card")
    return element("section", {"class": kind, "id": name}, element("h2", None, title), *parts)


def _measurement_table(measurements: Measurements) -> Element:
    """A line for each measurement, LV and RV beside each other, and their indices if there are any."""
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


def _slice_table(measurements: Measurements) -> Element:
    """Area of each structure in each slice at ED and at ES, and whether it counts; a slice's number is a link to it."""
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


def _flag_list(segmented: SegmentedCine) -> Element:
    """One item for each flag; if it concerns a place in the cine, a button shows it."""
    if not segmented.flags:
        return element(
            "p",
            {"class": "quiet"},
            "No flag was raised. This does not prove that the contours are right: look at them.",
        )
    return element("ul", {"class": "flags"}, *(_flag(flag) for flag in segmented.flags))


def _flag(flag) -> Element:
    item = element("li", None, element("span", {"class": "text"}, flag.text))
    place = place_in_words(flag.frame, flag.slice)
    if place:
        item.append(_go_to(place, flag.frame, flag.slice, f"Show {place}"))
    item.append(element("code", None, flag.code))
    return item


def _go_to(text: str, frame: int | None, index: int | None, spoken: str) -> Element:
    attributes = {"type": "button", "class": "go", "aria-label": spoken, "data-phase": frame, "data-slice": index}
    return element("button", attributes, text)


def _facts_list(facts: Sequence[tuple[str, str]]) -> Element:
    """Names and their values."""
    pairs = (element("div", None, element("dt", None, name), element("dd", None, text)) for name, text in facts)
    return element("dl", None, *pairs)


def _notes_list(notes: Sequence[Note]) -> Element:
    """What was found or repaired while reading."""
    items = (
        element("li", None, element("span", {"class": "text"}, note.text), element("code", None, note.code))
        for note in notes
    )
    return element("ul", {"class": "flags notes"}, *items)


def quality_summary(quality: np.ndarray) -> Element:
    """Mean and lowest predicted quality."""
    worst = int(np.nanargmin(quality))
    text = f"Predicted mean Dice {np.nanmean(quality):.2f}; lowest {quality[worst]:.2f} in "
    return element(
        "p", {"class": "quiet"}, text, _go_to(f"phase {worst + 1}", worst, None, f"Show phase {worst + 1}"), "."
    )
