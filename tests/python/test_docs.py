"""The documentation site builds without a warning, and each page says for whom it is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page for page in (ROOT / "docs").glob("*.md") if page.stem != "index" and not page.read_text().startswith("<!--")
)


def test_the_site_builds_without_warnings(tmp_path):
    pytest.importorskip("sphinx", reason='the documentation site needs pip install ".[docs]"')
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", tmp_path / "cache"]
    built = subprocess.run([*command, ROOT / "docs", tmp_path / "site"], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert "CardiacSegmenter.run" in (tmp_path / "site" / "python_api.html").read_text()
    assert "<title>cardiacseg" in (tmp_path / "site" / "index.html").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_for_whom_it_is(page):
    assert re.match(r"# .+\n\nFor .+\.", page.read_text()), "expected a heading and then a sentence: For ..."


TOP_FOLDERS = "cpp|python|tests|tools|benchmarks|docs|deploy|cmake"
FOLDERS = [
    "",
    "python/cardiacseg",
    "tests/python",
    "cpp/src",
    "cpp/src/ops",
    "cpp/src/backends",
    "cpp/src/backends/tensorrt",
]


def named_paths(text, short):
    """Patterns of the paths that a page names; with ``short`` also those that leave out the first folders."""
    for name in re.findall(r"`([^`\n]+)`", text):
        path = re.sub(r"<\w+>", "*", name)
        is_path = re.match(rf"({TOP_FOLDERS})/", path) or (short and re.search(r"\w(/|\.(py|cc|h|md))$", path))
        if is_path and re.fullmatch(r"[\w./*-]+", path):
            yield path.rstrip("/")


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md", *(f"docs/{page.name}" for page in PAGES)])
def test_a_page_names_paths_that_exist(page):
    named = set(named_paths((ROOT / page).read_text(), short=page == "CONTRIBUTING.md"))
    missing = [path for path in named if not any(any((ROOT / folder).glob(path)) for folder in FOLDERS)]
    assert missing == []
    assert page != "CONTRIBUTING.md" or len(named) > 50
