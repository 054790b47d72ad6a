"""Signs that a segmentation, or the images, deserve a second look. Nothing is ever corrected because of one."""
