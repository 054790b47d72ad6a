"""One static HTML page over a batch: distributions, and a table that sorts, outliers first. It loads no other host.

An outlier is told by its distance from the median in units of 1.4826 times the median absolute deviation, which for a
normal distribution is the standard deviation (Leys et al., J Exp Soc Psychol 49(4):764-766, 2013).
"""

import html
import io
import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image

from cardiacseg.cohort.tables import read_summary
from cardiacseg.errors import InvalidInputError
from cardiacseg.io.json_files import RESEARCH_USE
from cardiacseg.io.output import output_errors, printable, write_bytes
from cardiacseg.io.report.preview import pictures_box
from cardiacseg.io.report.svg import Element, element, to_html

PAGE, MARK = "review.html", '<meta name="generator" content="cardiacseg review">'
# Measures that are shown and in which outliers are looked for, with their units.
MEASURES = {
    "lv_edv_ml": ("LV EDV", "ml"),
    "lv_esv_ml": ("LV ESV", "ml"),
    "lv_ef_percent": ("LV EF", "%"),
    "rv_edv_ml": ("RV EDV", "ml"),
    "rv_esv_ml": ("RV ESV", "ml"),
    "rv_ef_percent": ("RV EF", "%"),
    "lv_mass_g": ("LV mass", "g"),
    "predicted_quality": ("predicted quality", ""),
}
_THUMBNAIL = 540  # pixels across
_FEWEST = 8  # cases from which on distances from the median are given
_BINS, _WIDTH, _HEIGHT = 24, 220, 84
Row = Mapping[str, Any]


def write_review(results: str | Path, most: int = 5000) -> Path:
    """Write ``review.html`` into a batch's folder of results, and ``review/NAME.jpg`` for each case's preview.

    The page shows the ``most`` cases that need a look first: failed ones, then the largest distances from the median.
    Raises ``InvalidInputError`` if there is no ``summary.csv``, and if ``review.html`` is there and is no such page.
    """
    results = Path(results)
    page = results / PAGE
    _refuse_foreign(page)
    cases = read_summary(results)
    scores = outlier_scores(cases)
    order = sorted(range(len(cases)), key=lambda index: _rank(cases[index], scores[index]))
    shown = [(cases[index], scores[index]) for index in order[:most]]
    thumbnails = _thumbnails(results, [case for case, _ in shown if case["state"] == "done"])
    text = Template(resources.files(__package__).joinpath("review.html").read_text(encoding="utf-8")).substitute(
        mark=MARK,
        use=html.escape(RESEARCH_USE),
        counts=html.escape(_counts(cases, len(shown))),
        charts=to_html(*_charts(cases)),
        head=to_html(_head()),
        rows=to_html(*(_row(case, score, results, thumbnails) for case, score in shown)),
    )
    write_bytes(page, text.encode("utf-8", "replace"))
    return page


def _refuse_foreign(page: Path) -> None:
    if not os.path.lexists(page):
        return
    with output_errors("read", page), open(page, "rb") as file:
        ours = MARK.encode() in file.read(1000)
    if not ours:
        raise InvalidInputError(f"{page} was not written by cardiacseg review; move it away")


def outlier_scores(cases: Sequence[Row]) -> list[tuple[float, str]]:
    """For each case its largest distance from the median, and in which measure; 0 if it has none.

    Low values of the predicted quality count, high ones do not.
    """
    best = [(0.0, "")] * len(cases)
    for name in MEASURES:
        values = np.array([case.get(name, np.nan) for case in cases], dtype=float)
        known = values[np.isfinite(values)]
        if len(known) < _FEWEST:
            continue
        middle = np.median(known)
        width = 1.4826 * np.median(np.abs(known - middle))
        distances = (values - middle) / width if width > 0 else np.zeros(len(values))
        distances = np.maximum(-distances, 0) if name == "predicted_quality" else np.abs(distances)
        for index, distance in enumerate(np.nan_to_num(distances)):
            if distance > best[index][0]:
                best[index] = (float(distance), name)
    return best


def _rank(case: Row, score: tuple[float, str]) -> tuple[int, float, str]:
    """Failed cases first, then outliers, then what was left out."""
    place = {"failed": 0, "done": 1}.get(case["state"], 2)
    return place, -score[0], case["case"]


def _counts(cases: Sequence[Row], shown: int) -> str:
    states = [case["state"] for case in cases]
    flagged = sum(bool(case.get("flag_count")) for case in cases)
    parts = [f"{len(cases)} cases", *(f"{states.count(state)} {state}" for state in ("done", "failed", "left out"))]
    parts.append(f"{flagged} with flags")
    if shown < len(cases):
        parts.append(f"the first {shown} are listed below")
    return ", ".join(parts)


def _thumbnails(results: Path, cases: Sequence[Row]) -> dict[str, str]:
    """Links to small pictures of ED and ES, by case; made again only if the preview is newer."""
    found = {}
    for name in (case["case"] for case in cases):
        source, target = results / name / "preview.png", results / "review" / f"{name}.jpg"
        if not source.is_file():
            continue
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            try:
                picture = _thumbnail(source)
            except OSError:  # not a picture, or a damaged one; the case has none then
                continue
            with output_errors("write", target):
                target.parent.mkdir(exist_ok=True)
            write_bytes(target, picture)
        found[name] = f"review/{quote(target.name)}"
    return found


def _thumbnail(preview: Path) -> bytes:
    content = io.BytesIO()
    with Image.open(preview) as image:
        pictures = image.convert("RGB").crop(pictures_box(*image.size))
        pictures.thumbnail((_THUMBNAIL, _THUMBNAIL))
        pictures.save(content, "JPEG", quality=80)
    return content.getvalue()


def _charts(cases: Sequence[Row]) -> list[Element]:
    found = []
    for name, (label, unit) in MEASURES.items():
        values = np.array([case[name] for case in cases if name in case], dtype=float)
        if len(values):
            found.append(_histogram(values, label, unit))
    return found


def _histogram(values: np.ndarray, label: str, unit: str) -> Element:
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, bins=_BINS, range=(low, high) if high > low else (low - 0.5, low + 0.5))
    step, top = _WIDTH / _BINS, _HEIGHT - 18
    bars = [
        element(
            "rect",
            {
                "x": index * step + 0.5,
                "y": top - top * count / counts.max(),
                "width": step - 1,
                "height": top * count / counts.max(),
            },
        )
        for index, count in enumerate(counts)
        if count
    ]
    ends = [
        element("text", {"x": 0, "y": _HEIGHT - 4}, f"{low:.4g}"),
        element("text", {"x": _WIDTH, "y": _HEIGHT - 4, "text-anchor": "end"}, f"{high:.4g}"),
    ]
    said = f"{label}: median {np.median(values):.4g} {unit}".strip()
    picture = element("svg", {"viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "role": "img", "aria-label": said}, *bars, *ends)
    return element("figure", None, element("figcaption", None, said), picture)


def _head() -> Element:
    labels = [
        "ED and ES",
        "case",
        "state",
        "outlier",
        *(f"{label} {unit}" for label, unit in MEASURES.values()),
        "flags",
    ]
    cells = [element("th", {"scope": "col"}, labels[0])]
    cells += [
        element("th", {"scope": "col"}, element("button", {"type": "button"}, label.strip())) for label in labels[1:]
    ]
    return element("tr", None, *cells)


def _row(case: Row, score: tuple[float, str], results: Path, thumbnails: Mapping[str, str]) -> Element:
    name, state = case["case"], case["state"]
    link = next((page for page in ("report.html", "preview.png") if (results / name / page).is_file()), None)
    target = f"{quote(name)}/{link}" if link and state == "done" else None
    picture = element("td")
    if name in thumbnails:
        attributes = {
            "src": thumbnails[name],
            "loading": "lazy",
            "width": 240,
            "height": 142,
            "alt": f"preview of {name}",
        }
        picture = element("td", None, element("a", {"href": target}, element("img", attributes)))
    title = printable(name)
    first = element("td", None, element("a", {"href": target}, title) if target else title)
    distance, measure = score
    far = f"{distance:.1f} ({MEASURES[measure][0]})" if measure else ""
    values = [_cell(case.get(measure), 3 if measure == "predicted_quality" else 1) for measure in MEASURES]
    said = printable(case.get("error") or case.get("flags") or "")
    return element(
        "tr",
        {"class": state.replace(" ", "-"), "data-flags": case.get("flag_count", 0)},
        picture,
        first,
        element("td", None, state),
        element("td", {"data-value": f"{distance:.3f}"}, far),
        *values,
        element("td", {"class": "words"}, said),
    )


def _cell(value: float | None, digits: int) -> Element:
    if value is None:
        return element("td")
    return element("td", {"class": "number", "data-value": str(value)}, f"{value:.{digits}f}")
