"""Fusion and preprocessing: the kernel and PyTorch's ways, each with the reference that it is compared with."""

from collections.abc import Callable

import torch

from cardiacseg.kernels import images
from cardiacseg.kernels.cases import ImageCase
from cardiacseg.kernels.measure import Way, largest_difference

THRESHOLD, TEMPERATURE = 0.5, 1.25
PERCENTILES = (1.0, 99.0)
# Half a unit in the last place of the largest value, twice: of a percentile up to 3,000, of an intensity up to 1.
PERCENTILE_LIMIT = 5e-4
PIXEL_LIMITS = {"float32": 2e-5, "float16": 5e-4}


def with_compiled(name: str, call: Callable[[], object], compiled: bool) -> dict[str, Callable[[], object]]:
    if not compiled:
        return {name: call}
    return {name: call, f"torch.compile of {name}": torch.compile(call, dynamic=False)}


def fusion_ways(
    case: ImageCase, logits: torch.Tensor, presence: torch.Tensor, kernel: Callable[[], torch.Tensor], compiled: bool
) -> list[Way]:
    """The error is how many labels are wrong; those that rounding decides are not."""
    places = images.sampling_grid(case, logits.device)
    wanted, shares = images.fuse(logits, presence, places, THRESHOLD, TEMPERATURE, torch.float64)
    ready = (places[0].float(), places[1])

    def error(labels: object) -> float:
        return float(images.wrong_labels(labels, wanted, shares))

    def torch_way() -> torch.Tensor:
        return images.fuse(logits, presence, ready, THRESHOLD, TEMPERATURE)[0]

    others = with_compiled("PyTorch softmax, grid_sample, argmax", torch_way, compiled)
    return [Way("cardiacseg", kernel, error, 0.0), *(Way(name, call, error, 0.0) for name, call in others.items())]


def percentile_ways(image: torch.Tensor, kernel: Callable[[], torch.Tensor]) -> list[Way]:
    wanted = images.percentiles(image, *PERCENTILES, torch.float64)

    def error(ranges: object) -> float:
        return largest_difference(ranges, wanted)

    return [
        Way("cardiacseg", kernel, error, PERCENTILE_LIMIT),
        Way("PyTorch quantile", lambda: images.percentiles(image, *PERCENTILES), error, 2 * PERCENTILE_LIMIT),
    ]


def preprocessing_ways(
    case: ImageCase, image: torch.Tensor, ranges: torch.Tensor, kernel: Callable[[], torch.Tensor], compiled: bool
) -> list[Way]:
    wanted = images.preprocess(image, ranges.double(), case, torch.float64)

    def error(pixels: object) -> float:
        return largest_difference(pixels, wanted)

    others = with_compiled("PyTorch interpolate", lambda: images.preprocess(image, ranges, case), compiled)
    limit = PIXEL_LIMITS[case.dtype]
    return [
        Way("cardiacseg", kernel, error, limit),
        *(Way(name, call, error, 2 * limit) for name, call in others.items()),
    ]
