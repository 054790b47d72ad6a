"""What engines are built for: precision, attention, and the shapes that they take."""

import math
from dataclasses import dataclass

from cardiacseg.errors import InvalidInputError
from cardiacseg.export.engine_graph import PRECISIONS

Range = tuple[int, int, int]
Shapes = tuple[list[int], list[int], list[int]]

FLAVOURS = {"tensorrt": "tensorrt", "rtx": "tensorrt_rtx"}  # by their names in commands


@dataclass(frozen=True)
class EngineOptions:
    """Options of a build. Ranges are (smallest, best, largest); an engine is fastest for the best.

    ``size`` is the side in pixels of the whole, coarse picture that the locator sees; the other stages see the
    bundle's crop. ``compute_capabilities``, "8.6", are for TensorRT-RTX; without any it chooses. Raises
    :class:`InvalidInputError`.
    """

    flavour: str = "tensorrt"
    precision: str = "fp16"
    plugin: bool = False
    slices: Range = (1, 10, 32)
    frames: Range = (1, 1, 8)
    size: Range = (32, 112, 256)
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
    multiple, crop = preprocessing["locate"]["size_multiple"], preprocessing["crop_pixels"]
    for frames, slices, size in zip(options.frames, options.slices, options.size, strict=True):
        if name == "cu_slices":
            yield [frames + 1]
            continue
        side = math.ceil(size / multiple) * multiple if stage == "locate" else crop
        yield [frames, slices, shape[2], side, side]
