"""Quality checks of a segmentation and its images. A flag asks a person to look; nothing is corrected because of it."""

from cardiacseg.io.cine import Flag
from cardiacseg.quality.checks import checked, find_flags, quality_document, with_note

__all__ = ["Flag", "checked", "find_flags", "quality_document", "with_note"]
