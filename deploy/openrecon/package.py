#!/usr/bin/env python3
"""Makes the parts of an Open Recon package: the image's label, the manual as PDF, and the zip of image and manual."""

import argparse
import base64
import json
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
_LINES, _LETTERS = 62, 96  # of an A4 page


def label() -> dict:
    """The description of the container, as its host reads it."""
    return json.loads((HERE / "label.json").read_text(encoding="utf-8"))


def names() -> tuple[str, str]:
    """The image's tag, and the stem of the files' names; the host demands these forms."""
    general = label()["general"]
    product, version = f"OpenRecon_{general['vendor']}_{general['name']['en']}", general["version"]
    return f"{product}:v{version}".lower(), f"{product}_V{version}"


def metadata() -> str:
    """The value of the image's label."""
    return base64.b64encode(json.dumps(label(), indent=2).encode()).decode()


def manual_lines(markdown: str) -> Iterator[tuple[str, dict]]:
    """Lines of the manual and how they look: headings, paragraphs and lists, wrapped."""
    for block in markdown.strip().split("\n\n"):
        if block.startswith("#"):
            size = 16 if block.startswith("# ") else 11
            yield block.lstrip("# "), {"fontsize": size, "weight": "bold"}
            yield from [("", {})] * (size > 11)
            continue
        items = block.split("\n- ") if block.startswith("- ") else [block]
        for item in items:
            indent = "   " if block.startswith("- ") else ""
            text = " ".join(item.removeprefix("- ").split())
            first = indent[:-3] + "•  " if indent else ""
            lines = textwrap.wrap(text, _LETTERS, initial_indent=first, subsequent_indent=indent)
            yield from ((line, {"fontsize": 9}) for line in lines)
        yield "", {}


def write_pdf(path: Path) -> None:
    """The manual, A4; the same text gives the same bytes."""
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure

    lines = list(manual_lines((HERE / "manual.md").read_text(encoding="utf-8")))
    with PdfPages(path, metadata={"Title": "cardiacseg for Open Recon", "CreationDate": None}) as pages:
        for begin in range(0, len(lines), _LINES):
            figure = Figure(figsize=(8.27, 11.69))
            for row, (line, look) in enumerate(lines[begin : begin + _LINES]):
                figure.text(0.09, 0.95 - row * 0.0145, line, va="top", parse_math=False, **look)
            pages.savefig(figure)


def pack(image: Path, folder: Path) -> Path:
    """Zip a saved image (``docker save``) and the manual under the names that the host demands."""
    stem = names()[1]
    archive = folder / f"{stem}.zip"
    manual, beside = folder / f"{stem}.pdf", archive.with_suffix(".partial")
    folder.mkdir(parents=True, exist_ok=True)
    write_pdf(manual)
    try:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.write(image, f"{stem}.tar")
            packed.write(manual, f"{stem}.pdf")
        beside.replace(archive)
    finally:
        beside.unlink(missing_ok=True)
    return archive


def main() -> None:
    """One of the parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("metadata", help="print the value of the image's label")
    parts.add_parser("tag", help="print the image's name and tag")
    parts.add_parser("pdf", help="write the manual").add_argument("file", type=Path)
    zipped = parts.add_parser("zip", help="write the manual, and the zip of a saved image and the manual")
    zipped.add_argument("image", type=Path, help="the image as 'docker save' writes it")
    zipped.add_argument("-o", "--output", type=Path, default=Path(), help="folder for both")
    options = parser.parse_args()
    if options.part == "metadata":
        print(metadata())
    elif options.part == "tag":
        print(names()[0])
    elif options.part == "pdf":
        write_pdf(options.file)
    else:
        print(pack(options.image, options.output))


if __name__ == "__main__":
    main()
