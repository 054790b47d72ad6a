"""Options of engines: precision, attention, and the ranges of input shapes."""

import math
from dataclasses import dataclass

from cardiacseg.errors import InvalidInputError
from cardiacseg.export.engine_graph import PRECISIONS

Range = tuple[int, int, int]
Shapes = tuple[list[int], list[int], list[int]]

FLAVOURS = {"tensorrt": "tensorrt", "rtx": "tensorrt_rtx"}  # by their names in commands

# A builder's memory and time grow with the largest shape, and it times tactics at the best shape. So these ranges hold
# the shapes of scanners and little more. 160 pixels of 4 mm are a field of view of 640 mm.
DEFAULT_SLICES: Range = (1, 10, 24)
DEFAULT_FRAMES: Range = (1, 7, 8)
DEFAULT_SIZE: Range = (32, 96, 160)


@dataclass(frozen=True)
class EngineOptions:
    """Options of a build. Ranges are (smallest, best, largest); an engine is fastest for the best shape.

    ``frames`` run together in one call. A longer cine is split evenly: 25 frames into 7, 6, 6 and 6 if 8 is the
    largest, so 7 is the best. ``size`` is the side in pixels of the whole, coarse picture for the locator; the other
    stages see the bundle's crop. ``compute_capabilities``, such as "8.6", are for TensorRT-RTX; without any it chooses
    them itself. Raises :class:`InvalidInputError`.
    """

    flavour: str = "tensorrt"
    precision: str = "fp16"
    plugin: bool = False
    slices: Range = DEFAULT_SLICES
    frames: Range = DEFAULT_FRAMES
    size: Range = DEFAULT_SIZE
    compute_capabilities: tuple[str, ...] = ()

    def __post_init__(self):
        if self.flavour not in FLAVOURS.values():
            raise InvalidInputError(f"flavour must be {' or '.join(FLAVOURS.values())}, got {self.flavour!r}")
        if self.precision not in PRECISIONS:
            raise InvalidInputError(f"precision must be {' or '.join(PRECISIONS)}, got {self.precision!r}")
        for name in ("slices", "frames", "size"):
            smallest, best, largest = getattr(self, name)
            if not 1 <= smallest <= best <= largest:
                raise InvalidInputError(
                    f"{name} must be MIN,OPT,MAX with 1 <= MIN <= OPT <= MAX, got {smallest},{best},{largest}"
                )


def input_ranges(
    stage: str, inputs: dict[str, tuple], options: EngineOptions, preprocessing: dict
) -> dict[str, Shapes]:
    """Smallest, best and largest shape of each of a graph's ``inputs``, by the manifest's ``preprocessing``."""
    return {name: tuple(_shapes(stage, name, shape, options, preprocessing)) for name, shape in inputs.items()}


def _shapes(stage: str, name: str, shape: tuple, options: EngineOptions, preprocessing: dict):
    for frames, slices, size in zip(options.frames, options.slices, options.size, strict=True):
        if name == "cu_slices":
            yield [frames + 1]
            continue
        side = preprocessing["crop_pixels"]
        if stage == "locate":
            multiple = preprocessing["locate"]["size_multiple"]
            side = math.ceil(size / multiple) * multiple
        yield [frames, slices, shape[2], side, side]
