"""The report for people: one HTML page that plays the cine, and one PDF page. Needs matplotlib."""

from cardiacseg.io.report.page import write_page
from cardiacseg.io.report.pdf import write_pdf

__all__ = ["write_page", "write_pdf"]
