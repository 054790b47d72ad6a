"""What the checks look at, worked out once for all of them."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from cardiacseg.io.cine import SegmentedCine
from cardiacseg.metrics import STRUCTURES


class Evidence:
    """A segmented cine of T phases and S slices, and what follows from its labels alone."""

    def __init__(self, segmented: SegmentedCine):
        self.cine = segmented.cine
        self.labels = np.asarray(segmented.labels)
        self.measurements = segmented.measurements
        self.result = segmented.result

    @property
    def phases(self) -> int:
        """T."""
        return self.labels.shape[0]

    @property
    def slices(self) -> int:
        """S."""
        return self.labels.shape[1]

    @cached_property
    def shares(self) -> np.ndarray:
        """How much of the axis each slice stands for, in mean distances of slices, ``[S]``: 1 where they are even."""
        shares_mm = self.cine.geometry.slice_shares_mm
        return np.ones(self.slices) if shares_mm is None else np.array(shares_mm) / self.cine.spacing[0]

    @cached_property
    def steps_mm(self) -> np.ndarray:
        """Distance from each slice's centre to the next one's, ``[S - 1]``."""
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
        """Whether any slice of any phase has a label."""
        return bool(np.any(self.measurements.areas_mm2))

    @property
    def ed_and_es(self) -> list[int]:
        """The phases that the volumes come from: ED and ES, or the only one."""
        found = self.measurements
        return [frame for frame in (found.ed_frame, found.es_frame) if frame is not None]

    @property
    def pixel_mm2(self) -> float:
        """Area of a pixel."""
        return self.cine.spacing[1] * self.cine.spacing[2]

    @cached_property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns that hold all labels of all slices and phases."""
        shown = (self.labels > 0).any(axis=(0, 1))
        return tuple(_extent(shown.any(axis=axis)) for axis in (1, 0))

    def planes(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """Phase, slice and labels ``[h, w]`` of each slice that has any, cut to the heart with a rim of background."""
        for frame, index in np.argwhere(np.any(self.measurements.areas_mm2, axis=-1)):
            yield int(frame), int(index), np.pad(self.labels[frame, index][self.box], 1)

    def centres_mm(self, structure: str) -> np.ndarray:
        """Centre of a structure in each slice in mm along rows and columns, ``[T, S, 2]``; NaN where it is absent."""
        mask = self.labels == STRUCTURES[structure]
        count = mask.sum(axis=(2, 3))
        centres = np.full((*count.shape, 2), np.nan)
        for axis, across in enumerate((3, 2)):
            profile = mask.sum(axis=across)
            total = profile @ (np.arange(profile.shape[-1]) * self.cine.spacing[1 + axis])
            np.divide(total, count, out=centres[..., axis], where=count > 0)
        return centres


def _extent(line: np.ndarray) -> slice:
    found = np.flatnonzero(line)
    return slice(found[0], found[-1] + 1) if len(found) else slice(0, 0)
