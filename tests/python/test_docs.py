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
