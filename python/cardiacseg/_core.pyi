from collections.abc import Callable
from os import PathLike
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

__version__: str
MYOCARDIAL_DENSITY: float
ops: ModuleType

class CardiacSegmenter:
    def __init__(self, bundle: str | PathLike[str], device: str, threads: int) -> None: ...
    def run(
        self,
        image: npt.NDArray[Any],
        spacing: tuple[float, float, float],
        progress: Callable[[int, int], bool | None] | None,
        probabilities: bool,
    ) -> dict[str, Any]: ...

def list_backends() -> list[dict[str, Any]]: ...
def measure(labels: npt.NDArray[np.uint8], spacing: tuple[float, float, float]) -> dict[str, Any]: ...
