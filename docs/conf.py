"""Sphinx configuration of the documentation site: ``sphinx-build -W docs build/docs``."""

from pathlib import Path

import cardiacseg

project = "cardiacseg"
release = cardiacseg.__version__
html_title = f"cardiacseg {release}"
html_theme = "furo"
html_show_copyright = False

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"

ROOT = Path(__file__).parents[1]
# Pages of the site whose text stands outside docs/, where a code host's visitors look for it.
OUTSIDE = {
    "index": "README.md",
    "contributing": "CONTRIBUTING.md",
    "changelog": "CHANGELOG.md",
    "model_card": "python/cardiacseg/bundles/default/MODEL_CARD.md",
    "licence": "LICENSE",
}


def read_page(app, page: str, source: list[str]) -> None:
    """Put the text of a page that stands outside docs/ before its own, and point links to the pages of the site."""
    if page in OUTSIDE:
        text = (ROOT / OUTSIDE[page]).read_text(encoding="utf-8")
        source[0] = (f"# Licence\n\n```text\n{text}```\n" if page == "licence" else text) + "\n" + source[0]
    for name, path in OUTSIDE.items():
        for link in (path, f"../{path}"):
            source[0] = source[0].replace(f"]({link}", f"]({name}.md")
    if page in OUTSIDE:
        source[0] = source[0].replace("](docs/", "](")


def setup(app) -> None:
    app.connect("source-read", read_page)
