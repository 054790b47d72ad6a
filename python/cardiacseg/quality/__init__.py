"""Signs that a segmentation, or the images, deserve a second look. Nothing is ever corrected because of one."""

from cardiacseg.quality.flag import Flag
from cardiacseg.quality.outcome import find_flags, quality_document

__all__ = ["Flag", "find_flags", "quality_document"]
