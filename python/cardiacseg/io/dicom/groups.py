"""Groups of frames by matrix, pixel spacing, orientation and position, never by series."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from cardiacseg.io.cine import LEAST_FRAMES, LEAST_SLICES, Note
from cardiacseg.io.dicom.attributes import CINE_KINDS
from cardiacseg.io.dicom.cine_signs import signs_against
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.slices import Slices, depths_mm
from cardiacseg.io.dicom.stacks import representatives, stacks
from cardiacseg.io.geometry import plane_in_words, turn_degrees

LIST_HINT = "`cardiacseg segment INPUT --list` shows every group"
PARALLEL_DEGREES = 1.005  # 1 degree, rounded as files round
_COSINE_TOLERANCE, _SPACING_TOLERANCE_MM = 0.018, 1e-3


@dataclass(frozen=True, eq=False)
class Group:
    """Images that could be one cine.

    ``number`` counts from 1; ``kind`` is one of :mod:`cardiacseg.io.dicom.attributes`; ``slices`` holds the frames by
    position, and is empty if they have no geometry. ``notes`` name differences between the images of the
    group. ``taken``, ``code`` and ``reason``: whether the group is read as the short-axis cine, and why or why not.
    """

    number: int
    frames: tuple[Frame, ...] = field(repr=False)
    slices: Slices = field(repr=False)
    notes: tuple[Note, ...] = ()
    taken: bool = False
    code: str = ""
    reason: str = ""

    @property
    def name(self) -> str:
        """The group's name for ``series``: g1, g2, ..."""
        return f"g{self.number}"

    @property
    def kind(self) -> str:
        """The kind of its best images."""
        kinds = {frame.kind for frame in self.frames}
        return next((kind for kind in CINE_KINDS if kind in kinds), self.frames[0].kind)

    @property
    def series_numbers(self) -> list[int]:
        return sorted({frame.series_number for frame in self.frames if frame.series_number is not None})

    @property
    def depths_mm(self) -> np.ndarray:
        """Position of each slice along the normal."""
        return (
            depths_mm([frames[0] for frames in self.slices], self.frames[0].orientation)
            if self.slices
            else np.array([])
        )

    @property
    def cine_slices(self) -> Slices:
        """Slices with enough phases for a cine."""
        return [frames for frames in self.slices if len(frames) >= LEAST_FRAMES]

    @property
    def is_candidate(self) -> bool:
        """Whether this can be the short-axis cine without a choice by the caller."""
        return self.kind in CINE_KINDS and len(self.cine_slices) >= LEAST_SLICES and not self.signs_against

    @cached_property
    def signs_against(self) -> str:
        """Why the images are not a cine, or ""."""
        return signs_against(self.slices)

    @property
    def plane(self) -> str:
        """The orientation in words."""
        return plane_in_words(self.frames[0].orientation) if self.slices else "unknown"

    def to_dict(self) -> dict[str, object]:
        """JSON-ready, without anything that identifies a patient."""
        first = self.frames[0]
        phases = [len(frames) for frames in self.slices]
        return {
            "group": self.name,
            "series_numbers": self.series_numbers,
            "images": len(self.frames),
            "kind": self.kind,
            "slices": len(self.slices),
            "phases": [min(phases), max(phases)] if phases else None,
            "rows": first.rows,
            "columns": first.columns,
            "pixel_spacing_mm": None if first.pixel_spacing is None else list(first.pixel_spacing),
            "slice_positions_mm": [round(float(depth), 2) for depth in self.depths_mm],
            "plane": self.plane,
            "taken": self.taken,
            "code": self.code,
            "reason": self.reason,
        }


def group_frames(frames: Sequence[Frame], by_protocol: bool = True) -> list[Group]:
    """All groups, in the order of their series' numbers.

    With ``by_protocol``, images of different protocols in the same planes are in different groups.
    """
    parts: list[tuple[Slices, tuple[Note, ...], list[Frame]]] = []
    for cluster in _cluster(frames):
        if cluster[0].has_geometry:
            found = stacks(cluster, by_protocol)
            parts += [(slices, notes, [frame for part in slices for frame in part]) for slices, notes in found]
        else:
            parts.append(([], (), cluster))
    if parts:
        first = frames[0].file
        first.budget.check("groups", len(parts), first.name)
    parts = [(slices, notes, sorted(members, key=Frame.order)) for slices, notes, members in parts]
    parts.sort(key=lambda part: part[2][0].order())
    return [Group(number, tuple(part[2]), part[0], part[1]) for number, part in enumerate(parts, start=1)]


def _cluster(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames with equal exact attributes, and rounded attributes within a tolerance of the most frequent ones."""
    tolerances = [_COSINE_TOLERANCE] * 6 + [_SPACING_TOLERANCE_MM] * 2
    placed = [frame for frame in frames if frame.has_geometry]
    plane_of = representatives(Counter(map(_plane, placed)), tolerances, _is_parallel)
    clusters: dict[tuple, list[Frame]] = defaultdict(list)
    for frame in frames:
        plane = plane_of[_plane(frame)] if frame.has_geometry else None
        apart = () if frame.has_geometry else (frame.study_uid, frame.frame_of_reference_uid, frame.kind)
        clusters[frame.rows, frame.columns, plane, apart].append(frame)
    return list(clusters.values())


def _plane(frame: Frame) -> tuple[float, ...]:
    return (*frame.orientation, *frame.pixel_spacing)


def _is_parallel(first: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return turn_degrees(first[:6], other[:6]) <= PARALLEL_DEGREES
