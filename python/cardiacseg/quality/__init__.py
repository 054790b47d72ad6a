"""Signs that a segmentation, or the images, deserve a second look. Nothing is ever corrected because of one."""

from cardiacseg.io.cine import Flag
from cardiacseg.quality.checks import checked, find_flags, quality_document, with_note

__all__ = ["Flag", "checked", "find_flags", "quality_document", "with_note"]
