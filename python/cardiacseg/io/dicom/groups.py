"""Frames that belong together: by study, frame of reference, orientation, matrix and pixel spacing, never by series."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.image_kind import MAGNITUDE
from cardiacseg.io.dicom.orientation import plane_in_words
from cardiacseg.io.dicom.slices import Slices, bin_slices, depths_mm

LEAST_SLICES, LEAST_PHASES = 3, 8
_TOLERANCE = 1e-3  # of direction cosines, and of pixel spacings in mm


@dataclass(frozen=True, eq=False)
class Group:
    """Images that could be one cine.

    ``number`` counts from 1; ``kind`` is one of :mod:`cardiacseg.io.dicom.image_kind`; ``slices`` holds the frames by
    position, and is empty where they have no geometry. ``taken``, ``code`` and ``reason`` say whether the group was
    taken as the short-axis cine, and why or why not.
    """

    number: int
    frames: tuple[Frame, ...] = field(repr=False)
    slices: Slices = field(repr=False)
    taken: bool = False
    code: str = ""
    reason: str = ""

    @property
    def name(self) -> str:
        """What ``series`` calls the group: g1, g2, ..."""
        return f"g{self.number}"

    @property
    def kind(self) -> str:
        return self.frames[0].kind

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
        """Slices with enough phases to be of a cine."""
        return [frames for frames in self.slices if len(frames) >= LEAST_PHASES]

    @property
    def is_candidate(self) -> bool:
        """Whether this can be the short-axis cine without anybody saying so."""
        return self.kind == MAGNITUDE and len(self.cine_slices) >= LEAST_SLICES

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

    With ``by_protocol``, images taken in different ways in the same planes are told apart.
    """
    parts = _cluster(frames)
    if by_protocol:
        parts = [kept for part in parts for kept in _split_protocols(part)]
    if parts:
        first = frames[0].file
        first.budget.check("groups", len(parts), first.name)
    parts.sort(key=lambda part: min(frame.order() for frame in part))
    return [Group(number, tuple(part), _slices(part)) for number, part in enumerate(parts, start=1)]


def _slices(frames: Sequence[Frame]) -> Slices:
    return bin_slices(frames, frames[0].orientation) if frames[0].has_geometry else []


def _cluster(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Equal in what must be equal, and within a tolerance of the first frame in what is rounded."""
    kinds: dict[tuple, list[Frame]] = defaultdict(list)
    for frame in frames:
        kinds[
            (frame.study_uid, frame.frame_of_reference_uid, frame.rows, frame.columns, frame.kind, frame.has_geometry)
        ].append(frame)
    return [cluster for same in kinds.values() for cluster in _near_each_other(same)]


def _near_each_other(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Clusters of frames in planes that differ by less than a tolerance; each plane is looked for once."""
    if not frames[0].has_geometry:
        return [list(frames)]
    clusters: dict[int, list[Frame]] = {}
    firsts = np.empty((0, 8))
    known: dict[tuple, int] = {}
    for frame in frames:
        plane = (*frame.orientation, *frame.pixel_spacing)
        if plane not in known:
            near = np.flatnonzero((np.abs(firsts - plane) <= _TOLERANCE).all(axis=1))
            known[plane] = int(near[0]) if len(near) else len(firsts)
            if not len(near):
                frame.file.budget.check("groups", len(firsts) + 1, frame.file.name)
                firsts = np.vstack([firsts, plane])
        clusters.setdefault(known[plane], []).append(frame)
    return list(clusters.values())


def _split_protocols(frames: list[Frame]) -> list[list[Frame]]:
    """Apart where a slice has images of several protocols, and what is no cine: late enhancement often shares planes.

    Where no slice has several, a difference means nothing: scanners adapt echo times from breath-hold to breath-hold.
    """
    if not frames[0].has_geometry:
        return [frames]
    slices = bin_slices(frames, frames[0].orientation)
    stills = _still_series(slices)
    moving = {frame.protocol for frame in frames if frame.series_uid not in stills}
    collide = any(len({(f.series_uid in stills, f.protocol) for f in part}) > 1 for part in slices)
    parts: dict[tuple, list[Frame]] = defaultdict(list)
    for frame in frames:
        is_still = frame.series_uid in stills
        apart = collide or (is_still and frame.protocol not in moving)
        parts[(is_still, frame.protocol) if apart else ()].append(frame)
    return list(parts.values())


def _still_series(slices: Slices) -> set[str]:
    """Series with one image in each slice, where others have several."""
    counts = [Counter(frame.series_uid for frame in frames) for frames in slices]
    most = {uid: max(count[uid] for count in counts) for uid in set().union(*counts)}
    return {uid for uid, phases in most.items() if phases == 1} if max(most.values()) > 1 else set()
