from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

__version__: str
CACHE_BYTES: int
COMPILED_BYTES: int
MYOCARDIAL_DENSITY: float
engines: ModuleType

class CardiacSegmenter:
    def __init__(
        self,
        bundle: str | PathLike[str],
        device: str,
        threads: int,
        precision: str,
        engines: str | PathLike[str],
        cache: str | PathLike[str],
    ) -> None: ...
    @property
    def choice(self) -> dict[str, str]: ...
    def run(
        self,
        image: npt.NDArray[Any],
        spacing: tuple[float, float, float],
        progress: Callable[[int, int], bool | None] | None,
        probabilities: bool,
        device_labels: bool,
        temporal: str,
    ) -> dict[str, Any]: ...
    def run_device(
        self,
        address: int,
        dtype: np.dtype[Any],
        shape: tuple[int, int, int, int],
        strides: tuple[int, int, int, int],
        spacing: tuple[float, float, float],
        progress: Callable[[int, int], bool | None] | None,
        probabilities: bool,
        device_labels: bool,
        temporal: str,
        stream: int,
    ) -> dict[str, Any]: ...
    def warm_up(
        self,
        shapes: list[tuple[int, int, int, int]],
        spacing: tuple[float, float, float],
        dtype: np.dtype[Any],
    ) -> None: ...
    def verify(self, image: npt.NDArray[Any], spacing: tuple[float, float, float]) -> dict[str, Any]: ...
    def verify_device(
        self,
        address: int,
        dtype: np.dtype[Any],
        shape: tuple[int, int, int, int],
        strides: tuple[int, int, int, int],
        spacing: tuple[float, float, float],
        stream: int,
    ) -> dict[str, Any]: ...
    def trim(self) -> None: ...

class DeviceLabels:
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...
    def reshape(self, shape: tuple[int, ...]) -> DeviceLabels: ...
    def __dlpack__(self, **options: Any) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

class MeasurementOptions:
    def __init__(
        self,
        *,
        ed_frame: int | None,
        es_frame: int | None,
        rv_own_phases: bool,
        trapezoid: bool,
        papillary_in_mass: bool,
        du_bois: bool,
    ) -> None: ...

def read_dlpack(capsule: Any) -> tuple[int, np.dtype[Any], tuple[int, ...], tuple[int, ...]]: ...
def explain_device(
    bundle: str | PathLike[str], device: str, threads: int, precision: str, engines: str | PathLike[str]
) -> dict[str, str]: ...
def compiled_networks_folder(requested: str | PathLike[str] = "") -> Path: ...
def list_backends() -> list[dict[str, Any]]: ...
def region_sizes(mask: npt.NDArray[np.uint8], neighbors: int) -> list[int]: ...
def measure(
    labels: npt.NDArray[np.uint8],
    spacing: tuple[float, float, float],
    options: MeasurementOptions,
    *,
    included: npt.NDArray[np.bool_],
    image: npt.NDArray[Any] | None,
    slice_shares_mm: Sequence[float],
    frame_times_ms: Sequence[float],
    rr_interval_ms: float | None,
    height_m: float | None,
    weight_kg: float | None,
    anterior: tuple[float, float],
) -> dict[str, Any]: ...
