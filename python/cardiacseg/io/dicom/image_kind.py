"""What an image shows, by Image Type and Complex Image Component."""

MAGNITUDE = "magnitude"
# What a cine can consist of, the best first: DERIVED\PRIMARY is what scanners write that interpolate phases.
CINE_KINDS = (MAGNITUDE, "derived primary", "derived")
REASONS = {
    "localizer": ("R_LOCALIZER", "it is a localizer"),
    "phase": ("R_PHASE", "its pixels are phases or velocities, not magnitudes"),
    "complex part": ("R_COMPLEX_PART", "its pixels are real or imaginary parts, not magnitudes"),
    "derived primary": ("R_DERIVED", "it is marked as derived from other images"),
    "derived": ("R_DERIVED", "it was derived from other images"),
    "other": ("R_OTHER", "its pixels are colours, or it holds several frames in a classic instance"),
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
    if image_type[1:2] == ("SECONDARY",):
        return "derived"
    return "derived primary" if image_type[0] == "DERIVED" and not lossy else MAGNITUDE
