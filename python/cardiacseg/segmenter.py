"""``CardiacSegmenter``: labels of RV, myocardium and LV for short-axis cine MRI. Research use only."""

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, overload

import numpy as np
import numpy.typing as npt

from cardiacseg import _core
from cardiacseg.errors import InputWarning, InvalidInputError
from cardiacseg.measurements import as_spacing
from cardiacseg.pixels import DeviceArray, as_device_array, as_pixels

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Labels = TypeVar("Labels", default=npt.NDArray[np.uint8])
else:
    from typing import TypeVar

    Labels = TypeVar("Labels")

Progress = Callable[[int, int], bool | None]
ModelPath = str | os.PathLike[str]
Axes = tuple[int, int, int, int]
_ARRAYS = ("labels", "presence", "agreement", "quality", "probabilities")


@dataclass(frozen=True)
class Report:
    """Which backend ran and why, in which precision, with which model, and how long it took.

    ``precision`` is ``"fp32"`` or ``"bf16"``; on a GPU what the engines were built in, ``"fp16"`` or ``"fp32"``.
    ``model_digest`` is the SHA-256 of the bundle's manifest, which holds the digests of its other files; ``stages``
    maps each stage to its milliseconds over all frames, in order of running; reports that differ in these alone are
    equal. ``temporal``: whether presence was decided over all frames of a slice together; ``presence_changes``: the
    number of decisions (frame, slice, structure) that this changed. ``graph``: on a GPU ``"yes"`` if the run replayed
    CUDA graphs, else ``"no: "`` and why; empty on the CPU.
    """

    backend: str
    device: str
    reason: str
    model: str
    model_digest: str
    version: str
    stages: Mapping[str, float] = field(compare=False)
    temporal: bool = False
    presence_changes: int = 0
    precision: str = "fp32"
    precision_reason: str = ""
    graph: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Result(Generic[Labels]):
    """The result of a run.

    ``labels`` is uint8 of the image's shape: 0 background, 1 RV, 2 myocardium, 3 LV. With ``device_labels=True`` it is
    an object in the GPU's memory with ``__cuda_array_interface__`` and ``__dlpack__``. The other arrays are float32. T
    is 1 for a single stack; an axis of length 3 is RV, myocardium, LV.

    ``presence`` ``[T, S, 3]``: probability that a structure is in a slice, from the model's classifier; for a model
    without classifier, 1 if the slice has a label of the structure, else 0. If ``report.temporal`` is true, it is the
    probability given the classifier's outputs in all frames of the slice.

    ``agreement`` ``[T, 3]``: Dice between the labels of the model's two stages over the stack on the networks' grid; 1
    if neither has the structure; NaN if the model has one stage.

    ``quality`` ``[T]``: predicted mean Dice of each frame, from 0 to 1, computed from the agreement; NaN if the model
    has one stage or no rule for it.

    ``probabilities`` ``[T, S, 4, H, W]``, or ``None`` unless asked for: probability of each label in each voxel, with
    sum 1; calibrated if the model has a temperature. A structure whose gate is closed in a slice has 0 there. Outside
    of the crop that the networks see, background has 1. If the model keeps only the largest connected component, the
    probabilities are those before that step: a removed label may still be the most probable one.

    ``warnings``: what makes the labels doubtful, each with a ``code``; ``run`` also issues them as Python warnings.

    Results are equal if all arrays (NaN equals NaN) and all warnings are equal. ``report`` is left out, so that times,
    backend and device do not matter; labels on a GPU are equal only if they are the same object.
    """

    labels: Labels
    presence: npt.NDArray[np.float32]
    agreement: npt.NDArray[np.float32]
    quality: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32] | None
    report: Report
    warnings: tuple[InputWarning, ...] = ()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Result):
            return NotImplemented
        same = all(_equal(getattr(self, name), getattr(other, name)) for name in _ARRAYS)
        return same and list(map(str, self.warnings)) == list(map(str, other.warnings))

    __hash__ = None  # type: ignore[assignment]  # arrays can be changed

    def __repr__(self) -> str:
        shape = " x ".join(map(str, getattr(self.labels, "shape", ())))
        frames, slices = self.presence.shape[:2]
        run = f"{self.report.backend} on {self.report.device}, {self.report.precision}"
        codes = "".join(f", {warning.code}" for warning in self.warnings)
        return f"<Result: labels {shape}, {_count(frames, 'frame')}, {_count(slices, 'slice')}, {run}{codes}>"


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other, equal_nan=one.dtype.kind == other.dtype.kind == "f")
    return one is other


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


@dataclass(frozen=True)
class Parity:
    """Differences between networks and those on the CPU in fp32: in ``stages`` a dict of numbers for each stage.

    ``summary`` is one sentence.
    """

    passed: bool
    summary: str
    stages: Sequence[Mapping[str, Any]]


class CardiacSegmenter:
    """Segments short-axis cines on this machine. The constructor loads the model. Several threads may use one object.

    A pickle holds the arguments alone, so that ``multiprocessing`` and Dask can send a segmenter: unpickling loads the
    model again, from the same path, and raises what the constructor raises. :func:`copy.copy` and
    :func:`copy.deepcopy` give the same object, since nothing can change it. A segmenter cannot be used in a process
    that was forked after the first one was made: docs/runtime.md describes ``multiprocessing``, threads and signals.

    ``model`` is ``"default"`` or a bundle's folder. ``device`` is ``"auto"`` (a GPU if there is one with engines that
    are verified on it, else the CPU; the report gives the reason), ``"cpu"``, ``"cuda"`` (the GPU that the calling
    thread uses) or ``"cuda:N"`` (GPU N, from 0). ``threads`` is the largest number of threads for inference (0: all
    cores; labels do not depend on it). ``engines`` is the folder of the GPU's engines, by default
    ``$CARDIACSEG_ENGINES`` or the user's cache. ``cache`` is the folder that keeps networks compiled for the CPU for
    later processes (``"off"``: none; labels do not depend on it), by default ``$CARDIACSEG_CACHE`` or the user's cache.

    ``precision`` is ``"fp32"``, ``"bf16"`` or ``"auto"``: on the CPU bf16 if the CPU computes in it natively and the
    bundle's manifest records that it keeps its labels in it, else fp32; on a GPU the precision of the engines. The
    report gives the choice and the reason. Raises :class:`BundleNotFoundError`, :class:`BundleError`,
    :class:`BackendError` or :class:`InvalidInputError` of :mod:`cardiacseg.errors`.
    """

    def __init__(
        self,
        model: ModelPath = "default",
        device: str = "auto",
        threads: int = 0,
        engines: ModelPath | None = None,
        cache: ModelPath | None = None,
        precision: str = "auto",
    ) -> None:
        self._core = _core.CardiacSegmenter(
            bundle_folder(model), device, threads, precision, engines or "", cache or ""
        )
        folders = _anywhere(engines or None), _anywhere(cache or None, "off")
        self._arguments = (_anywhere(model, "default"), device, threads, *folders, precision)
        self._choice = self._core.choice

    @property
    def backend(self) -> str:
        """The backend of its runs, as :attr:`Report.backend`."""
        return self._choice["backend"]

    @property
    def device(self) -> str:
        """``"cpu"`` or ``"cuda"``, as :attr:`Report.device`."""
        return self._choice["device"]

    @property
    def precision(self) -> str:
        """The precision of its runs, as :attr:`Report.precision`."""
        return self._choice["precision"]

    def __repr__(self) -> str:
        model = Path(str(self._arguments[0])).name
        return f"<CardiacSegmenter: model {model!r}, {self.backend} on {self.device}, {self.precision}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments

    def __copy__(self) -> "CardiacSegmenter":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "CardiacSegmenter":
        return self

    @overload
    def run(
        self,
        image: npt.ArrayLike,
        *,
        spacing: tuple[float, float, float] | None = None,
        probabilities: bool = False,
        progress: Progress | None = None,
        stream: Any = None,
        device_labels: Literal[False] = False,
        temporal: str = "auto",
    ) -> Result: ...

    @overload
    def run(
        self,
        image: npt.ArrayLike,
        *,
        spacing: tuple[float, float, float] | None = None,
        probabilities: bool = False,
        progress: Progress | None = None,
        stream: Any = None,
        device_labels: Literal[True],
        temporal: str = "auto",
    ) -> Result[_core.DeviceLabels]: ...

    @overload
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
    ) -> Result[Any]: ...

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
    ) -> Result[Any]:
        """Label every voxel of a stack ``[S, H, W]`` or a cine ``[T, S, H, W]`` of any real type, strides and order.

        ``spacing`` is (slice, row, column), center to center, in mm. It has no default, because areas and volumes
        depend on it. ``probabilities`` adds the probabilities of each voxel, 16 bytes each; labels do not depend on it.
        ``progress`` is called with the number of frames done and of all frames, first with 0, last with all. If it
        returns False, the run stops with :class:`CancelledError`; an exception that it raises leaves ``run``. Raises
        :class:`InvalidInputError` before any computation if the image cannot be a short-axis cine, and warns of
        doubtful labels with :class:`InputWarning`. In the main thread, Ctrl-C ends a run within a frame.

        ``temporal="auto"``: in a cine of 6 or more frames, presence is decided over all frames of a slice together;
        frames in which that changes a decision are labelled again (``progress`` repeats its number meanwhile). With
        fewer frames, and with ``"off"``, a cine gives the same labels as its frames one by one.

        With ``device="cuda"`` the image may be a contiguous array in the GPU's memory: an object with DLPack or
        ``__cuda_array_interface__``. ``stream`` is the CUDA stream on which the image becomes ready: a number or an
        object of cuda-python, CuPy or PyTorch, by default the stream that the image's protocol names.
        ``device_labels=True`` leaves the labels on the GPU; they are ready when this method returns.
        """
        millimetres = as_spacing(spacing)
        options = (progress, probabilities, device_labels, temporal)
        on_device = as_device_array(image, stream)
        if on_device is not None:
            shape = on_device.shape
            found = self._core.run_device(*_device_cine(on_device), millimetres, *options, on_device.stream)
        else:
            pixels = as_pixels(image)
            shape = pixels.shape
            found = self._core.run(_as_cine(pixels), millimetres, *options)
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
        """Prepare for images of these shapes, with one run on a synthetic image of each, so that no first run is slow.

        A shape is ``[S, H, W]`` or ``[T, S, H, W]``. This compiles networks, allocates memory, and on a GPU records the
        CUDA graphs, for one run at a time: if several runs start at once, all but the first still prepare their own.
        Raises what ``run`` raises.
        """
        for shape in shapes:
            _require_stack_or_cine(shape)
        cines = [_four(shape if len(shape) == 4 else (1, *shape)) for shape in shapes]
        pixel = as_pixels(np.zeros((), dtype)).dtype
        self._core.warm_up(cines, as_spacing(spacing), pixel)

    def verify(self, image: npt.ArrayLike, *, spacing: tuple[float, float, float], stream: Any = None) -> Parity:
        """Put the networks through the parity gate: compare their outputs for this image with those of the CPU in fp32.

        On a GPU the networks are the engines; if they pass, their files are marked as verified on this GPU. On the CPU
        they are the bundle's networks in bf16, whatever precision this segmenter runs in. Raises :class:`BackendError`
        if the CPU does not compute in bf16, and what ``run`` raises. ``image`` and ``stream`` are as in ``run``.
        """
        on_device = as_device_array(image, stream)
        if on_device is not None:
            return Parity(**self._core.verify_device(*_device_cine(on_device), as_spacing(spacing), on_device.stream))
        return Parity(**self._core.verify(_as_cine(as_pixels(image)), as_spacing(spacing)))

    def trim(self) -> None:
        """Free the GPU memory that no run is using; the next run of each kind allocates it again."""
        self._core.trim()


def _anywhere(path: ModelPath | None, word: str | None = None) -> str | None:
    """A path that stays valid in a process with another working directory; ``word`` and ``None`` stay as they are."""
    return None if path is None else word if path == word else os.path.abspath(path)


def bundle_folder(model: ModelPath) -> Path:
    """Folder of the bundle that :class:`CardiacSegmenter` loads for ``model``, whether it exists or not."""
    return Path(__file__).with_name("bundles") / "default" if model == "default" else Path(model)


def bundle_digest(model: ModelPath) -> str:
    """SHA-256 of a bundle's manifest, which holds the digests of its other files: ``Report.model_digest``.

    Raises ``OSError`` if the manifest cannot be read.
    """
    return hashlib.sha256((bundle_folder(model) / "manifest.json").read_bytes()).hexdigest()


def explain_device(
    model: ModelPath = "default",
    device: str = "auto",
    engines: ModelPath | None = None,
    precision: str = "auto",
) -> dict[str, str]:
    """The ``backend`` and ``device`` of a segmenter with these arguments, and the ``reason`` in one sentence.

    ``precision`` and ``precision_reason`` are the same for its precision. No model is loaded on the CPU.
    """
    return _core.explain_device(bundle_folder(model), device, 0, precision, engines or "")


def list_backends() -> list[dict[str, Any]]:
    """Every backend that this version knows: ``name``, ``device``, whether it is ``available``, and the ``reason``."""
    return _core.list_backends()


def _require_stack_or_cine(shape: Sequence[int]) -> None:
    if len(shape) not in (3, 4):
        raise InvalidInputError(
            f"image must be [slices, rows, columns] or [frames, slices, rows, columns], "
            f"got {len(shape)} axes of lengths {list(shape)}"
        )


def _device_cine(image: DeviceArray) -> tuple[int, np.dtype[Any], Axes, Axes]:
    """Address, dtype, shape and strides of a cine; a stack is a cine of one frame."""
    _require_stack_or_cine(image.shape)
    shape, strides = image.shape, image.strides
    if len(shape) == 3:
        shape, strides = (1, *shape), (shape[0] * strides[0], *strides)
    dtype = np.dtype(np.uint8) if image.dtype == np.bool_ else image.dtype
    return image.address, dtype, _four(shape), _four(strides)


def _four(numbers: Sequence[int]) -> Axes:
    """Numbers of a cine's four axes."""
    frames, slices, rows, columns = numbers
    return frames, slices, rows, columns


def _as_cine(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    _require_stack_or_cine(pixels.shape)
    return pixels if pixels.ndim == 4 else pixels[np.newaxis]
