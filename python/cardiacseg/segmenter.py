"""``CardiacSegmenter``: labels of RV, myocardium and LV for short-axis cine MRI. Research use only."""

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiacseg import _core
from cardiacseg.device_arrays import DeviceArray, as_device_array
from cardiacseg.errors import InputWarning, InvalidInputError
from cardiacseg.measurements import as_spacing
from cardiacseg.pixels import as_pixels

Progress = Callable[[int, int], bool | None]


@dataclass(frozen=True)
class Report:
    """Which backend ran and why, how closely it computes, with which model, and how long it took.

    ``precision`` is ``"fp32"`` or ``"bf16"``; on a GPU what the engines were built in, ``"fp16"`` or ``"fp32"``.
    ``model_digest`` is the SHA-256 of the bundle's manifest, which holds the digests of its other files; ``stages``
    maps each stage to its milliseconds over all frames, in order of running. ``temporal``: whether presence was decided
    over the beat; ``presence_changes`` is by how many decisions (frame, slice, structure) that differs from each
    frame's own. ``graph``, on a GPU: ``"yes"`` if the run replayed CUDA graphs, else ``"no: "`` and why; empty on the
    CPU.
    """

    backend: str
    device: str
    reason: str
    model: str
    model_digest: str
    version: str
    stages: Mapping[str, float]
    temporal: bool = False
    presence_changes: int = 0
    precision: str = "fp32"
    precision_reason: str = ""
    graph: str = ""


@dataclass(frozen=True, eq=False)
class Result:
    """What a run gives.

    ``labels`` is uint8 of the image's shape: 0 background, 1 RV, 2 myocardium, 3 LV; where they were asked to stay on
    the GPU, an object with ``__cuda_array_interface__`` and ``__dlpack__``. In the other arrays, all float32, T is 1
    for a single stack, and three values are those of RV, myocardium and LV.

    ``presence`` ``[T, S, 3]``: probability that a structure is in a slice, from the model's classifier; of a model
    without one, 1 where the structure was labelled, else 0. If ``report.temporal`` is true, it is the probability given
    what the classifier says of the slice in all frames.

    ``agreement`` ``[T, 3]``: Dice between the labels of the model's two stages over the stack on the networks' grid, 1
    where a structure is in neither; NaN for a model of one stage.

    ``quality`` ``[T]``: mean Dice, from 0 to 1, that the model expects of its labels, predicted from the agreement; NaN
    where the model has one stage or no rule for it.

    ``probabilities`` ``[T, S, 4, H, W]``, or ``None`` unless asked for: probability of each label in each voxel, with
    sum 1, calibrated where the model has a temperature. A structure that the classifier does not see in a slice has 0
    there; background has 1 outside of the part of the image that the networks saw. They are those before the labels'
    clean-up, if the model asks for one: where a label was cleaned away it need not be the most probable.

    ``warnings`` says what makes the labels doubtful, each with a ``code``; ``run`` issues them as Python warnings too.
    """

    labels: npt.NDArray[np.uint8] | _core.DeviceLabels
    presence: npt.NDArray[np.float32]
    agreement: npt.NDArray[np.float32]
    quality: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32] | None
    report: Report
    warnings: tuple[InputWarning, ...] = ()


@dataclass(frozen=True)
class Parity:
    """How far networks are from those on the CPU in fp32: one dict for each stage, with its numbers.

    ``summary`` says it in one sentence.
    """

    passed: bool
    summary: str
    stages: Sequence[Mapping[str, Any]]


class CardiacSegmenter:
    """Segments short-axis cines on this machine. Making one loads the model; it may be used from several threads.

    It cannot be used in a process that was forked after the first one was made: docs/runtime.md says what works with
    ``multiprocessing``, and what threads and signals do.

    ``model`` is ``"default"`` or a bundle's folder. ``device`` is ``"auto"`` (a GPU where there is one with engines
    that are verified on it, else the CPU; the report says why), ``"cpu"`` or ``"cuda"``. ``threads`` is the most that
    inference uses (0: all cores; labels do not depend on it). ``engines`` is the folder of the GPU's engines, by
    default ``$CARDIACSEG_ENGINES`` or the user's cache. ``cache`` is the folder where networks that were compiled on
    the CPU are kept for later processes (``"off"``: none are; labels do not depend on it), by default
    ``$CARDIACSEG_CACHE`` or the user's cache.

    ``precision`` is ``"fp32"``, ``"bf16"`` or ``"auto"``: on the CPU bf16 if the CPU computes in it natively and the
    bundle's manifest records that it keeps its labels in it, else fp32; on a GPU what the engines were built in. The
    report says which was taken and why. Raises :class:`BundleNotFoundError`, :class:`BundleError`,
    :class:`BackendError` or :class:`InvalidInputError` of :mod:`cardiacseg.errors`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "default",
        device: str = "auto",
        threads: int = 0,
        engines: str | os.PathLike[str] | None = None,
        cache: str | os.PathLike[str] | None = None,
        precision: str = "auto",
    ):
        self._core = _core.CardiacSegmenter(
            bundle_folder(model), device, threads, precision, engines or "", cache or ""
        )

    @property
    def precision(self) -> str:
        """What runs compute in, as :attr:`Report.precision` says."""
        return self._core.precision

    def run(
        self,
        image: npt.ArrayLike,
        *,
        spacing: tuple[float, float, float] | None = None,
        probabilities: bool = False,
        progress: Progress | None = None,
        stream: Any = None,
        device_labels: bool = False,
        temporal: str = "auto",
    ) -> Result:
        """Label every voxel of a stack ``[S, H, W]`` or a cine ``[T, S, H, W]`` of any real type, strides and order.

        ``spacing`` is (slice, row, column), centre to centre, in mm; it has no default, as areas and volumes depend on
        it. ``probabilities`` asks for those of each voxel, 16 bytes each; labels do not depend on it. ``progress`` is
        called with frames done and frames in total, first with 0, last with all; if it returns False the run stops with
        :class:`CancelledError`, and what it raises comes out of ``run``. Raises :class:`InvalidInputError` before any
        computation for an image that cannot be a short-axis cine, and warns of doubtful labels with
        :class:`InputWarning`. In the main thread, Ctrl-C ends a run within a frame.

        ``temporal="auto"``: in a cine of 6 or more frames, whether a structure is in a slice is decided over the beat,
        and frames in which that changes a decision are labelled again (``progress`` repeats its number meanwhile).
        Below 6 frames, and with ``"off"``, a cine gives the same labels as its frames one by one.

        With ``device="cuda"`` the image may already lie on the GPU, contiguous: an object with DLPack or
        ``__cuda_array_interface__``. ``stream``, the CUDA stream on which it becomes ready, is a number or an object
        of cuda-python, CuPy or PyTorch; without it, what the image says. ``device_labels`` leaves the labels on the
        GPU; they are ready when this returns.
        """
        wanted = (as_spacing(spacing), progress, probabilities, device_labels, temporal)
        on_device = as_device_array(image, stream)
        if on_device is not None:
            shape = on_device.shape
            found = self._core.run_device(*_device_cine(on_device), *wanted, on_device.stream)
        else:
            pixels = as_pixels(image)
            shape = pixels.shape
            found = self._core.run(_as_cine(pixels), *wanted)
        labels, report = found.pop("labels"), found.pop("report")
        doubts = tuple(InputWarning(code, text) for code, text in found.pop("warnings"))
        for doubt in doubts:
            warnings.warn(doubt, stacklevel=2)
        return Result(labels=labels.reshape(shape), report=Report(**report), warnings=doubts, **found)

    def warm_up(
        self,
        shapes: Sequence[Sequence[int]],
        *,
        spacing: tuple[float, float, float],
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        """Do now what would make the first run on images of these shapes slow, with a synthetic picture of each.

        Networks are compiled, memory is taken, and on a GPU the CUDA graphs are recorded, for one run at a time: of
        runs that go on at once, each but one still sets up its own. A shape is ``[S, H, W]`` or
        ``[T, S, H, W]``. Raises what ``run`` raises.
        """
        for shape in shapes:
            _require_stack_or_cine(shape)
        cines = [tuple(shape) if len(shape) == 4 else (1, *shape) for shape in shapes]
        pixel = as_pixels(np.zeros((), dtype)).dtype
        self._core.warm_up(cines, as_spacing(spacing), pixel)

    def verify(self, image: npt.ArrayLike, *, spacing: tuple[float, float, float], stream: Any = None) -> Parity:
        """Put the networks through the parity gate: their outputs for this image against those of the CPU in fp32.

        On a GPU the networks are the engines; if they pass, their files are marked as verified on this GPU. On the CPU
        they are the bundle's in bf16, whatever precision this segmenter runs in. Raises :class:`BackendError` if the
        CPU does not compute in bf16, and what ``run`` raises. With ``device="cuda"`` the image may lie on the GPU;
        ``stream`` is that of ``run``.
        """
        on_device = as_device_array(image, stream)
        if on_device is not None:
            return Parity(**self._core.verify_device(*_device_cine(on_device), as_spacing(spacing), on_device.stream))
        return Parity(**self._core.verify(_as_cine(as_pixels(image)), as_spacing(spacing)))

    def trim(self) -> None:
        """Give back the GPU's memory that no run is using; the next run of each kind takes it anew."""
        self._core.trim()


def bundle_folder(model: str | os.PathLike[str]) -> Path:
    """Folder of the bundle that :class:`CardiacSegmenter` loads for ``model``, whether it is there or not."""
    return Path(__file__).with_name("bundles") / "default" if model == "default" else Path(model)


def bundle_digest(model: str | os.PathLike[str]) -> str:
    """SHA-256 of a bundle's manifest, which holds the digests of its other files: ``Report.model_digest``.

    Raises ``OSError`` where there is none.
    """
    return hashlib.sha256((bundle_folder(model) / "manifest.json").read_bytes()).hexdigest()


def explain_device(
    model: str | os.PathLike[str] = "default",
    device: str = "auto",
    engines: str | os.PathLike[str] | None = None,
    precision: str = "auto",
) -> dict[str, str]:
    """What a segmenter made so would run on: its ``backend``, ``device`` and the ``reason`` in one sentence.

    ``precision`` and ``precision_reason`` say the same of what it computes in.
    """
    return _core.explain_device(bundle_folder(model), device, 0, precision, engines or "")


def list_backends() -> list[dict]:
    """Every backend of this build: its ``name``, ``device``, whether it is ``available``, and the ``reason``."""
    return _core.list_backends()


def _require_stack_or_cine(shape: Sequence[int]) -> None:
    if len(shape) not in (3, 4):
        raise InvalidInputError(
            f"image must be [slices, rows, columns] or [frames, slices, rows, columns], "
            f"got {len(shape)} axes of lengths {list(shape)}"
        )


def _device_cine(image: DeviceArray) -> tuple:
    """Address, dtype, shape and strides of a cine; a stack is a cine of one frame."""
    _require_stack_or_cine(image.shape)
    shape, strides = image.shape, image.strides
    if len(shape) == 3:
        shape, strides = (1, *shape), (shape[0] * strides[0], *strides)
    return image.address, np.dtype(np.uint8) if image.dtype == np.bool_ else image.dtype, shape, strides


def _as_cine(pixels: np.ndarray) -> np.ndarray:
    _require_stack_or_cine(pixels.shape)
    return pixels if pixels.ndim == 4 else pixels[np.newaxis]
