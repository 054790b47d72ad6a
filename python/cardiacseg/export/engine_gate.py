"""The parity gate at the end of a build: the engines on this machine's GPU against the CPU's networks."""

from pathlib import Path

from cardiacseg.errors import BackendError
from cardiacseg.export.engine_options import EngineOptions
from cardiacseg.segmenter import CardiacSegmenter, list_backends

FINE_MM = 1.5


class ParityGateError(RuntimeError):
    """Engines whose outputs are too far from the CPU's. They are not saved."""


def pass_gate(bundle: Path, engines: Path, options: EngineOptions, preprocessing: dict) -> str | None:
    """Run the engines of the folder ``engines`` on synthetic hearts: the best and the largest batch that they take.

    Returns None where they passed, and are marked so, else why they could not be run here. Raises
    :class:`ParityGateError` with the numbers.
    """
    backend = next(entry for entry in list_backends() if entry["name"] == options.flavour)
    if not backend["available"]:
        return backend["reason"]
    try:
        segmenter = CardiacSegmenter(bundle, device="cuda", engines=engines)
    except BackendError as error:
        if options.compute_capabilities:  # it may be that this GPU is none of those
            return str(error)
        raise
    for size in (2, 1):  # of each range: the largest, the best
        cine, spacing = _beating_heart(options.frames[size], options.slices[size], options.size[size], preprocessing)
        parity = segmenter.verify(cine, spacing=spacing)
        if not parity.passed:
            raise ParityGateError(f"the engines failed the parity gate and were not saved: {parity.summary}")
    return None


def _beating_heart(frames: int, slices: int, coarse_side: int, preprocessing: dict):
    """A cine of ``frames`` that differ, which go together; its coarse picture has about ``coarse_side`` pixels."""
    from cardiacseg.phantom import beating_heart

    seen_mm = preprocessing["crop_pixels"] * preprocessing["spacing_mm"]
    if "locate" in preprocessing:
        seen_mm = coarse_side * preprocessing["locate"]["spacing_mm"]
    side = max(128, int(seen_mm / FINE_MM))
    phantom = beating_heart(frames=frames, slices=slices, size=(side, side), spacing=(8.0, FINE_MM, FINE_MM), seed=1)
    return phantom.image, phantom.spacing
