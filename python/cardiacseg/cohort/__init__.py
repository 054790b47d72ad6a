"""A batch's results together: tables for statistics, and a page to review them."""

from cardiacseg.cohort.review import write_review
from cardiacseg.cohort.tables import read_summary, write_tables

__all__ = ["read_summary", "write_review", "write_tables"]
