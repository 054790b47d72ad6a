"""What an image shows, by Image Type and Complex Image Component."""

MAGNITUDE = "magnitude"
REASONS = {
    "localizer": "it is a localizer",
    "phase": "its pixels are phases or velocities, not magnitudes",
    "complex part": "its pixels are real or imaginary parts, not magnitudes",
    "derived": "it was derived from other images",
    "other": "its pixels are colours, or it holds several frames in a classic instance",
}
_LOCALIZER = {"LOCALIZER", "SCOUT"}
_PHASE = {"P", "PHASE", "PHASE MAP", "VELOCITY", "VELOCITY MAP", "PHASE CONTRAST", "FLOW_VELOCITY"}
_PARTS = {"R", "I", "REAL", "IMAGINARY"}


def image_kind(image_type: tuple[str, ...], component: tuple[str, ...], lossy: bool = False) -> str:
    """``MAGNITUDE`` or a key of ``REASONS``; words in capitals, as the header has them.

    Vendors put the component anywhere behind the first two words of Image Type; where none is named it is magnitude.
    Images that went through ``lossy`` compression must call themselves derived, and are taken all the same.
    """
    found = {*image_type[2:], *component}
    if found & _LOCALIZER:
        return "localizer"
    if found & _PHASE:
        return "phase"
    if found & _PARTS:
        return "complex part"
    if (image_type[0] == "DERIVED" and not lossy) or image_type[1:2] == ("SECONDARY",):
        return "derived"
    return MAGNITUDE
