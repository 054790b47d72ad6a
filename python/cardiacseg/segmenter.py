"""``CardiacSegmenter``: labels of RV, myocardium and LV for short-axis cine MRI. Research use only."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cardiacseg import _core
from cardiacseg.errors import InvalidInputError
from cardiacseg.measurements import as_spacing

Progress = Callable[[int, int], bool | None]

_NATIVE = {np.dtype(name) for name in ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8")}


@dataclass(frozen=True)
class Report:
    """Which backend ran and why, with which model, and how long it took.

    ``model_digest`` is the SHA-256 of the bundle's manifest, which holds the digests of its other files; ``stages``
    maps each stage to its milliseconds over all frames, in order of running.
    """

    backend: str
    device: str
    reason: str
    model: str
    model_digest: str
    version: str
    stages: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Result:
    """What a run gives.

    ``labels`` is uint8 of the image's shape: 0 background, 1 RV, 2 myocardium, 3 LV. In the other arrays, all float32,
    T is 1 for a single stack, and three values are those of RV, myocardium and LV.

    ``presence`` ``[T, S, 3]``: probability that a structure is in a slice, from the model's classifier; of a model
    without one, 1 where the structure was labelled, else 0.

    ``agreement`` ``[T, 3]``: Dice between the labels of the model's two stages over the stack on the networks' grid, 1
    where a structure is in neither; NaN for a model of one stage.

    ``quality`` ``[T]``: mean Dice, from 0 to 1, that the model expects of its labels, predicted from the agreement; NaN
    where the model has one stage or no rule for it.

    ``probabilities`` ``[T, S, 4, H, W]``, or ``None`` unless asked for: probability of each label in each voxel, with
    sum 1, calibrated where the model has a temperature. A structure that the classifier does not see in a slice has 0
    there; background has 1 outside of the part of the image that the networks saw. They are those before the labels'
    clean-up, if the model asks for one: where a label was cleaned away it need not be the most probable.
    """

    labels: npt.NDArray[np.uint8]
    presence: npt.NDArray[np.float32]
    agreement: npt.NDArray[np.float32]
    quality: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32] | None
    report: Report


class CardiacSegmenter:
    """Segments short-axis cines on this machine. Making one loads the model; it may be used from several threads.

    ``model`` is ``"default"`` or a bundle's folder, ``device`` is ``"auto"``, ``"cpu"`` or ``"cuda"``, ``threads`` is
    the most that inference uses (0: all cores; labels do not depend on it). Raises :class:`BundleNotFoundError`,
    :class:`BundleError`, :class:`BackendError` or :class:`InvalidInputError` of :mod:`cardiacseg.errors`.
    """

    def __init__(self, model: str | os.PathLike[str] = "default", device: str = "auto", threads: int = 0):
        self._core = _core.CardiacSegmenter(bundle_folder(model), device, threads)

    def run(
        self,
        image: npt.ArrayLike,
        *,
        spacing: tuple[float, float, float] | None = None,
        probabilities: bool = False,
        progress: Progress | None = None,
    ) -> Result:
        """Label every voxel of a stack ``[S, H, W]`` or a cine ``[T, S, H, W]`` of any real type, strides and order.

        ``spacing`` is (slice, row, column), centre to centre, in mm; it has no default, as areas and volumes depend on
        it. ``probabilities`` asks for those of each voxel, 16 bytes each; labels do not depend on it. ``progress`` is
        called with frames done and frames in total, first with 0; if it returns False the run stops with
        :class:`CancelledError`, and what it raises comes out of ``run``. Frames are independent of each other. Raises
        :class:`InvalidInputError` before any computation for an image that cannot be a short-axis cine.
        """
        pixels = _pixels(image)
        found = self._core.run(_as_cine(pixels), as_spacing(spacing), progress, probabilities)
        labels, report = found.pop("labels"), found.pop("report")
        return Result(labels=labels.reshape(pixels.shape), report=Report(**report), **found)


def bundle_folder(model: str | os.PathLike[str]) -> Path:
    """Folder of the bundle that :class:`CardiacSegmenter` loads for ``model``, whether it is there or not."""
    return Path(__file__).with_name("bundles") / "default" if model == "default" else Path(model)


def list_backends() -> list[dict]:
    """Every backend of this build: its ``name``, ``device``, whether it is ``available``, and the ``reason``."""
    return _core.list_backends()


def _pixels(image: npt.ArrayLike) -> np.ndarray:
    """The image as an array of a type that the core reads; one of those in native order is not copied."""
    try:
        pixels = np.asarray(image)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(f"image must be an array of numbers, got {type(image).__name__}: {error}") from error
    if pixels.dtype in _NATIVE:
        # what a file's reader calls little-endian may be this machine's own order under another name
        return pixels.view(pixels.dtype.newbyteorder("="))
    if pixels.dtype == np.bool_:
        return pixels.view(np.uint8)
    if pixels.dtype == np.float16:
        return pixels.astype(np.float32)
    if pixels.dtype.kind not in "iuf":
        raise InvalidInputError(f"image must have a real number type, got {pixels.dtype}")
    narrow = pixels.dtype.newbyteorder("=")
    return pixels.astype(narrow if narrow in _NATIVE else np.float64)


def _as_cine(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim not in (3, 4):
        raise InvalidInputError(
            f"image must be [slices, rows, columns] or [frames, slices, rows, columns], "
            f"got {pixels.ndim} axes of lengths {list(pixels.shape)}"
        )
    return pixels if pixels.ndim == 4 else pixels[np.newaxis]
