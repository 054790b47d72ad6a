"""A check, the context of all checks, and the words for a place: slices and phases count from 1 in sentences."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cardiacseg.io.cine import Flag, SegmentedCine
from cardiacseg.metrics import STRUCTURES

STRUCTURE_WORDS = {"rv": "RV", "myo": "myocardium", "lv": "LV"}


class CheckContext:
    """A segmented cine of T frames and S slices, with quantities that are computed once for all checks."""

    def __init__(self, segmented: SegmentedCine):
        self.cine = segmented.cine
        self.labels = np.asarray(segmented.labels)
        self.measurements = segmented.measurements
        self.result = segmented.result

    @property
    def frames(self) -> int:
        """T."""
        return self.labels.shape[0]

    @property
    def slices(self) -> int:
        """S."""
        return self.labels.shape[1]

    @cached_property
    def slice_weights(self) -> np.ndarray:
        """Length of the axis that each slice represents, in mean slice spacings, ``[S]``; 1 if slices are even."""
        lengths_mm = self.cine.geometry.slice_shares_mm
        return np.ones(self.slices) if lengths_mm is None else np.array(lengths_mm) / self.cine.spacing[0]

    @cached_property
    def steps_mm(self) -> np.ndarray:
        """Distance from each slice's center to the next one's, ``[S - 1]``."""
        offsets = self.cine.geometry.slice_offsets_mm
        return np.full(self.slices - 1, self.cine.spacing[0]) if offsets is None else np.diff(offsets)

    def areas(self, structure: str) -> np.ndarray:
        """Area of a structure in each slice in mm2, float64 ``[T, S]``."""
        return np.asarray(self.measurements.areas_mm2)[..., list(STRUCTURES).index(structure)]

    def present(self, structure: str) -> np.ndarray:
        """Whether each slice has the structure, bool ``[T, S]``."""
        return self.areas(structure) > 0

    @property
    def labelled(self) -> bool:
        """Whether any slice of any frame has a label."""
        return bool(np.any(self.measurements.areas_mm2))

    @property
    def ed_and_es(self) -> list[int]:
        """The frames that the volumes come from: ED and ES, or the only one."""
        found = self.measurements
        return [frame for frame in (found.ed_frame, found.es_frame) if frame is not None]

    @property
    def pixel_mm2(self) -> float:
        """Area of a pixel."""
        return self.cine.spacing[1] * self.cine.spacing[2]

    @cached_property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns that hold all labels of all slices and frames."""
        shown = (self.labels > 0).any(axis=(0, 1))
        return tuple(_extent(shown.any(axis=axis)) for axis in (1, 0))

    def planes(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """Frame, slice and labels ``[h, w]`` of each slice that has any, cut to the heart with a rim of background."""
        for frame, index in np.argwhere(np.any(self.measurements.areas_mm2, axis=-1)):
            yield int(frame), int(index), np.pad(self.labels[frame, index][self.box], 1)

    def centers_mm(self, structure: str) -> np.ndarray:
        """Center of a structure in each slice in mm along rows and columns, ``[T, S, 2]``; NaN if it is absent."""
        mask = self.labels == STRUCTURES[structure]
        count = mask.sum(axis=(2, 3))
        centers = np.full((*count.shape, 2), np.nan)
        for axis, across in enumerate((3, 2)):
            profile = mask.sum(axis=across)
            total = profile @ (np.arange(profile.shape[-1]) * self.cine.spacing[1 + axis])
            np.divide(total, count, out=centers[..., axis], where=count > 0)
        return centers


def _extent(line: np.ndarray) -> slice:
    found = np.flatnonzero(line)
    return slice(found[0], found[-1] + 1) if len(found) else slice(0, 0)


@dataclass(frozen=True)
class NotChecked:
    """The result of a check that could not be made, with the reason in one sentence."""

    reason: str


Found = list[Flag] | NotChecked


@dataclass(frozen=True)
class Check:
    """One line of the table of checks.

    ``what`` describes in words what raises it. ``threshold`` (one limit, or the lowest and the highest value that are
    not raised) is in ``unit``; ``source`` gives the origin of the threshold. ``structure`` is ``"rv"``, ``"myo"``,
    ``"lv"`` or ``None``. ``find`` returns the flags, an empty list if the check passes.
    """

    code: str
    what: str
    threshold: float | tuple[float, float]
    unit: str
    source: str
    find: "Callable[[CheckContext, Check], Found]"
    structure: str | None = None

    def flag(self, text: str, value: float, frame: int | None = None, slice: int | None = None) -> Flag:
        """A flag of this check; it holds the threshold that ``value`` exceeded."""
        threshold = self.threshold
        if isinstance(threshold, tuple):
            threshold = threshold[0] if value < threshold[0] else threshold[1]
        return Flag(self.code, text, float(value), float(threshold), self.structure, frame, slice)

    def outside(self, value: float) -> bool:
        """Whether ``value`` lies outside the two thresholds."""
        low, high = self.threshold
        return not low <= value <= high


def place(frame: int, index: int) -> str:
    """``"slice 3 of phase 7"``."""
    return f"slice {index + 1} of phase {frame + 1}"


def and_more(more: int) -> str:
    """The end of a sentence about the worst of several places."""
    if more == 0:
        return ""
    return f" (and in {more} more {'place' if more == 1 else 'places'})"


def worst_place(check: Check, values: np.ndarray, sentence: str) -> list[Flag]:
    """One flag at the place whose ``values`` ``[T, S]`` pass the threshold furthest, none if none does.

    NaN is a place that was not checked. ``sentence`` has the fields ``name`` (of the structure), ``value``,
    ``threshold`` and ``place``; the number of further places is added to it.
    """
    passed = np.nan_to_num(values, nan=-np.inf) > check.threshold
    if not passed.any():
        return []
    frame, index = np.unravel_index(np.nanargmax(values), values.shape)
    value = values[frame, index]
    words = sentence.format(
        name=STRUCTURE_WORDS.get(check.structure),
        value=value,
        threshold=check.threshold,
        place=place(frame, index) + and_more(int(passed.sum()) - 1),
    )
    return [check.flag(words, value, int(frame), int(index))]


def counted_places(check: Check, found: np.ndarray, sentence: str) -> list[Flag]:
    """One flag for all places of bool ``[T, S]``, which names the first; its value is the number of places."""
    if not found.any():
        return []
    frame, index = (int(number) for number in np.argwhere(found)[0])
    count = int(found.sum())
    words = sentence.format(name=STRUCTURE_WORDS.get(check.structure), place=place(frame, index) + and_more(count - 1))
    return [check.flag(words, count, frame, index)]
