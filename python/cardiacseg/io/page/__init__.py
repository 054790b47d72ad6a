"""The report for people: one HTML page that plays the cine, and one PDF page. Needs matplotlib."""

from cardiacseg.io.page.page import write_page
from cardiacseg.io.page.pdf import write_pdf

__all__ = ["write_page", "write_pdf"]
