"""The report as one HTML file that needs nothing else: no network, no font, no script of another."""

import base64
import hashlib
import html
import json
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np

from cardiacseg.io.atomic import write_bytes
from cardiacseg.io.page import tables
from cardiacseg.io.page.axis import time_axis
from cardiacseg.io.page.bullseye import bullseye_svg
from cardiacseg.io.page.chart import Chart, chart_svg, phase_places
from cardiacseg.io.page.contours import cine_contours
from cardiacseg.io.page.images import field_sheets, grey_window, heart_box, heart_sheets, sheets_document
from cardiacseg.io.page.markup import Element, element, to_html
from cardiacseg.io.page.rows import (
    acquisition_facts,
    convention_facts,
    counts_phrase,
    model_facts,
    model_phrase,
    phase_names,
)
from cardiacseg.io.page.segments import wall_scales
from cardiacseg.io.preview import COLOURS
from cardiacseg.segmented_cine import SegmentedCine

_MS_PER_BEAT = 1000.0  # of the movie, where the beat's length is not known


def write_page(path: str | Path, segmented: SegmentedCine) -> None:
    """Write the report as one HTML file, atomically. Needs matplotlib.

    The movie shows the part of the image round the labels with all its pixels (192 a side at most), the whole field of
    view smaller. Grey values are windowed once for the whole cine.
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
    """JSON that cannot end the script element that it stands in."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _movie(segmented: SegmentedCine) -> dict:
    """All that the page's script needs."""
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
        "interval_ms": (cine.timing.rr_interval_ms or _MS_PER_BEAT) / frames,
        "times": None if axis.label == "phase" else axis.at.round(1).tolist(),
        "names": phase_names(m),
        "places": phase_places(axis),
        "colours": COLOURS,
        "heart": sheets_document(heart_sheets(cine.image, box, cine.spacing, window)),
        "field": sheets_document(field_sheets(cine.image, cine.spacing, window)),
        "contours": cine_contours(labels, cine.spacing),
    }


def _sections(segmented: SegmentedCine) -> dict[str, list[Element]]:
    """The page's parts by their names in its template; one without content is empty."""
    m = segmented.measurements
    return {
        "flags": [tables.flag_list(segmented)],
        "slices": [tables.slice_table(m)],
        "measurements": [tables.measurement_table(m)],
        "curves": [_volume_chart(segmented)],
        "wall": _wall(segmented),
        "quality": _quality(segmented),
        "acquisition": [tables.facts_list(acquisition_facts(segmented))],
        "conventions": [tables.facts_list(convention_facts(m))],
        "notes": _notes(segmented),
        "model": [tables.facts_list(model_facts(segmented))],
    }


def _volume_chart(segmented: SegmentedCine) -> Element:
    m = segmented.measurements
    highest = 1.1 * max(float(m.lv_ml.max()), float(m.rv_ml.max()), 1.0)
    chart = Chart({"LV": m.lv_ml, "RV": m.rv_ml}, "ml", highest, 250, "Volumes of LV and RV in ml over the beat")
    return chart_svg(chart, time_axis(segmented), phase_names(m))


def _quality(segmented: SegmentedCine) -> list[Element]:
    """Predicted quality by phase, where the model gives one."""
    if segmented.result is None or not np.isfinite(segmented.result.quality).any():
        return []
    quality = segmented.result.quality
    chart = Chart({"Dice": quality}, "mean Dice", 1.0, 140, "Predicted quality of the labels over the beat")
    parts = [tables.quality_summary(quality), chart_svg(chart, time_axis(segmented), ())]
    return [_card("quality", "Predicted quality", *parts)]


def _wall(segmented: SegmentedCine) -> list[Element]:
    """Bullseyes of which one is shown at a time."""
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
    """What the reader noted and no flag says already."""
    said = {(flag.code, flag.text) for flag in segmented.flags}
    notes = [note for note in segmented.cine.notes if (note.code, note.text) not in said]
    return [_card("notes", "Notes of the reader", tables.notes_list(notes))] if notes else []


def _card(name: str, title: str, *parts: Element) -> Element:
    kind = {"wall": "card wall", "notes": "card last"}.get(name, "card")
    return element("section", {"class": kind, "id": name}, element("h2", None, title), *parts)
